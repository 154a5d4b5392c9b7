// @ts-check
// Dialogs: they open by a key, Enter does what their button does, and Escape leaves them.

import { act, correct } from "./acting.js";
import { get, post, upload } from "./api.js";
import { byId, made } from "./elements.js";
import { describe, goToPlace } from "./judging.js";
import { clear, fail, say } from "./messages.js";
import { by, dropRows, loadProject, on, openPhotograph, row, selectedCrack, state, tell } from "./state.js";
import { use } from "./tools.js";
import { camera } from "./viewer.js";

/** @param {string} id */
export const open = (id) => {
  const dialog = byId(id);
  if (dialog.open) return;
  dialog.querySelector(".error")?.replaceChildren();
  dialog.showModal();
  dialog.scrollTop = 0; // a field at its end has the focus
  tell(`opened_${id}`);
};

/** @param {string} id @param {any} error */
const trouble = (id, error) => (byId(id).querySelector(".error").textContent = error.message ?? String(error));

addEventListener("keydown", (event) => {
  const field = /** @type {HTMLElement} */ (event.target).closest?.("dialog input, dialog select");
  if (event.key !== "Enter" || !field) return;
  const named = /** @type {HTMLElement | null} */ (field.closest("[data-enter]"));
  event.preventDefault();
  if (named) byId(/** @type {string} */ (named.dataset.enter)).click();
});

// Adding, taking out, taking back

const AT_ONCE = 2;

/** @param {Iterable<File>} files */
export async function addFiles(files) {
  const wanted = [...files];
  const total = wanted.length;
  /** @type {string[]} */
  const failed = [];
  /** @type {?string} */
  let shown = null;
  let [done, known] = [0, 0];
  clear();
  const one = async () => {
    for (let file = wanted.shift(); file; file = wanted.shift()) {
      try {
        const { keys, added } = await upload(file);
        known += added ? 0 : 1;
        shown ??= keys[0];
      } catch (error) {
        const { message } = /** @type {Error} */ (error);
        failed.push(message.startsWith(file.name) ? message : `${file.name}: ${message}`);
      }
      const others = [failed.length && `${failed.length} not taken`, known && `${known} in this project already`].filter(Boolean);
      say([`${++done} of ${total} files sent`, ...others].join(", "));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  if (failed.length) fail(`${failed.length} of ${total} were not taken: ${failed.slice(0, 10).join("; ")}`, 60);
  if (!shown) return;
  await openPhotograph(shown).catch(fail); // what was just dropped is what is to be seen
  if (known) say(`${known} of ${total} ${known === 1 ? "is" : "are"} in this project already`);
}

/** @param {DataTransfer} transfer */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  /** @type {File[]} */
  const files = [];
  /** @param {any} entry @returns {Promise<any>} */
  const walk = async (entry) => {
    if (entry.isFile) return files.push(await new Promise((yes, no) => entry.file(yes, no)));
    const reader = entry.createReader();
    for (;;) {
      /** @type {any[]} */
      const part = await new Promise((yes, no) => reader.readEntries(yes, no));
      if (!part.length) return;
      for (const inner of part) await walk(inner);
    }
  };
  const loose = entries.length ? [] : [...transfer.files];
  for (const entry of entries) await walk(entry);
  await addFiles([...files, ...loose].filter((file) => !file.name.startsWith(".")));
}

for (const id of ["files", "folder"]) {
  byId(id).addEventListener("change", async () => {
    byId("add").close();
    await addFiles(byId(id).files);
    byId(id).value = "";
  });
}

byId("take").addEventListener("click", () => act(async () => {
  try {
    await post("sources", { path: byId("path").value });
    byId("add").close();
    await loadProject();
  } catch (error) {
    trouble("add", error);
  }
}));

byId("take_out").addEventListener("click", () => act(async () => {
  const name = row()?.name;
  if (!name || !state.key) return;
  try {
    const after = document.getElementById(`row_${state.key}`)?.nextElementSibling?.id.slice(4);
    const { left_out: names } = await post("left_out", { key: state.key });
    state.project.left_out = names;
    dropRows([state.key]);
    byId("add").close();
    const next = row(after) ?? state.project.photographs[0];
    state.key = null;
    if (next) await openPhotograph(next.key);
    say(`${name} is out of this project; its file and its corrections stay, and it can be added again (O)`);
  } catch (error) {
    trouble("add", error);
  }
}));

on("opened_add", () => {
  byId("take_out").disabled = !row();
  byId("take_out").textContent = row() ? `take ${row()?.name} out of this project` : "take the open photograph out";
  byId("left_out").replaceChildren(...(state.project.left_out ?? []).map((/** @type {string} */ name) => {
    const button = /** @type {HTMLButtonElement} */ (made("button", `add ${name} again`));
    button.type = "button";
    button.addEventListener("click", () => act(async () => {
      state.project.left_out = (await post("left_out", { name, back: true })).left_out;
      byId("add").close();
      await loadProject();
      say(`${name} is in this project again, with its corrections`);
    }));
    return made("li", "", button);
  }));
});

// What to look at next

on("opened_places", async () => {
  const list = byId("place_list");
  list.replaceChildren("looking…");
  try {
    const { places, pending } = await get("places");
    list.replaceChildren(...places.map((/** @type {any} */ place) => {
      const button = /** @type {HTMLButtonElement} */ (made("button", "", place.name, made("span", `${place.length} long; ${place.reason}`)));
      button.type = "button";
      button.addEventListener("click", () => act(async () => {
        byId("places").close();
        await goToPlace(place);
        byId("canvas").focus();
      }));
      return made("li", "", button);
    }));
    list.querySelector("button")?.focus(); // Enter goes to the first
    if (pending) trouble("places", `${pending} photographs are still to be looked through: open this again in a moment`);
    else if (!places.length) trouble("places", "nothing is in doubt, or nothing is inspected yet");
  } catch (error) {
    list.replaceChildren();
    trouble("places", error);
  }
});

// Kind and note of a crack

on("opened_describing", () => {
  const crack = selectedCrack();
  byId("describing_title").textContent = crack ? `Crack ${crack.number}` : "No crack is selected";
  byId("labels").replaceChildren(...state.project.labels.map((/** @type {string} */ label) => {
    const box = /** @type {HTMLInputElement} */ (document.createElement("input"));
    [box.type, box.name, box.value, box.checked] = ["radio", "label", label, label === (crack?.label || "crack")];
    return made("label", "", box, ` ${label}`);
  }));
  byId("note").value = crack?.note ?? "";
  byId("save_note").disabled = !crack;
});
byId("save_note").addEventListener("click", () => act(async () => {
  const label = byId("labels").querySelector("input:checked")?.value ?? "";
  byId("describing").close();
  await describe(label, byId("note").value);
}));

// Scale

function scaleNow() {
  const scale = state.photograph?.scale;
  byId("scale_now").textContent = row() ? `${row()?.name}: ${scale ? `${scale.mm_per_px.toPrecision(4)} mm a pixel (${scale.source})` : "no scale; lengths are in pixels"}` : "no photograph is open";
}

/** @param {Record<string, any>} facts */
const setScale = (facts) => act(async () => {
  const open = byId("scale").open;
  if (!(await correct({ all: byId("of_all").checked, ...facts }, "scale"))) return open && trouble("scale", byId("toast").textContent);
  scaleNow();
  byId("scale").querySelector(".error").replaceChildren();
  const all = byId("of_all").checked ? "of all photographs that have no scale of their own; " : "";
  say(`${all}${byId("scale_now").textContent}`);
});

/** The number in a field, with a comma as people write it; what is none is sent as it is, for the server to refuse. @param {string} id */
const number = (id) => {
  const value = Number(byId(id).value.trim().replace(",", ".") || NaN);
  return Number.isFinite(value) ? value : byId(id).value;
};
byId("by_number").addEventListener("click", () => setScale({ mm_per_px: number("mm_per_px") }));
byId("by_marker").addEventListener("click", () => setScale({ marker_mm: number("marker_mm") }));
byId("forget").addEventListener("click", () => setScale({}));
/** Two points that were marked, with the length of a pixel of the screen. @type {?Record<string, number>} */
let points = null;

byId("two_points").addEventListener("click", () => {
  byId("scale").close();
  use("points");
  byId("canvas").focus();
});
on("points", ([[x1, y1], [x2, y2]]) => {
  use("select");
  points = { x1, y1, x2, y2, click_px: 1 / camera.scale };
  open("scale");
  byId("length_mm").focus();
});
byId("by_points").addEventListener("click", () => setScale({ ...points, length_mm: number("length_mm") }));
byId("scale").addEventListener("close", () => (points = null));
on("opened_scale", () => {
  byId("of_all").checked &&= points !== null;
  byId("by_points").hidden = !points;
  byId("apart").dataset.enter = points ? "by_points" : "two_points";
  scaleNow();
  if (points) byId("scale_now").textContent = `The two points are marked, ${Math.hypot(points.x2 - points.x1, points.y2 - points.y1).toFixed(0)} px apart: say how many millimetres that is.`;
});

// The name of the person

byId("by").value = by();
byId("by").addEventListener("change", () => localStorage.setItem("by", byId("by").value));
