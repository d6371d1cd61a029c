"use strict";

/* The data: a part is parsed when it is first asked for. */
const parsed = new Map();

function data(part) {
  if (!parsed.has(part)) {
    parsed.set(part, JSON.parse(document.getElementById("data-" + part).textContent));
  }
  return parsed.get(part);
}

const PHASES = ["forward", "backward", "update"];

/* The kernels of every line, as "file:line" -> numbers, and of every node of the last stage. */
let kernelsByLine = null;
function kernelsOfLine(file, line) {
  if (!kernelsByLine) {
    kernelsByLine = new Map();
    data("kernels").forEach((kernel, k) => {
      for (const place of kernel.calls) {
        const key = place.join(":");
        if (!kernelsByLine.has(key)) kernelsByLine.set(key, []);
        kernelsByLine.get(key).push(k);
      }
    });
  }
  return kernelsByLine.get(file + ":" + line) || [];
}

function kernelName(k) {
  return data("functions")[data("kernels")[k].function].name;
}

/* A line [file, line] in words, and several of them: "model.py:12, 14, nn.py:3". */
function lineText([file, line]) {
  return data("files")[file].name + ":" + line;
}

/* What stands on a line. */
function sourceLine([file, line]) {
  for (const { first, lines } of data("files")[file].runs) {
    if (first <= line && line < first + lines.length) return lines[line - first].trim();
  }
  return "";
}

function linesText(places) {
  return places.map((p, i) => (i && places[i - 1][0] === p[0] ? String(p[1]) : lineText(p))).join(", ");
}

/* What a buffer of each class holds. */
const CLASS_NAMES = {
  saved: "kept for the backward pass", recomputed: "computed again", forward: "passed on in the forward pass",
  backward: "gradients", update: "update", workspace: "workspace",
};

/* Places for marks on an axis from 0 to `most`: multiples of 1, 2 or 5 times a power of ten. */
function ticks(most, wanted) {
  const power = 10 ** Math.floor(Math.log10(most / wanted));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => most / s <= wanted) ?? 10 * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, k) => k * step);
}

/* A stage with its nodes: those of the stage before where it changed nothing. */
function stageAt(s) {
  const stages = data("graph").stages;
  let from = s;
  while (stages[from].nodes === null) from -= 1;
  const { nodes, inputs, picture } = stages[from];
  return { ...stages[s], nodes, inputs, picture };
}

/* Numbers as people read them. */
function count(n) {
  return Math.round(n).toLocaleString("en-US");
}

function scaled(n, unit) {
  const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
  for (const [size, letter] of steps) {
    if (Math.abs(n) >= size) return (n / size).toPrecision(3) + "\u00a0" + letter + unit;
  }
  return count(n) + (unit ? "\u00a0" + unit : "");
}

function bytes(n) {
  return scaled(n, "B");
}

function seconds(s) {
  if (s >= 1) return s.toFixed(2) + " s";
  return s >= 1e-3 ? (s * 1e3).toFixed(1) + " ms" : (s * 1e6).toFixed(1) + " µs";
}

function percent(x) {
  return (100 * x).toFixed(x < 0.0995 ? 1 : 0) + " %";
}
