// The page: a link for each task, and the panel of the one that is chosen.

import { get } from "./api.js";
import { alertBox, h } from "./dom.js";
import { curvePanel } from "./curve.js";
import { fieldsPanel } from "./fields.js";
import { pairPanel } from "./pair.js";
import { seriesPanel } from "./series.js";
import { textPanel } from "./text.js";
import { versePanel } from "./verse.js";

/** By the form that a model's inputs name; a model that names none gets fields made from its columns. */
const FORMS = {
  forecast: [seriesPanel, "What comes next: drag a point of the past and the forecast follows."],
  rise: [seriesPanel, "Does it rise? Drag a point of the past and see."],
  curve: [curvePanel, "What was it? Draw a curve, or pick one that was measured."],
  text: [textPanel, "What does it say? Write a text, or pick one."],
  verse: [versePanel, "Begin a text, and the network goes on."],
  pair: [pairPanel, "Ask, and the network answers character by character."],
};
const FIELDS = [fieldsPanel, "Fill in the columns, and the model answers."];
const main = document.getElementById("panel");
const nav = document.getElementById("tasks");
let tasks = [];
let drawn = null;  // the task as it was when its panel was made
let leave = () => {};

function title(task) {
  const words = task.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

const named = (task) => `#${encodeURIComponent(task)}`;
const choice = () => tasks.find((one) => named(one.task) === location.hash) ?? tasks[0];

function show() {
  leave();
  leave = () => {};
  const chosen = drawn = choice();
  for (const link of nav.children) {
    if (link.dataset.task === chosen.task) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const meta = h("p", { class: "quiet small" });
  let version = chosen.version;
  const state = (newer, took) => {
    version = newer ?? version;
    const time = took === undefined ? "" : ` · answered in ${Math.round(took)} ms`;
    meta.textContent = `${chosen.problem.replaceAll("_", " ")} · version ${version}${time}`;
  };
  main.replaceChildren(h("h2", {}, title(chosen.task)), meta);
  document.title = `${title(chosen.task)} · Unroll`;
  if (!version) {
    meta.textContent = chosen.state === "loading" ? "The model is being loaded…" : chosen.reason
      ?? "No champion yet: train one and let it through its gate, and it appears here.";
    return;
  }
  state();
  const [panel, about] = FORMS[chosen.form] ?? FIELDS;
  main.append(h("p", {}, about));
  const opened = panel(chosen, state);
  main.append(...opened.nodes);
  leave = opened.leave ?? leave;
}

async function start() {
  try {
    ({ tasks } = await get("/v1"));
  } catch (error) {
    const box = alertBox();
    box.tell(error);
    return main.replaceChildren(box.node, h("button", { onclick: start }, "Try again"));
  }
  nav.replaceChildren(...tasks.map((one) =>
    h("a", { href: named(one.task), "data-task": one.task }, title(one.task))));
  show();
  wait();
}

function wait() {
  if (tasks.some((one) => !one.version)) setTimeout(again, 3000);
}

/** Models that were not loaded yet appear by themselves; a panel that is there stays, with all that was written into it. */
async function again() {
  ({ tasks } = await get("/v1").catch(() => ({ tasks })));
  if (!drawn.version && (choice().version || choice().state !== drawn.state)) show();
  wait();
}

addEventListener("hashchange", () => {
  if (!tasks.length) return;
  show();
  main.focus();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();  // the fragment is the task's
  document.querySelector("main:not([hidden])").focus();
});
start();
