// What was scored since the page was opened, newest first; saved as a file and loaded again. The service keeps none.

import { byId, el, plural } from "./dom.js";
import { download } from "./exports.js";
import { HistoryFileError, read, written } from "./history_file.js";
import { bestReward } from "./results.js";

const MOST = 100; // older ones make room: their pictures are in this tab's memory

export class History {
  /** `onBack` is given a score that is to be shown again, `onRefusal` what could not be loaded; `limits()` are
   * those of GET /v1/models. */
  constructor({ onBack, onRefusal, limits }) {
    this.entries = [];
    this.shown = null;
    this.onBack = onBack;
    byId("history-save").addEventListener("click", async () => download(await written(this.entries), "edit-rrm-history.json"));
    byId("history-file").addEventListener("change", async ({ target }) => {
      const [file] = target.files;
      target.value = "";
      try {
        const loaded = await read(file, limits());
        this.keep([...this.entries, ...loaded], this.shown);
        byId("history-told").textContent = `${plural(loaded.length, "score")} loaded.`;
      } catch (error) {
        if (!(error instanceof HistoryFileError)) throw error;
        onRefusal(`${file.name} ${error.message}.`);
      }
    });
  }

  add(scored) {
    this.keep([scored, ...this.entries], scored);
  }

  keep(entries, shown) {
    this.entries = entries.slice(0, MOST);
    this.shown = shown;
    byId("history-count").textContent = entries.length > MOST ? `the last ${MOST}` : String(entries.length);
    byId("history-save").disabled = entries.length === 0;
    byId("history-entries").replaceChildren(...this.entries.map((entry) => el("li", {}, this.button(entry))));
  }

  button(entry) {
    const { answer, request, sources, candidates, at } = entry;
    const rewards = answer.results.flatMap(({ status, reward }) => (status === "ok" ? [reward] : []));
    const best = rewards.length > 0 ? Math.max(...rewards) : null;
    const chosen = Math.max(0, answer.results.findIndex(({ reward }) => reward === best));
    const of = bestReward(answer.results) === null ? "" : ` best of ${rewards.length}`;
    return el("button", {
      type: "button", class: "entry", "aria-current": entry === this.shown ? "true" : null,
      click: () => {
        this.onBack(entry);
        this.keep(this.entries, entry);
        byId("history-entries").querySelector("[aria-current]").focus();
      },
    },
    el("img", { src: sources[0].url, alt: "" }), el("img", { src: candidates[chosen].url, alt: "" }),
    el("span", { class: "instruction" }, request.instruction),
    el("span", { class: "number" }, best === null ? "not scored" : best.toFixed(2)),
    el("span", { class: "hint" }, `${at.toLocaleString()}${of}`));
  }
}
