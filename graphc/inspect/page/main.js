/* Views, theme, keys. The address says what is shown: #kernels/12, #memory, … */
const VIEWS = { summary: summaryView, passes: passesView, kernels: kernelsView, memory: memoryView, pebbles: pebblesView };
const NAMES = Object.keys(VIEWS);

function go(view, ...rest) {
  if (view === "kernels" && rest[0] === "line") kernelsState.line = rest.slice(1);
  else if (view === "kernels" && rest.length) Object.assign(kernelsState, { kernel: rest[0], line: null });
  if (view === "memory" && rest.length) [memoryState.buffer] = rest;
  location.hash = [view, ...rest].join("/");
  show(view);
}

function show(name) {
  hideTip();
  for (const tab of document.getElementById("tabs").children) {
    const selected = tab.dataset.view === name;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
  }
  document.getElementById("view").replaceChildren(VIEWS[name]());
  scrollTo(0, 0);
}

function fromAddress() {
  const [view, ...rest] = location.hash.slice(1).split("/");
  const numbers = rest.filter((word) => /^\d+$/.test(word)).map(Number);
  if (!NAMES.includes(view)) return "summary";
  if (view === "kernels" && rest[0] === "line" && numbers.length === 2) kernelsState.line = numbers;
  else if (view === "kernels" && numbers.length && numbers[0] < data("kernels").length) kernelsState.kernel = numbers[0];
  if (view === "memory" && numbers.length && numbers[0] < data("memory").buffers.length) memoryState.buffer = numbers[0];
  return view;
}

const system = matchMedia("(prefers-color-scheme: dark)");
let theme = system.matches ? "dark" : "light";

function setTheme(name) {
  theme = name;
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "☀ light" : "☾ dark";
  dispatchEvent(new Event("themechange"));
}

function begin() {
  document.getElementById("title").textContent = data("summary").step;
  const tabs = document.getElementById("tabs");
  NAMES.forEach((name, i) => {
    const tab = el("button", { type: "button", role: "tab", title: `key ${i + 1}`, onclick: () => go(name) },
      name[0].toUpperCase() + name.slice(1));
    tab.dataset.view = name;
    tabs.append(tab);
  });
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = NAMES.indexOf(document.activeElement.dataset.view);
    const next = NAMES[(at + step + NAMES.length) % NAMES.length];
    go(next);
    tabs.children[NAMES.indexOf(next)].focus();
  });
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const view = NAMES[Number(event.key) - 1];
    if (view) go(view);
    else if (event.key === "t") setTheme(theme === "dark" ? "light" : "dark");
  });
  document.getElementById("theme").addEventListener("click", () => setTheme(theme === "dark" ? "light" : "dark"));
  system.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
  addEventListener("popstate", () => show(fromAddress()));
  setTheme(theme);
  show(fromAddress());
}

begin();
