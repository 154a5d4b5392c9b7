// What the pointer and the keys do on the photograph: select, draw, rub out, outline, mark two points, move and zoom.

import { crackAt } from "./overlay.js";
import { correct, idle, on, say, select, selectedCrack, shownCracks, state, tell } from "./state.js";
import { camera, canvas, draw, goTo, move, size, toPhotograph, zoom } from "./viewer.js";

const WORDS = {
  select: "click a crack to select it, drag to move, wheel to zoom",
  draw: "drag along the crack, or click points and double-click the last; keys: arrows move the cross, Space sets a point, Enter ends, Escape gives up",
  erase: "drag over what is not a crack; keys as for drawing",
  exclude: "drag around what is not surface, or click its corners and double-click the last; keys as for drawing",
  points: "click two points whose distance you know; keys: arrows, Space",
};
const RUBBER_PX = 12; // on the screen, to each side
const STEP_PX = 12, CLICK_PX = 4;

let path = []; // of what is being drawn, in pixels of the photograph
let cross = null; // of the keyboard
let pressed = null;
let moving = false;
let clicking = false; // points one by one, instead of a drag
const fingers = new Map();

export function use(tool) {
  state.tool = tool;
  [path, cross, clicking] = [[], null, false];
  canvas.classList.toggle("drawing", tool !== "select");
  document.querySelectorAll("[data-tool]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.tool === tool));
  say(WORDS[tool]);
  draw();
}

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

canvas.addEventListener("pointerdown", (event) => {
  if (!state.photograph) return;
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, place(event));
  pressed = place(event);
  moving = state.tool === "select" || event.button === 1 || fingers.size > 1;
  if (fingers.size > 1) path = [];
  else if (!moving && state.tool !== "points") path = clicking ? [...path, toPhotograph(...pressed)] : [toPhotograph(...pressed)];
  event.preventDefault();
  canvas.focus({ preventScroll: true });
});

canvas.addEventListener("pointermove", (event) => {
  if (!fingers.has(event.pointerId)) return;
  const now = place(event);
  const last = fingers.get(event.pointerId);
  if (fingers.size === 2) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const apart = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    zoom(apart(now) / Math.max(1, apart(last)), ...other);
  } else if (moving) move(now[0] - last[0], now[1] - last[1]);
  else if (path.length) {
    path.push(toPhotograph(...now));
    draw();
  }
  fingers.set(event.pointerId, now);
});

function release(event) {
  if (!fingers.delete(event.pointerId) || !pressed) return;
  const now = place(event);
  const clicked = Math.hypot(now[0] - pressed[0], now[1] - pressed[1]) < CLICK_PX;
  pressed = null;
  if (state.tool === "select" && clicked) {
    const crack = crackAt(...toPhotograph(...now), camera.scale);
    select(crack?.id ?? null);
    if (crack) say(`${crack.figures}; ${crack.status}`);
  } else if (state.tool === "points") {
    path.push(toPhotograph(...now));
    if (path.length === 2) finish();
    draw();
  } else if (!moving && clicked && path.length) {
    clicking = true;
    say(`point ${path.length}; double-click or Enter ends, Escape gives up`);
    draw();
  } else if (!moving) finish();
}

canvas.addEventListener("pointerup", release);
canvas.addEventListener("dblclick", () => {
  if (!clicking) return;
  path.pop(); // the second click of the two lies where the first one does
  finish();
});
canvas.addEventListener("pointercancel", (event) => {
  fingers.delete(event.pointerId);
  path = [];
  draw();
});

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * 0.0015), ...place(event));
}, { passive: false });

async function finish() {
  const [drawn, tool] = [path, state.tool];
  [path, cross, clicking] = [[], null, false];
  draw();
  if (drawn.length < 2) return;
  if (tool === "points") return tell("points", drawn);
  const facts = { draw: { stroke: drawn }, erase: { stroke: drawn, radius_px: Math.max(2, RUBBER_PX / camera.scale) }, exclude: { lines: [drawn] } }[tool];
  if (await correct({ kind: tool, ...facts })) say({ draw: "a crack is drawn", erase: "rubbed out", exclude: "left out of areas and of learning" }[tool]);
}

// Keys on the photograph

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !state.photograph) return;
  const arrow = ARROWS[event.key];
  if (state.tool === "select") {
    if (!arrow) return;
    move(-arrow[0] * 60, -arrow[1] * 60);
  } else if (arrow) {
    cross ??= toPhotograph(canvas.clientWidth / 2, canvas.clientHeight / 2);
    const step = (event.shiftKey ? 5 * STEP_PX : STEP_PX) / camera.scale;
    const whole = size();
    cross = [Math.min(whole.width, Math.max(0, cross[0] + arrow[0] * step)), Math.min(whole.height, Math.max(0, cross[1] + arrow[1] * step))];
    keepInView();
    draw();
  } else if (event.key === " ") {
    cross ??= toPhotograph(canvas.clientWidth / 2, canvas.clientHeight / 2);
    path.push([...cross]);
    say(`point ${path.length} at ${Math.round(cross[0])}, ${Math.round(cross[1])}`);
    if (state.tool === "points" && path.length === 2) finish();
    draw();
  } else if (event.key === "Enter") finish();
  else if (event.key === "Escape") use("select");
  else return;
  event.preventDefault();
  event.stopPropagation();
});

function keepInView() {
  const [x, y] = [(cross[0] - camera.x) * camera.scale, (cross[1] - camera.y) * camera.scale];
  if (x < 0 || y < 0 || x > canvas.clientWidth || y > canvas.clientHeight) goTo(...cross, camera.scale);
}

on("painted", ({ context, scale }) => {
  const px = 1 / scale;
  if (path.length) {
    const width = state.tool === "erase" ? (2 * RUBBER_PX) * px : 3 * px;
    context.strokeStyle = state.tool === "erase" ? "rgba(255, 90, 80, 0.5)" : "#ffd33d";
    context.lineWidth = width;
    context.lineJoin = context.lineCap = "round";
    context.beginPath();
    path.forEach(([x, y], number) => (number ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (cross) context.lineTo(...cross);
    if (state.tool === "exclude") context.closePath();
    context.stroke();
    if (path.length === 1) context.strokeRect(path[0][0] - 3 * px, path[0][1] - 3 * px, 6 * px, 6 * px);
  }
  if (cross) {
    context.strokeStyle = "#ffd33d";
    context.lineWidth = 2 * px;
    context.beginPath();
    context.moveTo(cross[0] - 14 * px, cross[1]);
    context.lineTo(cross[0] + 14 * px, cross[1]);
    context.moveTo(cross[0], cross[1] - 14 * px);
    context.lineTo(cross[0], cross[1] + 14 * px);
    context.stroke();
  }
});

on("opening", () => ([path, cross, clicking] = [[], null, false]));

// Accept, reject, and from one crack to the next

export async function judge(kind, reason) {
  if (state.place) return judgePlace(kind);
  const crack = selectedCrack();
  if (!crack) return;
  const cracks = shownCracks().filter((each) => each.status === "unseen" && each.id !== crack.id);
  const next = cracks.find((each) => each.number > crack.number) ?? cracks[0];
  if (await correct({ kind, crack: crack.id, ...(reason ? { reason } : {}) })) {
    const there = next && shownCracks().find((each) => each.id === next.id);
    if (there) show(there);
    say(`crack ${crack.number} is ${kind}ed${reason ? ` (${reason})` : ""}${there ? `; now ${there.figures}` : ""}`);
  }
}

async function judgePlace(kind) {
  const line = [];
  for (let at = 0; at < state.place.length; at += 2) line.push([state.place[at], state.place[at + 1]]);
  const marked = crackAt(...line[Math.floor(line.length / 2)], 1);
  let facts = kind === "accept" ? { kind: "draw", stroke: line } : { kind: "reject", lines: [line] };
  if (marked?.status === "unseen") facts = { kind, crack: marked.id };
  if (!(await correct(facts))) return;
  select(null);
  say(kind === "accept" ? "it is a crack" : "it is none");
  tell("judged");
}

export const words = (turned) => `${turned.kind}${turned.photograph ? ` in ${turned.photograph}` : " of all"}`;

export function show(crack) {
  select(crack.id);
  const longest = crack.lines.reduce((a, b) => (b.length > a.length ? b : a));
  const middle = 2 * Math.floor(longest.length / 4);
  const [x, y] = [(longest[middle] - camera.x) * camera.scale, (longest[middle + 1] - camera.y) * camera.scale];
  const inside = x > 20 && y > 20 && x < canvas.clientWidth - 20 && y < canvas.clientHeight - 20;
  if (!inside) goTo(longest[middle], longest[middle + 1], camera.scale);
  say([crack.figures, crack.status, crack.why].filter(Boolean).join("; "));
}

export function step(by) {
  const cracks = shownCracks();
  if (!cracks.length) return;
  const at = cracks.findIndex((each) => each.id === state.selected);
  show(cracks[(at + by + cracks.length) % cracks.length] ?? cracks[0]);
}

export async function turn(kind) {
  await idle(); // what is undone is what was said last
  const turned = state.project[kind];
  if (turned && (await correct({ kind, of: turned.of }))) say(`${kind === "undo" ? "taken back" : "given again"}: ${words(turned)}`);
}
