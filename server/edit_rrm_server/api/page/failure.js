// A problem in words for a person. What only its programmer understands stays behind a fold.

import { adviceFor } from "./advice.js";
import { el } from "./dom.js";

// The judge wrote what is no answer; the detail of these is of its grammar.
const NOT_UNDERSTOOD = {
  trace_unparseable: "The judge gave no answer that can be read.",
  decomposition_failed: "The judge wrote no principles that can be read.",
};

/** What went wrong and what to do. `judges` is what the checkpoint says that it can judge, null if nothing. */
export function explained({ code, detail }, judges) {
  if (!Object.hasOwn(NOT_UNDERSTOOD, code)) return [el("p", {}, `${detail}. ${adviceFor(code)}`)];
  return [
    el("p", {}, `${NOT_UNDERSTOOD[code]} Such things come of what it was not made for. `,
      judges ? `It says of itself: “${judges}”` : "The checkpoint does not say what it can judge."),
    el("p", {}, adviceFor(code)),
    el("details", {}, el("summary", {}, "Technical detail"), el("code", {}, `${code}: ${detail}`)),
  ];
}
