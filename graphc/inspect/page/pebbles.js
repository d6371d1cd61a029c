/* What is held when, as pebbles: forward kernels run from left to right, their results are laid on
 * the board; backward kernels run below from right to left and let them go. */
const pebblesState = { step: 0 };

function pebblesView() {
  const kernels = data("kernels");
  const { buffers, classes, figures } = data("memory");
  const present = new Set(buffers.map((b) => b.class));
  const live = liveBytes();
  const state = pebblesState;
  const last = Math.max(0, kernels.length - 1);
  const forward = kernels.flatMap((k, i) => (k.phase === "forward" ? [i] : []));
  const column = new Map(forward.map((k, i) => [k, i]));
  const columns = Math.max(1, forward.length);
  const largest = Math.max(1, ...buffers.map((b) => b.room));
  let timer = null;

  const slider = el("input", { type: "range", min: 0, max: last, value: state.step, "aria-label": "kernel", oninput: () => { stop(); to(Number(slider.value)); } });
  const play = el("button", { type: "button", onclick: () => (timer === null ? start() : stop()) }, "▶ play");
  const words = el("p");
  const view = picture({
    height: 400, label: "pebbles on the kernels whose results are held; left and right step",
    draw, at, key, click: (b) => go("memory", b),
    hover: (b, event) => { if (b !== null) showTip(event.clientX, event.clientY, el("b", {}, buffers[b].name), el("div", {}, `${bytes(buffers[b].bytes)}, held from kernel ${buffers[b].first} to ${buffers[b].last - 1}`), el("div", { className: "soft" }, buffers[b].why ? `for the derivative of ${buffers[b].why}` : CLASS_NAMES[buffers[b].class])); },
  });
  let placed = [];

  function start() {
    if (state.step >= last) state.step = 0;
    play.textContent = "❚❚ pause";
    const pause = Math.max(25, 9000 / Math.max(1, kernels.length));
    timer = setInterval(() => {
      if (!view.canvas.isConnected || state.step >= last) stop();
      else to(state.step + 1);
    }, pause);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ play";
  }

  function to(step) {
    state.step = Math.min(last, Math.max(0, step));
    slider.value = state.step;
    const kernel = kernels[state.step];
    if (!kernel) return;
    words.replaceChildren(
      `${kernel.phase}, kernel ${state.step} of ${last}: `, link(kernelName(state.step), () => go("kernels", state.step)),
      el("span", { className: "soft" }, `   ${bytes(live.total[state.step])} held, of which ${bytes(live.byClass[0][state.step])} for the backward pass`));
    view.redraw();
  }

  function draw(context, wide, high) {
    const left = 92;
    const unit = (wide - left - 20) / columns;
    const rows = { forward: 120, backward: 215, update: 290 };
    const x = (k) => left + (column.get(kernels[k].mate) ?? columns - 1) * unit + unit / 2;
    context.font = FONT;
    context.fillStyle = color("soft");
    for (const phase of PHASES) context.fillText(phase, 12, rows[phase] + 4);
    const dot = Math.max(1.2, Math.min(5, unit / 3));
    const widest = Math.max(1.5, Math.min(15, unit * 0.8));
    kernels.forEach((kernel, k) => {
      context.globalAlpha = k <= state.step ? 1 : 0.25;
      context.fillStyle = color(kernel.phase);
      context.beginPath();
      context.arc(x(k), rows[kernel.phase], dot, 0, 7);
      context.fill();
    });
    context.globalAlpha = 1;
    placed = [];
    const heights = new Map();
    buffers.forEach((b, number) => {
      if (b.first > state.step || state.step >= b.last || b.class === "workspace" || !b.writers.length) return;
      const made = b.writers[0];
      const y0 = rows[kernels[made].phase];
      const radius = Math.min(2.5, widest) + widest * Math.sqrt(b.room / largest);
      const slot = `${Math.round(x(made))}:${y0}`;
      const y = y0 - (heights.get(slot) ?? 8) - radius;
      heights.set(slot, y0 - y + radius + 1);
      context.fillStyle = color(b.class);
      context.beginPath();
      context.arc(x(made), y, radius, 0, 7);
      context.fill();
      context.strokeStyle = color("panel");
      context.lineWidth = 1;
      context.stroke();
      placed.push([x(made), y, radius, number]);
    });
    const here = kernels[state.step];
    if (here) {
      context.strokeStyle = color("ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x(state.step), rows[here.phase], dot + 4, 0, 7);
      context.stroke();
    }
    bar(context, left, high - 66, wide - left - 20);
  }

  /* Bytes held over time, filled up to now. */
  function bar(context, x, y, wide) {
    const most = Math.max(1, figures.peak_bytes);
    const base = y + 50;
    context.fillStyle = color("soft");
    context.fillText("held", 12, base - 18);
    for (let px = 0; px < wide; px += 1) {
      const t = Math.floor((px / wide) * kernels.length);
      const tall = (live.total[t] / most) * 50;
      const kept = (live.byClass[0][t] / most) * 50;
      context.globalAlpha = t <= state.step ? 1 : 0.25;
      context.fillStyle = color("workspace");
      context.fillRect(x + px, base - tall, 1, tall);
      context.fillStyle = color("saved");
      context.fillRect(x + px, base - kept, 1, kept);
    }
    context.globalAlpha = 1;
  }

  function at(x, y) {
    for (const [px, py, radius, number] of placed) {
      if (Math.hypot(x - px, y - py) <= radius + 1) return number;
    }
    return null;
  }

  function key(name) {
    if (name === "ArrowRight") to(state.step + 1);
    else if (name === "ArrowLeft") to(state.step - 1);
    else if (name === " ") play.click();
    else return false;
    return true;
  }

  to(state.step);
  return el("section", {},
    el("p", { className: "soft" }, "Forward kernels run from left to right and leave their results; a result that a derivative needs stays until the backward pass, which runs below from right to left, has read it."),
    el("div", { className: "controls" }, play, slider), view.canvas, words,
    legend(classes.filter((c) => present.has(c) && c !== "workspace").map((c) => [c, CLASS_NAMES[c]])));
}
