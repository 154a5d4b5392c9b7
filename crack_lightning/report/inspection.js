"use strict";

const body = document.querySelector("#photographs tbody");
const rows = [...body.children];
const byId = (id) => document.getElementById(id);
const [view, stage, under, over, slide] = ["view", "stage", "under", "over", "slide"].map(byId);
const [find, kind, pictures] = ["find", "kind", "pictures"].map(byId);

// Filter

const shown = () => [...body.children].filter((row) => !row.hidden);

function filter() {
  const text = find.value.toLowerCase();
  for (const row of rows) {
    const named = row.dataset.name.toLowerCase().includes(text);
    row.hidden = !(named && (!kind.value || row.dataset.verdict === kind.value));
  }
  byId("count").textContent = `${shown().length} of ${rows.length}`;
}

find.addEventListener("input", filter);
kind.addEventListener("change", filter);
filter();

// Sort: numbers from the highest, names from the first, the other way round at the second click

function sortBy(heading, body, rows) {
  const column = heading.cellIndex;
  const numbers = heading.classList.contains("n");
  const before = heading.getAttribute("aria-sort");
  const descending = before ? before === "ascending" : numbers;
  const value = (row) => numbers ? Number(row.cells[column].dataset.v) : row.cells[column].textContent;
  const compare = (a, b) => numbers ? value(a) - value(b) : value(a).localeCompare(value(b));
  rows.sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
  body.append(...rows);
  heading.parentElement.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function sortable(body, rows) {
  body.parentElement.querySelectorAll("th button").forEach((each) =>
    each.addEventListener("click", () => sortBy(each.parentElement, body, rows)));
}

sortable(body, rows);

// Pictures in the list, to scroll through and to print

const MOST = 200; // a browser holds them all in memory, and prints none that it has not loaded

function exchange() {
  document.body.classList.toggle("pictures", pictures.checked);
  const large = new Set(pictures.checked ? shown().slice(0, MOST) : []);
  for (const row of rows) {
    const image = row.querySelector("img");
    if (!image) continue;
    image.dataset.thumbnail ??= image.src;
    image.src = large.has(row) ? row.dataset.overlay : image.dataset.thumbnail;
  }
  const more = pictures.checked && shown().length > MOST;
  byId("more").textContent = more ? `pictures of the first ${MOST} alone: filter to see and print the others` : "";
}

pictures.addEventListener("change", exchange);
find.addEventListener("input", () => pictures.checked && exchange());
kind.addEventListener("change", () => pictures.checked && exchange());

// One photograph, its overlay under a slider

let current;

function wipe() {
  over.style.clipPath = `inset(0 0 0 ${slide.value}%)`;
}

function show(row) {
  if (!row?.dataset.overlay) return;
  current = row;
  under.src = row.dataset.photograph;
  over.src = row.dataset.overlay;
  const among = viewable();
  const numbers = [...row.querySelectorAll("td.n")].filter((cell) => cell.textContent);
  const facts = numbers.map((cell) => `${cell.dataset.name} ${cell.textContent}`);
  byId("name").textContent = [row.dataset.name, row.dataset.verdict, ...facts].join("   ·   ") +
    `   (${among.indexOf(row) + 1} of ${among.length})`;
  byId("figures").textContent = row.querySelector(".figures").textContent;
  stage.classList.remove("whole");
  wipe();
  view.classList.add("open");
  slide.focus(); // its arrow keys
}

const viewable = () => shown().filter((row) => row.dataset.overlay);

function step(by) {
  const among = viewable();
  show(among[among.indexOf(current) + by]);
}

function close() {
  view.classList.remove("open");
  under.removeAttribute("src");
  over.removeAttribute("src");
  current?.focus();
}

function zoom(event) {
  const box = under.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  if (stage.classList.toggle("whole")) {
    stage.scrollTo(x * under.naturalWidth - stage.clientWidth / 2, y * under.naturalHeight - stage.clientHeight / 2);
  }
}

body.addEventListener("click", (event) => show(event.target.closest("tr")));
stage.addEventListener("click", zoom);
slide.addEventListener("input", wipe);
byId("back").addEventListener("click", () => step(-1));
byId("on").addEventListener("click", () => step(1));
byId("close").addEventListener("click", close);

addEventListener("keydown", (event) => {
  const open = view.classList.contains("open");
  if (open && event.key === "Escape") close();
  else if (open && event.key === "ArrowUp") step(-1);
  else if (open && event.key === "ArrowDown") step(1);
  else if (!open && event.key === "Enter" && event.target.closest("tbody tr")) show(event.target);
  else return;
  event.preventDefault();
});

// Cracks: filter, sort, and show a crack's place in its photograph

const cracks = document.querySelector("#crack_table tbody");

if (cracks) {
  const list = [...cracks.children];
  const [kinds, least, unlikely] = ["crack_class", "crack_length", "unlikely"].map(byId);
  const choose = () => {
    for (const row of list) {
      const fits = !kinds.value || row.dataset.class === kinds.value;
      const wanted = unlikely?.checked || !("unlikely" in row.dataset);
      row.hidden = !(fits && wanted && Number(row.dataset.length) >= Number(least.value));
    }
    byId("crack_count").textContent = `${list.filter((row) => !row.hidden).length} of ${list.length}`;
  };
  const jump = (row) => {
    const photograph = rows.find((each) => each.dataset.name === row?.dataset.photograph);
    if (!photograph) return;
    show(photograph);
    byId("figures").textContent = [...row.cells].map((cell) => cell.textContent).filter(Boolean).join("   ·   ");
    if (!row.dataset.x) return;
    const there = () => {
      stage.classList.add("whole");
      stage.scrollTo(row.dataset.x * under.naturalWidth - stage.clientWidth / 2,
        row.dataset.y * under.naturalHeight - stage.clientHeight / 2);
    };
    if (under.complete && under.naturalWidth) there();
    else under.addEventListener("load", there, { once: true });
  };
  sortable(cracks, list);
  kinds.addEventListener("change", choose);
  least.addEventListener("input", choose);
  unlikely?.addEventListener("change", choose);
  cracks.addEventListener("click", (event) => jump(event.target.closest("tr")));
  cracks.addEventListener("keydown", (event) => event.key === "Enter" && jump(event.target.closest("tr")));
  choose();
}
