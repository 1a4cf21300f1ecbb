// The panel that says what judges: name@digest, what it can and cannot judge, how it was measured.

import { byId, el, fillFacts } from "./dom.js";
import { mebibytes } from "./intake.js";

export function showModel(model) {
  byId("model-name").textContent = `${model.name}@${model.weights_digest}`;
  const judges = byId("model-judges");
  judges.textContent = model.judges || "This checkpoint does not say what it can judge.";
  judges.hidden = false;
  const { limits, sampling } = model;
  const facts = [
    ["architecture", model.architecture],
    ["profile", model.profile],
    ["aggregator", model.aggregator],
    ["sources", model.max_sources > 1 ? `up to ${model.max_sources}` : "one"],
    ["temperature", String(sampling.temperature)],
    ["shown to it", shownAt(limits)],
    ["largest image", `${mebibytes(limits.max_image_bytes)}, ${limits.max_image_pixels / 1e6} megapixels`],
    ["largest request", mebibytes(limits.max_body_bytes)],
  ];
  fillFacts(byId("model-facts"), facts);
  byId("model-more").hidden = false;
  showResults(model.training.results);
}

/** What images are scaled down to. */
function shownAt({ max_image_side: side, pixel_budget: budget }) {
  const most = [];
  if (side !== null) most.push(`longest side ${side} pixels`);
  if (budget !== null) most.push(`${(budget / 1e6).toFixed(1)} megapixels`);
  return most.join(", ") || "as sent";
}

/** `results` is what `edit-rrm-train evaluate` left in rrm.json, if it did. */
function showResults(results) {
  const measures = Object.entries(results?.measures ?? {}).filter(([, found]) => Number.isFinite(found.value));
  byId("model-results").hidden = measures.length === 0;
  if (measures.length === 0) return;
  byId("model-results-note").textContent =
    `On ${results.edits} held-out edits with ${results.candidates} candidates each, in the data it was made for.`;
  const head = ["measure", "value", "95 % interval", "n"].map((text) => el("th", { scope: "col" }, text));
  const rows = measures.map(([name, { value, interval95, n }]) =>
    el("tr", {},
      el("th", { scope: "row" }, name),
      el("td", {}, value.toFixed(3)),
      el("td", {}, (interval95 ?? []).map((end) => end.toFixed(3)).join(" – ")),
      el("td", {}, String(n)),
    ),
  );
  byId("model-measures").replaceChildren(
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows),
  );
}
