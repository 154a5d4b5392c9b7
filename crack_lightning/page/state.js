// @ts-check
// What the page knows, and who is told when it changes. The rest of the page draws it, or asks the server to change it.

import { get } from "./api.js";

/**
 * A crack as the server describes it. `lines` are flat lists x, y, x, y, ... in pixels of the upright photograph.
 * @typedef {{id: string, number: number, status: string, correction: ?number, figures: string, length: string, length_px: number,
 *   length_mm: ?number, width: string, width_px: ?number, width_class: string, colour: string, probability: ?number,
 *   why: string, reason: string, label: string, note: string, folded: boolean, lines: number[][]}} Crack
 *
 * A photograph in the list.
 * @typedef {{key: string, name: string, verdict: string, length_px: number, state: string, corrections: number,
 *   note?: string, version?: string, width?: number, height?: number, counts?: Record<string, number>, folded?: number,
 *   computing?: boolean}} Row
 *
 * The next correction to undo or redo.
 * @typedef {{of: number, kind: string, photograph: string, key: string}} Turned
 *
 * The open photograph. `order` names all its cracks, of which an answer holds those that changed.
 * @typedef {Row & {cracks: Crack[], order: string[], areas: number[][][], surface?: number, tile_px: number,
 *   scale: ?{mm_per_px: number, source: string}, cell?: any, threshold?: number, revision?: string, review?: ?number,
 *   undo: ?Turned, redo: ?Turned}} Photograph
 */

export const state = {
  /** @type {any} */
  project: { photographs: [], classes: {}, reasons: [], labels: [], threshold: 0.5, shortest_px: 0 },
  /** @type {?string} */
  key: null, // of the open photograph
  /** @type {?Photograph} */
  photograph: null,
  /** @type {Record<string, any>} */
  looks: {}, // lines of photographs that are not inspected yet
  /** @type {?string} */
  selected: null, // the name of a crack
  /** @type {Set<string>} */
  chosen: new Set(), // the names of several cracks that are judged at once
  /** @type {?number[]} */
  place: null, // a line that may be a crack, shown to be judged
  threshold: 0.5,
  shortest: 0,
  unfolded: false, // whether marks that are short or probably no cracks are shown
  byStake: false, // whether the table is sorted by probability and length, which only a person asks for
  hidden: false, // whether nothing is drawn over the photograph
  tool: "select",
};

/** @type {Record<string, ((facts?: any) => void)[]>} */
const watching = {};

/** @param {string} kinds @param {(facts?: any) => void} handle */
export const on = (kinds, handle) => kinds.split(" ").forEach((kind) => (watching[kind] ??= []).push(handle));

/** @param {string} kind @param {any} [facts] */
export const tell = (kind, facts) => (watching[kind] ?? []).forEach((handle) => handle(facts));

/** @returns {Row | undefined} */
export const row = (key = state.key) => state.project.photographs.find((/** @type {Row} */ each) => each.key === key);

// Cracks

/** @param {Crack} crack */
const wanted = (crack) => !crack.folded || state.unfolded || crack.status !== "unseen" || crack.id === state.selected;

const longEnough = () => (state.photograph?.cracks ?? []).filter((crack) => crack.length_px >= state.shortest || crack.correction);

/** @param {Crack} crack */
const atStake = (crack) => crack.length_px * (crack.probability ?? 1);

export const shownCracks = () => {
  const cracks = longEnough().filter(wanted);
  return state.byStake ? cracks.sort((one, other) => atStake(other) - atStake(one)) : cracks;
};

export const foldedCracks = () => longEnough().filter((crack) => !wanted(crack));

export const selectedCrack = () => shownCracks().find((crack) => crack.id === state.selected);

/** The cracks that a judgement is about: those that are chosen, or the selected one. */
export const judgedCracks = () => {
  const chosen = shownCracks().filter((crack) => state.chosen.has(crack.id));
  const one = selectedCrack();
  return chosen.length ? chosen : one ? [one] : [];
};

/** @param {?string} id */
export function select(id) {
  state.selected = id;
  state.chosen = new Set();
  state.place = null;
  tell("selected");
}

/** @param {Iterable<string>} ids */
export function choose(ids) {
  state.chosen = new Set(ids);
  state.place = null;
  tell("selected");
}

// The project: loaded once, and kept up to date by what the server reports

let asked = 0;

export async function loadProject() {
  const number = ++asked;
  const project = await get("project");
  if (number !== asked) return;
  const first = !state.project.folder;
  if (first || (state.threshold === state.project.threshold && state.shortest === state.project.shortest_px)) {
    [state.threshold, state.shortest] = [project.threshold, project.shortest_px];
  }
  state.project = project;
  tell("project");
  if (first && project.faults.length) tell("trouble", project.faults.join("; "));
  const last = sessionStorage.getItem("open") ?? localStorage.getItem(`open in ${project.folder}`) ?? "";
  if (!state.key && project.photographs.length) await openPhotograph((row(last) ?? project.photographs[0]).key);
}

/** @param {Row} changed */
export function setRow(changed) {
  const at = state.project.photographs.findIndex((/** @type {Row} */ each) => each.key === changed.key);
  const { key, name, verdict, length_px, state: reached, corrections, note, version, width, height, counts, folded, computing } = changed;
  const told = { key, name, verdict, length_px, state: reached, corrections, note, version, width, height, counts, folded, computing };
  if (at < 0) state.project.photographs.push(told);
  else state.project.photographs[at] = told;
  tell("row", told);
}

/** @param {string[]} keys */
export function dropRows(keys) {
  state.project.photographs = state.project.photographs.filter((/** @type {Row} */ each) => !keys.includes(each.key));
  tell("project");
}

// The open photograph

/** @param {string} key @param {number[]} [place] */
export async function openPhotograph(key, place) {
  const other = key !== state.key;
  state.key = key;
  sessionStorage.setItem("open", key); // for this window, and for those that are opened later
  localStorage.setItem(`open in ${state.project.folder}`, key);
  if (other) [state.photograph, state.selected, state.chosen] = [null, null, new Set()];
  state.place = null;
  tell(other ? "opening" : "photograph", { place });
  await loadPhotograph(place);
}

let looked = 0;

/** @param {number[]} [place] */
export async function loadPhotograph(place) {
  const key = state.key;
  if (!key) return;
  const number = ++looked; // answers may come in another order than they were asked for
  const changed = state.threshold !== state.project.threshold ? { threshold: state.threshold } : {};
  const found = await get(`photographs/${key}`, { ...changed, revision: state.photograph?.revision ?? "" });
  if (key === state.key && number === looked) await takeView(found, place);
}

/**
 * Takes an answer about the open photograph, which holds what changed since the revision that was named.
 * @param {Photograph} view @param {number[]} [place]
 */
export async function takeView(view, place) {
  looked++;
  setRow(view);
  if (view.key !== state.key) return;
  const known = new Map((state.photograph?.cracks ?? []).map((crack) => [crack.id, crack]));
  for (const crack of view.cracks) known.set(crack.id, { ...known.get(crack.id), ...crack });
  const cracks = /** @type {Crack[]} */ (view.order.map((id) => known.get(id)));
  if (cracks.some((crack) => !crack?.lines)) { // an answer to another question
    state.photograph = null;
    await loadPhotograph(place);
    return;
  }
  state.photograph = { ...view, cracks };
  if (!cracks.some((crack) => crack.id === state.selected)) state.selected = null;
  state.chosen = new Set([...state.chosen].filter((id) => view.order.includes(id)));
  tell("photograph", { place });
}

export const by = () => localStorage.getItem("by") ?? "";
