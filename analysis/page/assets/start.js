// Starts the page from a file, or from what analysis/page/live.py sends, and again with newer data.
const Dashboard = (() => {
  const { find, state } = Page;

  function start(data, read) {
    state.data = data;
    Networks.forget();
    Figures.start(read);
    Address.start();
    for (const box of document.querySelectorAll("#shown input")) {
      const study = Number(box.dataset.study);
      box.checked = !state.hidden.has(study);
      box.addEventListener("change", () => {
        state.hidden[box.checked ? "delete" : "add"](study);
        Figures.refresh();
        Table.fill();
      });
    }
    Figures.later(() => Table.start(find("table")));
    if (state.selected !== null && Networks.rowOf(state.selected) === undefined) state.selected = null;
  }

  // A newer page: its figures and its table keep their elements.
  function show(text) {
    const page = JSON.parse(text);
    const app = find("app");
    const folds = () => app.querySelectorAll("details > summary");
    const open = new Set([...folds()].filter((node) => node.parentElement.open).map((node) => node.dataset.name));
    const kept = [...Figures.kept(), find("table")].filter(Boolean);
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
    for (const node of folds()) node.parentElement.open = open.has(node.dataset.name);
    document.title = page.title;
    const first = state.data === null;
    start(page.data, (id) => page.specs[id]);
    if (first) return void Address.follow();
    scrollTo(0, place);
    Page.changed();
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

  document.addEventListener("click", ({ target }) => {
    const copied = target.closest("[data-copy]");
    if (copied) Page.copy(copied, find(copied.dataset.copy));
    const command = target.closest("[data-text]");
    if (command) Page.copy(command, null, command.dataset.text);
    const network = target.closest("button[data-key]");
    if (network) Page.select(network.dataset.key);
  });

  // In a file each part is read when it is needed.
  const parsed = (id) => JSON.parse(find(id).textContent);
  if (find("data")) {
    const whole = parsed("data");
    let networks = null;
    Object.defineProperty(whole, "networks", { get: () => (networks ??= parsed("details")) });
    start(whole, (id) => parsed(`spec-${id}`));
    Address.follow();
  }
  return { live };
})();
