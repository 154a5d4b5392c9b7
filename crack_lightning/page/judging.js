// @ts-check
// Accept, reject, describe, review, undo: what people say of marks, and from one mark to the next.

import { correct } from "./acting.js";
import { get } from "./api.js";
import { plural, statusOf } from "./elements.js";
import { say } from "./messages.js";
import { crackAt } from "./overlay.js";
import { judgedCracks, on, openPhotograph, select, selectedCrack, shownCracks, state } from "./state.js";
import { isFitted, zoomTo } from "./viewer.js";

/** @typedef {import("./state.js").Crack} Crack */

/** What was judged from place to place. @type {import("./state.js").Turned[]} */
const judgedPlaces = [];
on("opened_places", () => (judgedPlaces.length = 0));

const unjudged = () => shownCracks().filter((crack) => crack.status === "unseen");

/**
 * Selects a crack, and moves to it: so that it is in view, or so that it fills a third of the view.
 * @param {Crack} crack
 */
export function show(crack, close = false) {
  select(crack.id);
  zoomTo(crack.lines, close);
  say([crack.figures, statusOf(crack), crack.why, crack.note].filter(Boolean).join("; "));
}

/** @param {number} by */
export function step(by) {
  const cracks = shownCracks();
  if (!cracks.length) return;
  const at = cracks.findIndex((each) => each.id === state.selected);
  show(cracks[(at + by + cracks.length) % cracks.length] ?? cracks[0], true);
}

/** @param {string} kind @param {string} [reason] */
export async function judge(kind, reason) {
  if (state.place) return judgePlace(kind, reason);
  const cracks = judgedCracks();
  if (!cracks.length) return say("no crack is selected: J selects the next one, or click one");
  const ids = new Set(cracks.map((crack) => crack.id));
  const last = Math.max(...cracks.map((crack) => crack.number));
  const done = `${cracks.length > 1 ? `${cracks.length} cracks are` : `crack ${last} is`} ${kind}ed${reason ? ` (${reason})` : ""}`;
  if (!(await correct({ kind, cracks: [...ids], ...(reason ? { reason } : {}) }))) return;
  const rest = unjudged().filter((crack) => !ids.has(crack.id));
  const next = rest.find((crack) => crack.number > last) ?? rest[0];
  if (next) show(next, !isFitted()); // as J does, where the whole photograph is not what one looks at
  else select(null); // so that another key changes nothing
  say(next ? `${done}; now ${next.figures}` : `${done}; that was the last mark: W marks the photograph as reviewed, N goes on`);
}

/** @param {string} kind @param {string} [reason] */
async function judgePlace(kind, reason) {
  const flat = /** @type {number[]} */ (state.place);
  const line = [];
  for (let at = 0; at < flat.length; at += 2) line.push([flat[at], flat[at + 1]]);
  const [x, y] = line[Math.floor(line.length / 2)];
  const marked = crackAt(x, y, 1);
  /** @type {any} */
  let facts = kind === "accept" ? { kind: "draw", stroke: line } : { kind: "reject", lines: [line] };
  if (marked?.status === "unseen") facts = { kind, crack: marked.id };
  const answer = await correct({ ...facts, ...(reason ? { reason } : {}) });
  if (!answer) return;
  judgedPlaces.push({ of: answer.number, kind, photograph: state.photograph?.name ?? "", key: answer.key });
  select(null);
  say(kind === "accept" ? "it is a crack" : "it is none");
  const { places } = await get("places");
  if (places.length) await goToPlace(places[0]);
}

/** @param {{key: string, x: number, y: number, line: number[], reason: string}} place */
export async function goToPlace(place) {
  await openPhotograph(place.key, [place.x, place.y]);
  select(null);
  state.place = place.line;
  const marked = crackAt(place.x, place.y, 1);
  const whole = marked?.status === "unseen" ? `; it belongs to mark ${marked.number}, ${marked.length} long, which A accepts and R rejects` : ": A if it is a crack, R if it is none";
  say(`${place.reason}${whole}`);
}

/** Takes back the last change of this photograph, or gives it again; of another one if this has none. @param {"undo" | "redo"} kind */
export async function turn(kind) {
  const placed = kind === "undo" && state.place ? judgedPlaces.pop() : null; // the last one, although the next place is open
  const turned = placed ?? state.photograph?.[kind];
  if (!turned) return say(`there is nothing to ${kind}`);
  const before = state.key;
  const former = new Map((state.photograph?.cracks ?? []).map((crack) => [crack.id, judgementOf(crack)]));
  if (!(await correct({ kind, of: turned.of }))) return;
  const changed = before === state.key ? shownCracks().find((crack) => former.get(crack.id) !== judgementOf(crack)) : null;
  if (changed) show(changed); // what was judged wrongly is judged again
  const done = `${kind === "undo" ? "taken back" : "given again"}: ${words(turned)}${changed ? `; ${changed.figures} is selected` : ""}`;
  say(before === state.key ? done : `${done}, which is open now`);
}

/** @param {Crack} crack */
const judgementOf = (crack) => `${crack.status} ${crack.correction}`;

/** @param {import("./state.js").Turned} turned */
export const words = (turned) => `${CHANGES[turned.kind] ?? turned.kind} in ${turned.photograph || "all photographs"}`;

/** @type {Record<string, string>} */
const CHANGES = { accept: "accepting", reject: "rejecting", draw: "drawing", reshape: "a change of lines", erase: "erasing", exclude: "what is not concrete", scale: "the scale", describe: "a note", review: "the review" };

/** Says that somebody went through this photograph, or that it is to be gone through again. */
export async function review() {
  const shown = state.photograph;
  if (!shown?.cell) return;
  const again = shown.state === "reviewed" ? shown.review : null;
  if (await correct(again ? { kind: "undo", of: again } : { kind: "review" })) {
    const rest = unjudged().length;
    const left = rest ? ` (${plural(rest, "mark")} that nobody judged ${rest === 1 ? "is" : "are"} not handed over as a crack)` : "";
    say(again ? "not reviewed any more" : `reviewed${left}: N goes on to the next photograph`);
  }
}

/** Joins the chosen cracks into one, which keeps the lowest number. */
export async function join() {
  const cracks = judgedCracks();
  if (cracks.length < 2) return say("choose two cracks with Shift and a click, then join them");
  const number = Math.min(...cracks.map((crack) => crack.number));
  if (!(await correct({ kind: "join", cracks: cracks.map((crack) => crack.id) }))) return;
  const joined = shownCracks().find((crack) => crack.number === number);
  if (joined) show(joined);
  say(`they are one crack now, number ${number}`);
}

/** @param {string} label @param {string} note */
export async function describe(label, note) {
  const crack = selectedCrack();
  if (crack && (await correct({ kind: "describe", crack: crack.id, label, note }))) say(`crack ${crack.number}: ${[label, note].filter(Boolean).join(", ")}`);
}
