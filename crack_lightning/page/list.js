// @ts-check
// The photographs, in an order that stands still: a list box that the arrow keys move through.

import { act } from "./acting.js";
import { address } from "./api.js";
import { byId, WORDS } from "./elements.js";
import { on, openPhotograph, state } from "./state.js";

/** @typedef {import("./state.js").Row} Row */

const list = byId("list");
const find = byId("find");
const order = byId("order");
/** @type {Map<string, HTMLElement>} */
const rows = new Map(); // by key
/** @type {Row[]} */
let shown = [];
/** @type {string[]} */
let sorted = []; // keys, as they were sorted last

/** @param {Row} photograph */
function makeRow(photograph) {
  const element = document.createElement("div");
  element.className = "row";
  element.id = `row_${photograph.key}`;
  element.setAttribute("role", "option");
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  const text = document.createElement("div");
  text.append(...["b", "span", "span", "br", "span"].map((tag) => document.createElement(tag)));
  element.append(image, text);
  element.addEventListener("click", () => act(() => openPhotograph(photograph.key)));
  rows.set(photograph.key, element);
  return element;
}

/** @type {Record<string, string>} */
const SIGNS = { accepted: "\u2713", drawn: "\u270e", rejected: "\u2715", unseen: "?" };
/** @type {Record<string, string>} */
const STATES = { "not reviewed": "", "in work": "\u25d0 in work", reviewed: "\u2714 reviewed", "changed since it was reviewed": "\u26a0 changed since" };

/** @param {HTMLElement} element @param {Row} photograph */
function fill(element, photograph) {
  const written = JSON.stringify(photograph);
  if (element.dataset.written === written) return;
  element.dataset.written = written;
  const image = /** @type {HTMLImageElement} */ (element.children[0]);
  const [name, verdict, reached, , more] = /** @type {HTMLElement[]} */ ([...element.children[1].children]);
  name.textContent = photograph.name;
  name.title = photograph.name;
  const open = photograph.verdict === "sound" && photograph.state !== "reviewed"; // nobody looked yet
  verdict.textContent = open ? "nothing found" : photograph.verdict;
  verdict.className = `${photograph.verdict}${open ? " open" : ""}`;
  reached.textContent = STATES[photograph.state] ?? "";
  reached.className = "state";
  const counts = photograph.counts ?? {};
  const known = Object.keys(SIGNS).filter((word) => counts[word]);
  const short = known.map((word) => `${counts[word]} ${known.length > 1 ? SIGNS[word] : WORDS[word]}`).join("  ");
  const words = known.map((word) => `${counts[word]} ${WORDS[word]}`).join(", ");
  more.textContent = photograph.computing ? "computing\u2026" : short || photograph.note || "";
  more.className = "faint";
  element.title = [photograph.name, photograph.state, words, photograph.note].filter(Boolean).join("; ");
  const src = photograph.width ? address(`photographs/${photograph.key}/thumbnail.jpg`, { v: photograph.version }) : "";
  if (src && image.getAttribute("src") !== src) image.src = src;
}

const natural = new Intl.Collator("en", { numeric: true });
const VERDICTS = ["cracked", "review", "waiting", "error", "unread", "sound"];
/** @type {Record<string, (one: Row, other: Row) => number>} */
const ORDERS = {
  name: (one, other) => natural.compare(one.name, other.name),
  found: (one, other) => VERDICTS.indexOf(one.verdict) - VERDICTS.indexOf(other.verdict) || other.length_px - one.length_px,
};

/** A name as people type it in a hurry: without accents, in small letters. @param {string} name */
const plain = (name) => name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Sorts the list, which nothing but a person asks for; photographs that are new come last. */
function sort() {
  sorted = [...state.project.photographs].sort(ORDERS[order.value]).map((each) => each.key);
  update();
}

function update() {
  const text = plain(find.value);
  /** @type {Row[]} */
  const photographs = state.project.photographs;
  const byKey = new Map(photographs.map((each) => [each.key, each]));
  const known = new Set(sorted);
  if (!sorted.length || order.value === "name") sorted = [...photographs].sort(ORDERS[order.value]).map((each) => each.key);
  else sorted = [...sorted.filter((key) => byKey.has(key)), ...photographs.filter((each) => !known.has(each.key)).map((each) => each.key)];
  shown = sorted.map((key) => /** @type {Row} */ (byKey.get(key))).filter((each) => plain(each.name).includes(text));
  const elements = shown.map((each) => rows.get(each.key) ?? makeRow(each));
  shown.forEach((each, number) => fill(elements[number], each));
  if (elements.length !== list.children.length || elements.some((element, number) => element !== list.children[number])) {
    list.replaceChildren(...elements);
  }
  byId("empty").hidden = photographs.length > 0;
  count();
  mark();
}

function count() {
  /** @type {Row[]} */
  const photographs = state.project.photographs;
  const reviewed = photographs.filter((each) => each.state === "reviewed").length;
  const waiting = photographs.filter((each) => each.verdict === "waiting").length;
  const found = shown.length < photographs.length ? `, ${shown.length} shown` : "";
  byId("count").textContent = photographs.length ? `${reviewed} of ${photographs.length} reviewed${found}${waiting ? `, ${waiting} not inspected yet` : ""}` : "";
}

function mark() {
  for (const [key, element] of rows) element.setAttribute("aria-selected", String(key === state.key));
  if (state.key && rows.has(state.key)) list.setAttribute("aria-activedescendant", `row_${state.key}`);
}

/** @param {number} by */
export async function next(by) {
  const at = shown.findIndex((each) => each.key === state.key);
  const other = shown[Math.min(shown.length - 1, Math.max(0, at + by))];
  if (!other || other.key === state.key) return;
  rows.get(other.key)?.scrollIntoView({ block: "nearest" });
  await openPhotograph(other.key);
}

list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 }[event.key];
  if (!by) return;
  act(() => next(by));
  event.preventDefault();
});

find.addEventListener("input", update);
order.addEventListener("change", sort);
byId("sort").addEventListener("click", sort);
on("project", update);
on("row", (/** @type {Row} */ changed) => {
  const element = rows.get(changed.key);
  if (!element || !shown.some((each) => each.key === changed.key)) return update();
  fill(element, changed);
  shown[shown.findIndex((each) => each.key === changed.key)] = changed;
  count();
});
on("opening photograph", mark);
