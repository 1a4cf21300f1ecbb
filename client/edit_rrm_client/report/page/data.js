// The report's data, as report/records.py laid it out: texts by index, rows as arrays, verdicts flattened.
// Everything shown goes into the page as text nodes; no text is ever parsed as markup.

const PRINCIPLE_CATEGORIES = ["follow", "keep", "quality"];
const DATA = JSON.parse(document.getElementById("data").textContent);

const textOf = (index) => (index < 0 ? null : DATA.texts[index]);

/** One scored candidate with names in place of positions. */
function rowOf(values, place) {
  const row = { place };
  DATA.columns.forEach((name, column) => { row[name] = values[column]; });
  row.missed = 0; // one bit a principle category with a verdict "not met"
  for (let at = 0; at < row.verdicts.length; at += 4) {
    if (!row.verdicts[at + 1]) row.missed |= 1 << DATA.principles[row.verdicts[at]][1];
  }
  row.guarded = row.guards.some((value, at) => at % 4 === 1 && value);
  return row;
}

/** The verdicts of a row, one object a principle. */
function verdictsOf(row) {
  const verdicts = [];
  for (let at = 0; at < row.verdicts.length; at += 4) {
    const [question, category, weight] = DATA.principles[row.verdicts[at]];
    verdicts.push({
      question: textOf(question), category: PRINCIPLE_CATEGORIES[category], weight,
      met: Boolean(row.verdicts[at + 1]), probability: row.verdicts[at + 2], evidence: textOf(row.verdicts[at + 3]),
    });
  }
  return verdicts;
}

/** The guards of a row that were checked. */
function guardsOf(row) {
  const guards = [];
  for (let at = 0; at < row.guards.length; at += 4) {
    const [name, state, value, note] = row.guards.slice(at, at + 4);
    guards.push({ name: textOf(name), triggered: state > 0, decides: state === 2, value, note: textOf(note) });
  }
  return guards;
}

/** The subscores of a row: those of judges that give numbers. */
function subscoresOf(row) {
  const subscores = [];
  for (let at = 0; at < row.subscores.length; at += 2) {
    subscores.push({ name: textOf(row.subscores[at]), value: row.subscores[at + 1] });
  }
  return subscores;
}

/** The sources of a row: what each is called, its thumbnail, or why there is none. */
function sourcesOf(row) {
  const several = row.more_sources.length > 0;
  const sources = [{ label: several ? "source 1" : "source", index: row.source, note: textOf(row.source_note) }];
  for (let at = 0; at < row.more_sources.length; at += 2) {
    sources.push({ label: `source ${sources.length + 1}`, index: row.more_sources[at], note: textOf(row.more_sources[at + 1]) });
  }
  return sources;
}

/** The lower-case text that the search looks through, made when a row is searched for the first time. */
function searched(row) {
  if (row.searched === undefined) {
    const parts = [row.key, row.id, DATA.models[row.model], DATA.categories[row.category], textOf(row.instruction),
      textOf(row.reasoning), textOf(row.error_code), textOf(row.error_detail)];
    for (const verdict of verdictsOf(row)) parts.push(verdict.question, verdict.evidence);
    row.searched = parts.filter(Boolean).join("\n").toLowerCase();
  }
  return row.searched;
}

/** A thumbnail as a data URI, or null where there is none. */
function imageOf(index) {
  if (index < 0) return null;
  return "data:image/webp;base64," + JSON.parse(document.getElementById("image-" + index).textContent);
}

/** An element with attributes and children; strings become text nodes. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

/** An SVG element with attributes. */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));
const whole = (value) => value.toLocaleString("en-US");
const named = (name) => name || "(none)";
