// What the page tells while it works and when something goes wrong, always in sight.

import { byId, el, reveal } from "./dom.js";
import { explained } from "./failure.js";
import { askForKey } from "./key_form.js";

export function tell(text, link = "") {
  byId("progress").replaceChildren(text, " ", link);
}

/** `judges` is what the checkpoint says that it can judge, null if nothing. */
export function showProblem(problem, judges) {
  if (problem.wantsKey) askForKey(problem);
  if (problem.code.startsWith("decomposition_")) byId("principles-fold").open = true;
  show(el("strong", {}, problem.title), " ", el("code", {}, problem.code), ...explained(problem, judges));
}

/** What this page itself does not take. */
export function showRefusal(text) {
  show(el("strong", {}, text));
}

export function hideProblem() {
  byId("problem").hidden = true;
}

function show(...nodes) {
  byId("problem").replaceChildren(...nodes);
  byId("problem").hidden = false;
  reveal(byId("problem"));
}
