// The source and the candidates: chosen, dropped or pasted, shown small, removable. Files stay in the browser
// until they are sent.

import { byId, el } from "./dom.js";

const TYPES = ["image/png", "image/jpeg", "image/webp"];
export const MAX_CANDIDATES = 64;

/** A picture to be sent: its file, the name to show, where to see it (until the page is left); for a bundled
 * sample its path, and what a good verifier says. */
export function picture(file, { name = file.name || "pasted picture", sample = null, expect = null } = {}) {
  return { file, name, url: URL.createObjectURL(file), sample, expect };
}

export class Pictures {
  /** `onSource` is called when the source is another than before, `onRefusal` with what could not be taken. */
  constructor({ onSource, onRefusal }) {
    this.source = null;
    this.candidates = [];
    this.onSource = onSource;
    this.onRefusal = onRefusal;
    this.listen(byId("source-zone"), byId("source-file"), (files) => this.takeSource(files));
    this.listen(byId("candidates-zone"), byId("candidates-file"), (files) => this.takeCandidates(files));
    document.addEventListener("paste", (event) => this.paste(event));
    // A picture dropped beside the zones would replace the page.
    for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  }

  /** Puts these in place of what was there. */
  replace(source, candidates) {
    this.source = source;
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
    if (inSource || (this.source === null && !inCandidates)) this.takeSource(files);
    else this.takeCandidates(files);
  }

  /** The first is the source; any others are candidates. */
  takeSource(files) {
    const [first, ...others] = this.accepted(files);
    if (first === undefined) return;
    this.source = picture(first);
    this.show();
    this.onSource();
    if (others.length > 0) this.takeCandidates(others);
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
    const source = this.source === null ? [] : [this.thumbnail(this.source, "Source", () => this.replace(null, this.candidates))];
    byId("source-thumbnails").replaceChildren(...source);
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
