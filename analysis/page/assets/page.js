"use strict";
// What the scripts of the page share: elements, what is shown and chosen, the theme, and paper.
// Text of a study is only ever set as text.
const Page = (() => {
  const root = document.documentElement;
  const find = (id) => document.getElementById(id);
  // `selected` is "study:trial" or null, `hidden` the studies that are not shown, `width` that of paper in pixels
  const state = { data: null, selected: null, hidden: new Set(), width: null };
  const listeners = [];

  // Calls `listener` whenever something else is chosen or shown.
  const listen = (listener) => listeners.push(listener);
  const changed = () => listeners.forEach((listener) => listener());

  // The panel of what is chosen narrows the page: what stood in the middle of the window stays there.
  function select(key) {
    state.selected = key;
    const [x, y] = [innerWidth / 4, innerHeight / 2];
    const middle = document.elementFromPoint(x, y)?.closest("figure, tr, p, li, h2, details, section, header");
    const before = middle?.getBoundingClientRect().top;
    changed();
    if (middle?.isConnected) scrollBy(0, middle.getBoundingClientRect().top - before);
  }

  // Plotly reads <b>, <a>, ... in its labels, so the study's text is escaped for it.
  const escaped = (text) =>
    String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function element(name, text, className) {
    const node = document.createElement(name);
    if (text !== undefined && text !== null) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  // Appended to a node; no word is parted at the end of a line.
  function words(node, text) {
    text.split(" ").forEach((word, n) => node.append(n ? " " : "", element("span", word)));
  }

  function button(text, act) {
    const node = element("button", text);
    node.type = "button";
    node.addEventListener("click", act);
    return node;
  }

  const theme = () => root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

  const themes = ["auto", "light", "dark"];
  find("theme").addEventListener("click", ({ target }) => {
    const next = themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    target.textContent = `Theme: ${next}`;
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);

  // Paper is white and narrower than the window.
  let screenTheme;
  addEventListener("beforeprint", () => {
    screenTheme = root.dataset.theme;
    root.dataset.theme = "light";
    state.width = 660;
    changed();
  });
  addEventListener("afterprint", () => {
    if (screenTheme === undefined) delete root.dataset.theme;
    else root.dataset.theme = screenTheme;
    state.width = null;
    changed();
  });

  // Puts the text of a `code` on the clipboard, or `text`, and says so on the button.
  async function copy(node, code, text = code.textContent) {
    try {
      await navigator.clipboard.writeText(text);
      node.textContent = "Copied";
    } catch { // no clipboard here: leave the text selected for the keyboard
      if (!code) node.textContent = text;
      getSelection().selectAllChildren(code ?? node);
    }
  }

  return { button, changed, copy, element, escaped, find, listen, select, state, theme, words };
})();
