// @ts-check
// The photograph: zoomed and moved, tiles of it read as they are needed, and what lies over it.

import { address } from "./api.js";
import { byId, WORDS } from "./elements.js";
import { say } from "./messages.js";
import { drawOverlay } from "./overlay.js";
import { on, row, state, tell } from "./state.js";

/** @type {HTMLCanvasElement} */
export const canvas = byId("canvas");
const stage = byId("stage");
const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
const wipe = byId("wipe");

export const camera = { x: 0, y: 0, scale: 1 }; // the photograph's pixel in the upper left corner; screen pixels per pixel
/** @type {?HTMLImageElement} */
let base = null; // the reduced picture of the whole
/** @type {Map<string, HTMLImageElement>} */
let tiles = new Map(); // by "level/column/row"
/** @type {?OffscreenCanvas} */
let map = null; // of cells, while the threshold is moved
let asked = false;
let fitted = true;

export const isFitted = () => fitted;

export const size = () => {
  const shown = state.photograph ?? row();
  const look = state.looks[state.key ?? ""];
  return { width: shown?.width || look?.width || base?.naturalWidth || 0, height: shown?.height || look?.height || base?.naturalHeight || 0 };
};

/** @param {number} x @param {number} y */
export const toPhotograph = (x, y) => [camera.x + x / camera.scale, camera.y + y / camera.scale];

export function draw() {
  if (!asked) {
    asked = true;
    requestAnimationFrame(paint);
  }
}

function paint() {
  asked = false;
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(stage.clientWidth * ratio), Math.round(stage.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const whole = size();
  if (!base || !whole.width) return;
  context.setTransform(ratio * camera.scale, 0, 0, ratio * camera.scale, -camera.x * camera.scale * ratio, -camera.y * camera.scale * ratio);
  context.imageSmoothingEnabled = camera.scale < 3;
  context.drawImage(base, 0, 0, whole.width, whole.height);
  drawTiles(whole, ratio);
  const split = whole.width * (wipe.value / 100);
  context.save();
  context.beginPath();
  context.rect(-whole.width, -whole.height, whole.width + split, 3 * whole.height);
  context.clip();
  if (map) drawMap();
  drawOverlay(context, camera.scale, Boolean(map));
  context.restore();
  tell("painted", { context, scale: camera.scale });
}

// Tiles: only where the reduced picture has too few pixels, of the level whose pixels are about those of the screen.

const KEPT = 160;

/** @param {{width: number, height: number}} whole @param {number} ratio */
function drawTiles(whole, ratio) {
  if (!base || !state.photograph?.tile_px || camera.scale * ratio <= 1.1 * (base.naturalWidth / whole.width)) return;
  const level = Math.max(0, Math.floor(Math.log2(1 / (camera.scale * ratio))));
  const side = state.photograph.tile_px * 2 ** level;
  const [left, top] = toPhotograph(0, 0);
  const [right, bottom] = toPhotograph(stage.clientWidth, stage.clientHeight);
  for (let row = Math.max(0, Math.floor(top / side)); row * side < Math.min(bottom, whole.height); row++) {
    for (let column = Math.max(0, Math.floor(left / side)); column * side < Math.min(right, whole.width); column++) {
      const tile = tileAt(level, column, row);
      if (tile.complete && tile.naturalWidth) {
        const factor = 2 ** level;
        context.drawImage(tile, column * side, row * side, tile.naturalWidth * factor, tile.naturalHeight * factor);
      }
    }
  }
}

/** @param {number} level @param {number} column @param {number} row */
function tileAt(level, column, row) {
  const name = `${level}/${column}/${row}`;
  let tile = tiles.get(name);
  if (!tile) {
    tile = new Image();
    tile.onload = draw;
    tile.onerror = () => tiles.delete(name); // the server was away: it is asked again
    tile.src = address(`photographs/${state.key}/tiles/${name}`, { v: state.photograph?.version });
    tiles.set(name, tile);
    if (tiles.size > KEPT) tiles.delete([...tiles.keys()][0]);
  }
  return tile;
}

// The kept map, coloured where it lies above the threshold: what a threshold does is seen while it is moved.

/** @type {?{wanted: string, drawn: OffscreenCanvas, pen: OffscreenCanvasRenderingContext2D, levels: ImageData}} */
let cells = null;

export async function showMap() {
  if (!state.photograph?.cell) return;
  const key = state.key;
  const wanted = `${key}-${state.photograph.version}-${state.project.threshold}`; // another map of it is another picture
  if (cells?.wanted !== wanted) {
    const image = new Image();
    image.src = address(`photographs/${key}/map.png`, { v: wanted });
    await image.decode();
    const drawn = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (drawn.getContext("2d", { willReadFrequently: true }));
    pen.drawImage(image, 0, 0);
    cells = { wanted, drawn, pen, levels: pen.getImageData(0, 0, drawn.width, drawn.height) };
  }
  if (key !== state.key) return;
  const { levels, pen, drawn } = cells;
  const coloured = new ImageData(drawn.width, drawn.height);
  const least = 255 * state.threshold;
  for (let at = 0; at < levels.data.length; at += 4) {
    if (levels.data[at] >= least) coloured.data.set([0, 229, 255, 190], at);
  }
  pen.putImageData(coloured, 0, 0);
  map = drawn;
  draw();
}

export function hideMap() {
  map = null;
  draw();
}

function drawMap() {
  if (!map || !state.photograph) return;
  const { left_px: left, top_px: top, across_px: across, down_px: down } = state.photograph.cell;
  context.imageSmoothingEnabled = false;
  context.drawImage(map, left - across / 2, top - down / 2, map.width * across, map.height * down);
  context.imageSmoothingEnabled = camera.scale < 3;
}

// Camera

export function fit() {
  const whole = size();
  if (!whole.width) return;
  camera.scale = Math.min(stage.clientWidth / whole.width, stage.clientHeight / whole.height);
  camera.x = (whole.width - stage.clientWidth / camera.scale) / 2;
  camera.y = (whole.height - stage.clientHeight / camera.scale) / 2;
  fitted = true;
  draw();
}

/** @param {number} factor */
export function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const whole = size();
  if (!whole.width) return;
  const least = Math.min(stage.clientWidth / whole.width, stage.clientHeight / whole.height) / 2;
  const scale = Math.min(16, Math.max(least, camera.scale * factor));
  const [px, py] = toPhotograph(x, y);
  Object.assign(camera, { scale, x: px - x / scale, y: py - y / scale });
  fitted = false;
  draw();
}

/** @param {number} dx @param {number} dy */
export function move(dx, dy) {
  const whole = size();
  const clamp = (/** @type {number} */ value, /** @type {number} */ side, /** @type {number} */ view) => Math.min(side - view / 4, Math.max(-view * 0.75, value));
  camera.x = clamp(camera.x - dx / camera.scale, whole.width, stage.clientWidth / camera.scale);
  camera.y = clamp(camera.y - dy / camera.scale, whole.height, stage.clientHeight / camera.scale);
  fitted = false;
  draw();
}

/** Moves to lines: so that their middle is in view, or so that they fill a third of the view. @param {number[][]} lines @param {boolean} close */
export function zoomTo(lines, close) {
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  if (close) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const line of lines) {
      for (let at = 0; at < line.length; at += 2) {
        [left, right] = [Math.min(left, line[at]), Math.max(right, line[at])];
        [top, bottom] = [Math.min(top, line[at + 1]), Math.max(bottom, line[at + 1])];
      }
    }
    const whole = Math.min(width / (size().width || 1), height / (size().height || 1));
    const third = Math.min(width / 3 / Math.max(1, right - left), height / 3 / Math.max(1, bottom - top));
    return goTo((left + right) / 2, (top + bottom) / 2, Math.max(whole, Math.min(4, third)));
  }
  const longest = lines.reduce((a, b) => (b.length > a.length ? b : a));
  const middle = 2 * Math.floor(longest.length / 4);
  const [x, y] = [(longest[middle] - camera.x) * camera.scale, (longest[middle + 1] - camera.y) * camera.scale];
  if (x > 20 && y > 20 && x < width - 20 && y < height - 20) return draw();
  goTo(longest[middle], longest[middle + 1], camera.scale);
}

/** @param {number} x @param {number} y @param {number} [scale] */
export function goTo(x, y, scale) {
  const whole = size();
  camera.scale = scale ?? Math.max(camera.scale, Math.min(1, (2 * stage.clientWidth) / (whole.width || 1)));
  const [width, height] = [stage.clientWidth / camera.scale, stage.clientHeight / camera.scale];
  const within = (/** @type {number} */ start, /** @type {number} */ view, /** @type {number} */ side) => (side > view ? Math.min(side - view, Math.max(0, start)) : (side - view) / 2);
  camera.x = within(x - width / 2, width, whole.width);
  camera.y = within(y - height / 2, height, whole.height);
  fitted = false;
  draw();
}

// Loading

/** @type {string | undefined} */
let version;

function load() {
  const shown = row();
  if (!shown) return;
  const key = state.key ?? "";
  const wanted = `${key}-${shown.version ?? state.looks[key]?.width ?? ""}`;
  if (wanted === version) return draw();
  version = wanted;
  if (!shown.version && !state.looks[key]) return draw();
  const image = new Image();
  image.onload = () => {
    if (key !== state.key) return;
    const first = !base;
    base = image;
    if (first || fitted) fit();
    draw();
    tell("loaded");
  };
  image.onerror = () => {
    if (version === wanted) version = undefined; // the server was away: it is asked again when it is back
  };
  image.src = address(`photographs/${key}/photograph.jpg`, { v: wanted });
}

on("opening", () => {
  base = map = cells = null;
  tiles = new Map();
  fitted = true;
  load();
  byId("empty").hidden = true;
  say("");
});
on("photograph", ({ place } = {}) => {
  load();
  describe();
  if (place) goTo(place[0], place[1]);
});
on("project looks row", load);
on("selected", draw);

// The original beneath, while a key is held

/** @param {boolean} hidden */
export function hide(hidden) {
  if (state.hidden === hidden) return;
  state.hidden = hidden;
  draw();
}

function describe() {
  const shown = state.photograph;
  if (!shown) return;
  const counts = Object.entries(shown.counts ?? {}).map(([status, count]) => `${count} ${WORDS[status]}`).join(", ");
  canvas.setAttribute("aria-label", `${shown.name}: ${shown.verdict}; cracks: ${counts || "none"}`);
  if (shown.note) say(shown.note);
}

new ResizeObserver(() => (fitted ? fit() : draw())).observe(stage);
wipe.addEventListener("input", draw);
