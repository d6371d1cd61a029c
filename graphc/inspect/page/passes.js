/* The stages of the graph: what each pass did, and the graph as nested boxes. */
const BOX = { width: 190, height: 44, margin: 24 };
const passesState = { stage: null, path: [0], node: null };

function passesView() {
  const graph = data("graph");
  const names = graph.nodes.name;
  const last = graph.stages.length - 1;
  const state = passesState;
  if (state.stage === null) state.stage = last;
  let stage, marks, readers, zoom, shift, focus = 0;

  const slider = el("input", {
    type: "range", min: 0, max: last, value: state.stage, id: "stage",
    "aria-label": "stage", oninput: () => choose(Number(slider.value)),
  });
  const buttons = graph.stages.map((s, k) => {
    const fewer = k ? data("summary").nodes[k] - data("summary").nodes[k - 1] : 0;
    const change = k === 0 ? count(data("summary").nodes[0]) : fewer ? (fewer > 0 ? "+" : "−") + count(Math.abs(fewer)) : "";
    return el("button", { type: "button", title: s.name, onclick: () => choose(k) },
      s.name, el("small", {}, change || (changed(s) ? "±0" : "–")));
  });
  const crumbs = el("nav", { className: "crumbs", "aria-label": "opened groups" });
  const side = el("aside", { className: "panel" });
  const search = el("input", { type: "search", placeholder: "find a value or an operator", oninput: find });
  const found = el("div", { className: "crumbs", hidden: true });
  const view = picture({
    height: 560, label: "the graph in boxes; arrows move, Enter opens, Escape goes back",
    draw, at, hover, key,
    click: (i) => { focus = i; enter(i); },
    drag: (dx, dy) => { shift[0] += dx; shift[1] += dy; view.redraw(); },
    wheel: (x, y, by) => {
      const to = Math.min(2.5, Math.max(0.08, zoom * by));
      shift = [x - ((x - shift[0]) * to) / zoom, y - ((y - shift[1]) * to) / zoom];
      zoom = to;
      view.redraw();
    },
  });

  function choose(k) {
    const labels = stage ? state.path.map((g) => stage.picture[g].label) : null;
    state.stage = k;
    slider.value = k;
    stage = stageAt(k);
    marks = marksOf(stage.changes);
    readers = null;
    if (labels) state.path = follow(labels);
    buttons.forEach((b, i) => b.setAttribute("aria-current", String(i === k)));
    open(state.path);
    describe();
  }

  /* The group of the same name in another stage, or the nearest around it. */
  function follow(labels) {
    const path = [0];
    for (const label of labels.slice(1)) {
      const next = stage.picture[path.at(-1)].members.find((m) => m < 0 && stage.picture[-1 - m].label === label);
      if (next === undefined) break;
      path.push(-1 - next);
    }
    return path;
  }

  function open(path) {
    state.path = path;
    focus = 0;
    zoom = null;
    crumbs.replaceChildren();
    path.forEach((g, depth) => {
      const group = stage.picture[g];
      const text = depth ? group.label : `all ${count(group.size)} nodes`;
      crumbs.append(depth ? "› " : "", link(text, () => open(path.slice(0, depth + 1))));
    });
    view.redraw();
  }

  function members() {
    const group = stage.picture[state.path.at(-1)];
    return { group, layout: graph.layouts[group.layout] };
  }

  function enter(i) {
    const member = members().group.members[i];
    if (member < 0) open([...state.path, -1 - member]);
    else { state.node = member; describe(); view.redraw(); }
  }

  function fit(wide, high) {
    const { xy } = members().layout;
    let [w, h] = [1, 1];
    for (let k = 0; k < xy.length; k += 2) {
      w = Math.max(w, xy[k] + BOX.width);
      h = Math.max(h, xy[k + 1] + BOX.height);
    }
    zoom = Math.min(1.15, (wide - 2 * BOX.margin) / w, Math.max((high - 2 * BOX.margin) / h, 0.75));
    zoom = Math.max(zoom, 0.3);
    shift = [Math.max(BOX.margin, (wide - w * zoom) / 2), BOX.margin];
  }

  function draw(context, wide, high) {
    if (zoom === null) fit(wide, high);
    const { group, layout } = members();
    const { xy, edges } = layout;
    context.translate(...shift);
    context.scale(zoom, zoom);
    context.strokeStyle = color("soft");
    context.fillStyle = color("soft");
    context.lineWidth = 1;
    for (let k = 0; k < edges.length; k += 2) {
      const [a, b] = [edges[k], edges[k + 1]];
      arrow(context, xy[2 * a] + BOX.width / 2, xy[2 * a + 1] + BOX.height,
        xy[2 * b] + BOX.width / 2, xy[2 * b + 1]);
    }
    group.members.forEach((member, i) => drawBox(context, member, i, xy[2 * i], xy[2 * i + 1]));
  }

  function drawBox(context, member, i, x, y) {
    const inner = member < 0;
    const phase = inner ? phaseOf(member) : graph.nodes.phase[member];
    context.fillStyle = color(inner ? "box" : "panel");
    context.strokeStyle = member === state.node ? color("accent") : marked(member) ? color("new") : color("line");
    context.lineWidth = member === state.node || marked(member) ? 2 : 1;
    context.beginPath();
    context.roundRect(x, y, BOX.width, BOX.height, inner ? 9 : 4);
    context.fill();
    context.stroke();
    context.fillStyle = color(phase);
    context.fillRect(x + 1, y + 6, 4, BOX.height - 12);
    if (i === focus && document.activeElement === view.canvas) {
      context.strokeStyle = color("accent");
      context.setLineDash([4, 3]);
      context.strokeRect(x - 4, y - 4, BOX.width + 8, BOX.height + 8);
      context.setLineDash([]);
    }
    const [first, second] = labels(member);
    context.font = inner ? FONT : MONO;
    context.fillStyle = color("ink");
    context.fillText(fitted(context, first, BOX.width - 20), x + 12, y + 18);
    context.fillStyle = color("soft");
    context.font = FONT;
    context.fillText(fitted(context, second, BOX.width - 20), x + 12, y + 35);
  }

  function labels(member) {
    if (member >= 0) return [`${names[member]} = ${graph.nodes.op[member]}`, graph.nodes.type[member]];
    const group = stage.picture[-1 - member];
    const changed = marks.size ? changesIn(-1 - member) : 0;
    const note = changed ? `, ${count(changed)} new here` : "";
    return [group.label, `${count(group.size)} nodes${note}`];
  }

  function marked(member) {
    return member >= 0 ? marks.has(member) : marks.size > 0 && changesIn(-1 - member) > 0;
  }

  function changesIn(g) {
    stage.changed ??= [];
    if (stage.changed[g] === undefined) {
      stage.changed[g] = stage.picture[g].members.reduce(
        (sum, m) => sum + (m < 0 ? changesIn(-1 - m) : Number(marks.has(m))), 0);
    }
    return stage.changed[g];
  }

  function phaseOf(member) {
    let m = member;
    while (m < 0) m = stage.picture[-1 - m].members[0];
    return graph.nodes.phase[m];
  }

  function at(x, y) {
    if (zoom === null) return null;
    const { xy } = members().layout;
    const [u, v] = [(x - shift[0]) / zoom, (y - shift[1]) / zoom];
    for (let k = 0; k < xy.length; k += 2) {
      if (u >= xy[k] && u <= xy[k] + BOX.width && v >= xy[k + 1] && v <= xy[k + 1] + BOX.height) return k / 2;
    }
    return null;
  }

  function hover(i, event) {
    if (i === null) return;
    const member = members().group.members[i];
    if (member < 0) {
      const group = stage.picture[-1 - member];
      showTip(event.clientX, event.clientY, el("b", {}, group.label), el("div", {}, `${count(group.size)} nodes; open with a click`));
    } else {
      showTip(event.clientX, event.clientY, el("b", {}, lineOf(member)), el("div", { className: "soft" }, graph.nodes.origin[member]));
    }
  }

  function key(name) {
    const many = members().group.members.length;
    if (name === "ArrowRight" || name === "ArrowDown") focus = (focus + 1) % many;
    else if (name === "ArrowLeft" || name === "ArrowUp") focus = (focus + many - 1) % many;
    else if (name === "Enter" || name === " ") enter(focus);
    else if ((name === "Escape" || name === "Backspace") && state.path.length > 1) open(state.path.slice(0, -1));
    else return false;
    view.redraw();
    return true;
  }

  function placeOf(node) {
    stage.place ??= new Map(stage.nodes.map((n, i) => [n, i]));
    return stage.place.get(node);
  }

  function operands(node) {
    const place = placeOf(node);
    return place === undefined ? [] : stage.inputs[place].map((v) => (Array.isArray(v) ? v : [v, 0]));
  }

  function lineOf(node) {
    const given = operands(node).map(([n, k]) => names[n].split(", ")[k]).join(", ");
    const attributes = graph.nodes.attributes[node];
    const inside = [given, attributes].filter(Boolean).join("; ");
    return `${names[node]}: ${graph.nodes.type[node]} = ${graph.nodes.op[node]}(${inside})`;
  }

  function readersOf(node) {
    if (!readers) {
      readers = new Map();
      stage.nodes.forEach((n, i) => {
        for (const v of stage.inputs[i]) {
          const from = Array.isArray(v) ? v[0] : v;
          if (!readers.has(from)) readers.set(from, new Set());
          readers.get(from).add(n);
        }
      });
    }
    return [...(readers.get(node) || [])];
  }

  function show(node) {
    state.node = node;
    const path = placeOf(node) === undefined ? null : pathTo(node);
    if (path) open(path);
    describe();
  }

  function pathTo(node) {
    if (!stage.parent) {
      stage.parent = new Map();
      stage.picture.forEach((group, g) => group.members.forEach((m) => stage.parent.set(m, g)));
    }
    const path = [];
    for (let m = node; stage.parent.has(m); m = -1 - path[0]) path.unshift(stage.parent.get(m));
    return path;
  }

  function nodeLink(node) {
    return link(names[node], () => show(node));
  }

  function describe() {
    const { changes } = stage;
    const before = state.stage ? stageAt(state.stage - 1).nodes.length : stage.nodes.length;
    side.replaceChildren(el("h2", {}, stage.name), el("p", { className: "soft" }, stage.about));
    side.append(el("p", {}, state.stage
      ? `${count(before)} nodes → ${count(stage.nodes.length)}, in ${seconds(stage.seconds)}`
      : `${count(stage.nodes.length)} nodes, as the program says`));
    const kinds = [
      ["merged", "merged with an equal node"], ["rewritten", "written another way"],
      ["dropped", "dropped: nothing reads them now"], ["made", "added"],
    ];
    let any = false;
    for (const [kind, text] of kinds) {
      const entries = changes[kind];
      if (!entries.length) continue;
      any = true;
      const list = el("div", { className: "list" });
      const box = el("details", {}, el("summary", {}, el("b", {}, count(entries.length)), " " + text), list);
      box.addEventListener("toggle", () => { if (box.open && !list.firstChild) fill(list, kind, entries); });
      side.append(box);
    }
    if (state.stage && !any) side.append(el("p", { className: "soft" }, "This pass found nothing to change."));
    side.append(el("h3", {}, "Selected"));
    if (state.node === null) side.append(el("p", { className: "soft" }, "Click a node, or a box to open it. Ctrl and the wheel zoom, dragging moves."));
    else side.append(nodeFacts(state.node));
  }

  /* Entries with those first that save or cost most; merged ones under the node that serves them. */
  function fill(list, kind, entries) {
    const flops = (n) => graph.nodes.flops[n];
    const groups = new Map();
    entries.forEach((entry, i) => {
      const [old, now] = Array.isArray(entry) ? entry : [entry, null];
      const key = kind === "merged" ? now : -1 - i;
      if (!groups.has(key)) groups.set(key, { now, olds: [] });
      groups.get(key).olds.push(old);
    });
    const weight = ({ olds }) => olds.reduce((sum, n) => sum + flops(n), 0);
    const sorted = [...groups.values()].sort((a, b) => weight(b) - weight(a) || b.olds.length - a.olds.length);
    for (const { now, olds } of sorted.slice(0, 400)) {
      const [old] = olds;
      const line = el("div");
      if (kind === "merged") {
        line.append(listed(olds.slice(0, 4).map(nodeLink)), olds.length > 4 ? ` and ${count(olds.length - 4)} more` : "", " → ", nodeLink(now), ` ${graph.nodes.op[now]} `);
      } else {
        line.append(nodeLink(old), ` ${graph.nodes.op[old]} `);
        if (now !== null) line.append("→ ", nodeLink(now), ` ${graph.nodes.op[now]} `);
      }
      const lines = [...new Set([...olds, ...(now === null ? [] : [now])].flatMap((n) => graph.nodes.lines[n].map(String)))];
      const places = lines.map((text) => text.split(",").map(Number)).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      const saved = weight({ olds });
      line.append(el("span", { className: "soft" }, linesText(places.slice(0, 4)) + (places.length > 4 ? ", …" : ""),
        kind === "merged" && saved ? `, ${scaled(saved, "FLOP")} saved` : ""));
      list.append(line);
    }
    if (sorted.length > 400) list.append(el("div", { className: "soft" }, `and ${count(sorted.length - 400)} more`));
  }

  function nodeFacts(node) {
    const rule = graph.nodes.rule[node];
    const gone = placeOf(node) === undefined;
    const kernels = data("kernels").flatMap((k, i) => (k.nodes.includes(node) ? [i] : []));
    return el("div", {},
      el("div", { className: "formula" }, lineOf(node)),
      facts([
        ["phase", graph.nodes.phase[node]],
        ["from", listed(graph.nodes.lines[node].map((p) => link(lineText(p), () => go("kernels", "line", ...p))))],
        ["derivative of", rule < 0 ? null : nodeLink(rule)],
        ["reads", listed(operands(node).map(([n]) => nodeLink(n)))],
        ["read by", listed(readersOf(node).slice(0, 40).map(nodeLink))],
        ["kernel", kernels.length ? listed(kernels.map((k) => link(kernelName(k), () => go("kernels", k)))) : null],
        ["", gone ? "not in this stage" : null],
      ]));
  }

  function find() {
    const text = search.value.trim().toLowerCase();
    found.replaceChildren();
    found.hidden = !text;
    if (!text) return;
    const hits = stage.nodes.filter((n) => names[n].toLowerCase().includes(text) || graph.nodes.op[n] === text);
    found.append(el("span", { className: "soft" }, `${count(hits.length)} found `), ...hits.slice(0, 14).map(nodeLink));
  }

  const stages = el("div", { className: "timeline" }, slider, el("div", { className: "stages" }, ...buttons));
  stages.style.setProperty("--many", String(buttons.length));
  choose(state.stage);
  return el("section", {},
    stages,
    el("div", { className: "controls" }, crumbs, search), found,
    el("div", { className: "split" }, el("div", {}, view.canvas,
      legend([...PHASES.map((p) => [p, p]), ["new", "new in this stage"]])), side));
}

function changed(stage) {
  return Object.values(stage.changes).some((entries) => entries.length);
}

function marksOf(changes) {
  return new Set([...changes.made, ...changes.rewritten.map(([, now]) => now)]);
}

function arrow(context, x0, y0, x1, y1) {
  const middle = (y0 + y1) / 2;
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0, middle, x1, middle, x1, y1 - 4);
  context.stroke();
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - 3.5, y1 - 7);
  context.lineTo(x1 + 3.5, y1 - 7);
  context.fill();
}
