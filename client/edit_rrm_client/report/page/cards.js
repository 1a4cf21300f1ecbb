// One card an edit: pictures, numbers, verdicts, guards, reasoning, or why it failed.

function cardOf(row, filterBy, sought) {
  const who = make("p", { class: "who" });
  for (const name of [DATA.models[row.model], DATA.categories[row.category]]) if (name) who.append(make("span", {}, name));
  who.append(make("button", {
    type: "button", class: "plain", title: "Show every candidate of this edit", onclick: () => filterBy({ edit: row.id, sort: "edit" }),
  }, `${row.id} #${row.candidate}`));
  const card = make("li", { class: "card", "data-key": row.key },
    who, make("h3", {}, textOf(row.instruction)), picturesButton(row));
  if (row.ok) card.append(numbersOf(row), judgedList(row, sought));
  else card.append(make("p", { class: "error" }, make("strong", {}, textOf(row.error_code) ?? "failed"), " ", textOf(row.error_detail) ?? ""));
  const guards = guardsOf(row);
  if (guards.length) card.append(guardLine(guards));
  const reasoning = textOf(row.reasoning);
  if (reasoning) card.append(make("details", {}, make("summary", {}, "Reasoning"), make("pre", { tabindex: "0" }, reasoning)));
  return card;
}

function picture(label, index, note) {
  const source = imageOf(index);
  let content = note ?? "no image";
  if (source) {
    content = make("img", { alt: label, decoding: "async" });
    content.addEventListener("load", (event) => {
      const side = Math.max(event.target.naturalWidth, event.target.naturalHeight);
      event.target.classList.toggle("small", side <= 128);
    });
    content.src = source;
  }
  return make("figure", {}, make("figcaption", {}, label), make("div", { class: "frame" }, content));
}

/** The edited image in grey under the colours of what changed: blue, amber, red. */
function changed(row) {
  const overlay = imageOf(row.change);
  if (!overlay) return [];
  const figure = picture("what changed", row.edited);
  const layer = make("img", { class: "overlay", alt: "", decoding: "async" });
  layer.src = overlay;
  figure.classList.add("changed");
  figure.querySelector(".frame").append(layer);
  return [figure];
}

function picturesButton(row) {
  const sources = sourcesOf(row);
  const shown = sources.map((source) => source.index).concat(row.edited);
  const pictures = () => [...sources.map((source) => picture(source.label, source.index, source.note)),
    picture("edited", row.edited, textOf(row.edited_note)), ...changed(row)];
  const box = { class: sources.length > 1 ? "pictures several" : "pictures" };
  if (shown.every((index) => index < 0)) return make("div", box, ...pictures());
  return make("button", {
    ...box, type: "button", "aria-label": "Compare source and edited image", onclick: () => enlarge(row, pictures),
  }, ...pictures());
}

function numbersOf(row) {
  const number = (name, value, kind = "") => make("div", { class: kind }, make("dt", {}, name), make("dd", {}, value));
  const judged = PRINCIPLE_CATEGORIES.filter((category) => row[category] !== null);
  return make("div", {},
    make("dl", { class: "numbers" }, number("score", fixed(row.score, 1), "score"), number("reward", fixed(row.reward, 3)),
      row.disagreement ? number("disagreement", fixed(row.disagreement, 2)) : null),
    make("dl", { class: "numbers" }, ...judged.map((category) => number(category, fixed(row[category], 2)))));
}

/** `sought` are the words of a principle that is looked for. */
function judgedList(row, sought) {
  const verdicts = verdictsOf(row), subscores = subscoresOf(row);
  if (verdicts.length) return verdictList(verdicts, sought);
  if (!subscores.length) return make("p", { class: "guards" }, "A guard decided; the model was not asked.");
  return make("dl", { class: "numbers subscores" }, ...subscores.map(({ name, value }) => make("div", {},
    make("dt", {}, name), make("dd", {}, fixed(value, 2)))));
}

function verdictList(verdicts, sought) {
  const isSought = ({ question }) => sought.length > 0 && hasAll(question.toLowerCase(), sought);
  return make("ul", { class: "verdicts" }, ...verdicts.map((verdict) => make("li", { class: `${verdict.met ? "met" : "missed"}${isSought(verdict) ? " sought" : ""}` },
    make("span", { class: "mark", "aria-hidden": "true" }, verdict.met ? "✓" : "✗"),
    make("span", { class: verdict.category }, verdict.category),
    make("span", {}, verdict.question, verdict.weight === 1 ? "" : ` (weight ${verdict.weight})`,
      make("span", { class: "hidden" }, verdict.met ? ": met" : ": not met")),
    make("span", { class: "probability" },
      make("span", { class: "hidden" }, "probability of met "),
      verdict.probability === null ? "–" : Math.round(100 * verdict.probability) + " %"),
    verdict.evidence ? make("span", { class: "evidence" }, verdict.evidence) : null)));
}

function guardLine(guards) {
  const line = make("p", { class: "guards" }, "guards: ");
  guards.forEach((guard, place) => {
    const value = guard.value === null ? "" : ` (${Number(guard.value.toPrecision(3))})`;
    if (place) line.append(", ");
    if (guard.decides) line.append(make("span", { class: "triggered" }, `${guard.name} limits the reward${value}`));
    else if (guard.triggered) line.append(`${guard.name} reported${value}${guard.note ? `: ${guard.note}` : ""}`);
    else line.append(`${guard.name} passed${value}`);
  });
  return line;
}
