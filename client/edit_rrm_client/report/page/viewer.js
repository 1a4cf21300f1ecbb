// The dialog where the pictures of one edit are looked at: source and edited image under one slider where the page
// has both, otherwise what it has.

const VIEWER = document.getElementById("viewer");
const COMPARE = new Compare();
new ResizeObserver(() => COMPARE.look(COMPARE.view)).observe(COMPARE.frame);

/** `pictures()` makes figures of all that the row has. */
function enlarge(row, pictures) {
  const sources = sourcesOf(row).filter((source) => source.index >= 0);
  const comparable = sources.length > 0 && row.edited >= 0;
  const chosen = make("select", { id: "viewer-source" },
    ...sources.map((source, place) => make("option", { value: String(place) }, source.label)));
  const show = () => {
    const source = sources[Number(chosen.value)];
    COMPARE.show({
      before: imageOf(source.index), beforeName: source.label,
      after: imageOf(row.edited), afterName: "edited", change: imageOf(row.change),
    });
  };
  chosen.addEventListener("change", show);
  VIEWER.replaceChildren(
    make("h3", {}, textOf(row.instruction)),
    comparable && sources.length > 1 ? make("p", {}, make("label", { for: "viewer-source" }, "Compare with "), chosen) : "",
    comparable ? COMPARE.element : make("div", { class: "pictures" }, ...pictures()),
    make("form", { method: "dialog" }, make("button", { type: "submit" }, "Close")));
  if (comparable) show();
  VIEWER.showModal();
  COMPARE.look({ zoom: 1, x: 0, y: 0 });
}
