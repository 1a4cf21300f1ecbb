// Ties data, summary, filters and cards together. The address after # holds the view, so a link restores it.

const ROWS = DATA.rows.map(rowOf);
const FORM = document.getElementById("filters");
const NAMES = [...new Set([...FORM.elements].map((element) => element.name).filter(Boolean))];
const QUESTIONS = 50; // offered to choose from
let shown = [];

function start() {
  document.getElementById("title").textContent = DATA.title;
  document.getElementById("facts").textContent = DATA.facts;
  document.getElementById("notes").append(...DATA.notes.map((note) => make("li", {}, note)));
  fill("model", DATA.models);
  fill("category", DATA.categories);
  document.getElementById("questions").append(...mostAsked().map((question) => make("option", { value: question })));
  showSummary(DATA.summary, filterBy);
  FORM.addEventListener("submit", (event) => event.preventDefault());
  FORM.addEventListener("input", () => { FORM.elements.page.value = ""; refresh(); });
  FORM.addEventListener("reset", (event) => { event.preventDefault(); restore({}); refresh(); });
  window.addEventListener("hashchange", () => { restore(viewOfHash(location.hash, NAMES)); refresh(false); });
  for (const control of document.querySelectorAll("[data-go]")) {
    control.addEventListener("click", (event) => { event.preventDefault(); go(control.dataset.go); });
  }
  restore(viewOfHash(location.hash, NAMES));
  refresh(false);
  if (location.hash.length > 1) go("gallery");
}

function fill(name, options) {
  FORM.elements[name].append(make("option", { value: "" }, "all"),
    ...options.map((option, index) => make("option", { value: String(index) }, named(option))));
}

/** The questions asked of the most rows, to choose from. */
function mostAsked() {
  const rows = new Map();
  for (const { verdicts } of ROWS) {
    for (let at = 0; at < verdicts.length; at += 4) {
      const question = textOf(DATA.principles[verdicts[at]][0]);
      rows.set(question, (rows.get(question) ?? 0) + 1);
    }
  }
  return [...rows].sort((one, other) => other[1] - one[1]).slice(0, QUESTIONS).map(([question]) => question);
}

function go(id) {
  const section = document.getElementById(id);
  section.focus({ preventScroll: true });
  section.scrollIntoView();
}

/** Puts a view into the form; what it does not name is cleared. */
function restore(view) {
  for (const name of NAMES) FORM.elements[name].value = view[name] ?? "";
}

/** Replaces the view and brings the edits into sight. */
function filterBy(view) {
  restore(view);
  refresh();
  go("gallery");
}

const currentView = () => Object.fromEntries(NAMES.map((name) => [name, FORM.elements[name].value]));

function refresh(keepAddress = true) {
  const view = currentView();
  shown = rowsOfView(ROWS, view);
  const pages = Math.max(1, Math.ceil(shown.length / PAGE_ROWS));
  const page = Math.min(Math.max(1, Number.parseInt(view.page, 10) || 1), pages);
  const hash = hashOfView({ ...view, page: String(page) }, NAMES);
  if (keepAddress) history.replaceState(null, "", hash);
  document.getElementById("link").setAttribute("href", hash);
  document.getElementById("count").replaceChildren(...countWords(view));
  const first = (page - 1) * PAGE_ROWS;
  document.getElementById("cards").replaceChildren(
    ...shown.slice(first, first + PAGE_ROWS).map((row) => cardOf(row, filterBy, wordsOf(view.principle))));
  for (const pager of document.querySelectorAll(".pager")) showPager(pager, page, pages);
}

function countWords(view) {
  const scored = shown.filter((row) => row.ok);
  const mean = scored.length ? scored.reduce((sum, row) => sum + row.reward, 0) / scored.length : null;
  const words = [`${whole(shown.length)} of ${whole(ROWS.length)} rows` + (mean === null ? "" : `, mean reward ${mean.toFixed(3)}`)];
  if (view.edit) {
    words.push(", edit ", make("strong", {}, view.edit), " ",
      make("button", { type: "button", onclick: () => { FORM.elements.edit.value = ""; refresh(); } }, "Show all edits"));
  }
  return words;
}

function showPager(pager, page, pages) {
  if (pages === 1) { pager.replaceChildren(); return; }
  const turn = (label, to) => make("button", {
    type: "button", disabled: to < 1 || to > pages || to === page,
    onclick: () => { FORM.elements.page.value = String(to); refresh(); go("gallery"); },
  }, label);
  pager.replaceChildren(turn("First", 1), turn("Previous", page - 1),
    make("span", {}, `Page ${whole(page)} of ${whole(pages)}`), turn("Next", page + 1), turn("Last", pages));
}

start();
