// Starts a page of figures that has no networks to choose.
{
  const { find, state } = Page;
  const parsed = (id) => JSON.parse(find(id).textContent);
  state.data = { ...parsed("data"), studies: [], picks: [], networks: { trial: [] } };
  Figures.start((id) => parsed(`spec-${id}`));
}
