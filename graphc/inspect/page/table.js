/* A table that sorts. A column: { title, value(row), text(row), number, wide, minor }; `value` is what is
 * compared, `text` what is shown: text, an element, or by default the value; minor
 * ones are left out on narrow screens. */
const ROWS_AT_FIRST = 250;

function kindOf({ number, wide, minor }) {
  return [number ? "number" : wide ? "wide" : "", minor ? "minor" : ""].join(" ").trim();
}

function table(columns, rows, options = {}) {
  let order = options.order ?? -1;
  let descending = options.descending ?? false;
  let limit = ROWS_AT_FIRST;
  let chosen = options.chosen ?? null;
  let shown = rows;
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => { limit = Infinity; draw(); } });
  const heads = columns.map((column, c) => {
    const button = el("button", { type: "button", onclick: () => sort(c) }, column.title);
    return el("th", { className: kindOf(column), scope: "col" }, button);
  });

  function sort(c) {
    descending = c === order ? !descending : Boolean(columns[c].number);
    order = c;
    draw();
  }

  function sorted() {
    if (order < 0) return shown;
    const { value } = columns[order];
    const sign = descending ? -1 : 1;
    return [...shown].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x < y ? -sign : x > y ? sign : 0;
    });
  }

  function draw() {
    heads.forEach((head, c) => {
      const direction = c === order ? (descending ? "descending" : "ascending") : "none";
      head.setAttribute("aria-sort", direction);
      head.firstChild.textContent =
        columns[c].title + (c === order ? (descending ? " ▾" : " ▴") : "");
    });
    const all = sorted();
    body.replaceChildren(...all.slice(0, limit).map(rowElement));
    more.hidden = all.length <= limit;
    more.textContent = `show all ${count(all.length)} rows`;
  }

  function rowElement(row) {
    const cells = columns.map((column) => {
      return el("td", { className: kindOf(column) }, column.text ? column.text(row) : String(column.value(row)));
    });
    if (!options.pick) return el("tr", {}, ...cells);
    const element = el("tr", { className: "pick", tabIndex: 0 }, ...cells);
    element.setAttribute("aria-selected", String(row === chosen));
    element.addEventListener("click", () => choose(row, element));
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") choose(row, element);
      else if (event.key === "ArrowDown") element.nextElementSibling?.focus();
      else if (event.key === "ArrowUp") element.previousElementSibling?.focus();
      else return;
      event.preventDefault();
    });
    return element;
  }

  function choose(row) {
    mark(row);
    options.pick(row);
  }

  function mark(row) {
    chosen = row;
    const all = sorted();
    for (const old of body.querySelectorAll('[aria-selected="true"]')) old.setAttribute("aria-selected", "false");
    const place = all.indexOf(row);
    if (place >= limit) { limit = place + ROWS_AT_FIRST; draw(); }
    const element = body.children[place];
    if (element) {
      element.setAttribute("aria-selected", "true");
      element.scrollIntoView({ block: "nearest" });
    }
  }

  function filter(keep) {
    shown = keep ? rows.filter(keep) : rows;
    draw();
  }

  draw();
  const head = el("thead", {}, el("tr", {}, ...heads));
  const element = el("div", { className: "scroll" }, el("table", {}, head, body), more);
  return { element, mark, filter };
}
