// The table of networks: sorted, filtered by words, a page of rows at a time.
const Table = (() => {
  const { element, find, state } = Page;
  const { all, amount, percent } = Networks;
  const PAGE = 100;
  const view = { filter: "", column: "accuracy", ascending: false, first: 0, order: [] };
  const columns = {
    trial: { title: "Network", value: (i) => all().trial[i] },
    study: { title: "Study", value: (i) => state.data.studies[all().study[i]].name },
    accuracy: { title: "Proxy accuracy", value: (i) => all().accuracy[i], text: percent },
    seeds: { title: "Seeds", value: (i) => all().seeds[i] },
    macs: { title: "FLOPs", value: (i) => all().macs[i], text: amount },
    params: { title: "Parameters", value: (i) => all().params[i], text: amount },
    activations: { title: "Activations", value: (i) => all().activations[i], text: amount },
    epochs: { title: "Epochs", value: (i) => all().epochs[i] },
    state: { title: "State", value: (i) => all().states[all().state[i]] },
    design: { title: "Design", value: Networks.designOf },
  };
  const TEXTS = ["trial", "study", "state", "design"]; // the other columns are numbers
  let parts = null; // the table's elements, made once
  let texts = []; // what the filter looks at, by row

  function textOf(i) {
    const form = all().forms[all().form[i]].facts.map(([, value]) => value).join(" ");
    const words = [Networks.titleOf(i), Networks.kindOf(i), Networks.designOf(i), form, all().reasons[i] ?? ""];
    return words.join(" ").toLowerCase();
  }

  function build(box) {
    const input = Object.assign(element("input"), { type: "search", placeholder: "words: layer failed k7 trial 12" });
    const label = element("label", "Filter ");
    const count = element("span", null, "count");
    const table = element("table", null, "networks");
    const scroll = element("div", null, "scroll");
    input.addEventListener("input", () => {
      Object.assign(view, { filter: input.value, first: 0 });
      fill();
    });
    const [before, after] = [["Previous", -PAGE], ["Next", PAGE]].map(([text, step]) => Page.button(text, () => {
      view.first += step;
      page();
    }));
    count.setAttribute("role", "status");
    scroll.tabIndex = 0;
    label.append(input);
    scroll.append(table);
    const bar = element("div", null, "bar");
    const pager = element("div", null, "pager");
    pager.append(before, after);
    bar.append(label, count, pager);
    box.append(bar, scroll);
    return { table, count, before, after };
  }

  // A column that is the same in every row says nothing.
  const shownColumns = () => Object.entries(columns).filter(([name, { value }]) =>
    !["study", "seeds", "activations", "epochs", "state"].includes(name) || all().trial.some((_, i) => value(i) !== value(0)));

  function head(table) {
    table.tHead?.remove();
    const line = table.createTHead().insertRow();
    for (const [name, column] of shownColumns()) {
      const cell = line.appendChild(element("th"));
      cell.scope = "col";
      cell.className = TEXTS.includes(name) ? name : "number";
      const order = view.ascending ? "ascending" : "descending";
      cell.setAttribute("aria-sort", view.column === name ? order : "none");
      cell.append(Page.button(column.title, () => {
        view.ascending = view.column === name ? !view.ascending : !["accuracy", "seeds"].includes(name);
        Object.assign(view, { column: name, first: 0 });
        head(table);
        fill();
        table.querySelector("th:not([aria-sort=none]) button").focus();
      }));
    }
  }

  // Rows that hold the words of the filter, in order; those without a value come last either way.
  function fill() {
    if (!parts) return;
    const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = all().trial.map((_, i) => i).filter((i) =>
      !state.hidden.has(all().study[i]) && words.every((word) => (texts[i] ??= textOf(i)).includes(word)));
    const { value } = columns[view.column];
    const sign = view.ascending ? 1 : -1;
    view.order = kept.sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      if (left === null || right === null) return (left === null) - (right === null) || a - b;
      return sign * (typeof left === "string" ? left.localeCompare(right) : left - right) || a - b;
    });
    page();
  }

  function page() {
    const { table, count, before, after } = parts;
    const total = view.order.length;
    view.first = Math.max(0, Math.min(view.first, total - 1 - ((total - 1) % PAGE)));
    const rows = view.order.slice(view.first, view.first + PAGE);
    table.tBodies[0]?.remove();
    const body = table.createTBody();
    for (const i of rows) body.append(line(i));
    count.textContent = total ? `${view.first + 1} to ${view.first + rows.length} of ${total}` : "No network";
    before.disabled = view.first === 0;
    after.disabled = view.first + PAGE >= total;
    mark();
  }

  function line(i) {
    const node = element("tr");
    node.dataset.key = Networks.keyAt(i);
    for (const [name, column] of shownColumns()) {
      const cell = node.insertCell();
      const value = column.value(i);
      if (name === "trial") {
        cell.append(Page.button(Networks.labelOf(i), () => {
          Page.select(node.dataset.key);
          find("detail").focus();
        }));
        if (Networks.isPick(i)) cell.append(element("span", "★", "star"));
      } else if (name === "design") Page.words(cell, value);
      else cell.textContent = column.text ? column.text(value) : value ?? "–";
      cell.className = TEXTS.includes(name) ? name : "number";
    }
    return node;
  }

  function mark() {
    for (const node of document.querySelectorAll("#table tr[data-key]")) {
      node.classList.toggle("chosen", node.dataset.key === state.selected);
    }
  }

  // The elements outlive a new body of the page: what is typed there stays.
  function start(box) {
    texts = [];
    if (!box) return;
    parts ??= build(box);
    head(parts.table);
    fill();
  }

  Page.listen(mark);
  return { fill, start };
})();
