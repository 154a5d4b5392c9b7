// @ts-check
// What the pointer and the keys do on the photograph: a tool each.

import { act, correct } from "./acting.js";
import { toggle } from "./cracks.js";
import { byId } from "./elements.js";
import { turn } from "./judging.js";
import { bendAt, bent } from "./line_shape.js";
import { say } from "./messages.js";
import { crackAt, cracksIn } from "./overlay.js";
import { choose, on, select, selectedCrack, state, tell } from "./state.js";
import { camera, canvas, draw, goTo, hide, move, size, toPhotograph, zoom } from "./viewer.js";

/** @typedef {[number, number]} Point */

/** @type {Record<string, string>} */
const HINTS = {
  select: "click a crack to select it, Shift and click for several; drag to move, wheel to zoom, hold Space to see the bare photograph",
  draw: "drag along the crack, or click points and double-click the last; from the end of a crack it becomes longer. Keys: arrows move the cross, Space sets a point, Enter ends, Escape gives up",
  erase: "drag over what is not a crack; keys as for drawing",
  exclude: "drag around what is not concrete, or click its corners and double-click the last; keys as for drawing",
  lasso: "drag around marks to choose them: then A, R or a number judges all of them",
  bend: "drag the selected crack where it should run",
  cut: "click where the crack is to be cut in two",
  points: "click two points whose distance you know; keys: arrows, Space",
};
const RUBBER_PX = 12; // on the screen, to each side
const STEP_PX = 12, CLICK_PX = 4;

/** @type {Point[]} */
let path = []; // of what is being drawn, in pixels of the photograph
/** @type {?Point} */
let cross = null; // of the keyboard
/** @type {?Point} */
let pressed = null; // on the screen
/** @type {?Point} */
let pointer = null; // in pixels of the photograph, for the loupe
/** @type {?{crack: import("./state.js").Crack, line: number, at: number, to: Point}} */
let bending = null;
let moving = false;
let clicking = false; // points one by one, instead of a drag
let farthest = 0; // from where the pointer was pressed, on the screen
/** @type {Map<number, Point>} */
const fingers = new Map();

/** @param {string} tool */
export function use(tool) {
  state.tool = tool;
  [path, cross, clicking, bending, pointer] = [[], null, false, null, null];
  canvas.classList.toggle("drawing", tool !== "select");
  document.querySelectorAll("[data-tool]").forEach((button) => button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.tool === tool)));
  say(HINTS[tool]);
  draw();
}

/** Takes back the last point of what is being drawn, if there is one, else the last change. */
export const undo = () => {
  if (!path.length) return act(() => turn("undo"));
  path.pop();
  say(path.length ? `point ${path.length}` : HINTS[state.tool]);
  draw();
};

/** @param {MouseEvent} event @returns {Point} */
const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

/** @param {Point} on @returns {Point} */
const inPhotograph = (on) => /** @type {Point} */ (toPhotograph(...on));

canvas.addEventListener("pointerdown", (event) => {
  if (!state.photograph) return;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, place(event));
  pressed = place(event);
  farthest = 0;
  moving = state.tool === "select" || event.button === 1 || fingers.size > 1;
  if (fingers.size > 1) [path, bending] = [[], null];
  else if (!moving) start(inPhotograph(pressed));
  event.preventDefault();
  canvas.focus({ preventScroll: true });
});

/** @param {Point} at */
function start(at) {
  if (state.tool === "bend") bending = bendAt(selectedCrack() ?? crackAt(...at, camera.scale), at, camera.scale);
  else if (state.tool !== "points" && state.tool !== "cut") path = clicking ? [...path, at] : [at];
}

canvas.addEventListener("pointermove", (event) => {
  const now = place(event);
  if (state.tool === "points") {
    pointer = inPhotograph(now);
    draw();
  }
  const last = fingers.get(event.pointerId);
  if (!last) return;
  if (pressed) farthest = Math.max(farthest, Math.hypot(now[0] - pressed[0], now[1] - pressed[1]));
  if (fingers.size === 2) {
    const other = /** @type {[number, Point]} */ ([...fingers].find(([id]) => id !== event.pointerId))[1];
    const apart = (/** @type {Point} */ a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    move((now[0] - last[0]) / 2, (now[1] - last[1]) / 2);
    zoom(apart(now) / Math.max(1, apart(last)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (moving) move(now[0] - last[0], now[1] - last[1]);
  else if (bending) {
    bending.to = inPhotograph(now);
    draw();
  } else if (path.length) {
    path.push(inPhotograph(now));
    draw();
  }
  fingers.set(event.pointerId, now);
});

/** @param {PointerEvent} event */
function release(event) {
  if (!fingers.delete(event.pointerId) || !pressed) return;
  const now = place(event);
  const at = inPhotograph(now);
  const clicked = Math.max(farthest, Math.hypot(now[0] - pressed[0], now[1] - pressed[1])) < CLICK_PX;
  pressed = null;
  if (bending) return endBend();
  if (state.tool === "select") return clicked && pick(at, event.shiftKey);
  if (state.tool === "cut") return clicked && cutAt(at);
  if (state.tool === "points") {
    path.push(at);
    if (path.length === 2) finish();
  } else if (!moving && clicked && path.length && state.tool !== "lasso") {
    clicking = true;
    say(`point ${path.length}; double-click or Enter ends, U takes it back, Escape gives up`);
  } else if (!moving) finish();
  draw();
}

/** @param {Point} at @param {boolean} more */
function pick(at, more) {
  const crack = crackAt(...at, camera.scale);
  if (more) return crack && toggle(crack.id);
  select(crack?.id ?? null);
  if (crack) say([crack.figures, crack.why, crack.note].filter(Boolean).join("; "));
}

/** @param {Point} at */
function cutAt(at) {
  const crack = crackAt(...at, camera.scale);
  if (!crack) return say("there is no crack here: click on one");
  act(async () => (await correct({ kind: "cut", crack: crack.id, at })) && say("cut in two: the shorter part has a number of its own"));
}

function endBend() {
  const done = /** @type {NonNullable<typeof bending>} */ (bending);
  bending = null;
  draw();
  const lines = bent(done, camera.scale);
  act(async () => {
    if (await correct({ kind: "reshape", crack: done.crack.id, lines })) say(`crack ${done.crack.number} runs there now`);
  });
}

canvas.addEventListener("pointerup", release);
canvas.addEventListener("dblclick", () => {
  if (!clicking) return;
  path.pop(); // the second click of the two lies where the first one does
  finish();
});
canvas.addEventListener("pointercancel", (event) => {
  fingers.delete(event.pointerId);
  [path, bending] = [[], null];
  draw();
});

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * 0.0015), ...place(event));
}, { passive: false });

/** Whether something is being drawn, which other keys must not disturb. */
export const drawing = () => path.length > 0;

function finish() {
  const least = state.tool === "exclude" ? 3 : 2;
  if (clicking && path.length < least) return say(`set ${least - path.length} more ${least - path.length === 1 ? "point" : "points"} first, or Escape gives up`);
  const [drawn, tool] = [path, state.tool];
  [path, cross, clicking] = [[], null, false];
  draw();
  if (tool === "lasso") return drawn.length > 2 && chooseIn(drawn);
  if (drawn.length < 2) return;
  if (tool === "points") return tell("points", drawn);
  act(() => send(tool, drawn));
}

/** @param {string} tool @param {Point[]} drawn */
async function send(tool, drawn) {
  /** @type {Record<string, any>} */
  const facts = { draw: { stroke: drawn }, erase: { stroke: drawn, radius_px: Math.min(400, Math.max(2, RUBBER_PX / camera.scale)) }, exclude: { lines: [drawn] } };
  /** @type {Record<string, string>} */
  const done = { draw: "added by hand", erase: "erased", exclude: "left out: what lies in it counts no more" };
  const numbers = new Set(state.photograph?.cracks.map((crack) => crack.number));
  const answer = await correct({ kind: tool, ...facts[tool] });
  if (!answer) return;
  const crack = state.photograph?.cracks.find((each) => each.correction === answer.number);
  const longer = tool === "draw" && crack && numbers.has(crack.number);
  say(`${longer ? `crack ${crack.number} is longer now: ${crack.length}` : done[tool]}; U takes it back`);
}

/** @param {Point[]} outline */
function chooseIn(outline) {
  const cracks = cracksIn(outline);
  choose(cracks.map((crack) => crack.id));
  say(cracks.length ? `${cracks.length} chosen: A accepts them, R rejects them, Escape lets them go` : "there is no mark in it");
}

// Keys on the photograph

/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const middle = () => inPhotograph([canvas.clientWidth / 2, canvas.clientHeight / 2]);

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !state.photograph) return;
  const arrow = ARROWS[event.key];
  if (state.tool === "select") {
    if (!arrow) return;
    move(-arrow[0] * 60, -arrow[1] * 60);
  } else if (arrow) moveCross(arrow, event.shiftKey);
  else if (event.key === " ") setPoint();
  else if (event.key === "Enter") finish();
  else return;
  event.preventDefault();
  event.stopPropagation();
});

/** @param {Point} arrow @param {boolean} far */
function moveCross(arrow, far) {
  cross ??= middle();
  const step = (far ? 5 * STEP_PX : STEP_PX) / camera.scale;
  const whole = size();
  cross = [Math.min(whole.width, Math.max(0, cross[0] + arrow[0] * step)), Math.min(whole.height, Math.max(0, cross[1] + arrow[1] * step))];
  keepInView(cross);
  if (state.tool === "points") pointer = cross;
  draw();
}

function setPoint() {
  cross ??= middle();
  if (state.tool === "cut") return cutAt(cross);
  path.push([...cross]);
  say(`point ${path.length} at ${Math.round(cross[0])}, ${Math.round(cross[1])}`);
  if (state.tool === "points" && path.length === 2) finish();
  draw();
}

/** @param {Point} at */
function keepInView(at) {
  const [x, y] = [(at[0] - camera.x) * camera.scale, (at[1] - camera.y) * camera.scale];
  if (x < 0 || y < 0 || x > canvas.clientWidth || y > canvas.clientHeight) goTo(...at, camera.scale);
}

addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key !== " " || state.tool !== "select" || target.closest("input, textarea, button, select, dialog, a")) return;
  event.preventDefault();
  hide(true);
});
addEventListener("keyup", (event) => event.key === " " && hide(false));
addEventListener("blur", () => hide(false));

// What is being drawn

on("painted", ({ context, scale }) => {
  const px = 1 / scale;
  context.lineJoin = context.lineCap = "round";
  if (bending) paintLines(context, bent(bending, scale), 3 * px, "#ffd33d");
  if (path.length) {
    const shape = cross ? [...path, cross] : path;
    paintLines(context, [shape], (state.tool === "erase" ? 2 * RUBBER_PX : 3) * px, state.tool === "erase" ? "rgba(255, 90, 80, 0.5)" : "#ffd33d", state.tool === "exclude" || state.tool === "lasso");
    for (const [x, y] of clicking || path.length === 1 ? path : []) context.strokeRect(x - 3 * px, y - 3 * px, 6 * px, 6 * px);
  }
  if (cross) {
    const [x, y] = cross;
    paintLines(context, [[[x - 14 * px, y], [x + 14 * px, y]], [[x, y - 14 * px], [x, y + 14 * px]]], 2 * px, "#ffd33d");
  }
  if (state.tool === "points" && pointer) loupe(context, pointer, scale);
});

/** @param {CanvasRenderingContext2D} context @param {number[][][]} lines @param {number} width @param {string} colour */
function paintLines(context, lines, width, colour, closed = false) {
  [context.strokeStyle, context.lineWidth] = [colour, width];
  for (const line of lines) {
    context.beginPath();
    line.forEach(([x, y], number) => (number ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (closed) context.closePath();
    context.stroke();
  }
}

const LOUPE_PX = 130, LOUPE_TIMES = 5;

/** Shows what lies under the pointer, enlarged, in the corner that is farther from it. @param {CanvasRenderingContext2D} context @param {Point} at @param {number} scale */
function loupe(context, at, scale) {
  const ratio = devicePixelRatio || 1;
  const [x, y] = [(at[0] - camera.x) * scale * ratio, (at[1] - camera.y) * scale * ratio];
  const side = LOUPE_PX * ratio;
  const seen = side / LOUPE_TIMES;
  const left = x < canvas.width / 2 ? canvas.width - side - 8 : 8;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, x - seen / 2, y - seen / 2, seen, seen, left, 8, side, side);
  context.strokeStyle = "#ffd33d";
  context.lineWidth = ratio;
  context.strokeRect(left, 8, side, side);
  context.beginPath();
  context.moveTo(left + side / 2, 8);
  context.lineTo(left + side / 2, 8 + side);
  context.moveTo(left, 8 + side / 2);
  context.lineTo(left + side, 8 + side / 2);
  context.stroke();
  context.restore();
}

/** Gives up what is being done: what is drawn, what is chosen, and then the tool. */
export function escape() {
  if (path.length || cross || bending) [path, cross, clicking, bending] = [[], null, false, null];
  else if (state.chosen.size) choose([]);
  else if (state.tool !== "select") use("select");
  else select(null);
  draw();
}

on("opening", () => {
  [path, cross, clicking, bending, pointer] = [[], null, false, null, null];
  say(state.tool === "select" ? "" : HINTS[state.tool]);
});

document.querySelectorAll("[data-tool]").forEach((button) => button.addEventListener("click", () => {
  use(/** @type {string} */ (/** @type {HTMLElement} */ (button).dataset.tool));
  byId("canvas").focus();
}));
