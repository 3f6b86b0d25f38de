// The networks of the studies: columns with a value each, as analysis/views/networks.py has them.
const Networks = (() => {
  const { state } = Page;
  let rows = null; // "study:trial" -> place in the columns
  const all = () => state.data.networks;

  function rowOf(key) {
    rows ??= new Map(all().trial.map((_, i) => [keyAt(i), i]));
    return rows.get(key);
  }

  const forget = () => { rows = null; };
  const keyAt = (i) => `${all().study[i]}:${all().trial[i]}`;
  const keyOf = (custom) => (Array.isArray(custom) ? `${custom[0]}:${custom[1]}` : null);
  const studyOf = (key) => Number(key.split(":")[0]);
  const isPick = (i) => state.data.picks.includes(keyAt(i));

  // As tables and figures have it: the name of a published network, else the number of the trial.
  const labelOf = (i) => all().name[i] ?? `trial ${all().trial[i]}`;
  const titleOf = (i) => (all().name[i] ? `${all().name[i]} (trial ${all().trial[i]})` : labelOf(i));

  function kindOf(i) {
    const { families, family, states, state: its, budgets, budget, study } = all();
    const parts = [families[family[i]], states[its[i]], budgets[budget[i]]];
    if (state.data.studies.length > 1) parts.unshift(state.data.studies[study[i]].name);
    if (isPick(i)) parts.unshift("the pick");
    return parts.filter(Boolean).join(" · ");
  }

  function designOf(i) {
    const { forms, form, stages } = all();
    const [depths, widths, kernels, expansions] = stages[i];
    // no stages: a network of a table, by what was chosen
    if (depths === "–") return forms[form[i]].facts.map((fact) => fact.join(" ")).join(" ");
    return [`${depths} ${widths}`, kernels === "–" ? "" : `k${kernels}`, `e${expansions}`].filter(Boolean).join(" ");
  }

  const three = (value) =>
    Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  const percent = (value) => (value === null ? "–" : `${value.toFixed(1)}%`);

  function amount(value) {
    if (value === null || value === undefined) return "–";
    const [divisor, prefix] = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([size]) => value >= size) ?? [1, ""];
    return `${three(value / divisor)} ${prefix}`.trim();
  }

  return { all, amount, designOf, forget, isPick, keyAt, keyOf, kindOf, labelOf, percent, rowOf, studyOf, titleOf };
})();
