// The page: what a person does, turned into calls; what the service answers, shown.

import { Problem, call, multipart } from "./api.js";
import { byId, el, reveal } from "./dom.js";
import { asCurl, namedParts, offerExports } from "./exports.js";
import { History } from "./history.js";
import { askForKey, whenKeyIsGiven } from "./key_form.js";
import { showModel } from "./model.js";
import { Options } from "./options.js";
import { Pictures } from "./pictures.js";
import { Principles } from "./principles.js";
import { changeOf, showResults, showWhetherCurrent } from "./results.js";
import { offerSamples } from "./samples.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { hideProblem, showProblem, showRefusal, tell } from "./told.js";
import { countdown } from "./waiting.js";

const principles = new Principles();
const options = new Options();
const stage = new Stage();
const pictures = new Pictures({
  onSource: () => principles.outdate(),
  onRefusal: showRefusal,
  onShown: previewed,
});
const history = new History({ onBack: bringBack, onRefusal: showRefusal, limits: () => pictures.limits });
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
    pictures.allow(checkpoint);
    principles.needed = checkpoint.needs_principles;
    options.knowDefaults(checkpoint.sampling);
    askForKey(null);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.wantsKey) askForKey(error);
    else strip.model = null; // so that it is asked again
  }
}

whenKeyIsGiven(async () => {
  await askModel();
  strip.keyChanged();
});

// --- scoring

byId("edit").addEventListener("submit", (event) => {
  event.preventDefault();
  run(score);
});
byId("ask-principles").addEventListener("click", () => run(askPrinciples));
byId("cancel").addEventListener("click", () => running?.abort());
byId("instruction").addEventListener("input", () => {
  principles.outdate();
  showWhetherCurrent(false);
});
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
    if (error instanceof Problem) showProblem(error, judges());
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
  await pictures.settled;
  if (!isComplete(sourceNeed())) return [""];
  await decompose(signal);
  return ["The principles are written."];
}

/** Seconds it took until the model's principles were shown. */
async function decompose(signal) {
  tell("Asking the model for principles …");
  const began = performance.now();
  const { before } = namedParts(pictures.sources, []);
  const request = { instruction: byId("instruction").value, ...asSources(before) };
  const answer = await answered("v1/decompose", request, before, signal);
  principles.take(answer.principles, answer.principles_from);
  return (performance.now() - began) / 1000;
}

async function score(signal) {
  await pictures.settled;
  if (!isComplete(sourceNeed(), [pictures.candidates[0], byId("candidates-file"), "candidate"])) return [""];
  const decomposedS = principles.wanted ? await decompose(signal) : null;
  const invalid = principles.firstInvalid() ?? byId("edit").querySelector("input:invalid");
  if (invalid !== null) {
    showRefusal("A field is empty or out of its range.");
    invalid.closest("details").open = true;
    invalid.focus();
    return [""];
  }
  const [sources, candidates] = [[...pictures.sources], [...pictures.candidates]];
  const { before, edited } = namedParts(sources, candidates);
  const request = scoreRequest(before, edited);
  const { origin } = principles;
  tell("Scoring …");
  const answer = await answered("v1/score", request, [...before, ...edited], signal);
  const told = present({ answer, request, sources, candidates, decomposedS, origin, at: new Date() });
  history.add(scored);
  reveal(byId("results"), 0.6 * innerHeight); // the frame below it, too
  return [told, el("a", { href: "#results" }, "See the results")];
}

/** Shows a score; returns a sentence that sums it up. */
function present(what) {
  scored = what;
  byId("curl-text").value = asCurl(scored);
  byId("copied").textContent = "";
  return showResults(scored, judges(), (index) => {
    const { sources, candidates } = scored;
    stage.show({ sources, candidate: candidates[index], number: index + 1, change: changeOf(scored, index) });
  });
}

/** Puts an earlier score back as it was: what was asked, with what, and the answer. */
function bringBack(entry) {
  running?.abort();
  hideProblem();
  byId("instruction").value = entry.request.instruction;
  options.take(entry.request);
  pictures.replace(entry.sources, entry.candidates);
  principles.take(entry.request.principles ?? [], entry.origin);
  tell(present(entry));
  reveal(byId("results"), 0.6 * innerHeight); // the frame below it, too
}

/** The pictures are others: the last candidate is shown beside the source, and samples no longer need room. */
function previewed() {
  const { sources, candidates } = pictures;
  byId("samples-fold").open = sources.length + candidates.length === 0;
  showWhetherCurrent(false);
  if (sources.length === 0 || candidates.length === 0) stage.clear();
  else stage.show({ sources, candidate: candidates.at(-1), number: candidates.length });
}

/** One source is `source`, several are `sources`. */
function asSources(parts) {
  const sources = parts.map(([part]) => ({ part }));
  return sources.length === 1 ? { source: sources[0] } : { sources };
}

function scoreRequest(sources, candidates) {
  return {
    instruction: byId("instruction").value,
    ...asSources(sources),
    candidates: candidates.map(([part]) => ({ part })),
    ...principles.asField(),
    ...options.asFields(),
    include: ["reasoning", "change_map"],
    priority: "interactive",
  };
}

/** The JSON answer; while the service says when to try again, it is tried again then. */
async function answered(path, request, parts, signal) {
  for (;;) {
    try {
      const body = multipart(request, parts.map(([part, { file }]) => [part, file]));
      return await (await call(path, { body, signal })).json();
    } catch (error) {
      if (!(error instanceof Problem) || error.retryAfterS === null) throw error;
      showProblem(error, judges());
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

/** What the checkpoint says that it can judge; null where it says nothing. */
function judges() {
  return checkpoint?.judges || null;
}

// --- the start

offerSamples(({ instruction, source, candidates }) => {
  byId("instruction").value = instruction;
  pictures.replace([source], candidates);
  hideProblem();
  byId("score").focus();
});
offerExports(() => scored);
previewed();
strip.ask();
