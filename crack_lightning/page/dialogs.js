// Adding, what to look at next, scale, handing over: each a dialog.

import { get, post, upload } from "./api.js";
import { formats } from "./hand_over.js";
import { by, fail, loadProject, on, openPhotograph, row, say, state, tell } from "./state.js";
import { use } from "./tools.js";

const byId = (id) => document.getElementById(id);
export const open = (id) => {
  const dialog = byId(id);
  if (dialog.open) return;
  dialog.querySelector(".error")?.replaceChildren();
  dialog.showModal();
  opened[id]?.();
};

const trouble = (id, error) => (byId(id).querySelector(".error").textContent = error.message ?? String(error));

function line(tag, texts, head) {
  const element = document.createElement("tr");
  texts.forEach((text, number) => {
    const cell = document.createElement(head && !number ? "th" : tag);
    cell.textContent = text;
    element.append(cell);
  });
  return element;
}

// Adding

const AT_ONCE = 2;

export async function addFiles(files) {
  const wanted = [...files];
  const failed = [];
  let [done, shown] = [0, null];
  const one = async () => {
    for (let file = wanted.shift(); file; file = wanted.shift()) {
      try {
        const { keys } = await upload(file);
        shown ??= keys[0];
      } catch (error) {
        failed.push(`${file.name}: ${error.message}`);
      }
      say(`${++done} of ${files.length} files sent${failed.length ? `, ${failed.length} not taken` : ""}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  if (failed.length) fail(`${failed.length} of ${files.length} were not taken: ${failed.slice(0, 10).join("; ")}`, 60);
  await loadProject().catch(fail);
  if (shown) await openPhotograph(shown).catch(fail); // what was just dropped is what is to be seen
}

export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) return files.push(await new Promise((yes, no) => entry.file(yes, no)));
    const reader = entry.createReader();
    for (;;) {
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

byId("take").addEventListener("click", async () => {
  try {
    await post("sources", { path: byId("path").value });
    byId("add").close();
    await loadProject();
  } catch (error) {
    trouble("add", error);
  }
});
byId("path").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  byId("take").click();
});

// What to look at next

async function places() {
  const list = byId("place_list");
  list.replaceChildren("looking…");
  try {
    const found = await get("places");
    list.replaceChildren(...found.map((place) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      const reason = document.createElement("span");
      reason.textContent = place.reason;
      button.append(place.name, reason);
      button.addEventListener("click", async () => {
        byId("places").close();
        await goToPlace(place);
        byId("canvas").focus();
      });
      item.append(button);
      return item;
    }));
    if (!found.length) trouble("places", "nothing is in doubt, or nothing is inspected yet");
  } catch (error) {
    list.replaceChildren();
    trouble("places", error);
  }
}

on("judged", async () => {
  const [place] = await get("places").catch(() => []);
  if (place) await goToPlace(place);
});

async function goToPlace(place) {
  await openPhotograph(place.key, [place.x, place.y]).catch(fail);
  state.place = place.line;
  tell("selected");
  say(`${place.reason}: A if it is a crack, R if it is none`);
}

// Scale

function scaleNow() {
  const scale = state.photograph?.scale;
  byId("scale_now").textContent = row() ? `${row().name}: ${scale ? `${scale.mm_per_px.toPrecision(4)} mm a pixel, by ${scale.source}` : "no scale; lengths are in pixels"}` : "no photograph is open";
}

async function setScale(facts) {
  try {
    await post("scale", { by: by(), key: state.key ?? "", all: byId("of_all").checked, ...facts });
    await openPhotograph(state.key);
    await loadProject();
    scaleNow();
    byId("scale").querySelector(".error").replaceChildren();
    return true;
  } catch (error) {
    trouble("scale", error);
    if (!byId("scale").open) fail(error);
    return false;
  }
}

const number = (id) => Number(byId(id).value);
byId("by_number").addEventListener("click", () => setScale({ mm_per_px: number("mm_per_px") }));
byId("by_marker").addEventListener("click", () => setScale({ marker_mm: number("marker_mm") }));
byId("forget").addEventListener("click", () => setScale({}));
byId("two_points").addEventListener("click", () => {
  byId("scale").close();
  use("points");
  byId("canvas").focus();
});
on("points", async ([[x1, y1], [x2, y2]]) => {
  use("select");
  if (await setScale({ x1, y1, x2, y2, length_mm: number("length_mm") })) say(byId("scale_now").textContent);
});

function scaleAnew() {
  byId("of_all").checked = false;
  scaleNow();
}

const opened = { places, scale: scaleAnew, hand_over: formats };
