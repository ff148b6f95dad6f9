// Elements, numbers and small parts that all panels share.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const s = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

let last = 0;

/** A labelled control. */
export function field(label, control, className = "grow") {
  control.id ||= `field-${++last}`;
  return h("div", { class: className }, h("label", { for: control.id }, label), control);
}

export const shown = (value) =>
  value === null || value === undefined || Number.isNaN(value) ? "–" : String(Number(Number(value).toPrecision(4)));
export const percent = (value) => `${(100 * value).toFixed(value > 0.0995 ? 0 : 1)} %`;

/** Calls `work` when nothing has happened for `wait` ms. */
export function later(work, wait = 200) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}

/** One place for what went wrong, read out when it changes. */
export function alertBox() {
  const node = h("p", { class: "wrong", role: "alert", hidden: true });
  return { node, tell: (error) => { node.hidden = !error; node.textContent = error ? error.message : ""; } };
}

/** Classes with their probabilities, the most probable first. */
export function bars() {
  const said = h("p", { "aria-live": "polite" });
  const list = h("ol", { class: "bars" });
  const show = (answer) => {
    const chances = Object.entries(answer)
      .filter(([name]) => name.startsWith("probability_"))
      .map(([name, chance]) => [name.slice("probability_".length), chance]);
    if (chances.length === 1) chances.push([chances[0][0] === "rise" ? "fall" : "other", 1 - chances[0][1]]);
    chances.sort((a, b) => b[1] - a[1]);
    said.replaceChildren("Most likely: ", h("strong", {}, answer.label), ` (${percent(chances[0][1])})`);
    list.replaceChildren(...chances.map(([name, chance]) => {
      const inner = h("div", { class: "fill" });
      inner.style.width = `${100 * chance}%`;
      return h("li", {}, h("div", { class: "name" }, h("span", {}, name), h("span", {}, percent(chance))),
        h("div", { class: "track", "aria-hidden": "true" }, inner));
    }));
  };
  const clear = (hint = shown(null)) => {
    said.replaceChildren(hint);
    list.replaceChildren();
  };
  return { node: h("div", {}, said, list), show, clear };
}
