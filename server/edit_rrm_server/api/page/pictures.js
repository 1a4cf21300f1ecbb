// The source (or several, where the judge takes them) and the candidates: chosen, dropped or pasted, shown small, removable. Files stay in the browser
// until they are sent.

import { byId, el } from "./dom.js";

const TYPES = ["image/png", "image/jpeg", "image/webp"];
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
  /** `onSource` is called when the sources are others than before, `onRefusal` with what could not be taken. */
  constructor({ onSource, onRefusal }) {
    this.sources = [];
    this.candidates = [];
    this.maxSources = 1;
    this.onSource = onSource;
    this.onRefusal = onRefusal;
    this.listen(byId("source-zone"), byId("source-file"), (files) => this.takeSources(files));
    this.listen(byId("candidates-zone"), byId("candidates-file"), (files) => this.takeCandidates(files));
    document.addEventListener("paste", (event) => this.paste(event));
    // A picture dropped beside the zones would replace the page.
    for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  }

  /** How many sources the judge takes: with more than one, another is added to those there are. */
  allowSources(count) {
    this.maxSources = count;
    this.show();
  }

  /** Puts these in place of what was there. */
  replace(sources, candidates) {
    this.sources = sources;
    this.candidates = candidates;
    this.show();
    this.onSource();
  }

  listen(zone, input, take) {
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    });
    zone.addEventListener("dragover", () => zone.classList.add("over"));
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      zone.classList.remove("over");
      take([...event.dataTransfer.files]);
    });
  }

  /** Into the zone that has the focus; else the first picture is the source, the others candidates. */
  paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return; // text, for a text field
    event.preventDefault();
    const inCandidates = byId("candidates-zone").contains(document.activeElement);
    const inSource = byId("source-zone").contains(document.activeElement);
    if (inSource) this.takeSources(files);
    else if (this.sources.length === 0 && !inCandidates) this.takeSources(files, 1);
    else this.takeCandidates(files);
  }

  /** With a room of one the first is the source, in place of what was there, and any others are candidates. */
  takeSources(files, room = this.maxSources) {
    const accepted = this.accepted(files);
    if (accepted.length === 0) return;
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

  takeCandidates(files) {
    const accepted = this.accepted(files);
    const room = MAX_CANDIDATES - this.candidates.length;
    if (accepted.length > room) this.onRefusal(`At most ${MAX_CANDIDATES} candidates are scored at once.`);
    this.candidates.push(...accepted.slice(0, room).map((file) => picture(file)));
    this.show();
  }

  accepted(files) {
    const refused = files.filter((file) => !TYPES.includes(file.type));
    if (refused.length > 0) {
      this.onRefusal(`Not a PNG, JPEG or WebP: ${refused.map((file) => file.name).join(", ")}`);
    }
    return files.filter((file) => TYPES.includes(file.type));
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
