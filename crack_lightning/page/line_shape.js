// @ts-check
// The line of a crack that is dragged to another place: points near the pointer follow it, those farther away less.

/** @typedef {import("./state.js").Crack} Crack */
/** @typedef {{crack: Crack, line: number, at: number, to: [number, number]}} Bending */

const GRAB_PX = 20, REACH_PX = 70; // on the screen

/** The point of a crack's line that a pointer takes hold of. @param {?Crack} crack @param {[number, number]} at @param {number} scale @returns {?Bending} */
export function bendAt(crack, at, scale) {
  if (!crack) return null;
  /** @type {?Bending} */
  let best = null;
  let least = GRAB_PX / scale;
  crack.lines.forEach((flat, line) => {
    for (let index = 0; index < flat.length; index += 2) {
      const away = Math.hypot(flat[index] - at[0], flat[index + 1] - at[1]);
      if (away < least) [best, least] = [{ crack, line, at: index, to: at }, away];
    }
  });
  return best;
}

/** The crack's lines as they run now, each a list of points. @param {Bending} bending @param {number} scale @returns {[number, number][][]} */
export function bent({ crack, line, at, to }, scale) {
  return crack.lines.map((flat, number) => {
    /** @type {[number, number][]} */
    const points = [];
    for (let index = 0; index < flat.length; index += 2) points.push([flat[index], flat[index + 1]]);
    if (number !== line) return points;
    const middle = at / 2;
    const [dx, dy] = [to[0] - points[middle][0], to[1] - points[middle][1]];
    const moved = points.map((point) => /** @type {[number, number]} */ ([...point]));
    for (const step of [1, -1]) {
      let along = 0;
      for (let index = middle; index >= 0 && index < points.length; index += step) {
        if (index !== middle) along += Math.hypot(points[index][0] - points[index - step][0], points[index][1] - points[index - step][1]);
        const share = along * scale < REACH_PX ? (1 + Math.cos((Math.PI * along * scale) / REACH_PX)) / 2 : 0;
        if (!share) break;
        if (index === middle && step < 0) continue;
        moved[index] = [points[index][0] + share * dx, points[index][1] + share * dy];
      }
    }
    return moved;
  });
}
