/* The kernels: a table, and for one of them its formulas, the user's lines and the C. */
const kernelsState = { kernel: null, line: null };

function kernelsView() {
  const kernels = data("kernels");
  const state = kernelsState;
  const timed = Boolean(data("summary").runs);
  const weight = (kernel) => (timed ? kernel.time.least : kernel.flops);
  state.kernel ??= kernels.reduce((most, kernel, k) => (weight(kernel) > weight(kernels[most]) ? k : most), 0);
  const rows = kernels.map((kernel, k) => ({ k, ...kernel }));
  const columns = [
    { title: "#", value: (r) => r.k, number: true },
    { title: "kernel", value: (r) => kernelName(r.k), text: (r) => el("code", {}, kernelName(r.k)), wide: true },
    { title: "phase", value: (r) => PHASES.indexOf(r.phase), text: (r) => r.phase },
    { title: "FLOP", minor: timed, value: (r) => r.flops, text: (r) => scaled(r.flops, ""), number: true },
    { title: "bytes", value: (r) => r.bytes, text: (r) => bytes(r.bytes), number: true, minor: timed },
    { title: "FLOP/B", minor: timed, value: (r) => r.flops / Math.max(1, r.bytes), text: (r) => (r.flops / Math.max(1, r.bytes)).toFixed(1), number: true },
  ];
  if (timed) {
    columns.push(
      { title: "time", value: (r) => r.time.least, text: (r) => seconds(r.time.least / 1e9), number: true },
      { title: "GFLOP/s", value: (r) => r.time.gflops, text: (r) => r.time.gflops.toFixed(1), number: true },
      { title: "GB/s", minor: true, value: (r) => r.time.gbytes, text: (r) => r.time.gbytes.toFixed(1), number: true },
      { title: "of limit", value: (r) => r.time.of_limit, text: (r) => percent(r.time.of_limit), number: true },
    );
  }
  columns.push({ title: "lines", value: (r) => r.lines.map(lineText).join(), text: (r) => linesText(r.lines.slice(0, 4)) + (r.lines.length > 4 ? ", …" : ""), wide: true });
  const list = table(columns, rows, { pick: (row) => choose(row.k) });
  const filter = el("div", { className: "crumbs", hidden: true });
  const details = el("div");
  const source = el("div");
  const code = el("div");

  function choose(k) {
    state.kernel = k;
    history.replaceState(null, "", `#kernels/${k}`);
    show();
  }

  function show() {
    const k = state.kernel;
    const showCode = (name) => code.replaceChildren(el("h2", {}, "C"), cText(data("functions").find((f) => f.name === name).c));
    details.replaceChildren(...kernelFacts(k), ...kernelParts(kernels[k], showCode));
    showCode(kernelName(k));
    source.replaceChildren(el("h2", {}, "Source"), sourceText(new Set(kernels[k].lines.map(String)), state.line, chooseLine));
    // The line of what the kernel is built around comes first.
    const [first] = kernels[k].lines;
    const hit = source.querySelector(".chosen") || (first && source.querySelector(`[data-place="${first.join(",")}"]`));
    if (hit) {
      const pane = hit.closest(".source");
      pane.scrollTop = hit.offsetTop - pane.offsetTop - 120;
    }
  }

  function chooseLine(file, line) {
    const places = kernelsOfLine(file, line);
    state.line = [file, line];
    const wanted = new Set(places);
    list.filter((row) => wanted.has(row.k));
    filter.hidden = false;
    filter.replaceChildren(
      `${count(places.length)} kernels came from `, el("b", {}, lineText([file, line])),
      el("button", { type: "button", onclick: clear }, "show all kernels"));
    if (!wanted.has(state.kernel) && places.length) state.kernel = places[0];
    list.mark(rows[state.kernel]);
    show();
  }

  function clear() {
    state.line = null;
    filter.replaceChildren();
    filter.hidden = true;
    list.filter(null);
    list.mark(rows[state.kernel]);
    show();
  }

  const box = el("section", {}, filter, list.element, details, el("div", { className: "columns" }, source, code));
  // Where lines scroll to is known when the page has the elements.
  requestAnimationFrame(() => {
    if (!kernels.length) return;
    if (state.line) chooseLine(...state.line);
    else { list.mark(rows[state.kernel]); show(); }
  });
  return box;
}

function kernelFacts(k) {
  const kernel = data("kernels")[k];
  const { time } = kernel;
  const names = (values) => el("span", { className: "mono" }, listed(values.map(([name, type]) => {
    const buffer = bufferAt(k, name);
    return el("span", {}, buffer < 0 ? name : link(name, () => go("memory", buffer)), `: ${type}`);
  })));
  return [
    el("h2", {}, `${k}  ${kernelName(k)}`),
    ...kernel.formulas.map((line) => el("div", { className: "formula" }, line)),
    facts([
      ["fused", fusedText(kernel.operators)],
      ["reads", kernel.reads.length ? names(kernel.reads) : null],
      ["writes", names(kernel.writes)],
      ["work", `${scaled(kernel.flops, "FLOP")}, ${bytes(kernel.bytes)} at least, ${(kernel.flops / Math.max(1, kernel.bytes)).toFixed(2)} FLOP a byte`],
      ["workspace", kernel.workspace ? bytes(kernel.workspace) : null],
      ["threads", String(kernel.threads)],
      ["time", time ? `${seconds(time.least / 1e9)} (median ${seconds(time.median / 1e9)}, predicted ${seconds(time.predicted / 1e9)}): ${time.gflops.toFixed(1)} GFLOP/s, ${time.gbytes.toFixed(1)} GB/s, ${percent(time.of_limit)} of the limit` : null],
    ]),
  ];
}

/* What a loop or a choice runs; a click shows the C of one. */
function kernelParts({ parts, time }, showCode) {
  if (!parts.length) return [];
  const spent = (part) => (time && part.share !== null ? part.share * time.least : 0);
  const columns = [
    { title: "kernel", value: (p) => p.function, text: (p) => el("code", {}, p.function), wide: true },
    { title: "calls", number: true, value: (p) => p.calls, text: (p) => count(p.calls) },
    { title: "FLOP", number: true, value: (p) => p.flops, text: (p) => scaled(p.flops, "") },
    ...(time ? [{ title: "time", number: true, value: spent, text: (p) => `${seconds(spent(p) / 1e9)}, ${percent(p.share ?? 0)}` }] : []),
    { title: "fused", minor: true, wide: true, value: (p) => fusedText(p.operators) },
    { title: "lines", wide: true, value: (p) => p.lines.join(", ") },
  ];
  const most = Math.max(...parts.map((p) => (time ? spent(p) : p.flops)));
  const order = { order: time ? 3 : 2, descending: true };
  return [
    el("h3", {}, `Inside: ${count(parts.length)} kernels` + (time && most ? ", with their parts of its time" : "")),
    table(columns, parts, { ...order, pick: (p) => showCode(p.function) }).element,
  ];
}

/* Operators, those of a kind counted: "matmul, 3 add". */
function fusedText(operators) {
  const counts = new Map();
  for (const op of operators) counts.set(op, (counts.get(op) || 0) + 1);
  return [...counts].map(([op, n]) => (n > 1 ? `${n} ${op}` : op)).join(", ");
}

/* The buffer of the arena that holds a value while a kernel runs; -1 for arguments and results. */
function bufferAt(k, name) {
  return data("memory").buffers.findIndex((b) => b.first <= k && k < b.last && b.name.split(", ").includes(name));
}

/* The user's files; lines that became kernels are buttons. */
function sourceText(hits, chosen, choose) {
  const box = el("div", { className: "source panel" });
  data("files").forEach((file, f) => {
    box.append(el("h3", {}, file.name));
    for (const run of file.runs) {
      if (run !== file.runs[0]) box.append(el("div", { className: "gap" }, "⋮"));
      run.lines.forEach((text, i) => {
        const line = run.first + i;
        const places = kernelsOfLine(f, line);
        const row = el(places.length ? "button" : "div", { className: "row" },
          el("span", {}, String(line)), el("span", { className: "count" }, places.length ? String(places.length) : ""), el("span", {}, text || " "));
        if (places.length) {
          row.type = "button";
          row.title = `${places.length} kernels`;
          row.addEventListener("click", () => choose(f, line));
        }
        row.dataset.place = `${f},${line}`;
        if (hits.has(`${f},${line}`)) row.classList.add("hit");
        if (chosen && chosen[0] === f && chosen[1] === line) row.classList.add("chosen");
        box.append(row);
      });
    }
  });
  if (!data("files").length) box.append(el("p", { className: "soft" }, "No file of the user's is known."));
  return box;
}
