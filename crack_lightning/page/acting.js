// @ts-check
// What people do, one thing after the other: a key that is pressed while an answer is awaited acts after it.

import { post, windowName } from "./api.js";
import { clear, fail, say } from "./messages.js";
import { by, loadPhotograph, openPhotograph, state, takeView } from "./state.js";

let last = Promise.resolve();
let waiting = 0;

/**
 * Does something after everything that was asked for before.
 * @param {() => any} action
 */
export function act(action) {
  waiting++;
  last = last.then(action).catch(fail).finally(() => waiting--);
  return last;
}

/** Whether something that was asked for is still to be done. */
export const busy = () => waiting > 0;

/**
 * Sends a correction, and shows what it changed. Returns whether it was taken.
 * @param {Record<string, any>} facts
 */
export async function correct(facts, path = "corrections") {
  const told = { by: by(), threshold: state.threshold, key: state.key ?? "", revision: state.photograph?.revision ?? "", window: windowName };
  try {
    const answer = await post(path, { ...told, ...facts });
    clear();
    if (answer.photograph && answer.key === state.key) await takeView(answer.photograph);
    else if (answer.key) await openPhotograph(answer.key);
    else await loadPhotograph();
    return answer;
  } catch (error) {
    say("");
    fail(error);
    await loadPhotograph().catch(() => {}); // it may have been changed in another window
    return null;
  }
}
