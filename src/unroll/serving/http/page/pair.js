// A question and its answer; sums have two numbers, and the page knows whether the network is right.

import { asker } from "./api.js";
import { alertBox, field, h, percent, shown } from "./dom.js";

export function pairPanel(task, state) {
  const { about } = task;
  const box = alertBox();
  const answer = h("p", { class: "answer" });
  const said = h("p", { class: "quiet" });
  let truth = null;
  const ask = asker(task.task, state, ([one]) => {
    answer.textContent = one.answer;
    const right = truth === null ? "" : one.answer === truth ? "✓ right, " : `✗ it is ${truth}, `;
    said.textContent = `${right}probability ${percent(one.probability)}`;
  }, () => {
    answer.textContent = "";
    said.textContent = shown(null);
  }, box.tell);
  const out = h("div", { class: "sheet", role: "status" }, answer, said);
  const [form, run] = about.reading ? sum() : question();
  form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
  run();
  return { nodes: [form, box.node, out] };

  function sum() {
    const digits = Math.floor((about.longest_source - 1) / 2);
    const first = about.reading === "backward" ? [...task.example.records[0].source].reverse().join("") : task.example.records[0].source;
    const numbers = first.split("+").map((value) => h("input", {
      inputmode: "numeric", pattern: `[0-9]{1,${digits}}`, maxlength: digits, required: true, autocomplete: "off", value,
      title: `a whole number of at most ${digits} digits`,
    }));
    const go = () => {
      const [a, b] = numbers.map((input) => String(Number(input.value)));
      const source = `${a}+${b}`;
      truth = String(Number(a) + Number(b));
      ask([{ source: about.reading === "backward" ? [...source].reverse().join("") : source }]);
    };
    return [h("form", { class: "sheet sum" }, field("First number", numbers[0], "number"), h("span", { class: "sign", "aria-hidden": "true" }, "+"),
      field("Second number", numbers[1], "number"), h("button", { class: "main" }, "Add")), go];
  }

  function question() {
    const sample = task.example.records[0].source;
    const source = about.words.length ? h("select", {}, about.words.map((word) => h("option", { selected: word === sample }, word)))
      : h("input", { maxlength: task.inputs.properties.source.maxLength, required: true, autocomplete: "off", value: sample });
    const go = () => ask([{ source: source.value }]);
    return [h("form", { class: "sheet row" }, field("Question", source), h("button", { class: "main" }, "Ask")), go];
  }
}
