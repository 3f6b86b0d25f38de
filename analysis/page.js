"use strict";
// What the pages' scripts share: elements, the style sheet's colours, the theme button, and paper.
const Page = (() => {
  const root = document.documentElement;
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;

  // A colour of the style sheet as it is now: resolves light-dark(), which a custom property's text does not.
  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
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

  const theme = () => root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

  // Calls `redraw(width)` whenever the colours change, with a width in pixels on paper, else null.
  function onTheme(redraw) {
    const button = document.getElementById("theme");
    const themes = ["auto", "light", "dark"];
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(root.dataset.theme ?? "auto") + 1) % themes.length];
      if (next === "auto") delete root.dataset.theme;
      else root.dataset.theme = next;
      button.textContent = `Theme: ${next}`;
      redraw(null);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(null));

    // Paper is white and narrower than the window.
    let screenTheme;
    addEventListener("beforeprint", () => {
      screenTheme = root.dataset.theme;
      root.dataset.theme = "light";
      redraw(660);
    });
    addEventListener("afterprint", () => {
      if (screenTheme === undefined) delete root.dataset.theme;
      else root.dataset.theme = screenTheme;
      redraw(null);
    });
  }

  // Puts the text of `code` on the clipboard, and says so on the button.
  async function copy(code, button) {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch { // no clipboard here: leave the text selected for the keyboard
      getSelection().selectAllChildren(code);
    }
  }

  return { colour, copy, element, escaped, onTheme, theme };
})();
