// The upper half of the page: tables and plots of statistics that Python has already computed.

/** The models from the best mean reward to the worst, as Python ordered them. */
const ranked = (summary) => summary.models.filter((group) => group.model !== null).map((group) => group.model);

function showSummary(summary, filterBy) {
  document.getElementById("models-table").append(modelsTable(summary, filterBy));
  const categories = categoriesTable(summary, filterBy);
  if (categories) document.getElementById("categories-table").append(categories);
  else {
    document.getElementById("categories-title").remove();
    document.getElementById("categories-table").remove();
  }
  document.getElementById("plots").append(...summary.distributions.map((model) => plotsOf(model, summary)));
  document.getElementById("pass-table").append(passTable(summary));
  document.getElementById("failures-table").append(failuresTable(summary, filterBy));
}

function tableOf(headings, rows) {
  return make("table", {},
    make("thead", {}, make("tr", {}, ...headings.map((heading) => make("th", { scope: "col" }, heading)))),
    make("tbody", {}, ...rows));
}

const heading = (content) => make("th", { scope: "row" }, content);
const press = (label, state, filterBy) =>
  make("button", { type: "button", class: "plain", onclick: () => filterBy(state) }, label);
const bracket = (interval, digits) =>
  (interval ? `[${interval[0].toFixed(digits)}, ${interval[1].toFixed(digits)}]` : "no interval");

function modelsTable(summary, filterBy) {
  const headings = ["Model", "Mean reward", "Mean score", "Disagreement", "Edits", "Rows", "Scored", "Failed"];
  const rows = summary.models.map((group) => {
    const total = group.model === null;
    const name = total ? "All models" : press(named(DATA.models[group.model]), { model: String(group.model) }, filterBy);
    return make("tr", { class: total ? "total" : null }, heading(name),
      make("td", {}, fixed(group.reward, 3), make("small", {}, bracket(group.interval, 3))),
      make("td", {}, fixed(group.score, 2)), make("td", {}, fixed(group.disagreement, 2)),
      make("td", {}, whole(group.edits)), make("td", {}, whole(group.rows)), make("td", {}, whole(group.scored)),
      make("td", {}, group.failed ? make("span", { class: "failed" }, whole(group.failed)) : "0"));
  });
  return tableOf(headings, rows);
}

function categoriesTable(summary, filterBy) {
  if (DATA.categories.length < 2) return null;
  const models = ranked(summary);
  const cells = new Map(summary.cells.map((group) => [group.category + "/" + group.model, group]));
  const rows = DATA.categories.map((category, index) => make("tr", {},
    heading(press(named(category), { category: String(index) }, filterBy)),
    ...models.map((model) => {
      const group = cells.get(index + "/" + model);
      if (!group) return make("td", {}, "–");
      return make("td", {},
        press(fixed(group.reward, 3), { category: String(index), model: String(model) }, filterBy),
        make("small", {}, `${bracket(group.interval, 2)} n=${whole(group.scored)}`),
        group.failed ? make("small", { class: "failed" }, `${whole(group.failed)} failed`) : null);
    })));
  return tableOf(["Edit category", ...models.map((model) => named(DATA.models[model]))], rows);
}

const WIDTH = 400;
const HEIGHT = 74;
const LEFT = 34;

function plotsOf(model, summary) {
  const plots = [["Reward", model.reward, 1, 2], ["Score", model.score, 10, 1]];
  return make("div", { class: "plot" }, make("h3", {}, named(DATA.models[model.model])),
    make("div", {}, ...plots.map(([name, distribution, top, digits]) => {
      const tallest = summary.tallest[name.toLowerCase()];
      const words = distribution.n === 0 ? `${name}: nothing scored`
        : `${name}: mean ${distribution.mean.toFixed(digits)}, quarters at ` +
          `${distribution.quartiles.map((value) => value.toFixed(digits)).join(", ")}, n=${whole(distribution.n)}`;
      return make("figure", {}, histogram(distribution, top, tallest, words), make("figcaption", {}, words));
    })));
}

function histogram(distribution, top, tallest, words) {
  const scale = (WIDTH - LEFT - 8) / distribution.counts.length;
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 16}`, role: "img", "aria-label": words });
  svg.append(draw("text", { x: LEFT - 4, y: 11, "text-anchor": "end" }, Math.round(100 * tallest) + " %"));
  distribution.counts.forEach((count, bin) => {
    const height = distribution.n ? (HEIGHT - 4) * count / distribution.n / tallest : 0;
    const from = (top * bin / distribution.counts.length).toFixed(2);
    const to = (top * (bin + 1) / distribution.counts.length).toFixed(2);
    svg.append(draw("rect", {
      class: "bar", x: LEFT + bin * scale + .75, y: HEIGHT - height, width: scale - 1.5, height,
    }, draw("title", {}, `${from} to ${to}: ${whole(count)}`)));
  });
  svg.append(draw("line", { class: "axis", x1: LEFT, x2: WIDTH - 8, y1: HEIGHT + .5, y2: HEIGHT + .5 }));
  for (const part of [0, .5, 1]) {
    svg.append(draw("text", { x: LEFT + part * (WIDTH - LEFT - 8), y: HEIGHT + 13, "text-anchor": "middle" },
      String(part * top)));
  }
  if (distribution.n) {
    const x = LEFT + distribution.mean / top * (WIDTH - LEFT - 8);
    svg.append(draw("line", { class: "mean", x1: x, x2: x, y1: 0, y2: HEIGHT }));
  }
  return svg;
}

function passTable(summary) {
  const rates = new Map(summary.pass_rates.map((rate) => [rate.model + "/" + rate.category, rate]));
  const rows = ranked(summary).map((model) => make("tr", {}, heading(named(DATA.models[model])),
    ...PRINCIPLE_CATEGORIES.map((category) => {
      const rate = rates.get(model + "/" + category);
      if (!rate) return make("td", {}, "–");
      return make("td", {}, rate.share.toFixed(3), passBar(rate, category),
        make("small", {}, `${bracket(rate.interval, 3)} n=${whole(rate.verdicts)}`));
    })));
  return tableOf(["Model", ...PRINCIPLE_CATEGORIES], rows);
}

function passBar(rate, category) {
  const [low, high] = rate.interval;
  return draw("svg", { viewBox: "0 0 100 8", "aria-hidden": "true" },
    draw("rect", { class: "track", width: 100, height: 8, rx: 2 }),
    draw("rect", { class: category, width: 100 * rate.share, height: 8, rx: 2 }),
    draw("line", { class: "whisker", x1: 100 * low, x2: 100 * high, y1: 4, y2: 4 }));
}

function failuresTable(summary, filterBy) {
  if (summary.failures.length === 0 && summary.guards.length === 0) {
    return make("p", { class: "nothing" }, "No edit failed and no guard triggered.");
  }
  const failed = summary.failures.map((failure) => make("tr", {}, heading(failure.code),
    make("td", {}, "failed"), make("td", {}, named(DATA.models[failure.model])),
    make("td", {}, press(whole(failure.rows), { model: String(failure.model), outcome: "error" }, filterBy))));
  const guarded = summary.guards.map((guard) => make("tr", {}, heading(guard.name),
    make("td", {}, "guard"), make("td", {}, named(DATA.models[guard.model])),
    make("td", {}, press(whole(guard.rows), { model: String(guard.model), outcome: "guard" }, filterBy))));
  return tableOf(["Code or guard", "Kind", "Model", "Rows"], [...failed, ...guarded]);
}
