// Cracks over the photograph, and which of them lies under the pointer.

import { shownCracks, state } from "./state.js";

const STYLES = {
  unseen: { dash: [], alpha: 1 },
  accepted: { dash: [], alpha: 1 },
  drawn: { dash: [], alpha: 1 },
  rejected: { dash: [5, 7], alpha: 0.85 },
};
const HIT_PX = 12; // on the screen

function trace(context, flat) {
  context.beginPath();
  context.moveTo(flat[0], flat[1]);
  for (let at = 2; at < flat.length; at += 2) context.lineTo(flat[at], flat[at + 1]);
}

function stroke(context, lines, width, colour, dash = []) {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.setLineDash(dash);
  for (const line of lines) {
    trace(context, line);
    context.stroke();
  }
}

export function drawOverlay(context, scale, faint) {
  const px = 1 / scale; // a pixel of the screen
  context.lineJoin = context.lineCap = "round";
  for (const area of state.photograph?.areas ?? []) {
    trace(context, area.flat());
    context.closePath();
    context.fillStyle = "rgba(20, 24, 30, 0.55)";
    context.fill();
    stroke(context, [[...area.flat(), ...area[0]]], 1.5 * px, "#e6edf3", [8 * px, 5 * px]);
  }
  const look = state.photograph?.cracks?.length ? null : state.looks[state.key];
  if (look && waits()) stroke(context, look.lines, 2 * px, "#00e5ff", [7 * px, 4 * px]);
  context.globalAlpha = faint ? 0.35 : 1;
  const cracks = shownCracks();
  for (const crack of [...cracks].reverse()) {
    const style = STYLES[crack.status];
    const chosen = crack.id === state.selected;
    context.globalAlpha = (faint ? 0.35 : 1) * style.alpha;
    const sure = crack.status === "accepted" || crack.status === "drawn";
    if (chosen) stroke(context, crack.lines, 9 * px, "#ffffff");
    else if (sure) stroke(context, crack.lines, 5.5 * px, "#0d1117");
    if (crack.status === "rejected" && !chosen) stroke(context, crack.lines, 3.5 * px, "#e6edf3", style.dash.map((part) => part * px));
    const colour = crack.status === "rejected" ? "#5b2a2a" : crack.colour;
    stroke(context, crack.lines, (chosen || sure ? 3.2 : 2) * px, colour, style.dash.map((part) => part * px));
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
  if (state.place) {
    stroke(context, [state.place], 6 * px, "#0d1117");
    stroke(context, [state.place], 3 * px, "#ffd33d", [2 * px, 5 * px]);
    context.setLineDash([]);
  }
  if (!faint) numbers(context, px, cracks);
}

const waits = () => !state.photograph?.cell;

function numbers(context, px, cracks) {
  context.font = `600 ${13 * px}px system-ui, sans-serif`;
  context.lineWidth = 3 * px;
  const taken = [];
  for (const crack of cracks) {
    const longest = crack.lines.reduce((a, b) => (b.length > a.length ? b : a));
    const middle = 2 * Math.floor(longest.length / 4);
    const [x, y] = [longest[middle], longest[middle + 1] - 6 * px];
    if (taken.some(([a, b]) => Math.abs(a - x) < 22 * px && Math.abs(b - y) < 16 * px)) continue;
    taken.push([x, y]);
    const sign = crack.status === "accepted" || crack.status === "drawn" ? "\u2713" : crack.status === "rejected" ? "\u2715" : "";
    context.strokeStyle = "#000";
    context.strokeText(`${crack.number}${sign}`, x, y);
    context.fillStyle = "#fff";
    context.fillText(`${crack.number}${sign}`, x, y);
  }
}

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

export function crackAt(x, y, scale) {
  let [best, least] = [null, HIT_PX / scale];
  for (const crack of shownCracks()) {
    for (const line of crack.lines) {
      const away = distance(line, x, y);
      if (away < least) [best, least] = [crack, away];
    }
  }
  return best;
}
