// The address: #section&trial=STUDY:TRIAL, both parts optional; and the navigation, which follows the reader.
const Address = (() => {
  const { find, state } = Page;

  const read = () => {
    const parts = decodeURIComponent(location.hash.slice(1)).split("&");
    const trial = parts.find((part) => part.startsWith("trial="))?.slice(6) ?? null;
    return { section: parts.find((part) => part && !part.includes("=")) ?? null, trial };
  };

  function write(section = read().section) {
    const parts = [section, state.selected && `trial=${state.selected}`].filter(Boolean);
    const hash = parts.length ? `#${parts.join("&")}` : "";
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
  }

  function go(section) {
    const target = find(section);
    if (target?.matches("details")) target.open = true;
    target?.scrollIntoView();
  }

  function follow() {
    const { section, trial } = read();
    if (trial !== state.selected) Page.select(Networks.rowOf(trial) === undefined ? null : trial);
    if (section) go(section);
  }

  const sections = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      for (const link of document.querySelectorAll("#contents a")) {
        const here = link.hash === `#${entry.target.id}`;
        link.toggleAttribute("aria-current", here);
        if (here) link.parentElement.parentElement.scrollTo({ left: link.offsetLeft - 40 });
      }
    }
  }, { rootMargin: "-30% 0px -65% 0px" });

  function start() {
    for (const link of document.querySelectorAll("#contents a")) {
      const target = find(link.hash.slice(1));
      sections.observe(target);
      link.addEventListener("click", (event) => {
        event.preventDefault(); // the chosen network stays in the address
        write(target.id);
        go(target.id);
      });
    }
  }

  Page.listen(() => state.data && write());
  addEventListener("hashchange", () => state.data && follow());
  return { follow, start };
})();
