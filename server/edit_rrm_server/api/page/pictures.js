// The source (or several, where the judge takes them) and the candidates: chosen, dropped or pasted, looked at,
// shown small, removable. Files stay in the browser until they are sent.

import { byId, el } from "./dom.js";
import { refusalOf } from "./intake.js";

export const MAX_CANDIDATES = 64;

/** A picture to be sent: its file, the name to show, where to see it (until the page is left); for a bundled
 * sample its path, and what a good verifier says. */
export function picture(file, { name = file.name || "pasted picture", sample = null, expect = null } = {}) {
  return { file, name, url: URL.createObjectURL(file), sample, expect };
}

/** What a source is called beside the others. */
export function sourceRole(sources, index) {
  return sources.length > 1 ? `Source ${index + 1}` : "Source";
}

export class Pictures {
  /** `onSource` is called when the sources are others than before, `onRefusal` with what could not be taken,
   * `onShown` whenever the pictures are others. */
  constructor({ onSource, onRefusal, onShown }) {
    this.sources = [];
    this.candidates = [];
    this.maxSources = 1;
    this.limits = null; // of GET /v1/models
    this.settled = Promise.resolve(); // when all that was chosen was looked at
    Object.assign(this, { onSource, onRefusal, onShown });
    this.listen(byId("source-zone"), byId("source-file"), (files) => this.takeSources(files));
    this.listen(byId("candidates-zone"), byId("candidates-file"), (files) => this.takeCandidates(files));
    document.addEventListener("paste", (event) => this.paste(event));
    // A picture dropped beside the zones would replace the page; it is taken as one that is pasted.
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.target.closest(".zone") === null) this.takeFreely([...event.dataTransfer.files]);
    });
  }

  /** What the judge takes: of more than one source, another is added to those there are. */
  allow({ max_sources, limits }) {
    this.maxSources = max_sources;
    this.limits = limits;
    this.show();
  }

  /** Puts these in place of what was there. */
  replace(sources, candidates) {
    this.sources = sources;
    this.candidates = candidates;
    this.show();
    this.onShown();
    this.onSource();
  }

  listen(zone, input, take) {
    const checked = (files) => this.afterALook(files, take);
    input.addEventListener("change", () => {
      checked([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    });
    zone.addEventListener("dragover", () => zone.classList.add("over"));
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      zone.classList.remove("over");
      checked([...event.dataTransfer.files]);
    });
  }

  /** Into the zone that has the focus. */
  paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return; // text, for a text field
    event.preventDefault();
    if (byId("source-zone").contains(document.activeElement)) this.afterALook(files, (accepted) => this.takeSources(accepted));
    else if (byId("candidates-zone").contains(document.activeElement)) this.afterALook(files, (accepted) => this.takeCandidates(accepted));
    else this.takeFreely(files);
  }

  /** Without a source the first picture is it; the others are candidates. */
  takeFreely(files) {
    this.afterALook(files, (accepted) => {
      if (this.sources.length === 0) this.takeSources(accepted, 1);
      else this.takeCandidates(accepted);
    });
  }

  /** Gives `take` those of the files that are pictures the service takes, and names the others; in the order
   * in which they came. */
  afterALook(files, take) {
    this.settled = this.settled.then(async () => {
      const refusals = await Promise.all(files.map((file) => refusalOf(file, this.limits)));
      const named = files.flatMap(({ name }, place) =>
        (refusals[place] === null ? [] : [`${name || "The pasted picture"} ${refusals[place]}.`]));
      if (named.length > 0) this.onRefusal(named.join(" "));
      const accepted = files.filter((_, place) => refusals[place] === null);
      if (accepted.length > 0) take(accepted);
    });
  }

  /** With a room of one the first is the source, in place of what was there, and any others are candidates. */
  takeSources(accepted, room = this.maxSources) {
    if (room === 1) {
      this.replace([picture(accepted[0])], this.candidates);
      if (accepted.length > 1) this.takeCandidates(accepted.slice(1));
      return;
    }
    const left = Math.max(0, room - this.sources.length);
    if (accepted.length > left) this.onRefusal(`The judge takes at most ${room} sources.`);
    if (left === 0) return;
    this.replace([...this.sources, ...accepted.slice(0, left).map((file) => picture(file))], this.candidates);
  }

  takeCandidates(accepted) {
    const room = MAX_CANDIDATES - this.candidates.length;
    if (accepted.length > room) this.onRefusal(`At most ${MAX_CANDIDATES} candidates are scored at once.`);
    this.candidates.push(...accepted.slice(0, room).map((file) => picture(file)));
    this.show();
    this.onShown();
  }

  show() {
    byId("source-thumbnails").replaceChildren(
      ...this.sources.map((source, index) =>
        this.thumbnail(source, sourceRole(this.sources, index), () =>
          this.replace(this.sources.filter((other) => other !== source), this.candidates)),
      ),
    );
    const several = this.maxSources > 1;
    byId("source-file").multiple = several;
    byId("source-choose").textContent = several && this.sources.length > 0 ? "Add another source" : "Choose the source";
    byId("source-choose").parentElement.hidden = several && this.sources.length >= this.maxSources;
    byId("candidates-thumbnails").replaceChildren(
      ...this.candidates.map((candidate, index) =>
        this.thumbnail(candidate, `Candidate ${index + 1}`, () => {
          this.candidates.splice(index, 1);
          this.show();
          this.onShown();
          byId("candidates-file").focus();
        }),
      ),
    );
  }

  thumbnail({ url, name }, role, remove) {
    return el("figure", {},
      el("img", { src: url, alt: `${role}: ${name}` }),
      el("figcaption", {}, name),
      el("button", { type: "button", class: "small", "aria-label": `Remove ${role.toLowerCase()}: ${name}`, click: remove }, "×"),
    );
  }
}
