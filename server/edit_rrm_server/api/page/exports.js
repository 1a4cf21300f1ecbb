// A scored request to take along: as curl, and its answer as a JSON file.

import { address, key } from "./api.js";
import { byId, el } from "./dom.js";

/** The sources and the candidates by the names of their parts, in order. */
export function namedParts(sources, candidates) {
  return {
    before: sources.map((source, index) => [index === 0 ? "source" : `source${index + 1}`, source]),
    edited: candidates.map((candidate, index) => [`candidate${index + 1}`, candidate]),
  };
}

/** Shell lines that send the same request. Bundled samples are fetched first; the key stays a variable. */
export function asCurl({ request, sources, candidates }) {
  const { before, edited } = namedParts(sources, candidates);
  const parts = [...before, ...edited];
  const samples = [...new Set(parts.map(([, { sample }]) => sample).filter((sample) => sample !== null))];
  const lines = samples.map((sample) => `curl -sSO ${quoted(address(sample))}`);
  const call = [
    `curl -sS ${quoted(address("v1/score"))}`,
    ...(key() ? ['-H "Authorization: Bearer $EDIT_RRM_API_KEY"'] : []),
    `--form-string ${quoted(`request=${JSON.stringify(request)}`)}`,
    ...parts.map(([part, { name }]) => `-F ${quoted(`${part}=@"${name.replace(/[\\"]/g, "\\$&")}"`)}`),
  ];
  return [...lines, call.join(" \\\n  ")].join("\n");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Hands a blob to the browser's downloads. */
export function download(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Wires the buttons that take the shown score along; `shown()` is that score. */
export function offerExports(shown) {
  byId("download").addEventListener("click", () => {
    const { answer } = shown();
    download(new Blob([`${JSON.stringify(answer, null, 2)}\n`], { type: "application/json" }), `edit-rrm-${answer.id}.json`);
  });
  byId("show-curl").addEventListener("click", () => {
    const open = byId("curl").toggleAttribute("hidden") === false;
    byId("show-curl").setAttribute("aria-expanded", String(open));
  });
  byId("copy-curl").addEventListener("click", async () => {
    byId("curl-text").select();
    try {
      await navigator.clipboard.writeText(byId("curl-text").value);
      byId("copied").textContent = "Copied.";
    } catch {
      byId("copied").textContent = "It is selected: press Ctrl + C.";
    }
  });
}
