/* The arena as a map: time across, address up. */
const memoryState = { buffer: null };
const EDGE = { left: 78, right: 14, top: 14, bottom: 30 };

/* Live bytes at every step, by class and in all. */
function liveBytes() {
  const { buffers, classes } = data("memory");
  const steps = buffers.reduce((most, b) => Math.max(most, b.last), data("kernels").length);
  const byClass = classes.map(() => new Float64Array(steps + 1));
  const total = new Float64Array(steps + 1);
  for (const b of buffers) {
    const lane = byClass[classes.indexOf(b.class)];
    for (let t = b.first; t < b.last; t += 1) { lane[t] += b.room; total[t] += b.room; }
  }
  return { steps, byClass, total };
}

function memoryView() {
  const { buffers, classes, figures, ledger, pareto } = data("memory");
  const state = memoryState;
  const live = liveBytes();
  const most = Math.max(1, figures.peak_bytes);
  const peakStep = live.total.indexOf(Math.max(...live.total));
  const drops = peakDrops(live);
  const kernelLink = (k) => link(kernelName(k), () => go("kernels", k));
  let box = null;
  const note = el("div", { className: "panel" });
  const view = picture({
    height: 430, label: "map of the arena; left and right go from buffer to buffer",
    draw, at, key,
    hover: (b, event) => { if (b !== null) showTip(event.clientX, event.clientY, ...bufferNote(b)); },
    click: choose,
  });

  function draw(context, wide, high) {
    box = { x: EDGE.left, y: EDGE.top, w: wide - EDGE.left - EDGE.right, h: high - EDGE.top - EDGE.bottom };
    axes(context, box, live.steps, most, "kernels in the order in which they run");
    const colors = new Map(classes.map((c) => [c, color(c)]));
    context.lineWidth = 0.5;
    context.strokeStyle = color("panel");
    buffers.forEach((b) => {
      const [x, y, w, h] = rectangle(b);
      context.fillStyle = colors.get(b.class);
      context.fillRect(x, y, w, h);
      if (w > 3 && h > 3) context.strokeRect(x, y, w, h);
      if (w > 60 && h > 15) {
        context.fillStyle = color("on-class");
        context.font = MONO;
        context.fillText(fitted(context, b.name, w - 8), x + 4, y + Math.min(h / 2 + 4, 15));
      }
    });
    line(context, (t) => live.total[t], color("ink"), 1.6);
    const bound = figures.order_lower_bound_bytes ?? figures.max_live_bytes;
    context.setLineDash([6, 4]);
    line(context, () => bound, color("good"), 1.4);
    context.setLineDash([]);
    if (state.buffer !== null) {
      context.strokeStyle = color("ink");
      context.lineWidth = 2.5;
      context.strokeRect(...rectangle(buffers[state.buffer]));
    }
  }

  function rectangle(b) {
    const [sx, sy] = [box.w / live.steps, box.h / most];
    return [box.x + b.first * sx, box.y + box.h - (b.offset + b.room) * sy,
      Math.max(1, (b.last - b.first) * sx), Math.max(0.7, b.room * sy)];
  }

  function line(context, value, style, width) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.beginPath();
    for (let t = 0; t < live.steps; t += 1) {
      const y = box.y + box.h - (value(t) / most) * box.h;
      context.lineTo(box.x + (t / live.steps) * box.w, y);
      context.lineTo(box.x + ((t + 1) / live.steps) * box.w, y);
    }
    context.stroke();
  }

  function at(x, y) {
    if (!box) return null;
    const t = Math.floor(((x - box.x) / box.w) * live.steps);
    const address = ((box.y + box.h - y) / box.h) * most;
    const found = buffers.findIndex((b) =>
      b.first <= t && t < b.last && b.offset <= address && address < b.offset + b.room);
    return found < 0 ? null : found;
  }

  function key(name) {
    if (name !== "ArrowRight" && name !== "ArrowLeft") return false;
    const step = name === "ArrowRight" ? 1 : -1;
    choose(((state.buffer ?? -step) + step + buffers.length) % buffers.length);
    return true;
  }

  function choose(b) {
    state.buffer = b;
    const links = (steps) => listed(steps.slice(0, 30).map(kernelLink));
    note.replaceChildren(...bufferNote(b), facts([
      ["written by", links(buffers[b].writers)], ["read by", links(buffers[b].readers)]]));
    view.redraw();
  }

  function bufferNote(number) {
    const b = buffers[number];
    return [
      el("b", { className: "mono" }, b.name),
      el("div", {}, `${b.type}  ${bytes(b.bytes)}, ${CLASS_NAMES[b.class]}`),
      el("div", { className: "soft" }, `at ${count(b.offset)}, while kernels ${b.first} to ${b.last - 1} run`),
      el("div", { className: "soft" }, `from ${b.writers.map(kernelName)[0] ?? ""}` + (b.readers.length ? `, read by ${[...new Set(b.readers.slice(0, 3).map(kernelName))].join(", ")}${b.readers.length > 3 ? ", …" : ""}` : "")),
      b.why ? el("div", {}, `asked for by the derivative of ${b.why}`) : "",
      ...ledger.filter((row) => b.name.split(", ").includes(row.name)).slice(0, 3).map((row) =>
        el("div", {}, `not keeping ${row.name} costs ${scaled(row.recompute_flops, "FLOP")} to make it again, and lowers the peak by at most ${bytes(drops.get(row.name))}`)),
    ];
  }

  if (state.buffer === null) note.append(el("span", { className: "soft" }, "Point at a rectangle, or click it."));
  else choose(state.buffer);
  const held = classes.map((c, i) => [c, live.byClass[i][peakStep]]).filter(([, n]) => n > 0);
  const there = buffers.map((b, i) => i).filter((i) => buffers[i].first <= peakStep && peakStep < buffers[i].last);
  const largest = there.sort((a, b) => buffers[b].room - buffers[a].room).slice(0, 6);
  const peak = el("p", {}, `The peak, ${bytes(live.total[peakStep])}, `, peakStep < data("kernels").length ? "while " : "at the end of the step", peakStep < data("kernels").length ? kernelLink(peakStep) : "", peakStep < data("kernels").length ? ` (kernel ${peakStep}) runs` : "",
    `: ${held.sort((a, b) => b[1] - a[1]).map(([c, n]) => `${bytes(n)} ${CLASS_NAMES[c]}`).join(", ")}. Largest: `,
    listed(largest.map((i) => el("span", {}, link(buffers[i].name, () => choose(i)), ` ${bytes(buffers[i].room)}`))), ".");
  const present = new Set(buffers.map((b) => b.class));
  const section = el("section", {},
    legend([...classes.filter((c) => present.has(c)).map((c) => [c, CLASS_NAMES[c]]), ["ink", "live bytes"], ["good", "lower bound"]]),
    view.canvas, peak, note,
    el("h2", {}, `Kept for the backward pass: ${bytes(figures.kept_bytes)} in ${count(ledger.length)} values`),
    ledgerTable(ledger, drops));
  if (pareto.length) section.append(el("h2", {}, "Budget against recomputing"), paretoPicture(pareto).canvas);
  return section;
}

/* By how much the largest live sum falls where a kept value is let go between its last forward and
 * its first later reader, and nothing lives longer for it: by the value's name. */
function peakDrops(live) {
  const kernels = data("kernels");
  const { buffers } = data("memory");
  const peak = Math.max(...live.total);
  const drops = new Map();
  for (const b of buffers.filter((one) => one.class === "saved")) {
    const uses = [...b.writers, ...b.readers].sort((x, y) => x - y);
    const before = uses.filter((k) => kernels[k].phase === "forward");
    const since = before.length ? before.at(-1) : b.first;
    const until = uses.find((k) => k > since) ?? b.last;
    let most = 0;
    for (let t = 0; t < live.steps; t += 1) {
      most = Math.max(most, live.total[t] - (since < t && t < until ? b.room : 0));
    }
    for (const name of b.name.split(", ")) drops.set(name, peak - most);
  }
  return drops;
}

/* Operators with their lines, those of one line together: "square, multiply (model.py:12)". */
function byLine(words) {
  const lines = new Map();
  for (const word of words) {
    const [, what, where] = word.match(/^(.*?)(?: \(([^()]*)\))?$/);
    if (!lines.has(where)) lines.set(where, new Set());
    lines.get(where).add(what);
  }
  const texts = [...lines].map(([where, all]) => [...all].join(", ") + (where ? ` (${where})` : ""));
  return texts.length > 3 ? `${texts.slice(0, 2).join("; ")} and ${count(texts.length - 2)} lines more` : texts.join("; ");
}

/* The ledger; columns are those that its rows have. */
function ledgerTable(ledger, drops) {
  if (!ledger.length) return el("p", { className: "soft" }, "Nothing is kept.");
  const titles = { value: "value", bytes: "bytes", producer: "made by", consumers: "read by", kind: "kind", rule: "asked for as", recompute_flops: "FLOP again" };
  const numbers = ["bytes", "recompute_flops"];
  const columns = Object.keys(ledger[0]).filter((name) => name in titles).map((name) => ({
    title: titles[name],
    number: numbers.includes(name),
    minor: ["kind", "producer", "consumers"].includes(name),
    wide: !numbers.includes(name) && name !== "kind",
    value: (row) => name === "value" ? row.name : (Array.isArray(row[name]) ? row[name].join(", ") : row[name] ?? 0),
    text: (row) => {
      const cell = row[name];
      if (name === "value") return `${row.name}  ${cell}`;
      if (numbers.includes(name)) return name === "recompute_flops" ? scaled(cell, "") : bytes(cell);
      return byLine(Array.isArray(cell) ? cell : String(cell).split("; "));
    },
  }));
  const drop = (row) => drops.get(row.name) ?? 0;
  columns.push({ title: "peak falls ≤", number: true, value: drop, text: (row) => bytes(drop(row)) });
  return table(columns, ledger, { order: columns.findIndex((c) => c.title === "bytes"), descending: true }).element;
}

/* A figure without zeros behind the point. */
function round(text) {
  return text.replace(/\.0+(?=\D)/, "").replace(/(\.\d*[1-9])0+(?=\D)/, "$1");
}

function axes(context, box, steps, most, caption) {
  context.font = FONT;
  context.fillStyle = color("soft");
  context.strokeStyle = color("line");
  context.lineWidth = 1;
  context.textAlign = "right";
  for (const mark of ticks(most, 6)) {
    const y = box.y + box.h * (1 - mark / most);
    context.beginPath();
    context.moveTo(box.x, y);
    context.lineTo(box.x + box.w, y);
    context.stroke();
    context.fillText(round(bytes(mark)), box.x - 8, y + 4);
  }
  context.textAlign = "center";
  for (const mark of ticks(steps, 8)) {
    context.fillText(steps < 1e5 ? count(mark) : round(scaled(mark, "")), box.x + (box.w * mark) / steps, box.y + box.h + 14);
  }
  context.fillText(caption, box.x + box.w / 2, box.y + box.h + 27);
  context.textAlign = "left";
}

/* Plans that none beats: a smaller arena for more work. */
function paretoPicture(plans) {
  const points = [...plans].sort((a, b) => a[1] - b[1]);
  const work = PHASES.reduce((sum, p) => sum + data("summary").flops[p], 0);
  const widest = Math.max(...points.map(([, flops]) => flops), 1) * 1.02;
  const most = Math.max(...points.map(([peak]) => peak), 1) * 1.04;
  const placed = (box) => points.map(([peak, flops]) => [box.x + (flops / widest) * box.w, box.y + box.h * (1 - peak / most)]);
  let box = null;
  return picture({
    height: 240, label: "peak bytes against flops computed again",
    at(x, y) {
      const i = box === null ? -1 : placed(box).findIndex(([px, py]) => Math.hypot(px - x, py - y) < 8);
      return i < 0 ? null : i;
    },
    hover(i, event) {
      if (i === null) return;
      const [peak, flops] = points[i];
      showTip(event.clientX, event.clientY, el("b", {}, `lower(memory_budget=${peak})`),
        el("div", {}, `an arena of ${bytes(peak)} for ${scaled(flops, "FLOP")} computed again, ${percent(flops / Math.max(1, work))} of the step's work`));
    },
    draw(context, wide, high) {
      box = { x: EDGE.left, y: EDGE.top, w: wide - EDGE.left - EDGE.right, h: high - EDGE.top - EDGE.bottom };
      axes(context, box, widest, most, "FLOP computed again");
      const all = placed(box);
      context.strokeStyle = color("accent");
      context.lineWidth = 1.2;
      context.beginPath();
      all.forEach(([x, y], i) => { if (i) context.lineTo(x, all[i - 1][1]); context.lineTo(x, y); });
      context.stroke();
      context.fillStyle = color("accent");
      for (const [x, y] of all) {
        context.beginPath();
        context.arc(x, y, 4, 0, 7);
        context.fill();
      }
    },
  });
}
