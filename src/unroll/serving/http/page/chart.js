// Scales and axes of the two charts, drawn as SVG in the pixels that there are.

import { s, shown } from "./dom.js";

const PAD = { left: 52, right: 14, top: 14, bottom: 28 };

/** Round steps that span the range. */
export function ticks(low, high, count = 4) {
  const span = high - low || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const values = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) values.push(value);
  return values;
}

export class Plot {
  constructor(svg) {
    this.svg = svg;
    this.width = Math.max(svg.clientWidth, 200);
    this.height = Math.max(svg.clientHeight, 150);
    svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
  }

  scales([x0, x1], [y0, y1]) {
    const { width, height } = this;
    this.x = (value) => PAD.left + ((value - x0) / (x1 - x0 || 1)) * (width - PAD.left - PAD.right);
    this.y = (value) => height - PAD.bottom - ((value - y0) / (y1 - y0 || 1)) * (height - PAD.top - PAD.bottom);
    this.back = (px, py) => [
      x0 + ((px - PAD.left) / (width - PAD.left - PAD.right)) * (x1 - x0),
      y0 + ((height - PAD.bottom - py) / (height - PAD.top - PAD.bottom)) * (y1 - y0),
    ];
    this.bottom = height - PAD.bottom;
    return this;
  }

  axes(low, high, xs, label) {
    const { width, height } = this;
    const lines = ticks(low, high).map((value) => s("g", {},
      s("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: this.y(value), y2: this.y(value) }),
      s("text", { x: PAD.left - 8, y: this.y(value) + 4, "text-anchor": "end" }, shown(value))));
    const half = Math.max(...xs.map((value) => 3.5 * label(value).length));  // a character is at most 7 px wide
    const apart = (this.x(xs.at(-1)) - this.x(xs[0])) / (xs.length - 1 || 1);
    const every = Math.ceil((2 * half + 6 + Math.max(0, half - PAD.right)) / apart);  // of so many, one has room for its name
    const names = xs.filter((_, number) => (number - xs.indexOf(0)) % every === 0).map((value) =>
      s("text", { x: Math.min(this.x(value), width - half), y: height - 8, "text-anchor": "middle" }, label(value)));
    return s("g", { "aria-hidden": "true" }, ...lines, ...names);
  }

  /** Where a pointer is, in the plot's own units. */
  at(event) {
    const box = this.svg.getBoundingClientRect();
    return this.back(((event.clientX - box.left) * this.width) / box.width, ((event.clientY - box.top) * this.height) / box.height);
  }
}

export const path = (points) => points.map(([x, y], number) => `${number ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** Draw again whenever the width changes. */
export function watch(svg, draw) {
  const observer = new ResizeObserver(() => svg.isConnected && draw());
  observer.observe(svg);
  return () => observer.disconnect();
}
