// @ts-check
// Elements of the page by their names.

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element with a text, and with children.
 * @param {string} tag @param {string} [text] @param {(Node | string)[]} children
 */
export function made(tag, text = "", ...children) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.append(...children);
  return element;
}

/** What statuses are called: the journal's names are older than these words. @type {Record<string, string>} */
export const WORDS = { unseen: "not reviewed", accepted: "accepted", drawn: "added by hand", rejected: "rejected" };

/** What a crack's status is called, with the reason. @param {{status: string, reason?: string}} crack */
export const statusOf = (crack) => WORDS[crack.status] + (crack.reason ? ` (${crack.reason})` : "");

/** @param {number} count @param {string} noun */
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
