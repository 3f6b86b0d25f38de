// What choices do to the traces of a figure: hidden studies go, the chosen network stands out.
const Marks = (() => {
  const { state, theme } = Page;

  // A trace is of the studies that its points name, or its meta: {study: 0}, or {study: [0, 1]}.
  const owners = new WeakMap();
  function studiesOf(trace) {
    if (!owners.has(trace)) {
      const named = trace.meta?.study ?? (trace.customdata ?? []).filter(Array.isArray).map(([study]) => study);
      owners.set(trace, new Set([].concat(named)));
    }
    return owners.get(trace);
  }

  // The trace without what is of studies that are not shown.
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
  function chosen(traces) {
    const key = state.selected;
    if (key === null || state.hidden.has(Networks.studyOf(key))) return [];
    const found = new Map();
    const ink = state.data.templates[theme()].layout.annotationdefaults.font.color;
    for (const trace of traces) {
      if ((trace.type ?? "scatter") !== "scatter" || !Array.isArray(trace.x) || !Array.isArray(trace.y)) continue;
      const at = placesOf(trace).get(key);
      if (!at || trace.visible === false) continue;
      const line = at.length > 1 && (trace.mode ?? "lines").includes("lines");
      const mark = {
        type: "scatter", mode: line ? "lines" : "markers", hoverinfo: "skip", showlegend: false, cliponaxis: false,
        x: at.map((i) => trace.x[i]), y: at.map((i) => trace.y[i]), xaxis: trace.xaxis, yaxis: trace.yaxis,
        line: { color: ink, width: 3.5, shape: trace.line?.shape },
        marker: { symbol: "circle-open", size: 22, color: ink, line: { width: 2 } },
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
        const key = Networks.keyOf(custom);
        if (key === null) return;
        if (!map.has(key)) map.set(key, []);
        map.get(key).push(i);
      });
      places.set(trace, map);
    }
    return places.get(trace);
  }

  // Of lines over axes that stand at 0, 1, ...: those through every box that was drawn over some of the axes.
  function through(trace, boxes = []) {
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

  return { chosen, shown, through };
})();
