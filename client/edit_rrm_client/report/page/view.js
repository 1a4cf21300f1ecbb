// Which rows are shown and in what order, as a view that an address can hold. No element is touched here.

const PAGE_ROWS = 24;
const NUMBER_FILTERS = [["score_min", "score", 1], ["score_max", "score", -1], ["reward_min", "reward", 1],
  ["reward_max", "reward", -1], ["disagreement_min", "disagreement", 1]];

/** The filters that an address holds; names that are no filters are dropped. */
function viewOfHash(hash, names) {
  const view = {};
  for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) if (names.includes(name) && value) view[name] = value;
  return view;
}

/** The address of a view: its filters that are set, in a fixed order. */
function hashOfView(view, names) {
  const parameters = new URLSearchParams();
  for (const name of names) if (view[name] && !(name === "page" && view[name] === "1")) parameters.set(name, view[name]);
  return "#" + parameters.toString();
}

const wordsOf = (text) => (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
const hasAll = (text, words) => words.every((word) => text.includes(word));

/** The test of one row that the view's filters make together. */
function testOf(view) {
  const tests = [];
  if (view.model) tests.push((row) => row.model === Number(view.model));
  if (view.category) tests.push((row) => row.category === Number(view.category));
  if (view.edit) tests.push((row) => row.id === view.edit);
  if (view.outcome === "guard") tests.push((row) => row.guarded);
  else if (view.outcome) tests.push((row) => Boolean(row.ok) === (view.outcome === "ok"));
  const bit = PRINCIPLE_CATEGORIES.indexOf(view.verdicts);
  if (bit >= 0) tests.push((row) => row.missed & (1 << bit));
  else if (view.verdicts === "missed") tests.push((row) => row.missed);
  else if (view.verdicts === "met") tests.push((row) => row.verdicts.length && !row.missed);
  const words = wordsOf(view.principle);
  if (words.length) {
    const asked = DATA.principles.map(([question]) => hasAll((textOf(question) ?? "").toLowerCase(), words));
    const verdict = view.principle_met === "" || view.principle_met === undefined ? null : Number(view.principle_met);
    tests.push((row) => row.verdicts.some((principle, at) =>
      at % 4 === 0 && asked[principle] && (verdict === null || row.verdicts[at + 1] === verdict)));
  }
  for (const [name, column, sign] of NUMBER_FILTERS) {
    const bound = Number.parseFloat(view[name]);
    if (!Number.isNaN(bound)) tests.push((row) => row[column] !== null && sign * row[column] >= sign * bound);
  }
  const sought = wordsOf(view.q);
  if (sought.length) tests.push((row) => hasAll(searched(row), sought));
  return (row) => tests.every((test) => test(row));
}

/** How two rows compare; rows without the value come last, equal ones stay in the order of the file. */
function orderOf(sort) {
  if (!sort) return null;
  if (sort === "edit") {
    return (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.candidate - b.candidate || a.place - b.place);
  }
  const sign = sort.startsWith("-") ? -1 : 1;
  const column = sort.replace("-", "");
  return (a, b) => (a[column] === null) - (b[column] === null) || sign * (a[column] - b[column]) || a.place - b.place;
}

function rowsOfView(rows, view) {
  const shown = rows.filter(testOf(view));
  const order = orderOf(view.sort);
  return order ? shown.sort(order) : shown;
}
