// Building elements. Text becomes text nodes, always: nothing here or elsewhere parses markup.

/** An element: functions in `attributes` are listeners of that event, booleans toggle, null is left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Scrolls to an element unless `needed` pixels from its top on are in sight. */
export function reveal(node, needed = Math.min(node.getBoundingClientRect().height, 200)) {
  const { top } = node.getBoundingClientRect();
  if (top < 0 || top + needed > innerHeight) node.scrollIntoView({ block: "start" });
}

export function byId(id) {
  return document.getElementById(id);
}

/** The rows of a <dl>, from pairs of term and description. */
export function fillFacts(list, pairs) {
  list.replaceChildren(...pairs.map(([term, text]) => el("div", {}, el("dt", {}, term), " ", el("dd", {}, text))));
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** Seconds as a person reads them. */
export function seconds(value) {
  return value < 0.0005 ? "0 s" : value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(1)} s`;
}
