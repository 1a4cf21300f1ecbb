// The form for the service's key, shown while it is needed.

import { keepKey } from "./api.js";
import { byId } from "./dom.js";

/** Shows the key's field for a problem with it, and hides it for none. */
export function askForKey(problem) {
  byId("key-form").hidden = problem === null;
  byId("key-problem").textContent = problem?.code === "bad_key" ? "The service does not accept this key." : "";
}

/** Calls `tried` when a key was entered and kept. */
export function whenKeyIsGiven(tried) {
  byId("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    keepKey(byId("key").value.trim());
    await tried();
    if (byId("key-form").hidden) byId("instruction").focus();
  });
}
