// @ts-check
// What people judged, taken over for other photographs: what it would change is said before, and it can be undone.

import { act } from "./acting.js";
import { get, post } from "./api.js";
import { byId, made, plural } from "./elements.js";
import { say } from "./messages.js";
import { loadPhotograph, on, openPhotograph, select, state } from "./state.js";

const dialog = byId("learning");
const MOST = 30; // changes that are listed

function ask() {
  byId("learned_now").textContent = state.project.learned ? "What was taken over before is used in all photographs." : "What you judge moves marks that look alike in the same photograph, and in no other one yet.";
  byId("go_back").disabled = !state.project.learned;
  byId("take_over").disabled = true;
  byId("changes").replaceChildren();
  byId("would").textContent = "finding out what would change…";
  get("learning").catch((error) => (byId("would").textContent = error.message));
}

/** @param {{done: number, total: number}} progress */
export function proposing({ done, total }) {
  if (dialog.open) byId("would").textContent = `finding out what would change: ${done} of ${total} photographs`;
}

/** @param {any} found */
export function proposed({ judged, before, after, helps, changes }) {
  if (!dialog.open) return;
  const [gone, come] = [false, true].map((appears) => changes.filter((/** @type {any} */ each) => each.appears === appears).length);
  const photographs = new Set(changes.map((/** @type {any} */ each) => each.key)).size;
  const effect = changes.length ? `In ${plural(photographs, "photograph")} ${plural(gone, "mark")} would be hidden as probably no cracks, and ${come} would be shown.` : "The same marks would be shown as now.";
  const check = before === null
    ? "There are too few judged marks, or all are of one kind, to tell whether that is better: judge ten or more, some of them cracks."
    : `Checked on what you judged: a crack stands before a mark that is none in ${Math.round(100 * after)} % of cases with it, and in ${Math.round(100 * before)} % without it.`;
  byId("would").textContent = `${plural(judged, "judged mark")}. ${effect} ${check} ${helps ? "Take it over." : "Do not take it over."}`;
  byId("take_over").disabled = !judged;
  byId("take_over").classList.toggle("proposed", helps);
  byId("leave").classList.toggle("proposed", !helps);
  byId(helps ? "take_over" : "leave").focus();
  byId("changes").replaceChildren(...changes.slice(0, MOST).map((/** @type {any} */ change) => {
    const button = /** @type {HTMLButtonElement} */ (made("button", [`${change.name}, ${change.number}: ${change.appears ? "would be shown" : "would be hidden"}`, change.why].filter(Boolean).join("; ")));
    button.type = "button";
    button.addEventListener("click", () => act(() => goTo(change)));
    return made("li", "", button);
  }));
  if (changes.length > MOST) byId("changes").append(made("li", `and ${changes.length - MOST} more`));
}

/** @param {any} change */
async function goTo(change) {
  dialog.close();
  state.unfolded = true;
  await openPhotograph(change.key, [change.x, change.y]);
  const crack = state.photograph?.cracks.find((each) => each.number === change.number);
  if (crack) select(crack.id);
  say(`${change.appears ? "would be shown" : "would be hidden"}: ${change.why}`);
}

/** @param {string} action */
const change = (action) => act(async () => {
  try {
    await post("learning", { action });
    dialog.close();
    say(action === "take_over" ? "taken over for all photographs" : "as it was before");
  } catch (error) {
    dialog.querySelector(".error").textContent = /** @type {Error} */ (error).message;
  }
});

byId("take_over").addEventListener("click", () => change("take_over"));
byId("go_back").addEventListener("click", () => change("go_back"));
byId("leave").addEventListener("click", () => dialog.close());

on("opened_learning", ask);

/** @param {{count: number}} facts */
export function learned({ count }) {
  state.project.learned = count;
  act(() => loadPhotograph());
}
