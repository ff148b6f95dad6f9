// A labelled series to draw with the pointer or the keys, or to pick.

import { asker } from "./api.js";
import { path, Plot, watch } from "./chart.js";
import { alertBox, bars, h, later, s, shown } from "./dom.js";

export function curvePanel(task, state) {
  const { steps } = task.about;
  const names = Object.keys(task.inputs.properties);
  const samples = task.example.records.map((row) => names.map((name) => row[name] ?? 0));
  const all = samples.flat();
  const low = Math.min(0, ...all);
  const top = Math.max(...all, low + task.about.deviation);
  const high = top + 0.1 * (top - low);
  let values = [...samples[0]];
  let cursor = Math.floor(steps / 2);
  let plot = null;

  const box = alertBox();
  const result = bars();
  const ask = asker(task.task, state, ([answer]) => result.show(answer), () => result.clear(), box.tell);
  const run = later(() => ask([Object.fromEntries(names.map((name, step) => [name, values[step]]))]), 60);
  const svg = s("svg", {
    class: "chart pad", tabindex: 0, role: "slider", "aria-label": "The curve; left and right choose a step, up and down change it",
    "aria-orientation": "vertical", "aria-valuemin": low, "aria-valuemax": high,
  });

  function draw() {
    plot = new Plot(svg).scales([0, steps - 1], [low, high]);
    const points = values.map((value, step) => [plot.x(step), plot.y(value)]);
    const xs = [0, 1, 2, 3, 4].map((quarter) => Math.round((quarter * (steps - 1)) / 4));
    const line = path(points);
    svg.replaceChildren(plot.axes(low, high, xs, (step) => `step ${step + 1}`),
      s("path", { class: "under", d: `${line}L${plot.x(steps - 1)} ${plot.bottom}L${plot.x(0)} ${plot.bottom}Z` }),
      s("path", { class: "day", d: line }),
      s("circle", { class: "point", r: 5, cx: plot.x(cursor), cy: plot.y(values[cursor]) }));
    svg.setAttribute("aria-valuenow", shown(values[cursor]));
    svg.setAttribute("aria-valuetext", `step ${cursor + 1} of ${steps}: ${shown(values[cursor])}`);
  }

  const set = (step, value) => { values[step] = Number(Math.min(high, Math.max(low, value)).toPrecision(5)); };
  let before = null;
  function stroke(event) {
    const [x, y] = plot.at(event);
    const step = Math.min(steps - 1, Math.max(0, Math.round(x)));
    const [from, start] = before ?? [step, y];
    const count = Math.abs(step - from);
    for (let each = 0; each <= count; each++) {
      const share = count ? each / count : 1;
      set(Math.round(from + (step - from) * share), start + (y - start) * share);
    }
    before = [step, y];
    cursor = step;
    draw();
    run();
  }
  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    before = null;
    stroke(event);
  });
  svg.addEventListener("pointermove", (event) => { if (svg.hasPointerCapture(event.pointerId)) stroke(event); });
  svg.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -steps, End: steps };
    const changes = { ArrowUp: 0.02, ArrowDown: -0.02, PageUp: 0.1, PageDown: -0.1 };
    if (event.key in moves) cursor = Math.min(steps - 1, Math.max(0, cursor + moves[event.key]));
    else if (event.key in changes) {
      set(cursor, values[cursor] + changes[event.key] * (high - low));
      run();
    } else return;
    event.preventDefault();
    draw();
  });

  const use = (curve) => () => { values = [...curve]; draw(); run(); };
  const picks = [
    ...samples.map((sample, number) => [`Measured ${number + 1}`, sample]),
    ["Flat", Array(steps).fill(Math.max(low, 0))],
  ].map(([name, sample]) => h("li", {}, h("button", { type: "button", onclick: use(sample) }, name)));
  const nodes = [
    h("div", { class: "sheet" }, svg, h("ul", { class: "chips", "aria-label": "Curves to begin with" }, picks)),
    box.node,
    h("div", { class: "sheet" }, result.node),
  ];
  run();
  return { nodes, leave: watch(svg, draw) };
}
