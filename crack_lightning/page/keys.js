// @ts-check
// The keys: what each does, in the order in which they were pressed.

import { act } from "./acting.js";
import { fold } from "./cracks.js";
import { open } from "./dialogs.js";
import { byId, made } from "./elements.js";
import { join, judge, review, step, turn } from "./judging.js";
import { next } from "./list.js";
import { on, selectedCrack, state } from "./state.js";
import { rejectRest } from "./sliders.js";
import { clear, say } from "./messages.js";
import { drawing, escape, undo, use } from "./tools.js";
import { fit, zoom } from "./viewer.js";

/** @param {string} tool */
const tool = (tool) => () => {
  use(tool);
  byId("canvas").focus();
};

/** Some act at once, others after what was asked for before. @type {Record<string, [string, () => any, boolean?]>} */
const KEYS = {
  n: ["next photograph", () => next(1), true],
  p: ["photograph before", () => next(-1), true],
  j: ["next crack, so that it fills a third of the view", () => step(1), true],
  k: ["crack before", () => step(-1), true],
  a: ["accept the selected crack or those that are chosen, and go to the next", () => judge("accept"), true],
  r: ["reject them, and go to the next", () => judge("reject"), true],
  w: ["mark this photograph as reviewed, or take that back", review, true],
  i: ["kind and note of the selected crack", () => (selectedCrack() ? open("describing") : say("select a crack first")), true],
  t: ["join the chosen cracks", join, true],
  m: ["show or fold short marks and those that are probably no cracks", fold],
  v: ["select", tool("select")],
  g: ["choose marks by a line around them", tool("lasso")],
  d: ["draw a crack, or make one longer from its end", tool("draw")],
  b: ["bend the selected crack", tool("bend")],
  c: ["cut a crack in two", tool("cut")],
  e: ["erase", tool("erase")],
  x: ["outline what is not concrete", tool("exclude")],
  u: ["undo in this photograph (also Ctrl+Z); while drawing, the last point", undo],
  y: ["redo (also Ctrl+Y)", () => turn("redo"), true],
  "+": ["zoom in", () => zoom(1.5)],
  "-": ["zoom out", () => zoom(1 / 1.5)],
  0: ["the whole photograph", fit],
  o: ["add photographs, or take one out", () => open("add")],
  l: ["what to look at next: Enter goes there, then A if it is a crack, R if it is none", () => open("places")],
  s: ["scale", () => open("scale")],
  f: ["use what you judged in all photographs", () => open("learning")],
  h: ["hand over", () => open("hand_over")],
  "?": ["these keys, and your name", () => open("help")],
};
const MORE = [
  ["Shift+R", "reject the rest of this photograph"],
  ["Space, held", "the photograph without marks"],
  ["arrows", "move the photograph, or the cross of a tool"],
  ["Space, Enter, Escape", "with a tool: set a point, end, give up"],
];

/** @param {string} key @param {string} meaning */
const explain = (key, meaning) => byId("keys").append(made("dt", key), made("dd", meaning));

for (const [key, [meaning]] of Object.entries(KEYS)) if (key !== "0") explain(key, meaning);
explain("0", KEYS["0"][0]);
for (const [key, meaning] of MORE) explain(key, meaning);

let explained = false;
on("project", () => {
  if (explained || !state.project.reasons.length) return;
  explained = true;
  state.project.reasons.slice(0, 9).forEach((/** @type {string} */ reason, /** @type {number} */ number) => reason !== "other" && explain(String(number + 1), `reject: ${reason}`));
});

addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.closest?.("input:not([type=range], [type=checkbox], [type=radio]), textarea, select, dialog") || event.altKey) return;
  if (event.key === "Escape") {
    clear();
    return escape();
  }
  const key = event.key.toLowerCase();
  const reason = state.project.reasons[Number(key) - 1];
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return;
    if (key === "y" || event.shiftKey) act(() => turn("redo"));
    else undo();
  } else if (event.key === "R" && event.shiftKey) rejectRest(false);
  else if (reason && reason !== "other" && !drawing()) act(() => judge("reject", reason));
  else {
    const found = KEYS[key === "=" ? "+" : key];
    if (!found) return;
    if (found[2] && drawing()) say("end what you draw first: Enter ends it, Escape gives it up");
    else if (found[2]) act(found[1]);
    else found[1]();
  }
  event.preventDefault();
});
