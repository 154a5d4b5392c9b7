// @ts-check
// The table of cracks beside the photograph.

import { byId, plural, statusOf } from "./elements.js";
import { choose, foldedCracks, on, select, shownCracks, state, tell } from "./state.js";
import { show } from "./judging.js";

/** @typedef {import("./state.js").Crack} Crack */

const body = byId("rows");
const facts = byId("facts");

/** @param {Crack} crack */
function line(crack) {
  const element = document.createElement("tr");
  element.dataset.id = crack.id;
  element.className = crack.status;
  element.tabIndex = 0;
  const probability = crack.probability === null ? "" : crack.probability.toFixed(2);
  const words = [statusOf(crack), crack.label, crack.note && "\u270d"].filter(Boolean).join(", ");
  const texts = [crack.number, crack.length, crack.width, probability + (crack.why ? " *" : ""), words];
  for (const text of texts) {
    const cell = document.createElement("td");
    cell.textContent = String(text);
    element.append(cell);
  }
  element.title = [crack.figures, crack.why, crack.note].filter(Boolean).join("; ");
  element.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault()); // neither text nor this one alone
  element.addEventListener("click", (event) => {
    if (event.shiftKey) toggle(crack.id);
    else show(crack);
  });
  element.addEventListener("focus", () => {
    if (crack.id !== state.selected && !state.chosen.size) show(crack);
  });
  return element;
}

/** Adds a crack to those that are judged at once, or takes it away. @param {string} id */
export function toggle(id) {
  const chosen = new Set(state.chosen.size ? state.chosen : state.selected ? [state.selected] : []);
  if (!chosen.delete(id)) chosen.add(id);
  choose(chosen);
}

/** @type {Map<string, {written: string, element: HTMLElement}>} */
let lines = new Map();

export function table() {
  const cracks = shownCracks();
  const before = lines;
  lines = new Map(cracks.map((crack) => {
    const written = JSON.stringify({ ...crack, lines: 0 });
    const old = before.get(crack.id);
    return [crack.id, old?.written === written ? old : { written, element: line(crack) }];
  }));
  const elements = [...lines.values()].map(({ element }) => element);
  const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.id;
  if (elements.length !== body.children.length || elements.some((element, at) => element !== body.children[at])) {
    body.replaceChildren(...elements);
    if (focused && lines.has(focused)) lines.get(focused)?.element.focus({ preventScroll: true });
  }
  mark();
  heading(cracks);
  folded();
}

function folded() {
  const marks = foldedCracks();
  const longest = Math.max(state.photograph?.width ?? 0, state.photograph?.height ?? 0);
  const short = marks.filter((crack) => crack.length_px < 0.02 * longest).length;
  const rest = marks.length - short;
  const parts = [short && `${short} short`, rest && `${rest} that ${rest === 1 ? "is" : "are"} probably no crack`].filter(Boolean);
  byId("folded").hidden = !marks.length && !state.unfolded;
  byId("folded").textContent = state.unfolded ? "hide short marks, and those that are probably none" : `and ${parts.join(", and ")}`;
}

export function fold() {
  state.unfolded = !state.unfolded;
  table();
  tell("selected");
}

byId("folded").addEventListener("click", fold);
byId("by_stake").addEventListener("click", () => {
  state.byStake = !state.byStake;
  table();
});

/** @param {Crack[]} cracks */
function heading(cracks) {
  const shown = state.photograph;
  if (!shown) return (facts.textContent = "");
  if (!shown.cell) {
    const look = state.looks[/** @type {string} */ (state.key)] ? "; dashed lines are a first look" : "";
    return (facts.textContent = shown.verdict === "waiting" ? `${shown.name}: not inspected yet${look}` : `${shown.name}: ${shown.note}`);
  }
  const marked = cracks.filter((crack) => crack.status !== "rejected");
  const kept = marked.filter((crack) => !crack.label || crack.label === "crack");
  const scale = shown.scale;
  const total = kept.reduce((sum, crack) => sum + (scale ? crack.length_mm ?? 0 : crack.length_px), 0);
  const parts = [shown.name, `${plural(kept.length, "crack")}, ${Math.round(total)} ${scale ? "mm" : "px"} together`];
  if (kept.length < marked.length) parts.push(`${marked.length - kept.length} of another kind`);
  if (shown.computing && shown.threshold !== state.threshold) parts.push(`computing: these are the marks at ${shown.threshold?.toFixed(2)}`);
  parts.push(scale ? `${scale.mm_per_px.toPrecision(3)} mm a pixel (${scale.source})` : "no scale: in pixels");
  if ((shown.surface ?? 1) < 0.9995) parts.push(`${Math.round(100 * (1 - (shown.surface ?? 1)))} % is not surface`);
  if (shown.state.includes("reviewed") && shown.state !== "not reviewed") parts.push(shown.state);
  facts.textContent = parts.join(" · ");
}

function mark() {
  for (const [id, { element }] of lines) {
    const chosen = state.chosen.size ? state.chosen.has(id) : id === state.selected;
    element.setAttribute("aria-selected", String(chosen));
    if (id === state.selected) element.scrollIntoView({ block: "nearest" });
  }
  const many = state.chosen.size;
  for (const id of ["accept", "reject"]) byId(id).disabled = !state.selected && !state.place && !many;
  byId("chosen").textContent = many ? `${many} chosen` : "";
  byId("join").hidden = many < 2;
  byId("describe").disabled = !state.selected;
}

function legend() {
  const names = state.photograph?.scale ? Object.entries(state.project.classes) : [];
  const grey = state.project.unknown_colour;
  const unknown = [["no width claimed", grey, [4, 3]], ...(state.photograph?.scale ? [] : [["width in pixels, no scale", grey]])];
  byId("legend").replaceChildren(...[...names, ...unknown].map(([name, colour, dash]) => {
    const part = document.createElement("span");
    const swatch = document.createElement("canvas"); // a style attribute is not allowed here
    [swatch.width, swatch.height] = [20, 6];
    const pen = /** @type {CanvasRenderingContext2D} */ (swatch.getContext("2d"));
    [pen.strokeStyle, pen.lineWidth] = [colour, 4];
    pen.setLineDash(dash ?? []);
    pen.beginPath();
    pen.moveTo(0, 3);
    pen.lineTo(20, 3);
    pen.stroke();
    part.append(swatch, name);
    return part;
  }));
}

on("photograph", () => {
  table();
  legend();
});
on("opening", () => {
  lines = new Map();
  body.replaceChildren();
  select(null);
});
on("selected", table);
on("shortest", table);
