// One figure and nothing else, white in both themes.
document.getElementById("theme").remove();
const figure = JSON.parse(document.getElementById("figure").textContent);
Plotly.newPlot("plot", figure.data, figure.layout, { responsive: true, displaylogo: false });
