// The interface, readable: each operation of openapi.json with its columns and an example to copy.

import { get } from "./api.js";
import { alertBox, h } from "./dom.js";

const main = document.getElementById("panel");

function columns(schema) {
  const rows = Object.entries(schema.properties);
  const cells = ([name, each]) => h("tr", {}, h("td", {}, h("code", {}, name)), h("td", {}, [].concat(each.type).join(" or ")),
    h("td", {}, schema.required.includes(name) ? "required" : ""), h("td", {}, each.description,
      each.minimum !== undefined ? ` (${each.minimum} to ${each.maximum})` : "", each.default !== undefined ? `, default ${each.default}` : ""));
  const few = rows.length > 14 ? [...rows.slice(0, 3), ...rows.slice(-1)] : rows;
  const head = ["column", "type", "", "what it is"].map((each) => h("th", { scope: "col" }, each));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, few.map(cells))),
    few.length < rows.length ? h("p", { class: "quiet small" }, `and so on: ${rows.length} columns in all`) : null);
}

function operation(path, verb, about, schemas) {
  const parts = [h("h3", {}, h("span", { class: "verb" }, verb.toUpperCase()), h("code", {}, path)), h("p", {}, about.summary)];
  const body = about.requestBody?.content["application/json"];
  if (body) {
    const name = (body.schema.$ref ?? body.schema.properties.records.items.$ref).split("/").at(-1);
    const example = JSON.stringify(body.example);
    const short = example.length > 1500 ? `${example.slice(0, 1500)}…` : example;
    parts.push(columns(schemas[name]), h("details", {}, h("summary", {}, "Example"),
      h("pre", { tabindex: 0 }, `curl ${location.origin}${path} -H 'Content-Type: application/json' -d '${short.replaceAll("'", "'\\''")}'`)));
  }
  return h("section", { class: "op" }, parts);
}

try {
  const document_ = await get("/openapi.json");
  for (const [path, verbs] of Object.entries(document_.paths)) {
    for (const [verb, about] of Object.entries(verbs)) main.append(operation(path, verb, about, document_.components.schemas));
  }
} catch (error) {
  const box = alertBox();
  box.tell(error);
  main.append(box.node);
}
