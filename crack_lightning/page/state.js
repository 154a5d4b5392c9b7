// What the page knows: the project, the photograph that is open with its cracks, and who is to be told when that changes.

import { get, post } from "./api.js";

export const state = {
  project: { photographs: [], classes: {}, threshold: 0.5, shortest_px: 0 },
  key: null, // of the open photograph
  photograph: null, // what the server says of it
  looks: {}, // lines of photographs that are not inspected yet
  selected: null, // the name of a crack
  place: null, // a line that may be a crack, shown to be judged
  threshold: 0.5,
  shortest: 0,
  unlikely: false, // whether marks that are probably no cracks are shown
  byProbability: false, // whether the table is sorted anew, which only a person asks for
  tool: "select",
};

const watching = {};

export const on = (kinds, handle) => kinds.split(" ").forEach((kind) => (watching[kind] ??= []).push(handle));

export const tell = (kind, facts) => (watching[kind] ?? []).forEach((handle) => handle(facts));

export const row = (key = state.key) => state.project.photographs.find((each) => each.key === key);

const wanted = (crack) => crack.likely || state.unlikely || crack.status !== "unseen" || crack.id === state.selected;

const longEnough = () => (state.photograph?.cracks ?? []).filter((crack) => crack.length_px >= state.shortest || crack.correction);

const atStake = (crack) => crack.length_px * (crack.probability ?? 1);

export const shownCracks = () => {
  const cracks = longEnough().filter(wanted);
  return state.byProbability ? cracks.sort((one, other) => atStake(other) - atStake(one)) : cracks;
};

export const foldedCracks = () => longEnough().filter((crack) => !wanted(crack));

export const selectedCrack = () => shownCracks().find((crack) => crack.id === state.selected);

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
  if (first && project.faults.length) fail(project.faults.join("; "), 60);
  tell("project");
  if (!state.key && project.photographs.length) await openPhotograph(project.photographs[0].key);
}

export async function openPhotograph(key, place) {
  const other = key !== state.key;
  state.key = key;
  if (other) [state.photograph, state.selected] = [null, null];
  state.place = null;
  tell(other ? "opening" : "photograph", { place });
  await loadPhotograph(place);
}

let looked = 0;

export async function loadPhotograph(place) {
  const key = state.key;
  if (!key) return;
  const number = ++looked; // answers may come in another order than they were asked for
  const changed = state.threshold !== state.project.threshold;
  const found = await get(`photographs/${key}`, changed ? { threshold: state.threshold } : {});
  if (key !== state.key || number !== looked) return;
  state.photograph = found;
  if (!shownCracks().some((crack) => crack.id === state.selected)) state.selected = null;
  tell("photograph", { place });
}

export function select(id) {
  state.selected = id;
  state.place = null;
  tell("selected");
}

export function say(text) {
  document.getElementById("said").textContent = text;
}

let hiding;

export function fail(error, forS = 8) {
  const toast = document.getElementById("toast");
  toast.textContent = error.message ?? String(error);
  clearTimeout(hiding);
  hiding = setTimeout(() => (toast.textContent = ""), forS * 1000);
}

export const by = () => localStorage.getItem("by") ?? "";

let sent = null; // the correction that is on its way, with what is loaded after it

export const idle = () => sent ?? Promise.resolve();

export async function correct(facts, path = "corrections") {
  if (sent) return false; // a key that is pressed twice says the same once
  sent = said(facts, path);
  return sent;
}

async function said(facts, path) {
  try {
    await post(path, { by: by(), threshold: state.threshold, key: state.key ?? "", ...facts });
    await Promise.all([loadPhotograph(), loadProject()]);
    return true;
  } catch (error) {
    say("");
    fail(error);
    return false;
  } finally {
    sent = null;
  }
}
