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

/* The lines [file, line] in words. */
function lineText([file, line]) {
  return data("files")[file].name + ":" + line;
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
    if (Math.abs(n) >= size) return (n / size).toPrecision(3) + " " + letter + unit;
  }
  return count(n) + (unit ? " " + unit : "");
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
