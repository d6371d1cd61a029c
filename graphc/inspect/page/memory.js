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
        context.fillStyle = "#fff";
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
    const links = (steps) => listed(steps.slice(0, 30).map((k) => link(kernelName(k), () => go("kernels", k))));
    note.replaceChildren(...bufferNote(b), facts([
      ["written by", links(buffers[b].writers)], ["read by", links(buffers[b].readers)]]));
    view.redraw();
  }

  function bufferNote(number) {
    const b = buffers[number];
    return [
      el("b", { className: "mono" }, b.name),
      el("div", {}, `${b.type}  ${bytes(b.bytes)}, ${b.class === "saved" ? "kept for the backward pass" : b.class}`),
      el("div", { className: "soft" }, `at ${count(b.offset)}, while kernels ${b.first} to ${b.last - 1} run`),
      el("div", { className: "soft" }, `from ${b.writers.map(kernelName)[0] ?? ""}` + (b.readers.length ? `, read by ${[...new Set(b.readers.slice(0, 3).map(kernelName))].join(", ")}${b.readers.length > 3 ? ", …" : ""}` : "")),
      b.why ? el("div", {}, `asked for by the derivative of ${b.why}`) : "",
      ...ledger.filter((row) => b.name.split(", ").includes(row.name)).slice(0, 3).map((row) =>
        el("div", {}, `not keeping ${row.name} would cost ${scaled(row.recompute_flops, "FLOP")} to make it again`)),
    ];
  }

  if (state.buffer === null) note.append(el("span", { className: "soft" }, "Point at a rectangle, or click it."));
  else choose(state.buffer);
  const held = classes.map((c, i) => [c, live.byClass[i][peakStep]]).filter(([, n]) => n > 0);
  const peak = el("p", {}, "The peak, at kernel ", peakStep < data("kernels").length ? link(kernelName(peakStep), () => go("kernels", peakStep)) : "",
    `, holds ${bytes(live.total[peakStep])}: `, held.sort((a, b) => b[1] - a[1]).map(([c, n]) => `${bytes(n)} ${c}`).join(", "), ". Largest: ",
    buffers.filter((b) => b.first <= peakStep && peakStep < b.last).sort((a, b) => b.room - a.room).slice(0, 5).map((b) => `${b.name} (${bytes(b.room)})`).join(", "), ".");
  const names = { saved: "kept for the backward pass", forward: "forward", backward: "gradients", update: "update", workspace: "workspace" };
  const section = el("section", {},
    legend([...classes.map((c) => [c, names[c]]), ["ink", "live bytes"], ["good", "lower bound"]]),
    view.canvas, peak, note,
    el("h2", {}, `Kept for the backward pass: ${bytes(figures.kept_bytes)} in ${count(ledger.length)} values`),
    ledgerTable(ledger));
  if (pareto.length) section.append(el("h2", {}, "Budget against recomputing"), paretoPicture(pareto).canvas);
  return section;
}

/* The first of many words: the rest is in the record. */
function shortened(words) {
  return words.length > 3 ? `${words.slice(0, 2).join("; ")} and ${count(words.length - 2)} more` : words.join("; ");
}

/* The ledger; columns are those that its rows have. */
function ledgerTable(ledger) {
  if (!ledger.length) return el("p", { className: "soft" }, "Nothing is kept.");
  const titles = { value: "value", bytes: "bytes", producer: "made by", consumers: "read by", kind: "kind", rule: "asked for as", recompute_flops: "FLOP to make again", peak_drop_bytes: "peak falls by" };
  const numbers = ["bytes", "recompute_flops", "peak_drop_bytes"];
  const columns = Object.keys(ledger[0]).filter((name) => name in titles).map((name) => ({
    title: titles[name],
    number: numbers.includes(name),
    wide: !numbers.includes(name) && name !== "kind",
    value: (row) => name === "value" ? row.name : (Array.isArray(row[name]) ? row[name].join(", ") : row[name] ?? 0),
    text: (row) => {
      const cell = row[name];
      if (name === "value") return `${row.name}  ${cell}`;
      if (numbers.includes(name)) return cell === null ? "" : name === "recompute_flops" ? scaled(cell, "") : bytes(cell);
      return shortened(Array.isArray(cell) ? cell : String(cell).split("; "));
    },
  }));
  return table(columns, ledger, { order: columns.findIndex((c) => c.title === "bytes"), descending: true }).element;
}

function axes(context, box, steps, most, caption) {
  context.font = FONT;
  context.fillStyle = color("soft");
  context.strokeStyle = color("line");
  context.lineWidth = 1;
  context.textAlign = "right";
  for (let k = 0; k <= 4; k += 1) {
    const y = box.y + box.h * (1 - k / 4);
    context.beginPath();
    context.moveTo(box.x, y);
    context.lineTo(box.x + box.w, y);
    context.stroke();
    context.fillText(bytes((most * k) / 4), box.x - 8, y + 4);
  }
  context.textAlign = "center";
  for (let k = 0; k <= 6; k += 1) context.fillText(count((steps * k) / 6), box.x + (box.w * k) / 6, box.y + box.h + 14);
  context.fillText(caption, box.x + box.w / 2, box.y + box.h + 27);
  context.textAlign = "left";
}

function paretoPicture(points) {
  const widest = Math.max(...points.map(([, flops]) => flops), 1);
  const most = Math.max(...points.map(([peak]) => peak), 1);
  return picture({
    height: 240, label: "peak bytes against flops computed again",
    draw(context, wide, high) {
      const box = { x: EDGE.left, y: EDGE.top, w: wide - EDGE.left - EDGE.right, h: high - EDGE.top - EDGE.bottom };
      axes(context, box, widest, most, "FLOP computed again");
      context.fillStyle = color("accent");
      for (const [peak, flops] of points) {
        context.beginPath();
        context.arc(box.x + (flops / widest) * box.w, box.y + box.h * (1 - peak / most), 4, 0, 7);
        context.fill();
      }
    },
  });
}
