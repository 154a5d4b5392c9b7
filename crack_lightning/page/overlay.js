// @ts-check
// Cracks over the photograph, and which of them lies under the pointer.

import { shownCracks, state } from "./state.js";

/** @typedef {import("./state.js").Crack} Crack */

const HIT_PX = 12; // on the screen
const DARK = "#0d1117";
const LIGHT = "#ffffff";

/** @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context @param {number[]} flat */
function trace(context, flat) {
  context.beginPath();
  context.moveTo(flat[0], flat[1]);
  for (let at = 2; at < flat.length; at += 2) context.lineTo(flat[at], flat[at + 1]);
}

/**
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context @param {number[][]} lines
 * @param {number} width @param {string} colour @param {number[]} dash
 */
function stroke(context, lines, width, colour, dash = []) {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.setLineDash(dash);
  for (const line of lines) {
    trace(context, line);
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} scale @param {boolean} faint */
export function drawOverlay(context, scale, faint) {
  if (state.hidden) return;
  const px = 1 / scale; // a pixel of the screen
  context.lineJoin = context.lineCap = "round";
  for (const area of state.photograph?.areas ?? []) {
    trace(context, area.flat());
    context.closePath();
    context.fillStyle = "rgba(20, 24, 30, 0.55)";
    context.fill();
    stroke(context, [[...area.flat(), ...area[0]]], 1.5 * px, "#e6edf3", [8 * px, 5 * px]);
  }
  const look = state.photograph?.cracks?.length ? null : state.looks[/** @type {string} */ (state.key)];
  if (look && !state.photograph?.cell) stroke(context, look.lines, 2 * px, "#ffffff", [7 * px, 4 * px]);
  const cracks = shownCracks();
  context.lineCap = "butt";
  for (const crack of [...cracks].reverse()) {
    context.globalAlpha = faint ? 0.35 : 1;
    const chosen = state.chosen.size ? state.chosen.has(crack.id) : crack.id === state.selected;
    if (chosen) beside(context, crack, px);
    else drawCrack(context, crack, px);
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
  if (state.place) {
    stroke(context, [state.place], 6 * px, DARK);
    stroke(context, [state.place], 3 * px, "#ffd33d", [2 * px, 5 * px]);
    context.setLineDash([]);
  }
  if (!faint) numbers(context, px, cracks);
}

/** @param {CanvasRenderingContext2D} context @param {Crack} crack @param {number} px */
function drawCrack(context, crack, px) {
  if (crack.status === "rejected") {
    const dash = [5 * px, 7 * px];
    stroke(context, crack.lines, 3.5 * px, "#e6edf3", dash);
    return stroke(context, crack.lines, 2 * px, "#5b2a2a", dash);
  }
  const sure = crack.status === "accepted" || crack.status === "drawn";
  const dash = crack.width_px === null ? [7 * px, 3 * px] : [];
  stroke(context, crack.lines, (sure ? 5.5 : 3.5) * px, DARK, dash);
  stroke(context, crack.lines, (sure ? 3.2 : 2) * px, crack.colour, dash);
}

/** Draws a selected mark on both sides of the crack, which stays in sight. @param {CanvasRenderingContext2D} context @param {Crack} crack @param {number} px */
function beside(context, crack, px) {
  const { width, height } = context.canvas;
  const drawn = new OffscreenCanvas(width, height);
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (drawn.getContext("2d"));
  pen.setTransform(context.getTransform());
  pen.lineJoin = pen.lineCap = "round";
  const dash = crack.status === "rejected" ? [5 * px, 9 * px] : [];
  stroke(pen, crack.lines, 17 * px, DARK, dash);
  stroke(pen, crack.lines, 15 * px, crack.status === "rejected" ? "#ffb3ad" : LIGHT, dash);
  pen.globalCompositeOperation = "destination-out";
  stroke(pen, crack.lines, 10 * px, LIGHT);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(drawn, 0, 0);
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {number} px @param {Crack[]} cracks */
function numbers(context, px, cracks) {
  context.font = `600 ${13 * px}px system-ui, sans-serif`;
  context.lineWidth = 3 * px;
  /** @type {number[][]} */
  const taken = [];
  for (const crack of cracks) {
    const longest = crack.lines.reduce((a, b) => (b.length > a.length ? b : a));
    const middle = 2 * Math.floor(longest.length / 4);
    const [x, y] = [longest[middle], longest[middle + 1] - 12 * px];
    if (taken.some(([a, b]) => Math.abs(a - x) < 22 * px && Math.abs(b - y) < 16 * px)) continue;
    taken.push([x, y]);
    const sign = crack.status === "accepted" || crack.status === "drawn" ? "\u2713" : crack.status === "rejected" ? "\u2715" : "";
    context.strokeStyle = "#000";
    context.strokeText(`${crack.number}${sign}`, x, y);
    context.fillStyle = "#fff";
    context.fillText(`${crack.number}${sign}`, x, y);
  }
}

/** @param {number[]} flat @param {number} x @param {number} y */
function distance(flat, x, y) {
  let best = Infinity;
  for (let at = 0; at + 3 < flat.length; at += 2) {
    const [ax, ay, bx, by] = [flat[at], flat[at + 1], flat[at + 2], flat[at + 3]];
    const [dx, dy] = [bx - ax, by - ay];
    const along = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    best = Math.min(best, Math.hypot(x - ax - along * dx, y - ay - along * dy));
  }
  return best;
}

/** @param {number} x @param {number} y @param {number} scale @returns {?Crack} */
export function crackAt(x, y, scale) {
  /** @type {?Crack} */
  let best = null;
  let least = HIT_PX / scale;
  for (const crack of shownCracks()) {
    for (const line of crack.lines) {
      const away = distance(line, x, y);
      if (away < least) [best, least] = [crack, away];
    }
  }
  return best;
}

/** The cracks of which most lies in a polygon of points. @param {number[][]} polygon */
export function cracksIn(polygon) {
  const inside = (/** @type {number} */ x, /** @type {number} */ y) => {
    let odd = false;
    for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at++) {
      const [[ax, ay], [bx, by]] = [polygon[at], polygon[before]];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
  return shownCracks().filter((crack) => {
    let [within, all] = [0, 0];
    for (const line of crack.lines) {
      for (let at = 0; at < line.length; at += 2, all++) within += Number(inside(line[at], line[at + 1]));
    }
    return 2 * within > all;
  });
}
