/* Elements, made of names and text: nothing here is ever read as HTML. */
function el(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "role") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function card(value, caption) {
  return el("div", { className: "card" }, el("b", {}, value), el("span", {}, caption));
}

function facts(pairs) {
  const list = el("dl");
  for (const [name, value] of pairs) {
    if (value !== null && value !== "") list.append(el("dt", {}, name), el("dd", {}, value));
  }
  return list;
}

function link(text, action) {
  return el("button", { type: "button", className: "link mono", onclick: action }, text);
}

/* Elements side by side with commas between them. */
function listed(elements) {
  const span = el("span");
  elements.forEach((element, i) => span.append(i ? ", " : "", element));
  return span;
}

function legend(names) {
  const box = el("div", { className: "legend" });
  for (const [name, text] of names) {
    const swatch = el("i");
    swatch.style.background = `var(--${name})`;
    box.append(el("span", {}, swatch, text));
  }
  return box;
}

/* The note beside the pointer. */
function showTip(x, y, ...content) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(...content);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - width - 8)) + "px";
  tip.style.top = (y + 18 + height > innerHeight ? Math.max(4, y - height - 10) : y + 18) + "px";
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

/* C with its comments and words told apart. */
const C_WORDS = /\b(?:void|const|static|restrict|float|double|int|int32_t|int64_t|uint8_t|uint32_t|bool|for|if|else|while|return|_Alignas)\b/;
function cText(text) {
  const pre = el("pre", { className: "c", tabIndex: 0 });
  for (const piece of text.split(/(\/\*[\s\S]*?\*\/|\b[A-Za-z_]\w*\b)/)) {
    if (piece.startsWith("/*")) pre.append(el("span", { className: "comment" }, piece));
    else if (C_WORDS.test(piece)) pre.append(el("span", { className: "word" }, piece));
    else pre.append(piece);
  }
  return pre;
}
