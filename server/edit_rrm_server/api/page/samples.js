// The bundled sample edits as buttons. Samples of one instruction can be taken together, to be compared.

import { call } from "./api.js";
import { byId, el, plural } from "./dom.js";
import { picture } from "./pictures.js";

const FOLDER = "page/samples/";

/** Fills the list of samples; `onChosen({instruction, source, candidates})` is given pictures. */
export async function offerSamples(onChosen) {
  const edits = await (await call(`${FOLDER}edits.json`)).json();
  const choose = async (chosen) =>
    onChosen({
      instruction: chosen[0].instruction,
      source: await fetched(chosen[0].source),
      candidates: await Promise.all(chosen.map((edit) => fetched(edit.edited, edit.expect))),
    });
  const single = edits.map((edit) =>
    el("button", { type: "button", class: "sample", click: () => choose([edit]) },
      el("img", { src: FOLDER + edit.edited, alt: "", width: "48", height: "48" }),
      el("span", {}, edit.title),
    ),
  );
  const together = groups(edits).map((group) =>
    el("button", { type: "button", class: "sample", click: () => choose(group) },
      `Compare ${plural(group.length, "edit")}: ${group[0].instruction}`),
  );
  byId("samples").replaceChildren(...single, ...together);
}

function groups(edits) {
  const byEdit = new Map();
  for (const edit of edits) {
    const asked = `${edit.source} ${edit.instruction}`;
    byEdit.set(asked, [...(byEdit.get(asked) ?? []), edit]);
  }
  return [...byEdit.values()].filter((group) => group.length > 1);
}

async function fetched(path, expect = null) {
  const file = await (await call(FOLDER + path)).blob();
  return picture(file, { name: path.split("/").at(-1), sample: FOLDER + path, expect });
}
