// The fold of options: what of the request is neither picture nor text.

import { byId } from "./dom.js";

export class Options {
  constructor() {
    this.sampling = null; // the checkpoint's defaults
    for (const id of ["temperature", "samples-count"]) byId(id).addEventListener("input", () => this.hint());
  }

  /** Fields of the request. */
  asFields() {
    const temperature = byId("temperature").valueAsNumber;
    const aggregator = byId("aggregator").value;
    return {
      samples: byId("samples-count").valueAsNumber,
      ...(Number.isNaN(temperature) ? {} : { sampling: { temperature } }),
      ...(aggregator ? { aggregator } : {}),
      guards: byId("guards").value,
    };
  }

  /** Puts those of an earlier request back. */
  take({ samples, sampling, aggregator, guards }) {
    byId("samples-count").value = String(samples);
    byId("temperature").value = sampling === undefined ? "" : String(sampling.temperature);
    byId("aggregator").value = aggregator ?? "";
    byId("guards").value = guards;
    this.hint();
  }

  knowDefaults(sampling) {
    this.sampling = sampling;
    this.hint();
  }

  hint() {
    const given = byId("temperature").valueAsNumber;
    const temperature = Number.isNaN(given) ? this.sampling?.temperature : given;
    byId("temperature").placeholder = this.sampling === null ? "" : String(this.sampling.temperature);
    const alike = temperature === 0 && byId("samples-count").valueAsNumber > 1;
    byId("temperature-hint").textContent = alike ? "At temperature 0 all samples are the same: set one above 0." : "";
  }
}
