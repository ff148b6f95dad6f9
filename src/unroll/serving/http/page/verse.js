// A text that is written as it is drawn, and can be stopped.

import { generate } from "./api.js";
import { alertBox, field, h, shown } from "./dom.js";

export function versePanel(task, state) {
  const { properties } = task.inputs;
  const box = alertBox();
  const number = (name, value, step) => h("input", {
    type: "number", name, min: properties[name].minimum, max: properties[name].maximum, step, value, required: true,
  });
  const seedText = h("textarea", { rows: 3, maxlength: properties.text.maxLength, required: true });
  seedText.value = task.example.records[0].text;
  const temperature = h("input", { type: "range", min: 0, max: 2, step: 0.05, value: 0.8 });
  const read = h("output", {}, "0.8");
  temperature.addEventListener("input", () => { read.textContent = shown(temperature.value); });
  const length = number("length", 300, 1);
  const seed = number("seed", 0, 1);
  const more = { top_k: number("top_k", 0, 1), top_p: number("top_p", 1, "any"), repetition_penalty: number("repetition_penalty", 1, "any") };
  const given = h("span", { class: "given" });
  const drawn = h("span", {});
  const verse = h("p", { class: "verse", "aria-label": "The text" }, given, drawn);
  const said = h("p", { class: "small quiet", role: "status" });
  const write = h("button", { class: "main" }, "Write");
  const stop = h("button", { type: "button", disabled: true, onclick: () => running?.abort() }, "Stop");
  let running = null;

  async function run(event) {
    event.preventDefault();
    running?.abort();
    const mine = running = new AbortController();
    const record = { text: seedText.value, temperature: Number(temperature.value), length: Number(length.value), seed: Number(seed.value) };
    for (const [name, input] of Object.entries(more)) record[name] = Number(input.value);
    box.tell(null);
    state();
    given.textContent = seedText.value;
    drawn.textContent = "";
    said.textContent = "Writing…";
    verse.setAttribute("aria-busy", "true");
    stop.disabled = false;
    const begun = performance.now();
    let count = 0;
    try {
      for await (const line of generate(task.task, record, mine.signal)) {
        if (line.version) {
          state(line.version, performance.now() - begun);
          if (line.unknown.length) drawn.dataset.unknown = line.unknown.join(" ");
          else delete drawn.dataset.unknown;
        }
        if (line.piece) { drawn.append(line.piece); count += line.piece.length; }
        if (line.error) throw new Error(line.error.message);
      }
      const unknown = drawn.dataset.unknown ? ` The network does not know: ${drawn.dataset.unknown}` : "";
      said.textContent = `${count} characters in ${((performance.now() - begun) / 1000).toFixed(1)} s.${unknown}`;
    } catch (error) {
      if (mine !== running) return;
      said.textContent = error.name === "AbortError" ? "Stopped." : "";
      if (error.name !== "AbortError") box.tell(error);
    } finally {
      if (mine === running) {
        verse.removeAttribute("aria-busy");
        stop.disabled = true;
      }
    }
  }

  const slider = field("Temperature: tame to wild", temperature);
  slider.querySelector("label").append(" · ", read);
  const form = h("form", { class: "sheet", onsubmit: run }, field("Begin with", seedText, ""),
    h("div", { class: "row" }, slider, field("Length", length), field("Seed", seed)),
    h("details", {}, h("summary", {}, "More"), h("div", { class: "row" }, field("Top k (0: all)", more.top_k),
      field("Top p", more.top_p), field("Repetition penalty", more.repetition_penalty))),
    h("p", { class: "row" }, write, stop));
  return { nodes: [form, box.node, h("div", { class: "sheet" }, verse, said)], leave: () => running?.abort() };
}
