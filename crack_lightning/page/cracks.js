// The table of cracks beside the photograph, and the sliders that choose among them.

import { post } from "./api.js";
import { fail, foldedCracks, loadPhotograph, on, select, shownCracks, state, tell } from "./state.js";
import { hideMap, showMap } from "./viewer.js";
import { show } from "./tools.js";

const byId = (id) => document.getElementById(id);
const [body, facts, legend, threshold, shortest, keep] = ["rows", "facts", "legend", "threshold", "shortest", "keep"].map(byId);

const lengthOf = (crack) => (crack.length_mm === null ? `${Math.round(crack.length_px)} px` : `${Math.round(crack.length_mm)} mm`);

function table() {
  const cracks = shownCracks();
  body.replaceChildren(...cracks.map((crack) => {
    const line = document.createElement("tr");
    line.dataset.id = crack.id;
    line.className = crack.status;
    line.tabIndex = 0;
    const probability = crack.probability === null ? "" : crack.probability.toFixed(2);
    for (const text of [crack.number, lengthOf(crack), crack.width, probability + (crack.why ? " *" : ""), crack.status]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      line.append(cell);
    }
    line.title = crack.why ? `${crack.figures}; ${crack.why}` : crack.figures;
    line.addEventListener("click", () => show(crack));
    line.addEventListener("focus", () => crack.id !== state.selected && show(crack));
    return line;
  }));
  mark();
  heading(cracks);
  folded();
}

function folded() {
  const count = foldedCracks().length;
  byId("folded").hidden = !count && !state.unlikely;
  byId("folded").textContent = state.unlikely ? "hide marks that are probably no cracks" : `and ${count} ${count === 1 ? "mark that is probably no crack" : "marks that are probably no cracks"}`;
}

export function fold() {
  state.unlikely = !state.unlikely;
  table();
  tell("selected");
}

byId("folded").addEventListener("click", fold);
byId("by_probability").addEventListener("click", () => {
  state.byProbability = !state.byProbability;
  table();
});

function heading(cracks) {
  const shown = state.photograph;
  if (!shown) return (facts.textContent = "");
  if (!shown.cell) {
    const look = state.looks[state.key] ? "; dashed lines are a first look" : "";
    return (facts.textContent = shown.verdict === "waiting" ? `${shown.name}: not inspected yet${look}` : `${shown.name}: ${shown.note}`);
  }
  const kept = cracks.filter((crack) => crack.status !== "rejected");
  const scale = shown.scale;
  const total = kept.reduce((sum, crack) => sum + (scale ? crack.length_mm : crack.length_px), 0);
  const parts = [shown.name, `${kept.length} cracks, ${Math.round(total)} ${scale ? "mm" : "px"} together`];
  parts.push(scale ? `${scale.mm_per_px.toPrecision(3)} mm a pixel (${scale.source})` : "no scale: in pixels");
  if (shown.surface < 0.9995) parts.push(`${Math.round(100 * (1 - shown.surface))} % is not surface`);
  facts.textContent = parts.join(" · ");
}

function mark() {
  for (const line of body.children) {
    const chosen = line.dataset.id === state.selected;
    line.setAttribute("aria-selected", chosen);
    if (chosen) line.scrollIntoView({ block: "nearest" });
  }
  for (const id of ["accept", "reject"]) byId(id).disabled = !state.selected && !state.place;
}

function classes() {
  const names = state.photograph?.scale ? Object.entries(state.project.classes) : [];
  legend.replaceChildren(...[...names, ["width not claimed, or no scale", "#00e5ff"]].map(([name, colour]) => {
    const part = document.createElement("span");
    const swatch = document.createElement("canvas"); // a style attribute is not allowed here
    [swatch.width, swatch.height] = [20, 6];
    const pen = swatch.getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 20, 6);
    part.append(swatch, name);
    return part;
  }));
}

function sliders() {
  if (document.activeElement !== threshold) threshold.value = state.threshold;
  if (document.activeElement !== shortest) shortest.value = state.shortest;
  byId("threshold_value").textContent = state.threshold.toFixed(2);
  byId("shortest_value").textContent = `${state.shortest} px`;
  keep.hidden = state.threshold === state.project.threshold && state.shortest === state.project.shortest_px;
}

let waiting;

threshold.addEventListener("input", () => {
  state.threshold = Number(threshold.value);
  sliders();
  showMap().catch(fail);
  clearTimeout(waiting);
  waiting = setTimeout(() => loadPhotograph().then(hideMap).catch(fail), 250);
});

shortest.addEventListener("input", () => {
  state.shortest = Number(shortest.value);
  sliders();
  table();
  tell("selected");
});

keep.addEventListener("click", async () => {
  try {
    await post("settings", { threshold: state.threshold, shortest_px: state.shortest });
    state.project.threshold = state.threshold;
    state.project.shortest_px = state.shortest;
    sliders();
  } catch (error) {
    fail(error);
  }
});

on("photograph", () => {
  table();
  classes();
  sliders();
});
on("opening", () => {
  body.replaceChildren();
  select(null);
});
on("selected", mark);
on("project", sliders);
