// The principles, to be read and edited: text, category, weight, order. Where they come from is part of them.

import { byId, el } from "./dom.js";

const MAX_PRINCIPLES = 32;
const WRITTEN = {
  none: "None yet: the model writes them from source and instruction, before it sees a candidate.",
  model: "Written by the model. Edit them and score again to ask what you want to know.",
  cache: "Written by the model for an earlier call. Edit them and score again to ask what you want to know.",
  yours: "Yours. Weights count for weighted_mean, soft and gated; model_score is the model's own.",
  stale: "Written for another source or instruction; they are asked for anew with the next score.",
  "yours, stale": "Yours, written before source or instruction changed: ask the model for new ones if they no longer fit.",
};

export class Principles {
  constructor() {
    this.rows = []; // {question, category, weight}
    this.categories = ["follow", "keep", "quality"];
    this.setOrigin("none");
    byId("add-principle").addEventListener("click", () => this.add());
  }

  /** Whether the next score must ask the model first. */
  get wanted() {
    return this.needed && (this.rows.length === 0 || this.origin === "none" || this.origin === "stale");
  }

  /** Whether the judge asks by principles; one with questions of its own takes none. */
  get needed() {
    return !byId("principles-part").hidden;
  }

  set needed(needed) {
    byId("principles-part").hidden = !needed;
  }

  /** The request's field, as the API takes it: ids by position; none for a judge that takes none. */
  asField() {
    return this.needed ? { principles: this.rows.map((row, index) => ({ id: `p${index + 1}`, ...row })) } : {};
  }

  /** Shows what the model wrote. */
  take(principles, origin) {
    this.rows = principles.map(({ question, category, weight }) => ({ question, category, weight }));
    this.setOrigin(origin);
    this.show();
  }

  /** Source or instruction changed: the model's principles are out of date, a person's are kept. */
  outdate() {
    if (this.origin === "model" || this.origin === "cache") this.setOrigin("stale");
    if (this.origin === "yours") this.setOrigin("yours, stale");
  }

  /** The first field that the API would refuse, or null. */
  firstInvalid() {
    return byId("principles").querySelector(":invalid");
  }

  add() {
    if (this.rows.length === MAX_PRINCIPLES) return;
    this.rows.push({ question: "", category: this.categories[0], weight: 1 });
    this.edited();
    this.show();
    this.focus(this.rows.length - 1, "question");
  }

  edited() {
    this.setOrigin("yours");
  }

  setOrigin(origin) {
    this.origin = Object.hasOwn(WRITTEN, origin) ? origin : "yours"; // a saved file may say anything
    byId("principles-origin").textContent = WRITTEN[this.origin];
  }

  move(index, by) {
    const [row] = this.rows.splice(index, 1);
    this.rows.splice(index + by, 0, row);
    this.edited();
    this.show();
    const way = by < 0 ? "up" : "down";
    this.focus(index + by, this.button(index + by, way).disabled ? "remove" : way);
  }

  remove(index) {
    this.rows.splice(index, 1);
    if (this.rows.length === 0) this.setOrigin("none");
    else this.edited();
    this.show();
    if (this.rows.length > 0) this.focus(Math.min(index, this.rows.length - 1), "remove");
    else byId("add-principle").focus();
  }

  button(index, name) {
    return byId("principles").children[index].querySelector(`[data-does="${name}"]`);
  }

  focus(index, name) {
    this.button(index, name).focus();
  }

  show() {
    byId("principles-count").textContent = this.rows.length === 0 ? "" : `(${this.rows.length})`;
    byId("principles").replaceChildren(...this.rows.map((row, index) => this.row(row, index)));
    byId("add-principle").disabled = this.rows.length === MAX_PRINCIPLES;
  }

  row(row, index) {
    const number = index + 1;
    const change = (name, read) => (event) => {
      row[name] = read(event.target);
      this.edited();
    };
    const category = el("select", { "aria-label": `Category of principle ${number}`, change: change("category", (field) => field.value) },
      ...this.categories.map((name) => el("option", {}, name)));
    category.value = row.category;
    const tool = (does, sign, label, click, disabled = false) =>
      el("button", { type: "button", class: "small", "data-does": does, "aria-label": label, disabled, click }, sign);
    return el("li", {},
      el("input", {
        type: "text", class: "question", value: row.question, maxlength: "1000", required: true, "data-does": "question",
        "aria-label": `Question of principle ${number}`, input: change("question", (field) => field.value),
      }),
      category,
      el("label", { class: "weight" }, "weight ",
        el("input", {
          type: "number", min: "0.01", max: "100", step: "any", required: true, value: String(row.weight),
          "aria-label": `Weight of principle ${number}`, input: change("weight", (field) => field.valueAsNumber),
        })),
      el("span", { class: "tools" },
        tool("up", "↑", `Move principle ${number} up`, () => this.move(index, -1), index === 0),
        tool("down", "↓", `Move principle ${number} down`, () => this.move(index, 1), index === this.rows.length - 1),
        tool("remove", "×", `Remove principle ${number}`, () => this.remove(index))),
    );
  }
}
