// The page: what a person does, turned into calls; what the service answers, shown.

import { Problem, call, key, keepKey, multipart } from "./api.js";
import { adviceFor } from "./advice.js";
import { byId, el } from "./dom.js";
import { asCurl, downloadJson } from "./exports.js";
import { showModel } from "./model.js";
import { Pictures } from "./pictures.js";
import { Principles } from "./principles.js";
import { showResults } from "./results.js";
import { offerSamples } from "./samples.js";
import { Strip } from "./strip.js";
import { countdown } from "./waiting.js";

const principles = new Principles();
const pictures = new Pictures({
  onSource: () => principles.outdate(),
  onRefusal: (text) => showRefusal(text),
});
const strip = new Strip(askModel);
let checkpoint = null; // what GET /v1/models says of it
let running = null; // the AbortController of the call under way
let scored = null; // what was asked and answered last

// --- the key and the model

async function askModel() {
  try {
    const { models } = await (await call("v1/models")).json();
    checkpoint = models[0];
    principles.categories = checkpoint.categories;
    showModel(checkpoint);
    pictures.allowSources(checkpoint.max_sources);
    principles.needed = checkpoint.needs_principles;
    showSamplingHint();
    askForKey(null);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.wantsKey) askForKey(error);
    else strip.model = null; // so that it is asked again
  }
}

/** Shows the key's field for a problem with it, and hides it for none. */
function askForKey(problem) {
  const form = byId("key-form");
  form.hidden = problem === null;
  byId("key-problem").textContent = problem?.code === "bad_key" ? "The service does not accept this key." : "";
}

byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  keepKey(byId("key").value.trim());
  await askModel();
  strip.keyChanged();
  if (byId("key-form").hidden) byId("instruction").focus();
});

// --- scoring

byId("edit").addEventListener("submit", (event) => {
  event.preventDefault();
  run(score);
});
byId("ask-principles").addEventListener("click", () => run(askPrinciples));
byId("cancel").addEventListener("click", () => running?.abort());
byId("instruction").addEventListener("input", () => principles.outdate());
byId("instruction").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("edit").requestSubmit();
});

/** Runs `work(signal)`, one at a time; tells what it comes to, or shows the problem it ends with. */
async function run(work) {
  running?.abort();
  const mine = (running = new AbortController());
  hideProblem();
  byId("cancel").hidden = false;
  try {
    tell(...(await work(mine.signal)));
  } catch (error) {
    if (error instanceof Problem) showProblem(error);
    else if (error.name !== "AbortError") throw error;
    if (running === mine) tell("");
  } finally {
    if (running === mine) {
      running = null;
      byId("cancel").hidden = true;
    }
  }
}

async function askPrinciples(signal) {
  if (!isComplete(sourceNeed())) return [""];
  await decompose(signal);
  return ["The principles are written."];
}

/** Seconds it took until the model's principles were shown. */
async function decompose(signal) {
  tell("Asking the model for principles …");
  const began = performance.now();
  const parts = sourceParts();
  const request = { instruction: byId("instruction").value, ...asSources(parts) };
  const body = () => multipart(request, parts.map(([part, { file }]) => [part, file]));
  const answer = await answered("v1/decompose", body, signal);
  principles.take(answer.principles, answer.principles_from);
  return (performance.now() - began) / 1000;
}

async function score(signal) {
  if (!isComplete(sourceNeed(), [pictures.candidates[0], byId("candidates-file"), "candidate"])) return [""];
  const decomposedS = principles.wanted ? await decompose(signal) : null;
  const invalid = principles.firstInvalid() ?? byId("edit").querySelector("input:invalid");
  if (invalid !== null) {
    showRefusal("A field is empty or out of its range.");
    invalid.closest("details")?.setAttribute("open", "");
    invalid.focus();
    return [""];
  }
  const [sources, candidates] = [[...pictures.sources], [...pictures.candidates]];
  const before = sourceParts();
  const edited = candidates.map((candidate, index) => [`candidate${index + 1}`, candidate]);
  const parts = [...before, ...edited];
  const request = scoreRequest(before, edited);
  tell("Scoring …");
  const body = () => multipart(request, parts.map(([part, { file }]) => [part, file]));
  const answer = await answered("v1/score", body, signal);
  scored = { answer, request, parts, sources, candidates, decomposedS };
  byId("curl-text").value = asCurl(scored);
  byId("copied").textContent = "";
  return [showResults(scored), el("a", { href: "#results" }, "See the results")];
}

/** The sources by the names of their parts, in order. */
function sourceParts() {
  return pictures.sources.map((source, index) => [index === 0 ? "source" : `source${index + 1}`, source]);
}

/** One source is `source`, several are `sources`. */
function asSources(parts) {
  const sources = parts.map(([part]) => ({ part }));
  return sources.length === 1 ? { source: sources[0] } : { sources };
}

function scoreRequest(sources, candidates) {
  const temperature = byId("temperature").valueAsNumber;
  const aggregator = byId("aggregator").value;
  return {
    instruction: byId("instruction").value,
    ...asSources(sources),
    candidates: candidates.map(([part]) => ({ part })),
    ...principles.asField(),
    samples: byId("samples-count").valueAsNumber,
    ...(Number.isNaN(temperature) ? {} : { sampling: { temperature } }),
    ...(aggregator ? { aggregator } : {}),
    guards: byId("guards").value,
    include: ["reasoning", "change_map"],
    priority: "interactive",
  };
}

/** The JSON answer; while the service says when to try again, it is tried again then. */
async function answered(path, body, signal) {
  for (;;) {
    try {
      return await (await call(path, { body: body(), signal })).json();
    } catch (error) {
      if (!(error instanceof Problem) || error.retryAfterS === null) throw error;
      showProblem(error);
      await countdown(error.retryAfterS, signal, (leftS) => tell(`Trying again in ${leftS} s.`));
      hideProblem();
      tell("Trying again …");
    }
  }
}

function sourceNeed() {
  return [pictures.sources[0], byId("source-file"), "source image"];
}

/** Whether the instruction and what `needs` lists are there; else says what is missing, and goes there. */
function isComplete(...needs) {
  const missing = [...needs, [byId("instruction").value.trim(), byId("instruction"), "instruction"]].filter(([value]) => !value);
  if (missing.length === 0) return true;
  showRefusal(`Still missing: ${missing.map(([, , name]) => name).join(", ")}.`);
  missing[0][1].focus();
  return false;
}

// --- what is told

function tell(text, link = "") {
  byId("progress").replaceChildren(text, " ", link);
}

function showProblem(problem) {
  if (problem.wantsKey) askForKey(problem);
  byId("problem").replaceChildren(
    el("strong", {}, problem.title), " ", el("code", {}, problem.code),
    el("p", {}, `${problem.detail}. ${adviceFor(problem.code)}`),
  );
  byId("problem").hidden = false;
}

function showRefusal(text) {
  byId("problem").replaceChildren(el("strong", {}, text));
  byId("problem").hidden = false;
}

function hideProblem() {
  byId("problem").hidden = true;
}

function showSamplingHint() {
  const given = byId("temperature").valueAsNumber;
  const temperature = Number.isNaN(given) ? checkpoint?.sampling.temperature : given;
  byId("temperature").placeholder = checkpoint === null ? "" : String(checkpoint.sampling.temperature);
  const alike = temperature === 0 && byId("samples-count").valueAsNumber > 1;
  byId("temperature-hint").textContent = alike ? "At temperature 0 all samples are the same: set one above 0." : "";
}

byId("temperature").addEventListener("input", showSamplingHint);
byId("samples-count").addEventListener("input", showSamplingHint);

// --- taking results along

byId("download").addEventListener("click", () => downloadJson(scored.answer));
byId("show-curl").addEventListener("click", () => {
  const shown = byId("curl").toggleAttribute("hidden") === false;
  byId("show-curl").setAttribute("aria-expanded", String(shown));
});
byId("copy-curl").addEventListener("click", async () => {
  byId("curl-text").select();
  try {
    await navigator.clipboard.writeText(byId("curl-text").value);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = "It is selected: press Ctrl + C.";
  }
});

// --- the start

offerSamples(({ instruction, source, candidates }) => {
  byId("instruction").value = instruction;
  pictures.replace([source], candidates);
  hideProblem();
  byId("score").focus();
});
strip.ask();
