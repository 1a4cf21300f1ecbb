// An answer of POST /v1/score: a tab a candidate, and what was found of the one that is chosen. A failure is
// shown as its error, never as a number.

import { blobOf } from "./base64.js";
import { byId, el, fillFacts, plural, seconds } from "./dom.js";
import { explained } from "./failure.js";

/** Shows {answer, request, sources, candidates, decomposedS} and gives `onChosen` the place of the candidate
 * that is looked at, the best one first; returns a sentence that sums it up. */
export function showResults(scored, judges, onChosen) {
  const { answer, candidates } = scored;
  const best = bestReward(answer.results);
  const tabs = answer.results.map((result, index) => tab(candidates[index], result, index, best));
  const cards = answer.results.map((result, index) => card(scored, candidates[index], result, index, judges));
  const choose = (chosen) => {
    tabs.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === chosen));
      button.tabIndex = index === chosen ? 0 : -1;
      cards[index].hidden = index !== chosen;
    });
    onChosen(chosen);
  };
  tabs.forEach((button, index) => {
    button.addEventListener("click", () => choose(index));
    button.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined || tabs[to] === undefined) return;
      event.preventDefault();
      tabs[to].focus();
      choose(to);
    });
  });
  byId("results-tabs").replaceChildren(...tabs);
  byId("results-cards").replaceChildren(...cards);
  fillFacts(byId("results-cost"), cost(scored));
  for (const part of ["results", "results-found"]) byId(part).hidden = false;
  showWhetherCurrent(true);
  choose(Math.max(0, answer.results.findIndex(({ reward }) => best !== null && reward === best)));
  const told = summary(answer.results, best);
  byId("results-summary").textContent = told;
  return told;
}

/** Whether what is shown answers what is asked now. */
export function showWhetherCurrent(current) {
  byId("results-heading").textContent = current ? "Results" : "Results of the earlier edit";
}

/** The address of what changed in a candidate, made once; null without. */
export function changeOf(scored, index) {
  const { change_map: jpeg } = scored.answer.results[index];
  if (!jpeg) return null;
  scored.changes ??= new Map();
  if (!scored.changes.has(index)) scored.changes.set(index, URL.createObjectURL(blobOf(jpeg, "image/jpeg")));
  return scored.changes.get(index);
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

function tab(candidate, result, index, best) {
  const number = index + 1;
  const isBest = best !== null && result.reward === best;
  const isScored = result.status === "ok";
  const met = isScored ? result.verdicts.filter((verdict) => verdict.met).length : 0;
  const marks = isScored && result.verdicts.length > 0
    ? el("span", { class: "marks", role: "img", "aria-label": `${met} of ${result.verdicts.length} met` },
      ...result.verdicts.map((verdict) => el("span", { class: verdict.met ? "met" : "unmet" }, verdict.met ? "✓" : "✗")))
    : null;
  return el("button", {
    type: "button", role: "tab", id: `tab-${number}`, "aria-controls": `card-${number}`, class: "tab",
  },
  el("img", { src: candidate.url, alt: "" }),
  el("span", { class: "who" }, `Candidate ${number}`, isBest ? el("span", { class: "mark" }, "Best reward") : null),
  el("span", { class: "number" }, isScored ? result.reward.toFixed(2) : "not scored"),
  marks);
}

function card({ answer, request }, candidate, result, index, judges) {
  const number = index + 1;
  return el("div", { class: "result", role: "tabpanel", id: `card-${number}`, "aria-labelledby": `tab-${number}`, tabindex: "0" },
    el("h3", {}, `Candidate ${number} `, el("span", { class: "name" }, candidate.name)),
    ...(result.status === "ok" ? scoredParts(answer, request, result) : failedParts(result.error, judges)),
    candidate.expect ? el("p", { class: "hint" }, `Expected: ${candidate.expect}`) : null,
  );
}

function failedParts(error, judges) {
  const code = el("code", {}, error.code);
  return [el("div", { class: "notice bad" }, el("strong", {}, "Not scored"), " ", code, ...explained(error, judges))];
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
    el("span", { class: "asked" }, question),
    el("span", { class: "aside" },
      el("span", { class: "category" }, category), " ",
      el("span", { class: "probability" }, bar, probability === null ? "no probability" : `p(met) ${probability.toFixed(2)}`), " ",
      el("span", { class: "evidence" }, evidence)),
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
