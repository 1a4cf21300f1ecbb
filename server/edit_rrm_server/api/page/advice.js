// What a person can do about a problem: by code, in words.

const ADVICE = {
  loading: "Nothing to do: scores work as soon as the model is loaded. On a CPU the bundled model takes some ten seconds; a large one takes longer.",
  draining: "The service is shutting down and takes no new calls. Try again once it has been started anew.",
  engine_dead: "The engine is being restarted. If this stays, the service's log says why it died.",
  queue_full: "Others are served first; nothing of yours was queued. Fewer candidates or samples need less room.",
  rate_limited: "This caller has used up its calls for now.",
  deadline_exceeded: "Try fewer candidates or samples, or wait until the queue is shorter.",
  missing_key: "Enter the service's key above.",
  bad_key: "Enter another key above.",
  image_too_large: "Use smaller files; the limits are listed on top, under “What judges here”.",
  too_many_pixels: "Use smaller pictures; the limits are listed on top, under “What judges here”.",
  body_too_large: "Use fewer or smaller files; the limits are listed on top, under “What judges here”.",
  unsupported_image: "Save it as a still PNG, JPEG or WebP.",
  image_shape: "The picture is too small or too thin to be judged: crop or enlarge it.",
  broken_image: "The file is damaged, or no picture: open and save it again.",
  decomposition_failed: "If the picture is of that kind, add principles of your own, then score again.",
  trace_unparseable: "If the picture is of that kind, try fewer or plainer principles.",
  decomposition_truncated: "The model ran out of room for its principles. Add principles of your own, then score again.",
  trace_truncated: "The model ran out of room for its text. Try fewer principles, or set sampling.max_tokens higher.",
  unreachable: "See whether the service still runs, then try again.",
};

export function adviceFor(code) {
  return ADVICE[code] ?? "";
}
