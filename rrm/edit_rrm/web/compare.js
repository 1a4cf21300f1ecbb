// Before and after in one frame: a slider between them, zoom and pan, what changed on top. It knows nothing else of
// its page.

const MOST_ZOOM = 32, ZOOM_STEP = 1.25, PAN_STEP = 40, HANDLE_REACH = 24;
const NARROWEST = 1, WIDEST = 2; // shapes of the frame, width by height
const IN_WORDS = "plus and minus zoom, arrows move, 0 fits the frame";

/** A view {zoom, x, y} (x, y: pixels of the frame by which its middle is moved) within its bounds. */
export function bounded({ zoom, x, y }, width, height) {
  const kept = Math.min(Math.max(zoom, 1), MOST_ZOOM);
  const within = (value, side) => Math.min(Math.max(value, -(kept - 1) * side / 2), (kept - 1) * side / 2);
  return { zoom: kept, x: within(x, width), y: within(y, height) };
}

/** The view after a zoom by `factor` that leaves in place what is at `x`, `y`, counted from the frame's middle. */
export function zoomedAt(view, factor, x, y) {
  const zoom = Math.min(Math.max(view.zoom * factor, 1), MOST_ZOOM);
  const by = zoom / view.zoom;
  return { zoom, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
}

/** `element` is to be put into a page; `show` says what is in it. */
export class Compare {
  constructor() {
    this.view = { zoom: 1, x: 0, y: 0 };
    this.cut = 50; // per cent of the frame that show the picture before
    this.pointer = null;
    this.before = layer("before");
    this.after = layer("after");
    this.change = layer("change");
    this.line = document.createElement("div");
    this.line.className = "cut";
    this.frame = document.createElement("div");
    this.frame.className = "compare-frame";
    this.frame.tabIndex = 0;
    this.frame.setAttribute("role", "group");
    this.before.picture.addEventListener("load", () => this.shape());
    this.frame.append(this.before.part, this.after.part, this.change.part, this.line);
    this.slider = document.createElement("input");
    Object.assign(this.slider, { type: "range", min: "0", max: "100", step: "any", value: "50" });
    this.slider.setAttribute("aria-label", "Before and after: how much of the frame shows the picture before");
    this.changed = button("What changed", "Show what changed", () => this.showChange(this.change.part.hidden));
    this.zoomed = document.createElement("output");
    this.tools = document.createElement("div");
    this.tools.className = "compare-tools";
    this.tools.append(
      button("−", "Zoom out", () => this.zoom(1 / ZOOM_STEP)), this.zoomed, button("+", "Zoom in", () => this.zoom(ZOOM_STEP)),
      button("Fit", "Fit the frame", () => this.look({ zoom: 1, x: 0, y: 0 })), this.changed);
    this.element = document.createElement("div");
    this.element.className = "compare";
    this.element.append(this.frame, this.slider, this.tools);
    this.listen();
    this.slide(50);
    this.look(this.view);
  }

  /** Addresses and names of the pictures; `change` may be null. Zoom and slider stay as they are. */
  show({ before, after, change = null, beforeName, afterName }) {
    this.before.put(before, beforeName);
    this.after.put(after, afterName);
    this.change.put(change, `What changed: ${afterName}`);
    this.frame.setAttribute("aria-label", `${beforeName} and ${afterName}; ${IN_WORDS}`);
    this.changed.hidden = change === null;
    this.showChange(change !== null && this.changed.getAttribute("aria-pressed") === "true");
  }

  /** Tells the page's style the shape of the picture before, which the frame takes unless it is extreme. */
  shape() {
    const { naturalWidth, naturalHeight } = this.before.picture;
    const shape = Math.min(Math.max(naturalWidth / naturalHeight, NARROWEST), WIDEST);
    this.element.style.setProperty("--shape", String(shape));
  }

  showChange(shown) {
    this.change.part.hidden = !shown;
    this.changed.setAttribute("aria-pressed", String(shown));
    this.element.classList.toggle("changes", shown);
  }

  /** Moves the line; `cut` is a per cent of the frame's width. */
  slide(cut) {
    this.cut = Math.min(Math.max(cut, 0), 100);
    this.slider.value = String(this.cut);
    this.slider.setAttribute("aria-valuetext", `${Math.round(this.cut)} % before`);
    this.line.style.insetInlineStart = `${this.cut}%`;
    for (const { part } of [this.after, this.change]) part.style.clipPath = `inset(0 0 0 ${this.cut}%)`;
  }

  look(view) {
    this.view = bounded(view, this.frame.clientWidth, this.frame.clientHeight);
    const { zoom, x, y } = this.view;
    for (const { picture } of [this.before, this.after, this.change]) {
      picture.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    }
    this.zoomed.textContent = `${Math.round(zoom * 100)} %`;
    this.element.classList.toggle("zoomed", zoom > 1);
  }

  zoom(factor, x = 0, y = 0) {
    this.look(zoomedAt(this.view, factor, x, y));
  }

  pan(x, y) {
    this.look({ zoom: this.view.zoom, x: this.view.x + x, y: this.view.y + y });
  }

  listen() {
    const { frame } = this;
    this.slider.addEventListener("input", () => this.slide(Number(this.slider.value)));
    frame.addEventListener("wheel", (event) => {
      if (event.deltaY > 0 && this.view.zoom === 1) return; // nothing to zoom out of: the page scrolls
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      this.zoom(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP,
        event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const box = frame.getBoundingClientRect();
      const fromLine = Math.abs(event.clientX - box.left - (box.width * this.cut) / 100);
      this.pointer = { slides: this.view.zoom === 1 || fromLine < HANDLE_REACH, x: event.clientX, y: event.clientY };
      frame.setPointerCapture(event.pointerId);
      this.moved(event);
    });
    frame.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { this.pointer = null; });
    frame.addEventListener("keydown", (event) => {
      const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : this.keys()[event.key];
      if (act === undefined) return;
      event.preventDefault();
      act();
    });
  }

  moved(event) {
    if (this.pointer === null) return;
    const box = this.frame.getBoundingClientRect();
    if (this.pointer.slides) this.slide((100 * (event.clientX - box.left)) / box.width);
    else this.pan(event.clientX - this.pointer.x, event.clientY - this.pointer.y);
    Object.assign(this.pointer, { x: event.clientX, y: event.clientY });
  }

  /** Keys of the frame: without a zoom there is nothing to pan, and the arrows move the line. */
  keys() {
    const still = this.view.zoom === 1;
    const aside = (way) => () => (still ? this.slide(this.cut - 5 * way) : this.pan(way * PAN_STEP, 0));
    const up = still ? {} : { ArrowUp: () => this.pan(0, PAN_STEP), ArrowDown: () => this.pan(0, -PAN_STEP) };
    return {
      "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP),
      0: () => this.look({ zoom: 1, x: 0, y: 0 }), ArrowLeft: aside(1), ArrowRight: aside(-1), ...up,
    };
  }
}

/** A picture over the whole frame, in a part of its own that can be cut off. */
function layer(name) {
  const part = document.createElement("div");
  const picture = document.createElement("img");
  part.className = `layer ${name}`;
  picture.draggable = false;
  // Pixels of small pictures are shown as they are.
  picture.addEventListener("load", () => {
    picture.classList.toggle("small", Math.max(picture.naturalWidth, picture.naturalHeight) <= 128);
  });
  part.append(picture);
  const put = (address, alt) => {
    part.hidden = address === null;
    if (address === null) picture.removeAttribute("src");
    else if (picture.getAttribute("src") !== address) picture.src = address;
    picture.alt = alt;
  };
  return { part, picture, put };
}

function button(text, label, click) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.title = label;
  made.addEventListener("click", click);
  return made;
}
