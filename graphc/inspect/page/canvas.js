/* A canvas in CSS pixels that is drawn again when its size or the theme changes. `draw(context,
 * width, height)`; `at(x, y)` gives what lies there, for `hover(thing, event)` and `click(thing)`. */
function picture({ height, label, draw, at, hover, click, key, drag, wheel }) {
  const canvas = el("canvas", { tabIndex: 0, role: "img" });
  canvas.setAttribute("aria-label", label);
  canvas.style.height = height + "px";
  let waiting = false;

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (!canvas.isConnected) return;
      const ratio = devicePixelRatio || 1;
      const { clientWidth: wide, clientHeight: high } = canvas;
      if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
        canvas.width = Math.round(wide * ratio);
        canvas.height = Math.round(high * ratio);
      }
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, wide, high);
      draw(context, wide, high);
    });
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop];
  }

  let from = null;
  let moved = false;
  canvas.addEventListener("pointerdown", (event) => { from = place(event); moved = false; });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (from && drag && event.buttons) {
      if (moved || Math.hypot(x - from[0], y - from[1]) > 4) {
        moved = true;
        drag(x - from[0], y - from[1]);
        from = [x, y];
      }
      return;
    }
    const thing = at ? at(x, y) : null;
    canvas.style.cursor = thing !== null && click ? "pointer" : "default";
    if (hover) hover(thing, event);
    if (thing === null) hideTip();
  });
  canvas.addEventListener("pointerleave", () => { from = null; hideTip(); if (hover) hover(null, null); });
  canvas.addEventListener("click", (event) => {
    const thing = at && !moved ? at(...place(event)) : null;
    if (thing !== null && click) click(thing);
  });
  if (wheel) {
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      wheel(...place(event), Math.exp(-event.deltaY / 300));
    }, { passive: false });
  }
  if (key) {
    canvas.addEventListener("keydown", (event) => { if (key(event.key)) event.preventDefault(); });
  }
  new ResizeObserver(redraw).observe(canvas);
  addEventListener("themechange", redraw);
  redraw();
  return { canvas, redraw };
}

const FONT = "12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
const MONO = "11.5px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";

/* Text that fits a width. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(text.slice(0, middle) + "…").width <= width) low = middle;
    else high = middle - 1;
  }
  return text.slice(0, low) + "…";
}
