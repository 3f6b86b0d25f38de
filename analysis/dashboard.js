// Draws the figures of the page when they come into view, and links them: a point, a curve and a row of the
// table of networks all choose the same network. Text of a study is only ever set as text.
const Dashboard = (() => {
  const { element, escaped } = Page;
  const find = (id) => document.getElementById(id);
  const coarse = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page, it does not zoom
  const LONG = 13; // letters of a name
  const narrow = () => (state.width ?? innerWidth) < 560;
  // `selected` is "study:trial" or null; `hidden` the studies that are not shown; `width` that of paper
  const state = { selected: null, hidden: new Set(), width: null };
  const figures = new Map(); // by id: {div, read, spec, themed, boxes, stale, seen, drawn}
  let data = null;
  let rows = null; // "study:trial" -> index into the columns of data.networks

  function rowOf(key) {
    const { study, trial } = data.networks;
    rows ??= new Map(trial.map((number, i) => [`${study[i]}:${number}`, i]));
    return rows.get(key);
  }

  const keyOf = (custom) => (Array.isArray(custom) ? `${custom[0]}:${custom[1]}` : null);
  const studyOf = (key) => Number(key.split(":")[0]);

  // ---- figures: drawn when they are seen, and drawn again when they are seen and something has changed

  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const figure = figures.get(entry.target.id);
      if (!figure) continue;
      figure.seen = entry.isIntersecting;
      if (figure.seen && figure.stale) soon(figure);
    }
  }, { rootMargin: "200px 0px" });

  // One figure a task, the uppermost first: the page can be read and scrolled in between.
  const waiting = new Set();
  function soon(figure) {
    if (!waiting.size) setTimeout(next);
    waiting.add(figure);
  }

  // What can wait until the figures in view are drawn.
  const after = [];
  function later(work) {
    // the observer says at the end of the next frame what is in view
    if (!waiting.size && !after.length) requestAnimationFrame(() => setTimeout(next));
    after.push(work);
  }

  function next() {
    if (!waiting.size) return void after.splice(0).forEach((work) => work());
    const above = ({ div }) => div.getBoundingClientRect().top;
    const [first] = [...waiting].sort((a, b) => above(a) - above(b));
    waiting.delete(first);
    if (first.seen && first.stale) draw(first);
    setTimeout(next);
  }

  const fit = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const figure = figures.get(target.id);
      if (!figure?.drawn || state.width !== null || Math.abs(contentRect.width - figure.width) < 1) continue;
      figure.stale = true;
      if (figure.seen) requestAnimationFrame(() => figure.stale && draw(figure));
    }
  });

  function refresh() {
    for (const figure of figures.values()) {
      figure.stale = true;
      if (figure.seen || state.width !== null) draw(figure); // paper has all of them
    }
  }

  const config = ({ div, spec }) => ({
    displaylogo: false,
    // none that talks to a server
    modeBarButtons: [[...(spec.layout?.dragmode === "select" ? [] : ["zoom2d", "pan2d", "resetScale2d"]), "toImage"]],
    displayModeBar: coarse ? false : "hover",
    toImageButtonOptions: { format: "png", scale: 3, filename: div.id },
  });

  function draw(figure) {
    const { div } = figure;
    figure.stale = false;
    figure.spec ??= figure.read();
    const theme = Page.theme();
    if (figure.themed?.theme !== theme) {
      figure.themed = { theme, traces: themed(figure.spec.data, data.colours[theme]) };
    }
    const { traces } = figure.themed;
    div.style.minWidth = state.width === null ? `${leastWidth(figure.spec)}px` : "";
    figure.width = div.clientWidth;
    const drawn = traces.map((trace) => through(shown(trace), figure));
    Plotly.react(div, [...drawn, ...marks(traces)], layoutOf(figure), config(figure));
    if (figure.drawn) return;
    figure.drawn = true;
    thin(div);
    div.on("plotly_afterplot", () => thin(div));
    const keep = (boxes) => {
      if (figure.keeping || JSON.stringify(boxes) === JSON.stringify(figure.boxes ?? [])) return;
      figure.boxes = structuredClone(boxes);
      figure.keeping = true; // plotly says of every drawing what is selected in it
      draw(figure);
      figure.keeping = false;
    };
    if (figure.spec.data.some((trace) => trace.meta?.lines)) {
      div.on("plotly_selected", (event) => keep(event?.selections ?? []));
      div.on("plotly_deselect", () => keep([]));
    }
    div.on("plotly_click", ({ points }) => {
      const key = points.map((point) => keyOf(point.customdata)).find((each) => rowOf(each) !== undefined);
      if (key) select(key);
    });
  }

  // What the style sheet's light page draws, as the other one does; texts are no colours, and stay.
  function themed(value, colours) {
    if (typeof value === "string") return colours[value] ?? translucent(value, colours) ?? value;
    const each = ([key, item]) => [key, texts.has(key) ? item : themed(item, colours)];
    if (isPlain(value)) return Object.fromEntries(Object.entries(value).map(each));
    if (!Array.isArray(value) || !(typeof value[0] === "string" || isPlain(value[0]))) return value;
    return value.map((item) => themed(item, colours));
  }

  const texts = new Set(["x", "y", "text", "hovertext", "name", "legendgroup", "customdata", "hovertemplate"]);
  const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  function translucent(text, colours) {
    const parts = /^rgba\((\d+),(\d+),(\d+),([\d.]+)\)$/.exec(text);
    if (!parts) return null;
    const hex = parts.slice(1, 4).map((part) => Number(part).toString(16).padStart(2, "0"));
    const other = colours[`#${hex.join("")}`];
    if (!other) return null;
    return `rgba(${[1, 3, 5].map((at) => parseInt(other.slice(at, at + 2), 16)).join()},${parts[4]})`;
  }

  // Names that would cover one already there, and long ones on a phone, are not drawn: a point's hover text
  // has its name, too.
  function thin(div) {
    const kept = [];
    for (const text of div.querySelectorAll(".textpoint text")) {
      const box = text.getBoundingClientRect();
      const covers = (other) =>
        box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
      const hidden = kept.some(covers) || (narrow() && text.textContent.length > LONG);
      text.style.visibility = hidden ? "hidden" : "";
      if (!hidden && box.width) kept.push(box);
    }
  }

  // Of lines over axes that stand at 0, 1, ...: those through every box that was drawn over some of the axes.
  function through(trace, { boxes = [] }) {
    const length = trace.meta?.lines;
    const ranges = boxes.map(({ x0, x1, y0, y1 }) => [x0, x1, y0, y1].map(Number))
      .map(([a, b, c, d]) => [Math.min(a, b), Math.max(a, b), Math.min(c, d), Math.max(c, d)]);
    if (!length || !ranges.length) return trace;
    const inside = (start) => ranges.every(([left, right, low, high]) => {
      for (let axis = Math.ceil(left); axis <= Math.min(right, length - 2); axis++) {
        const value = trace.y[start + axis];
        if (axis >= 0 && (value < low || value > high)) return false;
      }
      return true;
    });
    const y = trace.y.slice();
    for (let start = 0; start < y.length; start += length) if (!inside(start)) y.fill(null, start, start + length);
    return { ...trace, y };
  }

  // Panels side by side: on a phone they keep a width at which they can be read, and scroll.
  function leastWidth({ data: traces, layout = {} }) {
    const lines = traces.find((trace) => trace.meta?.lines);
    if (lines) return 70 * lines.meta.lines;
    const axes = Object.entries(layout).filter(([name, axis]) => /^xaxis\d*$/.test(name) && axis?.domain);
    const columns = Math.max(layout.grid?.columns ?? 1, new Set(axes.map(([, axis]) => axis.domain[0])).size);
    return columns > 1 ? 270 * columns : 0;
  }

  function layoutOf({ div, spec, boxes }) {
    const layout = structuredClone(spec.layout ?? {}); // plotly writes into what it is given
    delete layout.width;
    const font = { ...layout.font };
    if (narrow()) font.size = 10.5;
    return {
      ...layout,
      ...(boxes ? { selections: structuredClone(boxes), selectionrevision: JSON.stringify(boxes) } : {}),
      dragmode: coarse ? false : layout.dragmode ?? "zoom",
      font,
      template: data.templates[Page.theme()],
      autosize: state.width === null,
      ...(state.width === null ? {} : { width: state.width }),
      height: Number(div.dataset.height),
      uirevision: "kept", // zoom and legend stay as they are when the data change
    };
  }

  // A trace is of the studies that its points name, or its meta: {study: 0}, or {study: [0, 1]}.
  const owners = new WeakMap();
  function studiesOf(trace) {
    if (!owners.has(trace)) {
      const named = trace.meta?.study ?? (trace.customdata ?? []).filter(Array.isArray).map(([study]) => study);
      owners.set(trace, new Set([].concat(named)));
    }
    return owners.get(trace);
  }

  function shown(trace) {
    const own = studiesOf(trace);
    const left = [...own].filter((study) => !state.hidden.has(study));
    if (own.size && !left.length) return { ...trace, visible: false };
    if (left.length === own.size || !Array.isArray(trace.x)) return { ...trace };
    // of several studies: points without a place are not drawn
    const gone = (i) => state.hidden.has(trace.customdata?.[i]?.[0]);
    return { ...trace, x: trace.x.map((value, i) => (gone(i) ? null : value)) };
  }

  // The chosen network: a ring around its points, a line over its lines.
  function marks(traces) {
    const key = state.selected;
    if (key === null || state.hidden.has(studyOf(key))) return [];
    const found = new Map();
    const ink = data.templates[Page.theme()].layout.annotationdefaults.font.color;
    for (const trace of traces) {
      if ((trace.type ?? "scatter") !== "scatter" || !Array.isArray(trace.x) || !Array.isArray(trace.y)) continue;
      const at = placesOf(trace).get(key);
      if (!at || trace.visible === false) continue;
      const line = at.length > 1 && (trace.mode ?? "lines").includes("lines");
      const mark = {
        type: "scatter", mode: line ? "lines" : "markers", hoverinfo: "skip", showlegend: false, cliponaxis: false,
        x: at.map((i) => trace.x[i]), y: at.map((i) => trace.y[i]), xaxis: trace.xaxis, yaxis: trace.yaxis,
        line: { color: ink, width: 3.5, shape: trace.line?.shape },
        marker: { symbol: "circle-open", size: 20, color: ink, line: { width: 2 } },
      };
      found.set(JSON.stringify([mark.x, mark.y, mark.xaxis, mark.yaxis]), mark);
    }
    return [...found.values()];
  }

  const places = new WeakMap();
  function placesOf(trace) {
    if (!places.has(trace)) {
      const map = new Map();
      (trace.customdata ?? []).forEach((custom, i) => {
        const key = keyOf(custom);
        if (key === null) return;
        if (!map.has(key)) map.set(key, []);
        map.get(key).push(i);
      });
      places.set(trace, map);
    }
    return places.get(trace);
  }

  // ---- the chosen network

  const three = (value) =>
    Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  const percent = (value) => (value === null ? "–" : `${value.toFixed(1)}%`);
  const names = { macs: "FLOPs", params: "Params", activations: "Activations" };

  function amount(value, most = value) {
    if (value === null || value === undefined) return "–";
    const [divisor, prefix] = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([size]) => most >= size) ?? [1, ""];
    return `${three(value / divisor)} ${prefix}`.trim();
  }

  const titleOf = (i) => {
    const { name, trial } = data.networks;
    return name[i] ? `${name[i]} (trial ${trial[i]})` : `Trial ${trial[i]}`;
  };

  // "3-3-9-3" is a value a stage, "7" the same in all of them.
  const spread = (text, count) => (text.includes("-") ? text.split("-") : Array(count).fill(text));

  function showDetail() {
    const panel = find("detail");
    const open = state.selected !== null;
    panel.hidden = !open;
    document.body.classList.toggle("open", open);
    if (!open) return;
    const i = rowOf(state.selected);
    find("network").replaceChildren(
      element("h2", titleOf(i)), element("p", kindOf(i), "kind"), ...reasonOf(i), stagesOf(i),
      ...costsOf(i), factsOf(i), ...trainingsOf(i), ...exportOf(i));
    drawCurve(i);
  }

  function kindOf(i) {
    const all = data.networks;
    const parts = [all.families[all.family[i]], all.states[all.state[i]], all.budgets[all.budget[i]]];
    if (data.studies.length > 1) parts.unshift(data.studies[all.study[i]].name);
    return parts.filter(Boolean).join(" · ");
  }

  function reasonOf(i) {
    const reason = data.networks.reasons[i];
    return reason ? [element("p", reason, "reason")] : [];
  }

  function headed(node, heads) {
    const line = node.createTHead().insertRow();
    for (const text of heads) {
      const cell = line.appendChild(element("th", text));
      cell.scope = "col";
    }
    return node.createTBody();
  }

  function row(body, name, values) {
    const line = body.insertRow();
    const head = line.appendChild(element("th", name));
    head.scope = "row";
    line.append(...values.map((value) => element("td", value)));
    return line;
  }

  function stagesOf(i) {
    const { stages, stage_names } = data.networks;
    const count = Math.max(...stages[i].map((text) => text.split("-").length));
    const node = element("table", null, "stages");
    const body = headed(node, ["Stage", ...Array.from({ length: count }, (_, n) => n + 1)]);
    stage_names.forEach((name, n) => {
      const values = spread(stages[i][n], count);
      if (values.some((value) => value !== "–")) row(body, name, values);
    });
    return node;
  }

  // A bar in every cell: the share of the part in the whole network.
  function costsOf(i) {
    const all = data.networks;
    const { parts } = all.forms[all.form[i]];
    if (!parts.length) return [];
    const node = element("table", null, "costs");
    const metrics = Object.keys(names);
    const body = headed(node, ["", ...metrics.map((metric) => names[metric])]);
    parts.forEach((part, p) => {
      const values = metrics.map((metric, m) => all.parts[i][3 * p + m] * all.units[metric]);
      const line = row(body, part[0].toUpperCase() + part.slice(1), []);
      values.forEach((value, m) => {
        const cell = line.appendChild(element("td"));
        const bar = cell.appendChild(element("span", null, "bar"));
        bar.style.width = `${(100 * value) / (all[metrics[m]][i] || 1)}%`;
        cell.append(element("span", value ? amount(value) : "0", "value"));
      });
    });
    row(body, "Whole", metrics.map((metric) => amount(all[metric][i]))).className = "whole";
    return [element("h3", "Cost by part, at 224×224"), node];
  }

  function factsOf(i) {
    const all = data.networks;
    const node = element("table", null, "facts");
    const body = node.createTBody();
    for (const [name, value] of all.forms[all.form[i]].facts) row(body, name, [value]);
    return node;
  }

  function trainingsOf(i) {
    const all = data.networks;
    const trained = all.trainings[i].filter(([, accuracy]) => accuracy !== null);
    const nodes = [];
    if (all.trainings[i].some(([, , curve]) => curve.length)) {
      const plot = element("div", null, "curve");
      plot.id = "curve";
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", "Proxy accuracy by epoch, a line for each training");
      nodes.push(element("h3", "Proxy accuracy by epoch (%)"), plot);
    }
    if (trained.length) {
      const node = element("table", null, "seeds");
      const body = headed(node, ["Seed", "Proxy accuracy"]);
      trained.forEach(([seed, accuracy]) => row(body, seed, [percent(accuracy)]));
      if (trained.length > 1) row(body, "Mean", [percent(all.accuracy[i])]).className = "whole";
      nodes.push(node);
    }
    return nodes;
  }

  function exportOf(i) {
    const all = data.networks;
    if (!all.forms[all.form[i]].exported) {
      return [element("p", "A reference from outside the design space: there is no export of it.", "note")];
    }
    const box = element("div", null, "export");
    const code = element("code", `${data.studies[all.study[i]].export} --trial ${all.trial[i]}`);
    code.id = "command";
    const button = element("button", "Copy");
    button.type = "button";
    button.addEventListener("click", () => Page.copy(code, button));
    box.append(code, button);
    return [element("h3", "Export it, with its training recipe"), box];
  }

  function drawCurve(i) {
    const div = find("curve");
    if (!div) return;
    const template = data.templates[Page.theme()];
    const traces = data.networks.trainings[i].map(([seed, , curve, epochs], n) => ({
      type: "scatter", mode: curve.length > 40 ? "lines" : "lines+markers", marker: { size: 4 },
      x: epochs || curve.map((_, e) => e + 1), y: curve.map((value) => (value === null ? null : value / 100)),
      hovertemplate: `seed ${escaped(seed)}, epoch %{x}: %{y:.1f}%<extra></extra>`,
      line: { width: n ? 1.2 : 2.2, color: template.layout.colorway[0] }, opacity: n ? 0.6 : 1,
    }));
    Plotly.newPlot(div, traces, {
      template, showlegend: false, dragmode: false, height: 170, autosize: true,
      margin: { l: 34, r: 8, t: 8, b: 36 }, font: { size: 11 },
      xaxis: { title: { text: "epoch" }, tickformat: "d", nticks: 6 },
    }, { displayModeBar: false, responsive: true });
  }

  function select(key, { focus = false } = {}) {
    state.selected = key;
    writeHash();
    showDetail();
    refresh();
    list.mark();
    if (focus && key !== null) find("detail").focus();
  }

  // ---- the address: #section&trial=STUDY:TRIAL, both parts optional

  const readHash = () => {
    const parts = decodeURIComponent(location.hash.slice(1)).split("&");
    const trial = parts.find((part) => part.startsWith("trial="))?.slice(6) ?? null;
    return { section: parts.find((part) => part && !part.includes("=")) ?? null, trial };
  };

  function writeHash(section = readHash().section) {
    const parts = [section, state.selected && `trial=${state.selected}`].filter(Boolean);
    history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
  }

  function followHash() {
    const { section, trial } = readHash();
    if (trial !== state.selected) select(rowOf(trial) === undefined ? null : trial);
    if (section) find(section)?.scrollIntoView();
  }

  // ---- navigation

  const sections = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      for (const link of document.querySelectorAll("#contents a")) {
        const here = link.hash === `#${entry.target.id}`;
        link.toggleAttribute("aria-current", here);
        if (here) link.parentElement.parentElement.scrollTo({ left: link.offsetLeft - 40 });
      }
    }
  }, { rootMargin: "-30% 0px -65% 0px" });

  function navigate() {
    sections.observe(document.querySelector("header")); // above all sections
    for (const link of document.querySelectorAll("#contents a")) {
      const target = find(link.hash.slice(1));
      sections.observe(target);
      link.addEventListener("click", (event) => {
        event.preventDefault(); // the chosen network stays in the address
        writeHash(target.id);
        target.scrollIntoView();
      });
    }
  }

  // ---- studies to show

  function choose() {
    for (const box of document.querySelectorAll("#shown input")) {
      const study = Number(box.dataset.study);
      box.checked = !state.hidden.has(study);
      box.addEventListener("change", () => {
        state.hidden[box.checked ? "delete" : "add"](study);
        refresh();
        list.fill();
      });
    }
  }

  // ---- the table of networks: a page of rows at a time

  const list = (() => {
    const PAGE = 100;
    const view = { filter: "", column: "accuracy", ascending: false, first: 0, order: [] };
    const columns = {
      trial: { title: "Network", value: (i) => data.networks.trial[i] },
      study: { title: "Study", value: (i) => data.studies[data.networks.study[i]].name },
      accuracy: { title: "Proxy accuracy", value: (i) => data.networks.accuracy[i], text: percent },
      macs: { title: "FLOPs", value: (i) => data.networks.macs[i], text: amount },
      params: { title: "Parameters", value: (i) => data.networks.params[i], text: amount },
      activations: { title: "Activations", value: (i) => data.networks.activations[i], text: amount },
      seeds: { title: "Seeds", value: (i) => data.networks.trainings[i].filter((t) => t[1] !== null).length },
      epochs: { title: "Epochs", value: (i) => data.networks.epochs[i] },
      state: { title: "State", value: (i) => data.networks.states[data.networks.state[i]] },
      design: { title: "Design", value: designOf },
    };
    let parts = null; // the table's elements, made once
    let texts = []; // what the filter looks at, by row

    function designOf(i) {
      const [depths, widths, kernels, expansions] = data.networks.stages[i];
      return `${depths} ${widths} k${kernels} e${expansions}`;
    }

    function textOf(i) {
      const all = data.networks;
      const form = all.forms[all.form[i]].facts.map(([, value]) => value).join(" ");
      return `${titleOf(i)} ${kindOf(i)} ${designOf(i)} ${form} ${all.reasons[i] ?? ""}`.toLowerCase();
    }

    function build(box) {
      const input = element("input");
      const label = element("label", "Filter ");
      const count = element("span", null, "count");
      const table = element("table", null, "networks");
      const scroll = element("div", null, "scroll");
      const [before, after] = [element("button", "Previous"), element("button", "Next")];
      Object.assign(input, { type: "search", placeholder: "words: layer failed k7 trial 12" });
      input.addEventListener("input", () => {
        view.filter = input.value;
        view.first = 0;
        fill();
      });
      for (const [button, step] of [[before, -PAGE], [after, PAGE]]) {
        button.type = "button";
        button.addEventListener("click", () => {
          view.first += step;
          page();
        });
      }
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

    function head(table) {
      table.tHead?.remove();
      const line = table.createTHead().insertRow();
      for (const [name, column] of shownColumns()) {
        const cell = line.appendChild(element("th"));
        const button = cell.appendChild(element("button", column.title));
        cell.scope = "col";
        button.type = "button";
        const order = view.ascending ? "ascending" : "descending";
        cell.setAttribute("aria-sort", view.column === name ? order : "none");
        button.addEventListener("click", () => {
          view.ascending = view.column === name ? !view.ascending : !["accuracy", "seeds"].includes(name);
          Object.assign(view, { column: name, first: 0 });
          head(table);
          fill();
          table.querySelector("th:not([aria-sort=none]) button").focus();
        });
      }
    }

    const shownColumns = () =>
      Object.entries(columns).filter(([name]) => name !== "study" || data.studies.length > 1);

    // Rows that hold the words of the filter, in order; those without a value come last either way.
    function fill() {
      if (!parts) return;
      const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
      const kept = data.networks.trial.map((_, i) => i).filter((i) =>
        !state.hidden.has(data.networks.study[i]) && words.every((word) => (texts[i] ??= textOf(i)).includes(word)));
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
      const key = `${data.networks.study[i]}:${data.networks.trial[i]}`;
      node.dataset.key = key;
      for (const [name, column] of shownColumns()) {
        const cell = node.insertCell();
        const value = column.value(i);
        if (name === "trial") {
          const button = cell.appendChild(element("button", data.networks.name[i] ?? `Trial ${value}`));
          button.type = "button";
          button.addEventListener("click", () => select(key, { focus: true }));
        } else cell.textContent = column.text ? column.text(value) : value ?? "–";
        cell.className = typeof value === "number" && name !== "trial" ? "number" : name;
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

    return { start, fill, mark };
  })();

  // ---- start, and again with newer data

  function start(fresh, read) {
    data = fresh;
    rows = null;
    const gone = new Set(figures.keys());
    for (const div of document.querySelectorAll(".plot")) {
      const figure = figures.get(div.id) ?? { div, drawn: false, seen: false };
      figures.set(div.id, Object.assign(figure, { spec: null, themed: null, stale: true, read: () => read(div.id) }));
      gone.delete(div.id);
      watch.observe(div);
      fit.observe(div);
    }
    for (const id of gone) figures.delete(id);
    navigate();
    choose();
    later(() => list.start(find("table")));
    if (state.selected !== null && rowOf(state.selected) === undefined) state.selected = null;
  }

  // A newer page, as analysis/page/live.py sends it: its figures and its table keep their elements.
  function show(text) {
    const page = JSON.parse(text);
    const app = find("app");
    const open = new Set([...app.querySelectorAll("details[open] > summary")].map((node) => node.dataset.name));
    const kept = [...[...figures.values()].map((figure) => figure.div), find("table")].filter(Boolean);
    const place = scrollY;
    app.innerHTML = page.body; // escaped where it was made, in analysis/page/markup.py
    for (const node of kept) {
      const fresh = find(node.id);
      if (!fresh) continue;
      for (const name of ["aria-label", "data-height"]) {
        if (fresh.hasAttribute(name)) node.setAttribute(name, fresh.getAttribute(name));
      }
      fresh.replaceWith(node);
    }
    for (const node of app.querySelectorAll("details > summary")) {
      node.parentElement.open = open.has(node.dataset.name);
    }
    document.title = page.title;
    const first = data === null;
    start(page.data, (id) => page.specs[id]);
    if (first) return void followHash();
    scrollTo(0, place);
    showDetail();
    refresh();
  }

  // What the server says every second: a newer page, or the one that is shown; its state.
  let last = null;
  function live(text, [status, running]) {
    if (text && text !== last) show(text);
    last = text;
    const node = find("status");
    if (!node) return;
    if (node.textContent !== status) node.textContent = status;
    node.classList.toggle("running", running);
  }

  find("close").addEventListener("click", () => select(null));
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || state.selected === null) return;
    const from = document.querySelector("#table tr.chosen button");
    const inside = find("detail").contains(document.activeElement);
    select(null);
    if (inside) from?.focus();
  });
  addEventListener("hashchange", () => data && followHash());
  Page.onTheme((width) => {
    state.width = width;
    if (data === null) return;
    refresh();
    if (state.selected !== null && width === null) drawCurve(rowOf(state.selected));
  });

  // In a file each part is read when it is needed.
  const parsed = (id) => JSON.parse(find(id).textContent);
  if (find("data")) {
    const whole = parsed("data");
    let networks = null;
    Object.defineProperty(whole, "networks", { get: () => (networks ??= parsed("details")) });
    start(whole, (id) => parsed(`spec-${id}`));
    followHash();
  }
  return { live };
})();
