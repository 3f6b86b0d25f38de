// What others trained: a plane of one's choice, with fronts, laws, families at equal FLOPs, and a table.
// Everything that takes statistics was made in Python (analysis/views/results.py); texts are only set as text.
{
  const { element, find, state } = Page;
  const all = JSON.parse(find("results-data").textContent);
  state.data ??= JSON.parse(find("data").textContent);
  const [NAME, NETWORK, FAMILY, PRETRAIN, SIZE, SOURCE, TEST, RECIPE, TOP1, GFLOPS, PARAMS, ACTS, SPEEDS, SEED] =
    Array(14).keys();
  // Each text, model and set of costs is there once; a row has their places.
  all.rows = all.rows.map(([model, size, source, test, top1, cost, seed]) => {
    const [name, family, pretrain, recipe] = all.models[model];
    const text = all.name[name], tag = all.recipe[recipe];
    const network = tag && text.endsWith(`.${tag}`) ? text.slice(0, -tag.length - 1) : text;
    const [[gflops, params, activations], speeds] = all.costs[cost];
    return [text, network, family, pretrain, size, source, test, recipe, top1, gflops, params, activations, speeds, seed];
  });
  const LOOKS = [["#d55e00", "diamond"], ["#009e73", "square"], ["#0072b2", "circle"], ["#cc79a7", "triangle-up"],
    ["#8c5a2b", "cross"], ["#7a68c9", "hexagon"]]; // of chosen families; the others are grey
  const OWN = { convnext: 0, swin: 1, resnet: 3 }; // the same look as everywhere
  const OTHER = "#999999", NEUTRAL = "#808080", ANY = "any", ROWS = 100, CHIPS = 14;
  const COSTS = {
    gflops: { title: "GFLOPs (multiply-accumulates)", unit: "GFLOPs", value: (row) => row[GFLOPS] },
    params: { title: "parameters (millions)", unit: "M parameters", value: (row) => row[PARAMS] },
    activations: { title: "activations (millions)", unit: "M activations", value: (row) => row[ACTS] },
  };
  // of throughput, laws and differences are over the time an image: `from` turns one into the other
  all.device.forEach((name, i) => {
    const value = (row) => row[SPEEDS].find(([device]) => device === i)?.[1] ?? null;
    COSTS[`speed:${name}`] = { title: `images a second, ${name}`, unit: "ms an image", value, more: true, from: (time) => 1000 / time };
  });
  const costs = Object.fromEntries(Object.entries(COSTS).filter(([, { value }]) => all.rows.some((row) => value(row) > 0)));

  const first = all.planes[0];
  const view = {
    source: `${first.source}:${first.test_set}`, pretrain: first.pretrain, size: first.resolution, cost: "gflops",
    words: "", families: [], chosen: null, sort: TOP1, up: false,
  };
  const places = new Map(all.rows.map((row, i) => [row, i]));
  const box = find("explorer");
  const parts = {};

  // ---- what is shown ----

  const sourceOf = (row) => `${row[SOURCE]}:${row[TEST]}`;
  const fits = {
    source: (row) => (view.source.startsWith(ANY) ? row[TEST] === Number(view.source.slice(4)) : sourceOf(row) === view.source),
    pretrain: (row) => view.pretrain === ANY || row[PRETRAIN] === view.pretrain,
    size: (row) => view.size === ANY || row[SIZE] === view.size,
  };
  const onPlane = () => all.rows.filter((row) => fits.source(row) && fits.pretrain(row) && fits.size(row));
  const textOf = (row) => `${row[NAME]} ${all.family[row[FAMILY]]} ${all.recipe[row[RECIPE]]}`.toLowerCase();

  function shown() {
    const words = view.words.toLowerCase().split(/\s+/).filter(Boolean);
    const { value } = costs[view.cost];
    return onPlane().filter((row) => value(row) > 0 && words.every((word) => textOf(row).includes(word)));
  }

  // The plane of statistics: one source, one pre-training set, one resolution.
  const plane = () => all.planes.find((each) => `${each.source}:${each.test_set}` === view.source
    && each.pretrain === view.pretrain && each.resolution === view.size);

  // No other row costs less (is faster) at the same accuracy or more.
  function frontOf(rows) {
    const { value, more } = costs[view.cost];
    const sign = more ? -1 : 1;
    const sorted = [...rows].sort((a, b) => sign * (value(a) - value(b)) || b[TOP1] - a[TOP1]);
    let best = -Infinity;
    return sorted.filter((row) => row[TOP1] > best && ((best = row[TOP1]), true));
  }

  function lookOf(place) {
    const name = all.family[view.families[place]];
    if (name in OWN) return LOOKS[OWN[name]];
    const owner = (i) => Object.keys(OWN).find((own) => OWN[own] === i);
    const absent = (i) => owner(i) && !view.families.includes(all.family.indexOf(owner(i)));
    // what is nobody's first
    const free = [(i) => !owner(i), absent].flatMap((wanted) => LOOKS.filter((_, i) => wanted(i)));
    const before = view.families.slice(0, place).filter((family) => !(all.family[family] in OWN)).length;
    return free[before % free.length];
  }

  // ---- controls ----

  function select(label, name, options, act) {
    const node = element("label", `${label} `);
    const list = element("select");
    list.name = name;
    node.append(list);
    list.addEventListener("change", () => act(list.value));
    parts[name] = list;
    fill(list, options);
    return node;
  }

  function fill(list, options, value) {
    list.replaceChildren(...options.map(([key, text]) => Object.assign(element("option", text), { value: key })));
    if (value !== undefined) list.value = String(value);
  }

  const counted = (rows, key) => {
    const counts = new Map();
    for (const row of rows) counts.set(key(row), (counts.get(key(row)) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]);
  };

  // What is left to choose after the choices before it; what is gone gives way to the most frequent.
  function options() {
    const bySource = counted(all.rows, sourceOf).map(([key, count]) => {
      const [source, test] = key.split(":").map(Number);
      const set = all.test_set[test] === all.validation ? "" : ` · ${all.test_set[test]}`;
      return [key, `${all.source[source]}${set} (${count})`];
    });
    const byTest = counted(all.rows, (row) => row[TEST]).map(([test, count]) =>
      [`${ANY}:${test}`, `all sources, ${all.test_set[test]} (${count})`]);
    fill(parts.source, [...bySource, ...byTest], view.source);
    const ofSource = all.rows.filter(fits.source);
    const pretrains = counted(ofSource, (row) => row[PRETRAIN]);
    if (view.pretrain !== ANY && !pretrains.some(([key]) => key === view.pretrain)) view.pretrain = pretrains[0][0];
    fill(parts.pretrain, [...pretrains.map(([key, count]) => [key, `${all.pretrain[key]} (${count})`]), [ANY, "any"]], view.pretrain);
    const sizes = counted(ofSource.filter(fits.pretrain), (row) => row[SIZE]);
    if (view.size !== ANY && !sizes.some(([key]) => key === view.size)) view.size = sizes[0][0];
    fill(parts.size, [...sizes.map(([key, count]) => [key, `${key} px (${count})`]), [ANY, "any"]], view.size);
    fill(parts.cost, Object.entries(costs).map(([key, { title }]) => [key, title]), view.cost);
  }

  const number = (text) => (text === ANY ? ANY : Number(text));

  function build() {
    const bar = element("div", null, "bar");
    bar.append(
      select("Source", "source", [], (value) => change({ source: value })),
      select("Pre-training", "pretrain", [], (value) => change({ pretrain: number(value) })),
      select("Resolution", "size", [], (value) => change({ size: number(value) })),
      select("Against", "cost", [], (value) => change({ cost: value })),
    );
    const search = element("label", "Search ");
    parts.words = Object.assign(element("input"), { type: "search", placeholder: "words: convnext tiny fb_in1k" });
    parts.words.addEventListener("input", () => change({ words: parts.words.value }));
    search.append(parts.words);
    bar.append(search);
    for (const name of ["chips", "plot", "choice", "answers", "table"]) parts[name] = element("div", null, name);
    parts.count = element("p", null, "note");
    parts.count.setAttribute("role", "status");
    parts.choice.setAttribute("aria-live", "polite");
    parts.plot.style.height = "520px";
    parts.plot.setAttribute("role", "img");
    parts.table.classList.add("scroll");
    parts.table.tabIndex = 0;
    box.append(bar, parts.chips, parts.count, parts.plot, parts.choice, parts.answers, parts.table);
  }

  function change(what) {
    Object.assign(view, what);
    if (Object.keys(what).join() === "chosen") return mark(); // nothing else is another
    options();
    const there = new Set(onPlane().map((row) => row[FAMILY]));
    if (!("families" in what) && !view.families.some((family) => there.has(family))) view.families = firstFamilies();
    refresh();
  }

  // ConvNeXt and Swin where they are, else those of most networks.
  function firstFamilies() {
    const most = counted(onPlane(), (row) => row[FAMILY]).map(([family]) => family);
    const known = ["convnext", "swin"].map((name) => all.family.indexOf(name)).filter((family) => most.includes(family));
    return known.length ? known : most.slice(0, 2);
  }

  // Families by their networks on the plane: a button each, pressed where it has a colour.
  function chips() {
    const there = counted(onPlane(), (row) => row[FAMILY]).map(([family]) => family);
    const few = [...new Set([...view.families, ...there.slice(0, CHIPS)])];
    const nodes = few.map((family) => {
      const place = view.families.indexOf(family);
      const node = Page.button(all.family[family], () => change({
        families: place < 0 ? [...view.families, family].slice(-LOOKS.length) : view.families.filter((one) => one !== family),
      }));
      node.setAttribute("aria-pressed", place >= 0);
      if (place >= 0) node.style.setProperty("--family", Colours.themed(lookOf(place)[0], state.data.colours[Page.theme()]));
      return node;
    });
    const more = element("select");
    more.setAttribute("aria-label", "Another family");
    const rest = there.filter((family) => !few.includes(family)).sort((a, b) => all.family[a].localeCompare(all.family[b]));
    fill(more, [["", `${rest.length} more families`], ...rest.map((family) => [family, all.family[family]])]);
    more.addEventListener("change", () => change({ families: [...view.families, Number(more.value)].slice(-LOOKS.length) }));
    parts.chips.replaceChildren(element("span", "Families "), ...nodes, ...(rest.length ? [more] : []));
  }

  // ---- the figure ----

  function traces(rows) {
    const { value } = costs[view.cost];
    const at = (own) => ({ x: own.map(value), y: own.map((row) => row[TOP1]) });
    const points = (own, name, colour, symbol, size) => ({
      type: "scatter", mode: "markers", name: Page.escaped(name), ...at(own), customdata: own.map((row) => places.get(row)),
      hovertext: own.map((row) => `${Page.escaped(row[NAME])}<br>${row[TOP1]}% at ${row[SIZE]} px<br>${value(row)} ${costs[view.cost].title.split(" (")[0]}`),
      hovertemplate: "%{hovertext}<extra></extra>", marker: { color: colour, symbol, size },
    });
    const line = (own, name, colour, width, dash) => ({
      type: "scatter", mode: "lines", hoverinfo: "skip", name: Page.escaped(name), ...at(own), line: { color: colour, width, dash, shape: "hv" },
    });
    const others = rows.filter((row) => !view.families.includes(row[FAMILY]));
    const found = [points(others, "other families", OTHER, "circle-open", 5)];
    found.push(line(frontOf(rows), "front of all", NEUTRAL, 1.5, "dash"));
    const laws = lawsOf(plane());
    view.families.forEach((family, place) => {
      const own = rows.filter((row) => row[FAMILY] === family);
      const [colour, symbol] = lookOf(place);
      const name = all.family[family];
      if (!own.length) return;
      const group = { legendgroup: Page.escaped(name) }; // the legend hides points, front and law together
      found.push({ ...line(frontOf(own), `front, ${name}`, colour, 1.5), ...group, showlegend: false });
      if (laws.has(family)) found.unshift(...lawTraces(laws.get(family), name, colour, rows).map((trace) => ({ ...trace, ...group, showlegend: false })));
      found.push({ ...points(own, name, colour, symbol, 9), ...group });
    });
    return found;
  }

  // A ring around the chosen network: a shape, which is drawn again without the points.
  function ring(rows) {
    const row = all.rows[view.chosen];
    if (!rows.includes(row)) return [];
    const color = state.data.templates[Page.theme()].layout.annotationdefaults.font.color;
    // a path, as Plotly takes the logarithm of a circle's ends on this axis, though they are pixels
    const path = "M0,-10C5.5,-10 10,-5.5 10,0C10,5.5 5.5,10 0,10C-5.5,10 -10,5.5 -10,0C-10,-5.5 -5.5,-10 0,-10Z";
    const at = { xsizemode: "pixel", xanchor: costs[view.cost].value(row), ysizemode: "pixel", yanchor: row[TOP1] };
    return [{ type: "path", path, ...at, line: { color, width: 2 } }];
  }

  function mark() {
    Plotly.relayout(parts.plot, { shapes: ring(shown()) });
    for (const line of parts.table.querySelectorAll("tbody tr")) line.classList.toggle("chosen", Number(line.dataset.place) === view.chosen);
    chosen();
  }

  const lawsOf = (here) => new Map((here?.laws[view.cost] ?? []).map((law) => [law[0], law]));

  // The law dotted, and its interval shaded; far beyond the points it would leave no room for them.
  function lawTraces([, , , [low, high], top1, from, to], name, colour, rows) {
    const shown = [...top1, ...rows.map((row) => row[TOP1])];
    const [bottom, top] = [Math.min(...shown), Math.max(...shown)];
    const room = (top - bottom) / 20;
    const inside = (ends) => (ends ?? []).map((end) => Math.min(Math.max(end, bottom - room), top + room));
    const turned = costs[view.cost].from ?? ((cost) => cost);
    const x = top1.map((_, i) => turned(low * (high / low) ** (i / (top1.length - 1))));
    const base = { type: "scatter", mode: "lines", hoverinfo: "skip", name: Page.escaped(`law, ${name}`) };
    const band = { ...base, x: [...x, ...[...x].reverse()], y: [...inside(from), ...inside(to).reverse()], fill: "toself",
      fillcolor: `rgba(${[1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)).join()},0.18)`, line: { width: 0, color: colour } };
    return [...(from ? [band] : []), { ...base, x, y: top1, line: { color: colour, width: 1.2, dash: "dot" } }];
  }

  // 1, 2 and 5 times the powers of ten, with their numbers in full.
  function ticks(values) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const decades = Math.log10(high / low);
    const steps = decades < 0.8 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades > 2.2 || innerWidth < 560 ? [1, 3] : [1, 2, 5];
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const step of steps) found.push(Number((step * 10 ** power).toPrecision(3)));
    }
    return found;
  }

  function draw(rows) {
    const values = rows.map(costs[view.cost].value);
    const at = values.length ? ticks(values) : [];
    const narrow = innerWidth < 560;
    const layout = {
      template: state.data.templates[Page.theme()], hovermode: "closest", dragmode: narrow ? false : "zoom",
      height: 520, autosize: true, font: narrow ? { size: 10.5 } : {},
      uirevision: [view.source, view.pretrain, view.size, view.cost].join(), // zoom is kept on its plane
      margin: { l: 56, r: 16, t: 28, b: 56 },
      xaxis: { type: "log", title: { text: costs[view.cost].title }, tickvals: at, ticktext: at.map((one) => one.toLocaleString("en")), automargin: false },
      yaxis: { title: { text: `top-1 (%), ${Page.escaped(testNow())}` }, automargin: false },
      legend: { orientation: "h", yanchor: "bottom", y: 1.01, x: 0 }, shapes: ring(rows),
    };
    const drawn = traces(rows).map((trace) => Colours.themed(trace, state.data.colours[Page.theme()]));
    parts.plot.setAttribute("aria-label", `Top-1 of ${rows.length} results against ${costs[view.cost].title}, with fronts.`);
    const config = { displaylogo: false, responsive: true, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
      displayModeBar: narrow ? false : "hover", toImageButtonOptions: { format: "png", scale: 3, filename: "results" } };
    Plotly.react(parts.plot, drawn, layout, config);
    if (!parts.listening) {
      parts.listening = true;
      parts.plot.on("plotly_click", ({ points }) => {
        const place = points.map((point) => point.customdata).find((one) => typeof one === "number");
        if (place !== undefined) change({ chosen: place });
      });
    }
  }

  const testNow = () => all.test_set[Number(view.source.split(":")[1])];

  // ---- the words ----

  const signed = (value) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(1)}`;

  function answers(rows) {
    const networks = new Set(rows.map((row) => row[NETWORK])).size;
    const best = frontOf(rows).length;
    const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
    parts.count.textContent = `${plural(rows.length, "result")} of ${plural(networks, "network")}; ${best} on the front.`;
    const here = plane();
    const families = view.families;
    const lines = [];
    if (!here) lines.push("Laws and differences are of one source, one pre-training set and one resolution: choose them.");
    else {
      for (const family of families) lines.push(lawOf(here, family));
      for (let i = 0; i < families.length; i++) {
        for (let j = i + 1; j < families.length; j++) lines.push(pairOf(here, families[i], families[j]));
      }
      lines.push(...here.shapes);
      for (const family of families) lines.push(all.note[sideOf(here, family)?.[2]]);
    }
    const list = element("ul");
    list.append(...lines.filter(Boolean).map((line) => element("li", line)));
    parts.answers.replaceChildren(list);
  }

  const sideOf = (here, family) => here.sides.find(([own]) => own === family);

  function lawOf(here, family) {
    const name = all.family[family];
    const side = sideOf(here, family);
    if (!side) return `${name}: nothing on this plane.`;
    const { unit } = costs[view.cost];
    if (!here.laws[view.cost] && here.laws.gflops && view.cost !== "gflops") return `${name}: no law over ${unit} on this plane.`;
    const law = lawsOf(here).get(family);
    if (!law) return `${name}: no law, ${side[1]} networks for 3 parameters.`;
    const [, networks, words] = law;
    const formula = unit.includes(" ") ? `a + b (${unit})^-c` : `a + b ${unit}^-c`;
    return `${name}, error = ${formula} over ${networks} networks: ${words}.`;
  }

  function pairOf(here, a, b) {
    if (!sideOf(here, a) || !sideOf(here, b)) return null;
    const { unit, more, title } = costs[view.cost];
    const equal = view.cost === "gflops" ? "equal FLOPs" : more ? "equal throughput" : `equal ${title.split(" (")[0]}`;
    const start = `${all.family[a]} less ${all.family[b]}`;
    const found = (here.pairs[view.cost] ?? []).find(([first, second]) => (first === a && second === b) || (first === b && second === a));
    if (!found) return `${start}: no networks of ${equal}.`;
    const turn = found[0] === a ? 1 : -1;
    const [, , [mean, low, high], pairs] = found;
    const each = pairs.map(([first, second, cost, value]) => {
      const [one, other] = [first, second].map((name) => all.name[name]);
      return `${signed(turn * value)} at ${cost} ${unit} (${turn > 0 ? one : other} less ${turn > 0 ? other : one})`;
    });
    const ends = low === null ? "one run each, no interval" : [turn * low, turn * high].sort((x, y) => x - y).map(signed).join(" to ");
    const word = low === null ? "" : turn * mean > 0 && low * high > 0 ? "; better" : low * high > 0 ? "; worse" : "; not distinguishable";
    const shown = each.slice(0, 6).join(", ") + (each.length > 6 ? `, and ${each.length - 6} more` : "");
    return `${start} at ${equal}: ${signed(turn * mean)} points on average (${ends}${word}): ${shown}.`;
  }

  // ---- the chosen network, and the table ----

  function chosen() {
    const row = all.rows[view.chosen];
    if (!row) return void parts.choice.replaceChildren();
    const facts = element("dl", null, "facts");
    const fact = (key, value) => {
      if (value === null || value === undefined || value === "") return;
      const node = element("div");
      node.append(element("dt", key), element("dd", String(value)));
      facts.append(node);
    };
    fact("Family", all.family[row[FAMILY]]);
    fact("Pre-training", all.pretrain[row[PRETRAIN]]);
    fact("Recipe", all.recipe[row[RECIPE]]);
    fact("Top-1", `${row[TOP1]}% at ${row[SIZE]} px, ${all.test_set[row[TEST]]}`);
    fact("Seed", row[SEED]);
    fact("GFLOPs", row[GFLOPS]);
    fact("Parameters (M)", row[PARAMS]);
    fact("Activations (M)", row[ACTS]);
    fact("Source", all.source[row[SOURCE]]);
    for (const [device, speed] of row[SPEEDS]) fact(`Images/s, ${all.device[device]}`, speed);
    const same = all.rows.filter((other) => other !== row && other[NETWORK] === row[NETWORK]);
    fact("Also", same.slice(0, 20).map((other) => `${other[NAME]}, ${all.test_set[other[TEST]] === all.validation ? "" : `${all.test_set[other[TEST]]}, `}${other[SIZE]} px: ${other[TOP1]}%`).join("; "));
    const title = element("h3", row[NAME]);
    parts.choice.replaceChildren(title, Page.button("Close", () => change({ chosen: null })), facts);
  }

  const COLUMNS = [["network", NAME], ["family", FAMILY], ["top-1 (%)", TOP1], ["GFLOPs", GFLOPS], ["parameters (M)", PARAMS],
    ["activations (M)", ACTS], ["px", SIZE], ["pre-training", PRETRAIN]];
  const cell = (row, key) => (key === FAMILY ? all.family[row[key]] : key === PRETRAIN ? all.pretrain[row[key]] : row[key]);

  function table(rows) {
    const columns = view.cost.startsWith("speed") ? [...COLUMNS.slice(0, 3), ["images/s", null], ...COLUMNS.slice(3)] : COLUMNS;
    const value = (row, key) => (key === null ? costs[view.cost].value(row) : cell(row, key));
    const order = (a, b) => (typeof a === "string" ? a.localeCompare(b) : (a ?? -1) - (b ?? -1));
    const sorted = [...rows].sort((a, b) => (view.up ? 1 : -1) * order(value(a, view.sort), value(b, view.sort)));
    // the numbers of a column stand under each other: as many decimals each
    const longest = (key) => Math.max(0, ...sorted.slice(0, ROWS).map((row) => (String(value(row, key) ?? "").split(".")[1] ?? "").length));
    const decimals = new Map(columns.map(([, key]) => [key, Math.min(key === GFLOPS ? 3 : 2, longest(key))]));
    const text = (one, key) => (typeof one === "number" ? one.toFixed(decimals.get(key)) : one ?? "–");
    const node = element("table", null, "networks");
    const head = node.createTHead().insertRow();
    for (const [title, key] of columns) {
      const th = element("th");
      th.scope = "col";
      th.className = [NAME, FAMILY, PRETRAIN].includes(key) ? "" : "number";
      if (view.sort === key) th.setAttribute("aria-sort", view.up ? "ascending" : "descending");
      th.append(Page.button(title, () => change({ sort: key, up: view.sort === key ? !view.up : key === NAME || key === FAMILY })));
      head.append(th);
    }
    const body = node.createTBody();
    for (const row of sorted.slice(0, ROWS)) {
      const line = body.insertRow();
      const place = places.get(row);
      line.dataset.place = place;
      line.classList.toggle("chosen", place === view.chosen);
      columns.forEach(([, key]) => {
        const td = line.insertCell();
        if (key === NAME) td.append(Page.button(row[NAME], () => change({ chosen: place })));
        else td.textContent = text(value(row, key), key);
        td.className = key === NAME ? "trial" : typeof value(row, key) === "number" ? "number" : "";
      });
    }
    const left = rows.length > ROWS ? [element("p", `The first ${ROWS} of ${rows.length}; search to see others.`, "note")] : [];
    parts.table.replaceChildren(node, ...left);
  }

  function refresh() {
    options();
    chips();
    const rows = shown();
    draw(rows);
    answers(rows);
    chosen();
    table(rows);
  }

  build();
  options();
  view.families = firstFamilies();
  Page.listen(refresh);
  refresh();
}
