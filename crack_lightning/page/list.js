// The photographs, the worst first: a list box that the arrow keys move through.

import { address } from "./api.js";
import { fail, on, openPhotograph, state } from "./state.js";

const list = document.getElementById("list");
const find = document.getElementById("find");
const rows = new Map(); // by key
let shown = [];

function made(photograph) {
  const element = document.createElement("div");
  element.className = "row";
  element.id = `row_${photograph.key}`;
  element.setAttribute("role", "option");
  const image = document.createElement("img");
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  const text = document.createElement("div");
  text.append(document.createElement("b"), document.createElement("span"), document.createElement("br"), document.createElement("span"));
  element.append(image, text);
  element.addEventListener("click", () => openPhotograph(photograph.key).catch(fail));
  rows.set(photograph.key, element);
  return element;
}

const SIGNS = { accepted: "\u2713", drawn: "\u270e", rejected: "\u2715", unseen: "?" };

function fill(element, photograph) {
  const written = JSON.stringify([photograph.name, photograph.verdict, photograph.version, photograph.counts, photograph.note]);
  if (element.dataset.written === written) return;
  element.dataset.written = written;
  const [image, text] = element.children;
  const [name, verdict, , more] = text.children;
  name.textContent = photograph.name;
  name.title = photograph.name;
  verdict.textContent = photograph.verdict;
  verdict.className = photograph.verdict;
  const known = Object.keys(SIGNS).filter((word) => photograph.counts?.[word]);
  const counts = known.map((word) => `${photograph.counts[word]} ${known.length > 1 ? SIGNS[word] : word}`).join("  ");
  const words = known.map((word) => `${photograph.counts[word]} ${word}`).join(", ");
  more.textContent = counts || photograph.note || "";
  more.className = "faint";
  element.title = [photograph.name, words, photograph.note].filter(Boolean).join("; ");
  if (photograph.width) image.src = address(`photographs/${photograph.key}/thumbnail.jpg`, { v: photograph.version });
}

function update() {
  const text = find.value.toLowerCase();
  const { photographs } = state.project;
  shown = photographs.filter((each) => each.name.toLowerCase().includes(text));
  const elements = shown.map((each) => rows.get(each.key) ?? made(each));
  shown.forEach((each, number) => fill(elements[number], each));
  if (elements.length !== list.children.length || elements.some((element, number) => element !== list.children[number])) {
    list.replaceChildren(...elements);
  }
  const done = photographs.filter((each) => each.verdict !== "waiting").length;
  document.getElementById("count").textContent = photographs.length ? `${shown.length} of ${photographs.length}${done < photographs.length ? `, ${done} inspected` : ""}` : "";
  document.getElementById("empty").hidden = photographs.length > 0;
  mark();
}

function mark() {
  for (const [key, element] of rows) element.setAttribute("aria-selected", key === state.key);
  if (rows.has(state.key)) list.setAttribute("aria-activedescendant", `row_${state.key}`);
}

export function next(by) {
  const at = shown.findIndex((each) => each.key === state.key);
  const other = shown[Math.min(shown.length - 1, Math.max(0, at + by))];
  if (!other || other.key === state.key) return;
  openPhotograph(other.key).catch(fail);
  rows.get(other.key)?.scrollIntoView({ block: "nearest" });
}

list.addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 }[event.key];
  if (!by) return;
  next(by);
  event.preventDefault();
});

find.addEventListener("input", update);
on("project", update);
on("opening photograph", mark);

