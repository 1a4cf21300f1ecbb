// Prometheus text → how busy the service is. Pure: no DOM, no network.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of the metrics named, as {name, labels, value}. */
export function parse(text, names) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (found === null || !names.includes(found[1])) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(LABEL)].map((pair) => [pair[1], pair[2]]));
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

/** Jobs waiting by lane, jobs in the engine, and jobs started since the service did. */
export function loadOf(text) {
  const load = { waiting: {}, inFlight: 0, started: 0 };
  const names = ["edit_rrm_queue_jobs", "edit_rrm_jobs_in_flight", "edit_rrm_window_occupancy_count"];
  for (const { name, labels, value } of parse(text, names)) {
    if (name === names[0]) load.waiting[labels.lane] = value;
    else if (name === names[1]) load.inFlight = value;
    else load.started = value;
  }
  return load;
}

/** Jobs started a second between two loads; null when the service began anew in between. */
export function jobsPerSecond(before, after, elapsedS) {
  const jobs = after.started - before.started;
  return jobs < 0 || elapsedS <= 0 ? null : jobs / elapsedS;
}
