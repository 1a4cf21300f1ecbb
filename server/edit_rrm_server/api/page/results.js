// An answer of POST /v1/score as cards, one a candidate. A failure is shown as its error, never as a number.

import { adviceFor } from "./advice.js";
import { byId, el, fillFacts, plural, seconds } from "./dom.js";
import { sourceRole } from "./pictures.js";

/** Shows {answer, request, sources, candidates, decomposedS}; returns a sentence that sums it up. */
export function showResults(scored) {
  const { answer, candidates } = scored;
  const best = bestReward(answer.results);
  byId("results-cards").replaceChildren(
    ...answer.results.map((result, index) => card(scored, candidates[index], result, index, best)),
  );
  fillFacts(byId("results-cost"), cost(scored));
  byId("results").hidden = false;
  const told = summary(answer.results, best);
  byId("results-summary").textContent = told;
  return told;
}

/** The reward to be marked; null unless candidates differ. */
export function bestReward(results) {
  const rewards = results.filter((result) => result.status === "ok").map((result) => result.reward);
  const best = Math.max(...rewards);
  return rewards.length > 1 && Math.min(...rewards) < best ? best : null;
}

function summary(results, best) {
  const failed = results.filter((result) => result.status !== "ok").length;
  const scored = results.length - failed;
  const parts = [`${plural(scored, "candidate")} scored`];
  if (failed > 0) parts.push(`${failed} could not be scored`);
  if (best !== null) {
    const marked = results.flatMap((result, index) => (result.reward === best ? [index + 1] : []));
    parts.push(`best reward ${best.toFixed(2)}: ${marked.length > 1 ? "candidates" : "candidate"} ${marked.join(", ")}`);
  } else if (scored === 1) {
    parts.push(`reward ${results.find((result) => result.status === "ok").reward.toFixed(2)}`);
  } else if (scored > 1) {
    parts.push("all with the same reward");
  }
  return `${parts.join("; ")}.`;
}

function cost({ answer, decomposedS }) {
  const { timing, usage } = answer;
  return [
    ["model", answer.model],
    ["principles", decomposedS === null ? "as given" : `in ${seconds(decomposedS)}`],
    ["queue", seconds(timing.queue_s)],
    ["verify", seconds(timing.verify_s)],
    ["total", seconds(timing.total_s)],
    ["prompt tokens", `${usage.prompt_tokens}, of them ${usage.cached_prompt_tokens} from the cache`],
    ["tokens written", String(usage.completion_tokens)],
    ["request", answer.id],
  ];
}

function card({ answer, request, sources }, candidate, result, index, best) {
  const number = index + 1;
  const heading = `card-${number}`;
  const isBest = best !== null && result.reward === best;
  return el("article", { class: isBest ? "result best" : "result", "aria-labelledby": heading },
    el("h3", { id: heading }, `Candidate ${number}`, el("span", { class: "name" }, candidate.name)),
    isBest ? el("p", { class: "mark" }, "Best reward") : null,
    el("div", { class: sources.length > 1 || result.change_map ? "pair several" : "pair" },
      ...sources.map(({ url, name }, place) => el("img", { src: url, alt: `${sourceRole(sources, place)}: ${name}` })),
      el("img", { src: candidate.url, alt: `Candidate ${number}: ${candidate.name}` }),
      result.change_map ? el("img", {
        src: jpegUrl(result.change_map), alt: `What changed in candidate ${number}, in colour on grey`,
        title: "What changed, in colour: blue a little, amber more, red most",
      }) : null),
    ...(result.status === "ok" ? scoredParts(answer, request, result) : failedParts(result.error)),
    candidate.expect ? el("p", { class: "hint" }, `Expected: ${candidate.expect}`) : null,
  );
}

function failedParts({ code, detail }) {
  return [
    el("div", { class: "notice bad" },
      el("strong", {}, "Not scored"), " ", el("code", {}, code),
      el("p", {}, `${detail}. ${adviceFor(code)}`)),
  ];
}

function scoredParts(answer, request, result) {
  const judged = result.samples.length > 0;
  return [
    el("p", { class: "reward" },
      el("span", { class: "number" }, result.reward.toFixed(2)), " reward",
      judged ? el("span", { class: "aside" }, `score ${result.score.toFixed(1)} of 10`) : null),
    judged ? null : el("p", {}, "A guard decided; the model was not asked."),
    judged && result.verdicts.length > 0 ? el("ul", { class: "verdicts", "aria-label": "Verdicts" }, ...result.verdicts.map((v) => verdict(v, answer.principles))) : null,
    guards(result.guards),
    judged ? means(result) : null,
    ...result.samples.map((sample, index) => reasoning(sample, index, result.samples.length)),
  ];
}

function verdict({ principle, met, probability, evidence }, principles) {
  const { question, category } = principles.find(({ id }) => id === principle);
  const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("span"));
  bar.firstChild.style.inlineSize = `${(probability ?? 0) * 100}%`;
  return el("li", { class: met ? "met" : "unmet" },
    el("span", { class: "verdict" }, met ? "✓ met" : "✗ not met"),
    el("span", { class: "category" }, category),
    el("span", { class: "probability" }, bar, probability === null ? "no probability" : `p(met) ${probability.toFixed(2)}`),
    el("span", { class: "asked" }, question),
    el("span", { class: "evidence" }, evidence),
  );
}

function guards(found) {
  if (found.length === 0) return el("p", { class: "hint" }, "No guards were asked.");
  const fired = found.filter((guard) => guard.triggered);
  const effect = ({ decides, note }) => (decides ? "limits the reward" : note || "reported only");
  return el("div", { class: fired.some(({ decides }) => decides) ? "guards fired" : "guards" },
    el("p", {}, fired.length > 0
      ? `Guard fired: ${fired.map((guard) => `${guard.name} (${effect(guard)})`).join(", ")}` : "No guard fired."),
    el("details", {}, el("summary", {}, "What the guards measured"),
      el("ul", {}, ...found.map(({ name, triggered, value, note, alignment }) => el("li", {},
        `${name} ${value.toFixed(3)}${triggered ? ", fired" : ""}${note ? `: ${note}` : ""}${alignment ? `; ${moved(alignment)} undone` : ""}`)))),
  );
}

/** A JPEG's base64 as an address that the page's policy lets an image have. */
function jpegUrl(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
}

function moved({ shift_x: x, shift_y: y, zoom, degrees }) {
  return `a shift of ${(x * 100).toFixed(1)} % and ${(y * 100).toFixed(1)} %, a zoom of ${zoom.toFixed(3)}, a turn of ${degrees.toFixed(2)}°`;
}

function means({ average, categories, subscores, disagreement, samples, cached }) {
  const facts = Object.entries({ ...subscores, ...categories }).map(([name, share]) => `${name} ${share.toFixed(2)}`);
  if (average !== null) facts.push(`average verdict ${average.toFixed(2)}`);
  if (samples.length > 1) facts.push(`disagreement ${disagreement.toFixed(2)}`);
  if (cached) facts.push("from the score cache");
  return el("p", { class: "hint" }, facts.join(" · "));
}

function reasoning({ score, reward, reasoning: text }, index, count) {
  if (text === null) return null;
  const name = count > 1 ? `Reasoning of sample ${index + 1}: score ${score.toFixed(1)}, reward ${reward.toFixed(2)}` : "Reasoning";
  return el("details", {}, el("summary", {}, name), el("pre", {}, text));
}
