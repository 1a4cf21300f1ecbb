// Where one candidate is looked at beside a source: before its score, and with what changed after it.

import { Compare } from "./compare.js";
import { byId, el } from "./dom.js";
import { sourceRole } from "./pictures.js";

export class Stage {
  constructor() {
    this.compare = new Compare();
    this.shown = null;
    this.chosen = byId("stage-source");
    this.chosen.addEventListener("change", () => this.refresh());
    byId("stage").append(this.compare.element);
    new ResizeObserver(() => this.compare.look(this.compare.view)).observe(this.compare.frame);
  }

  /** `number` is the candidate's place from one on, `change` the address of its change map or null. */
  show({ sources, candidate, number, change = null }) {
    this.shown = { sources, candidate, number, change };
    const options = sources.map(({ name }, place) => el("option", { value: String(place) }, `${sourceRole(sources, place)}: ${name}`));
    const kept = Number(this.chosen.value);
    this.chosen.replaceChildren(...options);
    this.chosen.value = String(kept < sources.length ? kept : 0);
    byId("stage-sources").hidden = sources.length < 2;
    this.refresh();
  }

  /** Nothing to compare: the place says what will be there. */
  clear() {
    byId("stage").hidden = true;
    byId("stage-empty").hidden = false;
  }

  refresh() {
    byId("stage").hidden = false;
    byId("stage-empty").hidden = true;
    const { sources, candidate, number, change } = this.shown;
    const place = Number(this.chosen.value);
    this.compare.show({
      before: sources[place].url, beforeName: `${sourceRole(sources, place)}: ${sources[place].name}`,
      after: candidate.url, afterName: `Candidate ${number}: ${candidate.name}`, change,
    });
  }
}
