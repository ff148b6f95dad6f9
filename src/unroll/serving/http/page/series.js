// Forecasts: the past to drag, the cone ahead; and whether a series rises.

import { asker } from "./api.js";
import { path, Plot, watch } from "./chart.js";
import { alertBox, bars, field, h, later, s, shown } from "./dom.js";

const BANDS = [95, 80, 50];

export function seriesPanel(task, state) {
  const { about } = task;
  const forecasts = task.form === "forecast";
  let rows = task.example.records.map((row) => ({ ...row }));
  let answers = [];
  let variable = about.target;
  let frozen = null;

  const own = () => rows.filter((row) => !about.target_site || row.site === about.target_site)
    .sort((a, b) => String(a.time).localeCompare(String(b.time))).slice(-about.lag);
  const box = alertBox();
  const svg = s("svg", { class: "chart", role: "group", "aria-label": `The last ${about.lag} values of the series` });
  const said = h("p", { class: "small quiet", "aria-live": "polite" });
  const table = h("div", { class: "scroll" });
  const result = bars();
  const ask = asker(task.task, state, (newest) => {
    answers = newest;
    forecasts ? tell() : result.show(answers.at(-1));
    draw();
  }, () => {
    answers = [];
    result.clear();
    table.replaceChildren(shown(null));
    said.textContent = "";
    draw();
  }, box.tell);
  const run = later(() => ask(rows), 120);

  function tell() {
    const horizons = about.horizons ?? [about.horizon];
    const last = answers.slice(-horizons.length);
    const banded = BANDS.filter((band) => `low_${band}` in last[0]);
    const heads = ["steps ahead", "time (UTC)", about.target, ...(banded.length ? ["80 % of cases within"] : [])];
    table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, last.map((one, number) => h("tr", {}, h("td", {}, horizons[number]),
        h("td", {}, one.time.replace("T", " ").replace(":00Z", "")), h("td", {}, h("strong", {}, shown(one[about.target]))),
        banded.length ? h("td", {}, `${shown(one.low_80)} – ${shown(one.high_80)}`) : null)))));
    const next = last[0];
    said.textContent = `Next: ${shown(next[about.target])} at ${next.time.replace("T", " ").replace(/(:00)?Z/, " UTC")}.`;
  }

  function cone() {
    if (!forecasts || !answers.length || variable !== about.target) return [];
    const horizons = about.horizons ?? [about.horizon];
    return answers.slice(-horizons.length).map((one, number) => ({ ...one, step: horizons[number] }));
  }

  function draw() {
    const past = own().map((row, number, all) => ({ row, step: number - all.length + 1, value: row[variable] }));
    const ahead = cone();
    const known = past.filter((one) => typeof one.value === "number");  // rows of the user's own may hold anything
    if (!known.length) return svg.replaceChildren();
    const edges = ahead.flatMap((one) => [one.low_95 ?? one[about.target], one.high_95 ?? one[about.target]]);
    const values = [...known.map((one) => one.value), ...edges];
    const spread = Math.max(...values) - Math.min(...values) || 1;
    const [low, high] = frozen ?? [Math.min(...values) - 0.12 * spread, Math.max(...values) + 0.12 * spread];
    const end = forecasts ? Math.max(...(about.horizons ?? [about.horizon])) : 0;
    const plot = new Plot(svg).scales([1 - about.lag, end], [low, high]);
    const every = Math.max(1, Math.round((about.lag + end) / 6));
    const xs = [];
    for (let step = Math.ceil((1 - about.lag) / every) * every; step <= end; step += every) xs.push(step);
    const start = known.at(-1);
    const at = (step, value) => [plot.x(step), plot.y(value)];
    const parts = [plot.axes(low, high, xs, (step) => (step > 0 ? `+${step}` : String(step)))];
    for (const band of BANDS) {
      if (!ahead.length || !(`low_${band}` in ahead[0])) continue;
      const up = ahead.map((one) => at(one.step, one[`high_${band}`]));
      const down = ahead.map((one) => at(one.step, one[`low_${band}`])).reverse();
      parts.push(s("path", { class: `band band${band}`, d: `${path([at(0, start.value), ...up, ...down])}Z` }));
    }
    parts.push(s("line", { class: "now", x1: plot.x(0), x2: plot.x(0), y1: 14, y2: plot.bottom }));
    parts.push(s("path", { class: "past", d: path(known.map((one) => at(one.step, one.value))) }));
    if (ahead.length) {
      const line = ahead.map((one) => at(one.step, one[about.target]));
      parts.push(s("path", { class: "ahead", d: path([at(0, start.value), ...line]) }));
      parts.push(...line.map(([x, y]) => s("circle", { class: "dot", cx: x, cy: y, r: 4 })));
    }
    const focused = document.activeElement?.dataset?.step;
    const chosen = focused ?? "0";
    const points = known.map((one) => point(one, plot, spread, [low, high], String(one.step) === chosen));
    svg.replaceChildren(...parts, ...points);
    if (focused !== undefined) svg.querySelector(`[data-step="${focused}"]`)?.focus();
  }

  function point(one, plot, spread, [low, high], first) {
    const move = (value) => {
      one.row[variable] = Number(value.toPrecision(6));
      draw();
      run();
    };
    const keys = { ArrowUp: 0.02, ArrowDown: -0.02, PageUp: 0.1, PageDown: -0.1 };
    const node = s("circle", {
      class: "point", r: Math.max(3, Math.min(5, (plot.x(1) - plot.x(0)) / 2.4)), cx: plot.x(one.step), cy: plot.y(one.value), tabindex: first ? 0 : -1, role: "slider",
      "data-step": one.step, "aria-label": one.step ? `${-one.step} steps back` : "now", "aria-orientation": "vertical",
      "aria-valuemin": Math.min(low, one.value), "aria-valuemax": Math.max(high, one.value), "aria-valuenow": one.value,
      "aria-valuetext": `${shown(one.value)} at ${one.row.time}`,
    });
    node.addEventListener("keydown", (event) => {
      const beside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (beside) {
        const other = svg.querySelector(`[data-step="${one.step + beside}"]`);
        if (other) {
          node.setAttribute("tabindex", -1);
          other.setAttribute("tabindex", 0);
          other.focus();
        }
      } else if (event.key in keys) move(one.value + keys[event.key] * spread);
      else return;
      event.preventDefault();
    });
    node.addEventListener("pointerdown", (event) => {
      const [low, high] = [plot.back(0, plot.bottom)[1], plot.back(0, 14)[1]];
      frozen = [low, high];  // the scale must not run away below the pointer
      const drag = (moved) => move(plot.at(moved)[1]);
      const drop = () => {
        removeEventListener("pointermove", drag);
        removeEventListener("pointerup", drop);
        removeEventListener("pointercancel", drop);
        frozen = null;
        draw();
      };
      addEventListener("pointermove", drag);
      addEventListener("pointerup", drop);
      addEventListener("pointercancel", drop);
      event.preventDefault();
      node.focus();
    });
    return node;
  }

  const measured = h("span", {}, variable);
  const csv = h("textarea", { class: "code", spellcheck: "false" });
  const columns = Object.keys(task.inputs.properties);
  const fillCsv = () => {
    csv.value = [columns.join(","), ...rows.map((row) => columns.map((name) => row[name] ?? "").join(","))].join("\n");
  };
  const useCsv = () => {
    const [head, ...lines] = csv.value.trim().split(/\r?\n/).map((line) => line.split(",").map((cell) => cell.trim()));
    rows = lines.map((cells) => Object.fromEntries(head.map((name, number) => {
      const cell = cells[number] ?? "";
      const isNumber = [].concat(task.inputs.properties[name]?.type ?? "string").includes("number");
      return [name, cell === "" ? null : isNumber && !Number.isNaN(Number(cell)) ? Number(cell) : cell];
    })));
    answers = [];
    ask(rows);
  };
  const pick = h("select", { onchange: () => { measured.textContent = variable = pick.value; draw(); } },
    about.variables.map((name) => h("option", { selected: name === variable }, name)));
  const reset = h("button", { type: "button", onclick: () => {
    rows = task.example.records.map((row) => ({ ...row }));
    fillCsv();
    ask(rows);
  } }, "Start again");
  fillCsv();
  const nodes = [
    h("div", { class: "sheet" }, svg, h("p", { class: "legend" },
      h("span", {}, "line: measured, ", measured), forecasts ? h("span", {}, "cone: where 50, 80 and 95 % of cases end") : null,
      h("span", {}, "keys: ← → choose a point, ↑ ↓ move it")), said),
    box.node,
    h("div", { class: "row" }, field("Show", pick), reset),
    h("div", { class: "sheet" }, forecasts ? table : result.node),
    h("details", {}, h("summary", {}, "Use rows of your own"), field(`Rows as CSV, ${about.lag} of each site at least`, csv, ""),
      h("p", {}, h("button", { type: "button", onclick: useCsv }, "Use these rows"))),
  ];
  const unwatch = watch(svg, draw);
  ask(rows);
  return { nodes, leave: unwatch };
}
