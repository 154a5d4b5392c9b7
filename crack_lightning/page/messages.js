// @ts-check
// The line beneath the photograph, and what went wrong.

import { on } from "./state.js";

const line = /** @type {HTMLElement} */ (document.getElementById("said"));
const toast = /** @type {HTMLElement} */ (document.getElementById("toast"));

/** @param {string} text */
export function say(text) {
  line.textContent = text;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;

/** @param {any} error @param {number} forS */
export function fail(error, forS = 8) {
  toast.textContent = error?.message ?? String(error);
  clearTimeout(hiding);
  hiding = setTimeout(clear, forS * 1000);
}

export function clear() {
  toast.textContent = "";
}

toast.addEventListener("click", clear);
on("trouble", (message) => fail(message, 60));
