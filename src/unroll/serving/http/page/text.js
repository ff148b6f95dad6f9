// A text, and the class that the network gives it.

import { asker } from "./api.js";
import { alertBox, bars, field, h, later } from "./dom.js";

export function textPanel(task, state) {
  const box = alertBox();
  const result = bars();
  const text = h("textarea", { maxlength: task.inputs.properties.text.maxLength, rows: 4 });
  const empty = () => !text.value.trim();
  const clear = () => result.clear(empty() ? "Write a text, and the answer appears here." : undefined);
  const ask = asker(task.task, state, ([answer]) => result.show(answer), clear, box.tell);
  const run = () => ask(empty() ? null : [{ text: text.value }]);
  text.addEventListener("input", later(run, 250));
  const samples = task.example.records.map((row) => row.text);
  text.value = samples[0];
  const chips = samples.map((sample) => h("li", {},
    h("button", { type: "button", title: sample, onclick: () => { text.value = sample; run(); } }, sample)));
  run();
  return { nodes: [
    h("div", { class: "sheet" }, field("Text", text, ""), h("ul", { class: "chips", "aria-label": "Texts of the test part" }, chips)),
    box.node,
    h("div", { class: "sheet" }, result.node),
  ] };
}
