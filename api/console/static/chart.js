// Draws a chart with uPlot in place of the server's picture, which stays for screen readers.
// The days in `data-chart` are UTC. Arrow keys go from day to day.
"use strict";

const HEIGHT = 220; // CSS pixels
const charts = new Map(); // by box

function draw(box) {
  const { days, series } = JSON.parse(box.dataset.chart);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const rule = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--quiet"), grid: rule, ticks: rule };
  const chart = new uPlot({
    width: box.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
    axes: [{ ...axis, values: "{MM}-{DD}" }, { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 1000, 10000] }],
    series: [
      { label: "day", value: "{YYYY}-{MM}-{DD}" },
      ...series.map(({ name }, at) => ({ label: name, stroke: colour(`--series-${at}`), width: 1.75 })),
    ],
  }, [days, ...series.map(({ values }) => values)], box);
  box.querySelector("svg").classList.add("heard");
  box.querySelector(".uplot").setAttribute("aria-hidden", "true");
  charts.set(box, chart);
}

function step(box, by) {
  const chart = charts.get(box);
  const days = chart.data[0];
  const at = Math.min(Math.max((chart.cursor.idx ?? days.length - by) + by, 0), days.length - 1);
  chart.setCursor({ left: chart.valToPos(days[at], "x"), top: 0 });
}

document.addEventListener("DOMContentLoaded", () => {
  const resized = new ResizeObserver((found) => {
    for (const { target } of found) charts.get(target).setSize({ width: target.clientWidth, height: HEIGHT });
  });
  for (const box of document.querySelectorAll("[data-chart]")) {
    draw(box);
    resized.observe(box);
    box.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowLeft" || key === "ArrowRight") step(box, key === "ArrowLeft" ? -1 : 1);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [box, chart] of charts) {
      chart.destroy();
      draw(box);
    }
  });
});
