// The panel of the chosen network: its stages, costs, trainings, and how to export it.
const Panel = (() => {
  const { element, escaped, find, state } = Page;
  const { all, amount, percent } = Networks;
  const METRICS = { macs: "FLOPs", params: "Params", activations: "Activations" };

  function show() {
    const open = state.selected !== null;
    find("detail").hidden = !open;
    document.body.classList.toggle("open", open);
    if (!open) return;
    const i = Networks.rowOf(state.selected);
    const reason = all().reasons[i];
    find("network").replaceChildren(
      element("h2", Networks.titleOf(i)), element("p", Networks.kindOf(i), "kind"),
      ...(reason ? [element("p", reason, "reason")] : []),
      stagesOf(i), ...exportOf(i), ...costsOf(i), factsOf(i), ...trainingsOf(i));
    drawCurve(i);
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

  // "3-3-9-3" is a value a stage, "7" the same in all of them.
  const spread = (text, count) => (text.includes("-") ? text.split("-") : Array(count).fill(text));

  function stagesOf(i) {
    const { stages, stage_names } = all();
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
    const { form, forms, parts: costs, units } = all();
    const { parts } = forms[form[i]];
    if (!parts.length) return [];
    const node = element("table", null, "costs");
    const metrics = Object.keys(METRICS);
    const body = headed(node, ["", ...Object.values(METRICS)]);
    parts.forEach((part, p) => {
      const line = row(body, part[0].toUpperCase() + part.slice(1), []);
      metrics.forEach((metric, m) => {
        const value = costs[i][3 * p + m] * units[metric];
        const cell = line.appendChild(element("td"));
        const bar = cell.appendChild(element("span", null, "bar"));
        bar.style.width = `${(100 * value) / (all()[metric][i] || 1)}%`;
        cell.append(element("span", value ? amount(value) : "0", "value"));
      });
    });
    row(body, "Whole", metrics.map((metric) => amount(all()[metric][i]))).className = "whole";
    return [element("h3", "Cost by part, at 224×224"), node];
  }

  function factsOf(i) {
    const node = element("table", null, "facts");
    const body = node.createTBody();
    for (const [name, value] of all().forms[all().form[i]].facts) row(body, name, [value]);
    return node;
  }

  function trainingsOf(i) {
    const trained = all().trainings[i].filter(([, accuracy]) => accuracy !== null);
    const nodes = [];
    if (all().trainings[i].some(([, , curve]) => curve.length)) {
      const plot = element("div", null, "curve");
      plot.id = "curve";
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", "Proxy accuracy by epoch, a line for each training");
      nodes.push(element("h3", "Proxy accuracy by epoch (%)"), plot);
    }
    if (trained.length) {
      const node = element("table", null, "seeds");
      const body = headed(node, ["Seed", "Proxy accuracy"]);
      trained.forEach(([seed, accuracy], n) =>
        row(body, n || trained.length === 1 ? seed : `${seed}, in the search`, [percent(accuracy)]));
      if (all().seeds[i] > 1) row(body, "Mean of fresh seeds", [percent(all().accuracy[i])]).className = "whole";
      nodes.push(node);
    }
    return nodes;
  }

  function exportOf(i) {
    const { exported } = all().forms[all().form[i]];
    if (!exported) return [element("p", "A reference from outside the design space: there is no export of it.", "note")];
    const box = element("div", null, "export");
    const code = element("code");
    Page.words(code, `${state.data.studies[all().study[i]].export} --trial ${all().trial[i]}`);
    code.id = "command";
    const button = Page.button("Copy", () => Page.copy(button, code));
    box.append(code, button);
    return [element("h3", "Export it, with its training recipe"), box];
  }

  function drawCurve(i) {
    const div = find("curve");
    if (!div) return;
    const template = state.data.templates[Page.theme()];
    const traces = all().trainings[i].map(([seed, , curve, epochs], n) => ({
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

  find("close").addEventListener("click", () => Page.select(null));
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || state.selected === null) return;
    const from = document.querySelector("#table tr.chosen button");
    const inside = find("detail").contains(document.activeElement);
    Page.select(null);
    if (inside) from?.focus();
  });
  Page.listen(() => state.data && state.width === null && show());
  return { show };
})();
