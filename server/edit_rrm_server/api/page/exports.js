// A scored request to take along: as curl, and its answer as a JSON file.

import { address, key } from "./api.js";
import { el } from "./dom.js";

/** Shell lines that send the same request. Bundled samples are fetched first; the key stays a variable. */
export function asCurl({ request, parts }) {
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

export function downloadJson(answer) {
  const file = new Blob([`${JSON.stringify(answer, null, 2)}\n`], { type: "application/json" });
  const link = el("a", { href: URL.createObjectURL(file), download: `edit-rrm-${answer.id}.json` });
  link.click();
  URL.revokeObjectURL(link.href);
}
