// What the style sheet's light page draws, as a dark one does.
const Colours = (() => {
  const texts = new Set(["x", "y", "text", "hovertext", "name", "legendgroup", "customdata", "hovertemplate"]);
  const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  // `colours` has what to draw instead; texts are no colours, and stay.
  function themed(value, colours) {
    if (typeof value === "string") return colours[value] ?? translucent(value, colours) ?? value;
    const each = ([key, item]) => [key, texts.has(key) ? item : themed(item, colours)];
    if (isPlain(value)) return Object.fromEntries(Object.entries(value).map(each));
    if (!Array.isArray(value) || !(typeof value[0] === "string" || isPlain(value[0]))) return value;
    return value.map((item) => themed(item, colours));
  }

  function translucent(text, colours) {
    const parts = /^rgba\((\d+),(\d+),(\d+),([\d.]+)\)$/.exec(text);
    if (!parts) return null;
    const hex = parts.slice(1, 4).map((part) => Number(part).toString(16).padStart(2, "0"));
    const other = colours[`#${hex.join("")}`];
    if (!other) return null;
    return `rgba(${[1, 3, 5].map((at) => parseInt(other.slice(at, at + 2), 16)).join()},${parts[4]})`;
  }

  return { themed };
})();
