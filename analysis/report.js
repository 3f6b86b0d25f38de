"use strict";
// Draws the figures from the page's data block, in the colours of the style sheet, and links them: a point,
// a curve and a row of the table all choose the same trial. Text of the study is only ever set as text.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const trials = new Map(page.trials.map((trial) => [trial.number, trial]));
  const { colour, element, escaped } = Page;
  const find = (id) => document.getElementById(id);
  const state = { selected: page.selected, series: "val_accuracy", width: null };
  const scored = page.trials.filter((t) => t.accuracy !== null);
  const full = scored.filter((t) => t.kind !== "short");

  // ---- text

  const short = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
  const percent = (value) => `${value.toFixed(1)}%`;
  const roles = {
    best: "best candidate",
    reference: "reference",
    candidate: "candidate",
    short: "fewer epochs, not compared",
    failed: "no result",
  };

  const rows = new Map([...document.querySelectorAll("[data-trial]")].map((b) => [b.dataset.trial, b.closest("tr")]));
  const brief = (trial) =>
    [...rows.get(String(trial.number)).querySelectorAll(".brief span")].map((line) => line.textContent);

  function hover(trial) {
    const cost = trial.cost === null ? "" : ` · ${trial.cost.toPrecision(3)} ${page.unit.trim()}`;
    const result = trial.accuracy === null ? trial.state : percent(trial.accuracy) + cost;
    const lines = [`${trial.title}, ${roles[trial.kind]}`, result, ...brief(trial)];
    if (trial.reason) lines.push(trial.reason);
    return lines.map((line) => escaped(short(String(line), 64))).join("<br>");
  }

  // ---- figures

  const coarse = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page, it does not zoom
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]], // none that talks to a server
    displayModeBar: coarse ? false : "hover",
  };
  const narrow = () => (state.width ?? innerWidth) < 560;
  const family = getComputedStyle(document.body).fontFamily;

  function axis(title, more) {
    return {
      title: { text: title, standoff: 8, font: { size: narrow() ? 11.5 : 13 } },
      gridcolor: colour("grid"),
      linecolor: colour("line"),
      zeroline: false,
      ticks: "outside",
      tickcolor: colour("line"),
      automargin: true,
      ...more,
    };
  }

  function layout(xaxis, yaxis, more) {
    return {
      margin: { l: 54, r: 14, t: 30, b: 46 },
      autosize: state.width === null,
      width: state.width ?? undefined,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family, size: 12.5, color: colour("muted") },
      hoverlabel: {
        align: "left",
        bgcolor: colour("surface"),
        bordercolor: colour("line"),
        font: { family, size: 12.5, color: colour("ink") },
      },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("ink") },
      hovermode: "closest",
      dragmode: coarse ? false : "zoom",
      showlegend: false,
      xaxis,
      yaxis,
      ...more,
    };
  }

  const markers = {
    candidate: { symbol: "circle", size: 10 },
    short: { symbol: "circle-open", size: 10, line: { width: 1.8 } },
    reference: { symbol: "diamond", size: 13 },
    best: { symbol: "star", size: 18 },
    failed: { symbol: "x-thin", size: 9, line: { width: 2 } },
  };

  function points(kind, list, x, y) {
    const paint = colour(kind === "short" ? "candidate" : kind);
    const marker = markers[kind];
    const edge = kind === "failed" || kind === "short" ? paint : colour("page");
    return {
      type: "scatter",
      mode: "markers",
      x: list.map(x),
      y: list.map(y),
      customdata: list.map((t) => t.number),
      hovertext: list.map(hover),
      hoverinfo: "text",
      marker: { ...marker, color: paint, opacity: 1, line: { width: 1, ...marker.line, color: edge } },
      cliponaxis: false,
    };
  }

  function byKind(list, x, y) {
    return ["failed", "short", "candidate", "reference", "best"].map((kind) =>
      points(kind, list.filter((t) => t.kind === kind), x, y));
  }

  function ring(list, x, y) {
    const chosen = list.filter((t) => t.number === state.selected);
    return {
      type: "scatter",
      mode: "markers",
      x: chosen.map(x),
      y: chosen.map(y),
      hoverinfo: "skip",
      cliponaxis: false,
      marker: { symbol: "circle-open", size: 25, color: colour("ink"), line: { width: 1.5 } },
    };
  }

  function span(values, share, least) {
    const known = values.filter((v) => v !== null && Number.isFinite(v));
    if (!known.length) return [0, 1];
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const pad = Math.max((high - low) * share, least);
    return [low - pad, high + pad];
  }

  // The best and the reference are labelled where they stand, on the side with the fewest points under the text.
  function names(list, x, xrange, yrange) {
    const div = find("plane-figure");
    const [width, height] = [(state.width ?? div.clientWidth) - 72, div.clientHeight - 80];
    const place = (t) => [
      ((x(t) - xrange[0]) / (xrange[1] - xrange[0])) * width,
      ((yrange[1] - t.accuracy) / (yrange[1] - yrange[0])) * height,
    ];
    const sides = [["center", "bottom", 0, 13], ["center", "top", 0, -13], ["right", "middle", -14, 0], ["left", "middle", 14, 0]];
    const boxes = [];
    const label = (t) => {
      const text = `${short(t.label, 22)}, ${percent(t.accuracy)}`;
      const [long, tall] = [text.length * 7.2, 18];
      const box = ([xanchor, yanchor, dx, dy]) => {
        const [px, py] = place(t);
        const left = px + dx - { center: long / 2, right: long, left: 0 }[xanchor];
        const top = py - dy - { bottom: tall, top: 0, middle: tall / 2 }[yanchor];
        return { left, top, right: left + long, bottom: top + tall };
      };
      const cost = (b) => {
        const outside = b.left < 0 || b.top < -20 || b.right > width || b.bottom > height;
        const covered = list.filter((other) => other !== t && covers(b, ...place(other), 7)).length;
        const crossed = boxes.some((o) => o.left < b.right && b.left < o.right && o.top < b.bottom && b.top < o.bottom);
        return 10 * outside + covered + 5 * crossed;
      };
      const best = sides.reduce((a, b) => (cost(box(b)) < cost(box(a)) ? b : a));
      boxes.push(box(best));
      const [xanchor, yanchor, xshift, yshift] = best;
      return {
        x: x(t), y: t.accuracy, xanchor, yanchor, xshift, yshift, showarrow: false,
        text: escaped(text), font: { color: colour(t.kind), size: 13 },
      };
    };
    const named = [page.best, page.reference].map((number) => list.find((t) => t.number === number));
    return named.filter((t, i) => t && named.indexOf(t) === i).map(label);
  }

  const covers = (box, x, y, pad) =>
    x > box.left - pad && x < box.right + pad && y > box.top - pad && y < box.bottom + pad;

  function draw(id, traces, form) {
    const div = find(`${id}-figure`);
    const fresh = !div.classList.contains("js-plotly-plot");
    Plotly.react(div, traces, form, config);
    if (fresh) {
      div.on("plotly_click", (event) => {
        const number = event.points[0].customdata;
        if (trials.has(number)) select(number);
      });
    }
  }

  function drawPlane() {
    const list = full.filter((t) => t.cost !== null);
    const x = (t) => t.cost;
    const y = (t) => t.accuracy;
    const [low, high] = page.band;
    const range = span([...list.map(x), low, high], 0.06, 1e-3);
    const heights = span(list.map(y), 0.14, 0.5);
    const front = page.front.map((number) => trials.get(number));
    const line = {
      type: "scatter",
      mode: "lines",
      x: [...front.map(x), range[1]],
      y: [...front.map(y), front.length ? front[front.length - 1].accuracy : null],
      line: { shape: "hv", color: colour("front"), width: 1.5 },
      hoverinfo: "skip",
    };
    const band = {
      type: "rect",
      layer: "below",
      xref: "x",
      yref: "paper",
      x0: low ?? range[0],
      x1: high ?? range[1],
      y0: 0,
      y1: 1,
      fillcolor: colour("band"),
      line: { width: 0 },
    };
    const edges = [low, high].filter((v) => v !== null).map((v) => ({
      type: "line", layer: "below", xref: "x", yref: "paper", x0: v, x1: v, y0: 0, y1: 1,
      line: { color: colour("band-line"), width: 1, dash: "dot" },
    }));
    draw("plane", [line, ...byKind(list, x, y), ring(list, x, y)], layout(
      axis(page.axis, { range, nticks: narrow() ? 5 : 8 }),
      axis("proxy accuracy, not ImageNet’s (%)", { range: heights }),
      { shapes: low === null && high === null ? [] : [band, ...edges], annotations: names(list, x, range, heights) },
    ));
  }

  function drawProgress() {
    const x = (t) => t.number;
    const y = (t) => t.accuracy;
    const range = span(full.map(y), 0.16, 0.5);
    // Fewer epochs give another quantity, so those trials stand at the foot, with the ones without a result.
    const foot = page.trials.filter((t) => !full.includes(t));
    const floor = () => range[0] + (range[1] - range[0]) * 0.05;
    const steps = { x: [], y: [] };
    let best = -Infinity;
    for (const trial of full.filter((t) => t.kind !== "reference").sort((a, b) => a.number - b.number)) {
      best = Math.max(best, trial.accuracy);
      steps.x.push(trial.number);
      steps.y.push(best);
    }
    const last = Math.max(...page.trials.map(x));
    if (steps.x.length) {
      steps.x.push(last);
      steps.y.push(best);
    }
    const line = {
      type: "scatter",
      mode: "lines",
      ...steps,
      line: { shape: "hv", color: colour("best"), width: 2.5 },
      hoverinfo: "skip",
    };
    const reference = trials.get(page.reference);
    const level = reference && reference.accuracy !== null ? [{
      type: "line", layer: "below", xref: "paper", yref: "y", x0: 0, x1: 1,
      y0: reference.accuracy, y1: reference.accuracy,
      line: { color: colour("reference"), width: 1.5, dash: "dash" },
    }] : [];
    draw("progress", [line, ...byKind(full, x, y), ...byKind(foot, x, floor), ring(full, x, y), ring(foot, x, floor)], layout(
      axis("trial number", { range: [-0.6, last + 0.6], tickformat: "d", ...(last < 8 ? { dtick: 1 } : {}) }),
      axis("proxy accuracy (%)", { range }),
      { shapes: level },
    ));
  }

  const seriesTitles = {
    val_accuracy: "proxy accuracy (%)",
    val_loss: "validation loss",
    train_loss: "training loss",
  };

  // One trace for all of them, cut by nulls: a thousand traces would be slow to draw.
  function curve(list, paint, line, series = state.series) {
    const mode = list.length > 40 ? "lines" : "lines+markers";
    const trace = { type: "scatter", mode, x: [], y: [], customdata: [], hovertext: [] };
    for (const trial of list) {
      trial.curve.epoch.forEach((epoch, i) => {
        const value = trial.curve[series][i];
        trace.x.push(epoch);
        trace.y.push(value);
        trace.customdata.push(trial.number);
        const shown = value === null ? "" : series === "val_accuracy" ? percent(value) : value.toPrecision(3);
        trace.hovertext.push(`${escaped(short(trial.title, 40))}, epoch ${epoch}<br>${shown}`);
      });
      trace.x.push(null);
      trace.y.push(null);
      trace.customdata.push(null);
      trace.hovertext.push("");
    }
    return {
      ...trace, hoverinfo: "text", connectgaps: false,
      line: { color: paint, ...line }, marker: { color: paint, size: 2 + line.width, opacity: 1 },
    };
  }

  function epochAxis(list) {
    const last = Math.max(1, ...list.flatMap((t) => t.curve.epoch));
    return axis("epoch", { tickformat: "d", range: [0.8, last + 0.2], ...(last < 11 ? { dtick: 1 } : { nticks: 8 }) });
  }

  function drawCurves() {
    const list = page.trials.filter((t) => t.curve.epoch.length);
    const marked = new Set([page.best, page.reference, state.selected]);
    const others = list.filter((t) => !marked.has(t.number));
    const one = (number) => list.filter((t) => t.number === number);
    const traces = [
      curve(others, colour("other"), { width: others.length > 40 ? 1 : 1.4 }),
      curve(one(page.reference), colour("reference"), { width: 2.6 }),
      curve(one(page.best), colour("best"), { width: 2.8 }),
    ];
    if (state.selected !== page.best && state.selected !== page.reference) {
      traces.push(curve(one(state.selected), colour("ink"), { width: 2, dash: "dot" }));
    }
    draw("curves", traces, layout(epochAxis(list), axis(seriesTitles[state.series])));
  }

  // ---- the chosen trial

  function table(className, head, rows) {
    const node = element("table", null, className);
    if (head.length) {
      const line = node.createTHead().insertRow();
      for (const text of head) line.append(element("th", text));
    }
    const body = node.createTBody();
    for (const [name, values] of rows) {
      const line = body.insertRow();
      line.append(element("th", name), ...values.map((value) => element("td", value)));
    }
    return node;
  }

  function showDetail() {
    const box = find("detail");
    const trial = trials.get(state.selected);
    if (!trial) return void (box.hidden = true);
    const count = Math.max(...trial.stages.map((values) => values.length));
    const stages = Array.from({ length: count }, (_, i) => String(i + 1));
    const facts = [...page.fact_names.map((name, i) => [name, trial.facts[i]]), ...page.forms[trial.form]];
    box.replaceChildren(
      element("h3", trial.title),
      element("p", roles[trial.kind], "kind"),
      table("stages", ["Stage", ...stages], page.stage_names.map((name, i) => [name, trial.stages[i]])),
      table("facts-table", [], facts.filter(([, value]) => value !== "–").map(([name, value]) => [name, [value]])),
    );
    if (trial.reason) box.append(element("h4", trial.state), element("p", trial.reason));
    if (!trial.curve.epoch.length) return;
    const figure = element("div", null, "figure");
    figure.id = "detail-figure";
    box.append(element("h4", "Proxy accuracy by epoch (%)"), figure);
    const paint = colour(trial.kind === "short" ? "candidate" : trial.kind);
    const trace = curve([trial], paint, { width: 2.2 }, "val_accuracy");
    const form = layout(epochAxis([trial]), axis(""), { margin: { l: 34, r: 8, t: 8, b: 36 }, dragmode: false });
    if (state.width !== null) form.width = Math.min(state.width, 420);
    Plotly.newPlot(figure, [trace], form, { ...config, displayModeBar: false });
  }

  function markRow() {
    for (const [number, row] of rows) row.classList.toggle("chosen", number === String(state.selected));
  }

  function redraw() {
    for (const [id, figure] of Object.entries({ plane: drawPlane, progress: drawProgress, curves: drawCurves })) {
      if (find(`${id}-figure`)) figure(); // a study without results has none
    }
    showDetail();
    markRow();
  }

  function select(number) {
    state.selected = number;
    redraw();
  }

  // ---- controls

  for (const trial of page.trials) {
    rows.get(String(trial.number)).querySelector("button").addEventListener("click", () => {
      select(trial.number);
      find("detail").scrollIntoView({ block: "nearest" });
    });
  }

  for (const button of document.querySelectorAll("[data-series]")) {
    button.addEventListener("click", () => {
      state.series = button.dataset.series;
      for (const other of document.querySelectorAll("[data-series]")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      drawCurves();
    });
  }

  // Cells that hold a number sort by it, and the ones without come last either way.
  function sortBy(column, ascending) {
    const body = document.querySelector(".trials tbody");
    const key = (row) => {
      const cell = row.cells[column];
      if (cell.dataset.sort === undefined) return cell.textContent;
      return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
    };
    const sign = ascending ? 1 : -1;
    const sorted = [...body.rows].sort((a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left === null || right === null) return (left === null) - (right === null);
      return sign * (typeof left === "string" ? left.localeCompare(right) : left - right);
    });
    body.append(...sorted);
  }

  document.querySelectorAll(".trials thead th").forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") === "descending" ||
        (head.getAttribute("aria-sort") === "none" && !head.textContent.includes("accuracy"));
      for (const other of document.querySelectorAll(".trials thead th")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(column, ascending);
    });
  });

  find("copy")?.addEventListener("click", () => Page.copy(find("command"), find("copy")));

  Page.onTheme((width) => {
    state.width = width;
    redraw();
  });

  redraw();
})();
