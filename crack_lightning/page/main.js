// The page: what is told by the server, buttons and keys.

import { listen, post } from "./api.js";
import { fold } from "./cracks.js";
import { addFiles, dropped, open } from "./dialogs.js";
import { next } from "./list.js";
import { by, fail, loadPhotograph, loadProject, on, state, tell } from "./state.js";
import { judge, step, turn, use, words } from "./tools.js";
import { fit, zoom } from "./viewer.js";

const byId = (id) => document.getElementById(id);

// What the server reports. It may report many photographs in a second: the project is loaded once for all of them.

let loading;

function later() {
  loading ??= setTimeout(() => {
    loading = null;
    loadProject().catch(fail);
  }, 200);
}

function progress({ done, total, waiting, paused }) {
  byId("bar").hidden = byId("pause").hidden = !waiting;
  byId("bar").max = Math.max(1, total);
  byId("bar").value = done;
  byId("far").textContent = waiting ? `${done} of ${total} inspected${paused ? ", stopped" : ""}` : "";
  byId("pause").textContent = paused ? "go on" : "stop";
}

byId("toast").addEventListener("click", () => (byId("toast").textContent = ""));

const whole = () => loadProject().then(() => loadPhotograph()).catch(fail);

listen({
  hello: () => {
    byId("toast").textContent = "";
    whole();
  },
  lost: () => fail("the server does not answer: is it still running?"),
  progress,
  photographs: later,
  photograph: ({ key }) => {
    delete state.looks[key];
    later();
    if (key === state.key) loadPhotograph().catch(fail);
  },
  first_look: ({ key, ...look }) => {
    state.looks[key] = look;
    tell("looks");
  },
  correction: whole,
  settings: whole,
  trouble: ({ message }) => fail(message),
});

on("project", () => {
  if (state.project.progress) progress(state.project.progress);
  byId("undo").title = state.project.undo ? `undo: ${words(state.project.undo)} (U)` : "nothing to undo";
  byId("undo").disabled = !state.project.undo;
  byId("redo").disabled = !state.project.redo;
});

byId("pause").addEventListener("click", () => post("queue", { paused: byId("pause").textContent === "stop" }).then(progress).catch(fail));

// Buttons

for (const id of ["add", "places", "scale", "hand_over", "help"]) byId(`open_${id}`).addEventListener("click", () => open(id));
byId("empty_add").addEventListener("click", () => open("add"));
document.querySelectorAll("[data-tool]").forEach((button) => button.addEventListener("click", () => {
  use(button.dataset.tool);
  byId("canvas").focus();
}));
byId("accept").addEventListener("click", () => judge("accept"));
byId("reject").addEventListener("click", () => judge("reject"));
byId("undo").addEventListener("click", () => turn("undo"));
byId("redo").addEventListener("click", () => turn("redo"));
byId("in").addEventListener("click", () => zoom(1.5));
byId("out").addEventListener("click", () => zoom(1 / 1.5));
byId("fit").addEventListener("click", fit);
byId("by").value = by();
byId("by").addEventListener("change", () => localStorage.setItem("by", byId("by").value));

// Files that are dropped anywhere

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.items?.length || event.dataTransfer.files.length) dropped(event.dataTransfer).catch(fail);
});
addEventListener("paste", (event) => event.clipboardData.files.length && addFiles(event.clipboardData.files));

// Keys

const REASONS = ["joint", "edge", "writing", "plant", "shadow", "pit"];

const KEYS = {
  n: ["next photograph", () => next(1)],
  p: ["photograph before", () => next(-1)],
  j: ["next crack", () => step(1)],
  k: ["crack before", () => step(-1)],
  a: ["accept the selected crack, and go to the next", () => judge("accept")],
  r: ["reject the selected crack, and go to the next", () => judge("reject")],
  ...Object.fromEntries(REASONS.map((reason, number) => [number + 1, [`reject: ${reason}`, () => judge("reject", reason)]])),
  m: ["show or hide marks that are probably no cracks", fold],
  v: ["select", () => focusWith("select")],
  d: ["draw a crack", () => focusWith("draw")],
  e: ["rub out", () => focusWith("erase")],
  x: ["outline what is not surface", () => focusWith("exclude")],
  u: ["undo (also Ctrl+Z)", () => turn("undo")],
  y: ["redo (also Ctrl+Y)", () => turn("redo")],
  "+": ["zoom in", () => zoom(1.5)],
  "-": ["zoom out", () => zoom(1 / 1.5)],
  0: ["the whole photograph", fit],
  o: ["add photographs", () => open("add")],
  l: ["what to look at next: then A if it is a crack, R if it is none", () => open("places")],
  s: ["scale", () => open("scale")],
  h: ["hand over", () => open("hand_over")],
  "?": ["these keys, and your name", () => open("help")],
};

function focusWith(tool) {
  use(tool);
  byId("canvas").focus();
}

for (const [key, [meaning]] of [...Object.entries(KEYS), ["arrows", ["move the photograph, or the cross of a tool"]], ["Space, Enter, Escape", ["with a tool: set a point, end, give up"]]]) {
  const [term, text] = [document.createElement("dt"), document.createElement("dd")];
  [term.textContent, text.textContent] = [key, meaning];
  byId("keys").append(term, text);
}

addEventListener("keydown", (event) => {
  const writing = event.target.closest?.("input:not([type=range], [type=checkbox], [type=radio]), dialog");
  if (writing || event.altKey) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return;
    turn(key === "y" || event.shiftKey ? "redo" : "undo");
  } else if (KEYS[key === "=" ? "+" : key]) KEYS[key === "=" ? "+" : key][1]();
  else return;
  event.preventDefault();
});
