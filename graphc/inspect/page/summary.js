/* What the step is, in figures, and what is proved of the plan. */
function summaryView() {
  const s = data("summary");
  const m = data("memory").figures;
  const box = el("section");
  const total = s.flops.forward + s.flops.backward + s.flops.update;
  const kernels = data("kernels");
  const time = s.runs ? kernels.reduce((sum, k) => sum + k.time.least, 0) / 1e9 : null;
  box.append(
    el("div", { className: "cards" },
      card(count(s.parameters), "parameters"),
      card(scaled(total, "FLOP"), "floating-point work of one step"),
      card(`${count(s.kernels)} / ${count(s.functions)}`, "kernels / distinct C functions"),
      card(bytes(m.peak_bytes), "arena: everything between arguments and results"),
      card(bytes(m.kept_bytes), "kept from the forward for the backward pass"),
      time === null
        ? card(seconds(s.seconds), "from the traced step to its plan")
        : card(seconds(time), `one step, best of ${s.runs}`),
    ),
  );
  const left = el("div");
  const right = el("div");
  box.append(el("div", { className: "columns" }, left, right));

  left.append(el("h2", {}, "Work"));
  const bars = el("div", { className: "bars" });
  const most = Math.max(1, ...PHASES.map((p) => s.flops[p]));
  for (const phase of PHASES) {
    const bar = el("div", { className: "bar" });
    bar.style.width = (100 * s.flops[phase]) / most + "%";
    bar.style.background = `var(--${phase})`;
    bars.append(el("span", {}, phase), bar, el("span", { className: "soft" }, scaled(s.flops[phase], "FLOP")));
  }
  left.append(bars);
  if (s.flops.backward && s.flops.forward) {
    const ratio = (s.flops.backward / s.flops.forward).toFixed(2);
    left.append(el("p", {}, `Backward : forward = ${ratio}. `, el("span", { className: "soft" },
      "A matrix product has two derivatives, each a product of the same size, so 2 is usual; it is less where an "
      + "argument needs no gradient, and more where values are computed again.")));
  }
  left.append(el("h2", {}, "Made of"));
  left.append(facts([
    ["target", `${s.target}, ${s.threads} thread${s.threads === 1 ? "" : "s"}`],
    ["graph", `${count(s.nodes[0])} nodes as written, ${count(s.nodes.at(-1))} as compiled`],
    ["C", `${count(s.lines_of_c)} lines in the kernels' functions`],
    ["lowered in", seconds(s.seconds)],
    ["bytes moved", `${bytes(s.bytes)} at least, ${(total / Math.max(1, s.bytes)).toFixed(1)} FLOP a byte`],
  ]));

  right.append(el("h2", {}, "Memory"));
  const figures = [
    ["state_bytes", "state, updated in place"], ["input_bytes", "arguments"], ["output_bytes", "results"],
    ["const_bytes", "constants"], ["peak_bytes", "arena"], ["naive_bytes", "arena, if nothing shared memory"],
    ["total_bytes", "in all"],
  ];
  right.append(facts(figures.filter(([name]) => name in m).map(([name, text]) => [text, bytes(m[name])])));
  right.append(el("h2", {}, "Certificates"));
  right.append(el("div", {},
    certificate(m, "peak_bytes", "max_live_bytes",
      "Packing: arena over the largest sum of live buffers", "no packing of this order is smaller"),
    certificate(m, "peak_bytes", "order_lower_bound_bytes",
      "Order: arena over the least that any order of these kernels needs", "no order is better"),
    certificate(m, "kept_bytes", "min_cut_bytes",
      "Kept: bytes kept over the minimum cut between forward and backward", "no choice keeps less")));
  if (s.runs) box.append(slowest(kernels, time));
  const lines = el("details", {}, el("summary", {}, "Work by line: what a line costs forward, and what its derivatives cost"));
  lines.addEventListener("toggle", () => { if (lines.open && lines.children.length === 1) lines.append(workByLine(time)); });
  lines.open = s.nodes.at(-1) <= 6000;
  box.append(el("h2", {}, "Lines"), lines);
  return box;
}

/* Floating-point work of the compiled graph by the user's lines; a derivative counts at the line of
 * the operator of which it is one. A kernel's time is shared out by the work of its nodes. */
function workByLine(time) {
  const { nodes } = data("graph");
  const rows = new Map();
  const rowAt = (place) => {
    const key = place.join(":");
    if (!rows.has(key)) rows.set(key, { place, forward: 0, backward: 0, update: 0, time: 0, operators: {} });
    return rows.get(key);
  };
  for (const kernel of data("kernels")) {
    // Of a loop what it does inside, of other kernels their nodes: [row, phase, operator, how many, flops].
    const done = kernel.work
      ? kernel.work.map(([file, line, ...rest]) => [rowAt([file, line]), ...rest])
      : kernel.nodes.flatMap((n) => nodes.lines[n].map((place) => [rowAt(place), nodes.phase[n], nodes.op[n], 1, nodes.flops[n]]));
    const all = done.reduce((sum, [, , , many, flops]) => sum + many + flops, 0);
    for (const [row, phase, op, many, flops] of done) {
      row[phase] += flops;
      if (time) row.time += ((kernel.time.least / 1e9) * (many + flops)) / all;
      const same = ((row.operators[phase] ??= new Map()).get(op)) ?? { op, many: 0, flops: 0 };
      row.operators[phase].set(op, { op, many: same.many + many, flops: same.flops + flops });
    }
  }
  const phase = (name) => ({ title: name, number: true, value: (r) => r[name], text: (r) => (r[name] ? scaled(r[name], "") : "") });
  const most = (row, name) => {
    const found = [...(row.operators[name] ?? new Map()).values()].filter((o) => o.flops);
    return found.sort((a, b) => b.flops - a.flops).slice(0, 2).map((o) => (o.many > 1 ? `${count(o.many)} ${o.op}` : o.op)).join(", ");
  };
  const timed = { title: "time", number: true, value: (r) => r.time, text: (r) => `${seconds(r.time)}, ${percent(r.time / time)}` };
  // Of lines that do next to nothing forward, a ratio says nothing.
  const least = data("summary").flops.forward / 1e4;
  const ratio = (r) => (r.forward > least ? r.backward / r.forward : 0);
  return table([
    { title: "line", value: (r) => lineText(r.place), text: (r) => el("span", {}, lineText(r.place), el("small", {}, sourceLine(r.place))), wide: true },
    ...(time ? [timed] : []),
    ...PHASES.map(phase),
    { title: "back : forward", number: true, value: ratio, text: (r) => (r.forward > least ? ratio(r).toFixed(2) : "") },
    { title: "forward mostly", minor: true, value: (r) => most(r, "forward") },
    { title: "backward mostly", minor: true, value: (r) => most(r, "backward") },
  ], [...rows.values()], { order: 1, descending: true, pick: (r) => go("kernels", "line", ...r.place) }).element;
}

function certificate(figures, have, least, what, proof) {
  if (!(least in figures)) return null;
  const ratio = figures[least] ? figures[have] / figures[least] : 1;
  const proved = ratio <= 1.0000001;
  return el("p", {}, el("b", { className: proved ? "good" : "warn" }, ratio.toFixed(proved || ratio > 1.001 ? 3 : 5)), ` ${what}`,
    el("span", { className: "soft" }, proved ? ` (${proof})` : ` (${bytes(figures[have] - figures[least])} above the bound)`));
}

function slowest(kernels, time) {
  const box = el("div", {}, el("h2", {}, "Where the time goes"));
  const functions = new Map();
  kernels.forEach((kernel, k) => {
    const all = functions.get(kernel.function) ?? { first: k, calls: 0, nanoseconds: 0 };
    functions.set(kernel.function, { ...all, calls: all.calls + 1, nanoseconds: all.nanoseconds + kernel.time.least });
  });
  const rows = [...functions.values()].sort((a, b) => b.nanoseconds - a.nanoseconds).slice(0, 10);
  const bars = el("div", { className: "bars four" });
  for (const { first, calls, nanoseconds } of rows) {
    const bar = el("div", { className: "bar" });
    bar.style.width = (100 * nanoseconds) / rows[0].nanoseconds + "%";
    bar.style.background = `var(--${kernels[first].phase})`;
    bars.append(link(kernelName(first), () => go("kernels", first)),
      el("span", { className: "soft" }, calls > 1 ? `× ${calls}` : ""), bar,
      el("span", { className: "soft" }, `${seconds(nanoseconds / 1e9)}, ${percent(nanoseconds / 1e9 / time)}`));
  }
  box.append(bars);
  return box;
}
