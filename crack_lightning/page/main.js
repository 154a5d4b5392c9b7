// @ts-check
// The page: what the server reports, and buttons.

import { act } from "./acting.js";
import { listen, post, windowName } from "./api.js";
import { addFiles, dropped, open } from "./dialogs.js";
import { byId } from "./elements.js";
import { handingOver } from "./hand_over.js";
import { join, judge, review, turn, words } from "./judging.js";
import "./keys.js";
import { learned, proposed, proposing } from "./learning.js";
import { clear, fail } from "./messages.js";
import { dropRows, loadPhotograph, loadProject, on, setRow, state, tell } from "./state.js";
import { rejectRest } from "./sliders.js";
import { undo } from "./tools.js";
import { fit, zoom } from "./viewer.js";

/** @typedef {import("./state.js").Row} Row */

/** @param {{done: number, total: number, waiting: number, paused: boolean}} facts */
function progress({ done, total, waiting, paused }) {
  byId("bar").hidden = byId("pause").hidden = !waiting;
  byId("bar").max = Math.max(1, total);
  byId("bar").value = done;
  byId("far").textContent = waiting ? `${done} of ${total} done${paused ? ", stopped" : ""}` : "";
  byId("pause").textContent = paused ? "go on" : "stop";
}

/** @param {string} [key] */
const again = (key) => (!key || key === state.key) && act(() => loadPhotograph());

/** @param {{threshold?: number, shortest_px?: number}} changes */
function settings({ threshold, shortest_px: shortest }) {
  const followed = state.threshold === state.project.threshold && state.shortest === state.project.shortest_px;
  if (threshold !== undefined && threshold !== state.project.threshold) {
    state.project.threshold = threshold;
    for (const each of state.project.photographs) if (each.counts) setRow({ ...each, computing: true });
  }
  if (shortest !== undefined) state.project.shortest_px = shortest;
  if (followed) [state.threshold, state.shortest] = [state.project.threshold, state.project.shortest_px];
  tell("project");
  again();
}

listen({
  hello: () => {
    clear();
    act(async () => {
      await loadProject();
      await loadPhotograph();
    });
  },
  lost: () => fail("the server does not answer: start it again, the page goes on by itself"),
  progress,
  row: ({ row }) => setRow(row),
  photographs: ({ rows }) => {
    rows.forEach(setRow);
    tell("project");
  },
  photograph: ({ key, row }) => {
    delete state.looks[key];
    setRow(row);
    again(key);
  },
  left_out: ({ keys }) => dropRows(keys),
  first_look: ({ key, ...look }) => {
    state.looks[key] = look;
    tell("looks");
  },
  correction: ({ window, row, all }) => {
    if (window === windowName) return;
    if (row) setRow(row);
    if (all || row?.key === state.key) again();
  },
  measured: ({ key, threshold }) => threshold === state.threshold && again(key),
  settings,
  learned,
  proposing,
  proposal: proposed,
  handing_over: handingOver,
  trouble: ({ message }) => fail(message),
});

on("project", () => state.project.progress && progress(state.project.progress));
on("photograph", () => {
  const { undo: last, redo: undone, state: reached } = /** @type {import("./state.js").Photograph} */ (state.photograph);
  byId("undo").title = last ? `undo: ${words(last)} (U)` : "nothing to undo";
  byId("undo").disabled = !last;
  byId("redo").disabled = !undone;
  byId("review").disabled = !state.photograph?.cell;
  byId("review").setAttribute("aria-pressed", String(reached === "reviewed"));
});

// Buttons

byId("pause").addEventListener("click", () => act(async () => progress(await post("queue", { paused: byId("pause").textContent === "stop" }))));
for (const id of ["add", "places", "scale", "learning", "hand_over", "help"]) byId(`open_${id}`).addEventListener("click", () => open(id));
byId("empty_add").addEventListener("click", () => open("add"));
byId("describe").addEventListener("click", () => open("describing"));
byId("accept").addEventListener("click", () => act(() => judge("accept")));
byId("reject").addEventListener("click", () => act(() => judge("reject")));
byId("join").addEventListener("click", () => act(join));
byId("review").addEventListener("click", () => act(review));
byId("reject_rest").addEventListener("click", () => rejectRest(false));
byId("undo").addEventListener("click", undo);
byId("redo").addEventListener("click", () => act(() => turn("redo")));
byId("in").addEventListener("click", () => zoom(1.5));
byId("out").addEventListener("click", () => zoom(1 / 1.5));
byId("fit").addEventListener("click", fit);

// Files that are dropped anywhere

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const { dataTransfer: transfer } = event;
  if (transfer?.items?.length || transfer?.files.length) dropped(transfer).catch(fail);
});
addEventListener("paste", (event) => event.clipboardData?.files.length && addFiles(event.clipboardData.files));
