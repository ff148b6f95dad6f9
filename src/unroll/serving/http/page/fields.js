// A form made from a model's columns, for models that have no form of their own here, and a table of the answers.

import { asker } from "./api.js";
import { alertBox, field, h, shown } from "./dom.js";

const MOST_FIELDS = 24;  // a record of more columns, or several records, are written as JSON

const types = (schema) => [].concat(schema.type);
const isNumber = (schema) => types(schema).some((type) => type === "number" || type === "integer");

function control(schema, value, required) {
  const written = value ?? schema.default ?? "";
  if (schema.enum) {
    const words = required && !types(schema).includes("null") ? schema.enum : ["", ...schema.enum.filter((word) => word !== null)];
    return h("select", {}, words.map((word) => h("option", { selected: word === written }, word)));
  }
  const must = required && !types(schema).includes("null");
  if (isNumber(schema)) {
    const step = types(schema).includes("integer") ? 1 : "any";
    return h("input", { type: "number", step, min: schema.minimum, max: schema.maximum, required: must, value: written });
  }
  const text = h("textarea", { rows: 2, maxlength: schema.maxLength, required: must });
  text.value = written;
  return text;
}

/** Fields for one record, and what they hold; an empty one is left out, or null where the column must be there. */
function fields({ properties, required }, record) {
  const inputs = Object.entries(properties).map(([name, schema]) => {
    const must = required.includes(name);
    return { name, schema, must, input: control(schema, record[name], must) };
  });
  const node = h("div", {}, inputs.map(({ name, schema, input }) => field(`${name}: ${schema.description}`, input, "")));
  const records = () => {
    const filled = {};
    for (const { name, schema, must, input } of inputs) {
      if (input.value !== "") filled[name] = isNumber(schema) ? Number(input.value) : input.value;
      else if (must) filled[name] = types(schema).includes("null") ? null : "";
    }
    return [filled];
  };
  return [node, records];
}

function json(given) {
  const text = h("textarea", { class: "code", rows: 12, spellcheck: "false" });
  text.value = JSON.stringify(given, null, 1);
  return [field("Records as JSON", text, ""), () => JSON.parse(text.value)];
}

const cell = (value) => (typeof value === "number" ? shown(value) : String(value ?? shown(null)));

function table(answers) {
  const names = Object.keys(answers[0]);
  const row = (answer) => h("tr", {}, names.map((name) => h("td", {}, cell(answer[name]))));
  return h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, answers.map(row)));
}

export function fieldsPanel(task, state) {
  const given = task.example.records;
  const isOne = given.length === 1 && Object.keys(task.inputs.properties).length <= MOST_FIELDS;
  const [node, records] = isOne ? fields(task.inputs, given[0]) : json(given);
  const box = alertBox();
  const result = h("div", { class: "scroll", "aria-live": "polite" });
  const show = (answers) => result.replaceChildren(table(answers));
  const ask = asker(task.task, state, show, () => result.replaceChildren(shown(null)), box.tell);
  const run = () => {
    try {
      ask(records());
    } catch (error) {  // what was written is not JSON
      ask(null);
      box.tell(error);
    }
  };
  const submit = (event) => { event.preventDefault(); run(); };
  run();
  return { nodes: [
    h("form", { class: "sheet", onsubmit: submit }, node, h("p", {}, h("button", { class: "main" }, "Ask"))),
    box.node,
    h("div", { class: "sheet" }, result),
  ] };
}
