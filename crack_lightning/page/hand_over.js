// Handing over: which files, and the archives that were made.

import { address, post } from "./api.js";
import { loadProject, state } from "./state.js";

const byId = (id) => document.getElementById(id);
const trouble = (error) => (byId("hand_over").querySelector(".error").textContent = error.message ?? String(error));

byId("make").addEventListener("click", async () => {
  const dialog = byId("hand_over");
  const formats = [...dialog.querySelectorAll("[name=format]:checked")].map((box) => box.value);
  byId("make").disabled = true;
  byId("making").textContent = "writing…";
  dialog.querySelector(".error").replaceChildren();
  try {
    const made = await post("hand_over", { included: dialog.querySelector("[name=included]:checked").value, formats });
    const counts = Object.entries(made.counts).map(([status, count]) => `${count} ${status}`).join(", ");
    byId("making").textContent = `${made.folder} (${counts || "no cracks"})`;
    await loadProject();
    archives();
  } catch (error) {
    byId("making").textContent = "";
    trouble(error);
  }
  byId("make").disabled = false;
});

function archives() {
  byId("archives").replaceChildren(...[...(state.project.handed_over ?? [])].reverse().map((name) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = address(`handed_over/${encodeURIComponent(name)}.zip`);
    link.textContent = `${name}.zip`;
    link.download = "";
    item.append(link);
    return item;
  }));
}

export function formats() {
  for (const box of byId("hand_over").querySelectorAll("[name=format]")) {
    const missing = state.project.missing?.[box.value];
    box.disabled = Boolean(missing);
    box.parentElement.title = missing ?? "";
  }
  byId("missing").textContent = Object.values(state.project.missing ?? {}).join("; ");
  archives();
}
