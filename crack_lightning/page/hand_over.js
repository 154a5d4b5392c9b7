// @ts-check
// Handing over: what the cover says, which files, and the archives that were made.

import { act } from "./acting.js";
import { address, post } from "./api.js";
import { byId, made, plural, WORDS } from "./elements.js";
import { loadProject, on, state } from "./state.js";

const dialog = byId("hand_over");
const FIELDS = ["structure", "place", "date", "inspector", "client"];

byId("make").addEventListener("click", () => act(async () => {
  const formats = [...dialog.querySelectorAll("[name=format]:checked")].map((box) => box.value);
  const form = Object.fromEntries(FIELDS.map((name) => [name, byId(`form_${name}`).value]));
  const included = dialog.querySelector("[name=included]:checked").value;
  byId("make").disabled = true;
  byId("making").textContent = "writing…";
  dialog.querySelector(".error").replaceChildren();
  try {
    const result = await post("hand_over", { included, formats, form });
    const counts = Object.entries(result.counts).map(([status, count]) => `${count} ${WORDS[status]}`).join(", ");
    byId("making").textContent = `${result.folder} (${counts || "no cracks"})`;
    localStorage.setItem("handed over", JSON.stringify({ included, formats }));
    await loadProject();
    archives();
  } catch (error) {
    byId("making").textContent = "";
    dialog.querySelector(".error").textContent = /** @type {Error} */ (error).message;
  }
  byId("make").disabled = false;
}));

/** @param {{done: number, total: number}} progress */
export function handingOver({ done, total }) {
  if (byId("make").disabled) byId("making").textContent = `writing: ${done} of ${total} photographs`;
}

function archives() {
  byId("archives").replaceChildren(...[...(state.project.handed_over ?? [])].reverse().map((name) => {
    const [report, link] = /** @type {HTMLAnchorElement[]} */ ([made("a", "report"), made("a", `${name}.zip`)]);
    report.href = address(`handed_over/${encodeURIComponent(name)}/report.html`);
    report.target = "_blank";
    link.href = address(`handed_over/${encodeURIComponent(name)}.zip`);
    link.download = "";
    return made("li", "", link, " ", report);
  }));
}

function open() {
  byId("making").textContent = "";
  const last = JSON.parse(localStorage.getItem("handed over") ?? "null"); // what this person chose last
  if (last) dialog.querySelector(`[name=included][value=${last.included}]`).checked = true;
  for (const box of dialog.querySelectorAll("[name=format]")) {
    const missing = state.project.missing?.[box.value];
    box.disabled = Boolean(missing);
    if (last) box.checked = last.formats.includes(box.value) && !missing;
    box.parentElement.title = missing ?? "";
  }
  byId("missing").textContent = Object.values(state.project.missing ?? {}).join("; ");
  for (const name of FIELDS) {
    const kept = state.project.form?.[name];
    if (kept !== undefined || !byId(`form_${name}`).value) byId(`form_${name}`).value = kept ?? "";
  }
  byId("form_date").value ||= new Date().toISOString().slice(0, 10);
  /** @type {import("./state.js").Row[]} */
  const rows = state.project.photographs;
  const open = rows.filter((each) => each.state !== "reviewed").length;
  const marks = rows.reduce((sum, each) => sum + (each.counts?.unseen ?? 0), 0);
  byId("not_done").textContent = open ? `${open} of ${plural(rows.length, "photograph")} are not reviewed yet, and ${plural(marks, "mark")} not judged.` : "";
  archives();
}

on("opened_hand_over", open);
