// @ts-check
// The threshold and the shortest length: tried on the open photograph, and kept for all.

import { act, correct } from "./acting.js";
import { post } from "./api.js";
import { byId, plural } from "./elements.js";
import { fail, say } from "./messages.js";
import { loadPhotograph, on, shownCracks, state, tell } from "./state.js";
import { hideMap, showMap } from "./viewer.js";

const threshold = byId("threshold");
const shortest = byId("shortest");

function sliders() {
  if (document.activeElement !== threshold) threshold.value = state.threshold;
  if (document.activeElement !== shortest) shortest.value = state.shortest;
  byId("threshold_value").textContent = state.threshold.toFixed(2);
  byId("shortest_value").textContent = `${state.shortest} px`;
  byId("keep").hidden = state.threshold === state.project.threshold && state.shortest === state.project.shortest_px;
  byId("reject_shorter").hidden = !state.shortest;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;

threshold.addEventListener("input", () => {
  state.threshold = Number(threshold.value);
  sliders();
  showMap().catch(fail);
  clearTimeout(waiting);
  waiting = setTimeout(() => act(() => loadPhotograph()), 250);
});

shortest.addEventListener("input", () => {
  state.shortest = Number(shortest.value);
  sliders();
  tell("shortest");
  tell("selected");
});

byId("keep").addEventListener("click", () => act(async () => {
  await post("settings", { threshold: state.threshold, shortest_px: state.shortest, key: state.key });
  state.project.threshold = state.threshold;
  state.project.shortest_px = state.shortest;
  sliders();
  const reviewed = state.project.photographs.filter((/** @type {import("./state.js").Row} */ each) => each.state === "reviewed").length;
  if (reviewed) say(`kept for all: of the ${plural(reviewed, "reviewed photograph")} those that show new marks are to be looked at again ("changed since")`);
}));

/** Rejects all that nobody judged and that is shorter than the slider says, or longer too. */
export const rejectRest = (/** @type {boolean} */ shorter) => act(async () => {
  const all = shorter ? state.photograph?.cracks ?? [] : shownCracks(); // nobody rejects what is not shown
  const cracks = all.filter((crack) => crack.status === "unseen" && (!shorter || crack.length_px < state.shortest));
  if (!cracks.length) return say("there is nothing left to reject");
  if (await correct({ kind: "reject", cracks: cracks.map((crack) => crack.id) })) {
    say(`${cracks.length} rejected: U takes it back`);
    if (!shorter && !shownCracks().some((crack) => crack.status === "unseen")) say(`${cracks.length} rejected: U takes it back, W marks the photograph as reviewed`);
  }
});

byId("reject_shorter").addEventListener("click", () => rejectRest(true));

on("photograph", () => {
  if (!state.photograph?.computing || state.photograph.threshold === state.threshold) hideMap();
  sliders();
});
on("project", sliders);
