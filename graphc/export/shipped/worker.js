"use strict";
/* Runs steps in WebAssembly beside the page, a slice of time after the other, so that it hears what
 * the page asks for in between. */

const SLICE = 40; // milliseconds
const PAGE = 65536; // bytes by which memory grows
let record, step, arrays, timer, count = 0;

onmessage = async ({ data: message }) => {
  try {
    if (message.action === "load") await load(message);
    else if (message.action === "start") start();
    else if (message.action === "pause") clearTimeout(timer);
    else if (message.action === "reset") reset();
  } catch (error) {
    fail(error);
  }
};

function fail(error) {
  clearTimeout(timer);
  postMessage({ error: error.message || String(error) });
}

async function load(message) {
  record = message.record;
  const compiled = await WebAssembly.instantiate(decode(message.program), {});
  step = compiled.instance.exports;
  place();
  reset();
}

function decode(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function bytes() {
  return new Uint8Array(step.memory.buffer);
}

/* Room for the inputs behind everything of the program's own, each array at a multiple of 64, and
 * in front of them the table of their addresses that a step takes. */
function place() {
  const align = (address) => Math.ceil(address / 64) * 64;
  const table = align(step.__heap_base.value);
  let end = align(table + 4 * record.inputs.length);
  arrays = { table, first: [] };
  for (const input of record.inputs) {
    arrays.first.push(end);
    end = align(end + Math.max(1, input.bytes * input.batches));
  }
  const missing = Math.ceil((end - step.memory.buffer.byteLength) / PAGE);
  if (missing > 0) step.memory.grow(missing);
  record.inputs.forEach((input, k) => {
    if (input.data === undefined) step.fillInput(k, arrays.first[k]);
    else bytes().set(decode(input.data), arrays.first[k]);
  });
  fill(record.constants, step.constantsAddress());
}

/* Puts what the page holds of a struct's members into its memory. */
function fill(members, address) {
  for (const member of members) {
    if (member.data !== undefined) bytes().set(decode(member.data), address + member.offset);
  }
}

function reset() {
  clearTimeout(timer);
  count = 0;
  check(step.begin());
  fill(record.state, step.stateAddress());
  postMessage({ ready: true });
}

function check(status) {
  if (status === 0) return;
  const from = bytes().subarray(step.message(status));
  throw new Error(new TextDecoder().decode(from.slice(0, from.indexOf(0))));
}

function start() {
  clearTimeout(timer);
  slice();
}

function slice() {
  try {
    const begin = performance.now(), losses = [];
    let now = begin;
    do {
      losses.push(next());
      now = performance.now();
    } while (now - begin < SLICE && Number.isFinite(losses.at(-1)));
    postMessage({ losses, seconds: (now - begin) / 1000 });
    if (!Number.isFinite(losses.at(-1))) throw new Error(`the loss of step ${count} is ${losses.at(-1)}`);
    timer = setTimeout(slice, 0);
  } catch (error) {
    fail(error);
  }
}

/* One step on the next batch of every input; gives its loss. */
function next() {
  const table = new Uint32Array(step.memory.buffer, arrays.table, record.inputs.length);
  record.inputs.forEach((input, k) => {
    table[k] = arrays.first[k] + (count % input.batches) * input.bytes;
  });
  check(step.step(arrays.table));
  count += 1;
  return step.loss();
}
