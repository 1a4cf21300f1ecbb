// The session's scores as one JSON file, and back. What is read is a stranger's: it is looked at field by field,
// and its pictures as those that a person chooses.

import { blobOf, textOf } from "./base64.js";
import { refusalOf } from "./intake.js";
import { picture } from "./pictures.js";

const FORMAT = "edit-rrm-history";
const VERSION = 1;

/** A file that is no saved history; its message says where. */
export class HistoryFileError extends Error {}

/** The file of these scores; a picture that several share is in it once. */
export async function written(entries) {
  const places = new Map();
  const place = (shown) => {
    if (!places.has(shown.file)) places.set(shown.file, { place: places.size, shown });
    return places.get(shown.file).place;
  };
  const scores = entries.map(({ answer, request, sources, candidates, decomposedS, origin, at }) => ({
    at: at.toISOString(), request, answer, decomposedS, origin, sources: sources.map(place), candidates: candidates.map(place),
  }));
  const pictures = await Promise.all([...places.values()].map(async ({ shown: { file, name, sample, expect } }) =>
    ({ name, type: file.type, sample, expect, base64: await textOf(file) })));
  return new Blob([JSON.stringify({ format: FORMAT, version: VERSION, pictures, scores })], { type: "application/json" });
}

/** The scores of a saved file. Throws HistoryFileError for one that is none. */
export async function read(file, limits) {
  let saved;
  try {
    saved = JSON.parse(await file.text());
  } catch (error) {
    if (error instanceof SyntaxError) throw new HistoryFileError("is no JSON");
    throw error;
  }
  const wrong = FILE(saved, "the file");
  if (wrong !== null) throw new HistoryFileError(`is no saved history: ${wrong}`);
  const pictures = await Promise.all(saved.pictures.map((one) => pictureOf(one, limits)));
  return saved.scores.map((score, index) => {
    const chosen = (places) => places.map((place) => pictures[place]);
    const [sources, candidates] = [chosen(score.sources), chosen(score.candidates)];
    const asked = new Set(score.answer.principles.map(({ id }) => id));
    const verdicts = score.answer.results.flatMap((result) => result.verdicts ?? []);
    if (sources.length === 0 || [...sources, ...candidates].includes(undefined)
        || candidates.length !== score.answer.results.length || verdicts.some(({ principle }) => !asked.has(principle))) {
      throw new HistoryFileError(`is no saved history: score ${index + 1} does not fit its pictures or principles`);
    }
    return { ...score, sources, candidates, at: new Date(score.at) };
  });
}

async function pictureOf({ name, type, sample, expect, base64 }, limits) {
  const file = new File([blobOf(base64, type)], name, { type });
  const refusal = await refusalOf(file, limits);
  if (refusal !== null) throw new HistoryFileError(`holds ${name}, which ${refusal}`);
  return picture(file, { name, sample, expect });
}

// What a file must hold: each check gives null, or in words where it is otherwise.

const kind = (name, test) => (value, where) => (test(value) ? null : `${where} is no ${name}`);
const text = kind("text", (value) => typeof value === "string");
const encoded = kind("base64", (value) =>
  typeof value === "string" && value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value));
const number = kind("number", (value) => Number.isFinite(value));
const flag = kind("true or false", (value) => typeof value === "boolean");
const sampleOfPage = kind("sample of this page", (value) => /^page\/samples\/images\/[\w-]+\.png$/.test(value));
const day = kind("time", (value) => typeof value === "string" && !Number.isNaN(Date.parse(value)));
const exactly = (wanted) => kind(JSON.stringify(wanted), (value) => value === wanted);
const maybe = (check) => (value, where) => (value === null || value === undefined ? null : check(value, where));
const list = (check) => (value, where) => {
  if (!Array.isArray(value)) return `${where} is no list`;
  return first(value.map((item, index) => check(item, `${where}[${index}]`)));
};
const isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const record = (fields) => (value, where) => {
  if (!isRecord(value)) return `${where} is no record`;
  return first(Object.entries(fields).map(([name, check]) => check(value[name], `${where}.${name}`)));
};
const numbers = (value, where) => {
  if (!isRecord(value)) return `${where} is no record`;
  return first(Object.entries(value).map(([name, found]) => number(found, `${where}.${name}`)));
};
const first = (found) => found.find((wrong) => wrong !== null) ?? null;

const PRINCIPLE = { question: text, category: text, weight: number };
const SCORED = record({
  reward: number, score: number, average: maybe(number), disagreement: number, categories: numbers, subscores: numbers,
  change_map: maybe(encoded),
  verdicts: list(record({ principle: text, met: flag, probability: maybe(number), evidence: text })),
  guards: list(record({
    name: text, triggered: flag, decides: flag, value: number, note: maybe(text),
    alignment: maybe(record({ shift_x: number, shift_y: number, zoom: number, degrees: number })),
  })),
  samples: list(record({ score: number, reward: number, reasoning: maybe(text) })),
});
const RESULT = (value, where) => (value?.status === "ok" ? SCORED(value, where)
  : record({ status: text, error: record({ code: text, detail: text }) })(value, where));
const FILE = record({
  format: exactly(FORMAT),
  version: exactly(VERSION),
  pictures: list(record({ name: text, type: text, sample: maybe(sampleOfPage), expect: maybe(text), base64: encoded })),
  scores: list(record({
    at: day, origin: text, decomposedS: maybe(number), sources: list(number), candidates: list(number),
    request: record({
      instruction: text, samples: number, guards: text, aggregator: maybe(text),
      sampling: maybe(record({ temperature: number })), principles: maybe(list(record(PRINCIPLE))),
    }),
    answer: record({
      id: text, model: text, principles: list(record({ id: text, ...PRINCIPLE })), results: list(RESULT),
      timing: record({ queue_s: number, verify_s: number, total_s: number }),
      usage: record({ prompt_tokens: number, cached_prompt_tokens: number, completion_tokens: number }),
    }),
  })),
});
