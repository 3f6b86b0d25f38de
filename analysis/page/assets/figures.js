// Draws the figures of the page when they come into view, and again when they are seen and something has changed.
const Figures = (() => {
  const { find, state } = Page;
  const coarse = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page, it does not zoom
  const LONG = 13; // letters of a name
  const ROW = 19, ROWS = 4; // pixels of a legend's entry, and how many a figure has room for
  const narrow = () => (state.width ?? innerWidth) < 560;
  const figures = new Map(); // by id: {div, read, spec, themed, boxes, stale, seen, drawn}

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
      // paper has all that is unfolded
      if (state.width === null ? figure.seen : figure.div.checkVisibility()) draw(figure);
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
      figure.themed = { theme, traces: Colours.themed(figure.spec.data, state.data.colours[theme]) };
    }
    const { traces } = figure.themed;
    const height = heightOf(div, figure.spec);
    if (parseFloat(div.style.height) !== height) div.style.height = `${height}px`;
    div.style.minWidth = state.width === null ? `${leastWidth(figure.spec)}px` : "";
    figure.width = div.clientWidth;
    const drawn = traces.map((trace) => Marks.through(Marks.shown(trace), figure.boxes));
    Plotly.react(div, [...drawn, ...Marks.chosen(traces)], layoutOf(figure), config(figure));
    if (!figure.drawn) listen(figure);
  }

  function listen(figure) {
    const { div } = figure;
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
      const keys = points.map((point) => Networks.keyOf(point.customdata));
      const key = keys.find((each) => Networks.rowOf(each) !== undefined);
      if (key) Page.select(key);
    });
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

  // Panels side by side: on a phone they keep a width at which they can be read, and scroll.
  function leastWidth({ data: traces, layout = {} }) {
    const lines = traces.find((trace) => trace.meta?.lines);
    if (lines) return 70 * lines.meta.lines;
    const axes = Object.entries(layout).filter(([name, axis]) => /^xaxis\d*$/.test(name) && axis?.domain);
    const columns = Math.max(layout.grid?.columns ?? 1, new Set(axes.map(([, axis]) => axis.domain[0])).size);
    return columns > 1 ? 270 * columns : 0;
  }

  // Several figures a page of paper, but for those that are tall for what they hold; on a phone, where a legend
  // has a row an entry, room for those of a long one.
  function heightOf(div, { data: traces, layout = {} }) {
    const height = Number(div.dataset.height);
    if (state.width !== null) return height < 700 ? Math.min(height, 360) : height;
    const named = traces.filter(({ name, showlegend }) => name && showlegend !== false).length;
    return narrow() && layout.showlegend !== false ? height + ROW * Math.max(0, named - ROWS) : height;
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
      template: state.data.templates[Page.theme()],
      autosize: state.width === null,
      ...(state.width === null ? {} : { width: state.width }),
      height: heightOf(div, spec),
      uirevision: "kept", // zoom and legend stay as they are when the data change
    };
  }

  // The figures of a new body; `read` gives the plotly figure of an id when it is drawn.
  function start(read) {
    const gone = new Set(figures.keys());
    for (const div of document.querySelectorAll(".plot")) {
      const figure = figures.get(div.id) ?? { div, drawn: false, seen: false };
      figures.set(div.id, Object.assign(figure, { spec: null, themed: null, stale: true, read: () => read(div.id) }));
      gone.delete(div.id);
      watch.observe(div);
      fit.observe(div);
    }
    for (const id of gone) figures.delete(id);
  }

  const kept = () => [...figures.values()].map(({ div }) => div);
  Page.listen(refresh);
  return { kept, later, refresh, start };
})();
