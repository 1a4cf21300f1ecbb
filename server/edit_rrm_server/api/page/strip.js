// The strip on top: the service's state and how busy it is, asked every two seconds while the page is seen.

import { Problem, call } from "./api.js";
import { adviceFor } from "./advice.js";
import { byId, el, fillFacts } from "./dom.js";
import { jobsPerSecond, loadOf } from "./metrics.js";

const EVERY_MS = 2000;

export class Strip {
  /** `onModel` is told the name of the model that is ready, whenever it is another than before. */
  constructor(onModel) {
    this.onModel = onModel;
    this.model = null;
    this.last = null; // the load before, and when it was read
    this.metricsClosed = false;
    this.asking = false;
    this.timer = null;
    document.addEventListener("visibilitychange", () => this.ask());
  }

  /** Asks anew, with the key that is now kept. */
  keyChanged() {
    this.metricsClosed = false;
    this.ask();
  }

  async ask() {
    clearTimeout(this.timer);
    if (document.hidden || this.asking) return;
    this.asking = true;
    try {
      await Promise.all([this.askState(), this.askLoad()]);
    } finally {
      this.asking = false;
      this.timer = setTimeout(() => this.ask(), EVERY_MS);
    }
  }

  async askState() {
    try {
      const { model } = await (await call("ready")).json();
      this.show("ready", null);
      if (model !== this.model) {
        this.model = model;
        this.onModel();
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.show(error.code, error);
    }
  }

  show(state, problem) {
    const shown = byId("state");
    if (shown.textContent !== state) shown.textContent = state;
    shown.dataset.state = state;
    const notice = byId("state-notice");
    notice.hidden = problem === null;
    if (problem === null) return;
    notice.replaceChildren(
      el("strong", {}, problem.title),
      el("p", {}, adviceFor(problem.code)),
    );
  }

  async askLoad() {
    if (this.metricsClosed) return;
    let load;
    try {
      load = loadOf(await (await call("metrics")).text());
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.last = null;
      this.metricsClosed = error.wantsKey;
      fillFacts(byId("load"), [["load", error.wantsKey ? "closed without a key" : "not known"]]);
      return;
    }
    const now = performance.now();
    const rate = this.last && jobsPerSecond(this.last.load, load, (now - this.last.at) / 1000);
    this.last = { load, at: now };
    fillFacts(byId("load"), [
      ...Object.entries(load.waiting).map(([lane, jobs]) => [`${lane} queue`, String(jobs)]),
      ["in flight", String(load.inFlight)],
      ["jobs/s", rate === null ? "–" : rate.toFixed(1)],
    ]);
  }
}
