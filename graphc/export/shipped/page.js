"use strict";
/* The page around the worker that trains: buttons, numbers, and the curve of the loss. */

const $ = (id) => document.getElementById(id);
const record = JSON.parse($("record").textContent);
const PARTS = 2048;
let past = nothing();
let worker, running = false, seconds = 0, measured = 0, broken = false, drawn = false;

function nothing() {
  return { parts: [], width: 1, steps: 0, last: NaN };
}

function bytesText(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  const k = Math.min(3, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${k ? (count / 1000 ** k).toFixed(1) : count} ${units[k]}`;
}

function describe() {
  $("title").textContent = record.name;
  $("subtitle").textContent =
    `A training step compiled by graphc ${record.version} to WebAssembly: ${record.kernels} kernels, ` +
    `state ${bytesText(record.state_bytes)}, working memory ${bytesText(record.arena_bytes)}.`;
  for (const [members, made] of [[record.state, "random"], [record.inputs, "random"]]) {
    for (const member of members) {
      const row = $("arrays").insertRow();
      const batches = member.batches > 1 ? `, ${member.batches} batches` : "";
      const values = member.data === undefined ? made : "given";
      for (const text of [member.name, member.type, values + batches]) row.insertCell().textContent = text;
    }
  }
}

function say(text, bad) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", Boolean(bad));
}

function setRunning(value) {
  running = value;
  $("start").textContent = running ? "Pause" : past.steps ? "Continue" : "Start";
  $("start").disabled = broken;
}

function fail(text) {
  broken = true;
  setRunning(false);
  say(`Training stopped: ${text}.`, true);
}

function hear({ data: message }) {
  if (message.error) return fail(message.error);
  if (message.ready) {
    broken = false;
    past = nothing();
    seconds = measured = 0;
    $("reset").disabled = false;
    setRunning(false);
    say("Ready. Everything runs in this page; nothing is sent.");
    return show();
  }
  message.losses.filter(Number.isFinite).forEach(remember);
  seconds += message.seconds;
  measured += message.losses.length;
  show();
  if (seconds > 1) seconds = measured = 0;
}

function show() {
  $("loss").textContent = past.steps ? past.last.toPrecision(5) : "–";
  $("step").textContent = past.steps.toLocaleString("en");
  if (!past.steps) $("rate").textContent = $("flops").textContent = "–";
  if (seconds > 0.2) {
    const rate = measured / seconds;
    $("rate").textContent = rate.toLocaleString("en", { maximumSignificantDigits: 4 });
    $("flops").textContent = ((rate * record.flops) / 1e9).toPrecision(3);
  }
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(draw);
}

/* Positions of labels between two numbers: multiples of 1, 2 or 5 times a power of ten. */
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let k = Math.ceil(low / size); k * size <= high; k++) found.push(k * size);
  return found;
}

/* Losses so far, a bounded number of parts of equally many steps: when there are too many, two
 * neighbours become one. */
function remember(loss) {
  const last = past.parts.at(-1);
  if (last && last.steps < past.width) merge(last, { steps: 1, low: loss, high: loss, sum: loss });
  else past.parts.push({ steps: 1, low: loss, high: loss, sum: loss });
  past.steps += 1;
  past.last = loss;
  if (past.parts.length < PARTS) return;
  past.parts = past.parts.filter((part, k) => {
    if (k % 2) merge(past.parts[k - 1], part);
    return k % 2 === 0;
  });
  past.width *= 2;
}

function merge(part, next) {
  part.steps += next.steps;
  part.low = Math.min(part.low, next.low);
  part.high = Math.max(part.high, next.high);
  part.sum += next.sum;
}

/* Where each part is, with its least, mean and largest loss, as logarithms where that is asked for
 * and possible: what is not positive is then as low as the least that is. */
function points(logarithmic) {
  const positive = past.parts.map((p) => p.low).filter((v) => v > 0);
  const scaled = logarithmic ? (v) => Math.log10(Math.max(v, Math.min(...positive))) : (v) => v;
  return past.parts.map((part, k) => ({
    at: k * past.width + (part.steps + 1) / 2,
    low: scaled(part.low),
    high: scaled(part.high),
    mean: scaled(part.sum / part.steps),
  }));
}

function draw() {
  drawn = false;
  const canvas = $("curve"), ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const left = 64, right = width - 18, top = 16, bottom = height - 34;
  g.scale(ratio, ratio);
  g.font = "13px system-ui, 'DejaVu Sans', sans-serif";
  const logarithmic = $("logarithmic").checked && past.parts.some((p) => p.low > 0);
  const shown = points(logarithmic);
  if (!shown.length) {
    g.fillStyle = color("soft");
    g.textAlign = "center";
    g.fillText("the loss appears here", width / 2, height / 2);
    return;
  }
  let low = Math.min(...shown.map((p) => p.low)), high = Math.max(...shown.map((p) => p.high));
  if (low > 0 && !logarithmic) low = 0;
  const room = (high - low) * 0.04 || Math.abs(high) * 0.1 || 1;
  high += room;
  if (low !== 0) low -= room;
  const x = (step) => left + ((right - left) * (step - 1)) / Math.max(1, past.steps - 1);
  const y = (value) => bottom - ((bottom - top) * (value - low)) / (high - low);
  g.strokeStyle = color("line");
  g.fillStyle = color("soft");
  g.lineWidth = 1;
  for (const value of ticks(low, high, 5)) {
    line(g, [[left, y(value)], [right, y(value)]]);
    g.textAlign = "right";
    g.fillText(Number((logarithmic ? 10 ** value : value).toPrecision(3)).toString(), left - 8, y(value) + 4);
  }
  g.textAlign = "center";
  for (const step of ticks(1, Math.max(2, past.steps), 6)) {
    if (step !== Math.round(step)) continue;
    const text = step.toLocaleString("en"), half = g.measureText(text).width / 2;
    g.fillText(text, Math.min(x(step), width - 8 - half), bottom + 22);
  }
  g.fillStyle = color("band");
  g.beginPath();
  shown.forEach((p) => g.lineTo(x(p.at), y(p.high)));
  shown.toReversed().forEach((p) => g.lineTo(x(p.at), y(p.low)));
  g.fill();
  g.strokeStyle = color("accent");
  g.lineWidth = 2;
  line(g, shown.map((p) => [x(p.at), y(p.mean)]));
  canvas.setAttribute("aria-label", `The loss of ${past.steps} steps, now ${past.last.toPrecision(4)}`);
}

function line(g, points) {
  g.beginPath();
  points.forEach(([x, y]) => g.lineTo(x, y));
  g.stroke();
}

function begin() {
  describe();
  draw();
  if (typeof WebAssembly === "undefined") return fail("this browser has no WebAssembly");
  say("Compiling …");
  const url = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
  worker = new Worker(url);
  worker.onmessage = hear;
  worker.onerror = (event) => fail(event.message || "the program cannot be started");
  worker.postMessage({ action: "load", record, program: JSON.parse($("program").textContent) });
  $("start").onclick = () => {
    worker.postMessage({ action: running ? "pause" : "start" });
    say(running ? "Paused." : "Training …");
    setRunning(!running);
  };
  $("reset").onclick = () => worker.postMessage({ action: "reset" });
  $("logarithmic").onchange = draw;
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

begin();
