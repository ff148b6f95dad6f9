// The page: a link for each task, and the panel of the one that is chosen.

import { get, Refused, setToken } from "./api.js";
import { alertBox, field, h } from "./dom.js";
import { dayPanel } from "./day.js";
import { pairPanel } from "./pair.js";
import { seriesPanel } from "./series.js";
import { textPanel } from "./text.js";
import { versePanel } from "./verse.js";

const PANELS = {
  forecasting: [seriesPanel, "What comes next: drag a point of the past and the forecast follows."],
  rise_or_fall: [seriesPanel, "Does it rise? Drag a point of the past and see."],
  series_classification: [dayPanel, "What was it? Draw a curve, or pick one that was measured."],
  text_classification: [textPanel, "What does it say? Write a text, or pick one."],
  language_model: [versePanel, "Begin a text, and the network goes on."],
  sequence_to_sequence: [pairPanel, "Ask, and the network answers character by character."],
};
const main = document.getElementById("panel");
const nav = document.getElementById("tasks");
let tasks = [];
let leave = () => {};

function title(task) {
  const words = task.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function show() {
  leave();
  leave = () => {};
  const chosen = tasks.find((one) => one.task === decodeURIComponent(location.hash.slice(1))) ?? tasks[0];
  for (const link of nav.children) {
    if (link.dataset.task === chosen.task) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const meta = h("p", { class: "quiet small" });
  const state = (version, took) => {
    const time = took === undefined ? "" : ` · answered in ${Math.round(took)} ms`;
    meta.textContent = `${chosen.problem.replaceAll("_", " ")} · version ${version}${time}`;
  };
  main.replaceChildren(h("h2", {}, title(chosen.task)), meta);
  document.title = `${title(chosen.task)} · Unroll`;
  if (!chosen.version) {
    meta.textContent = chosen.state === "loading" ? "The model is being loaded…" : chosen.reason
      ?? "No champion yet: train one and let it through its gate, and it appears here.";
    return;
  }
  state(chosen.version);
  const [panel, about] = PANELS[chosen.problem];
  main.append(h("p", {}, about));
  const found = panel(chosen, state);
  main.append(...found.nodes);
  leave = found.leave ?? leave;
}

function askToken(refused) {
  const secret = h("input", { type: "password", autocomplete: "off", required: true });
  const form = h("form", { class: "sheet", onsubmit: (event) => {
    event.preventDefault();
    setToken(secret.value);
    start();
  } }, h("p", {}, "This server asks for its token."), h("div", { class: "row" }, field("Token", secret),
    h("button", { class: "main" }, "Enter")));
  main.replaceChildren(h("h2", {}, "Who is there?"), form);
  if (refused) secret.focus();
}

async function start() {
  try {
    ({ tasks } = await get("/v1"));
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return askToken(true);
    const box = alertBox();
    box.tell(error);
    return main.replaceChildren(box.node, h("button", { onclick: start }, "Try again"));
  }
  nav.replaceChildren(...tasks.map((one) =>
    h("a", { href: `#${encodeURIComponent(one.task)}`, "data-task": one.task }, title(one.task))));
  show();
  if (tasks.some((one) => !one.version)) setTimeout(again, 3000);
}

/** Models that were not loaded yet appear by themselves. */
async function again() {
  const found = await get("/v1").catch(() => ({ tasks }));
  const appeared = found.tasks.some((one, number) => one.version && !tasks[number]?.version);
  if (appeared) await start();
  else setTimeout(again, 3000);
}

addEventListener("hashchange", () => {
  show();
  main.focus();
});
start();
