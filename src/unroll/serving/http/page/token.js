// The server's token: a form for it takes the place of the page, which stays as it is behind it.

import { alertBox, field, h } from "./dom.js";

/** Shows the form until `keep` throws no more for what was entered. */
export function askToken(keep) {
  const main = document.getElementById("panel");
  const focused = document.activeElement;
  const box = alertBox();
  const secret = h("input", { type: "password", autocomplete: "off", required: true });
  return new Promise((done) => {
    const enter = async (event) => {
      event.preventDefault();
      box.tell(null);
      try {
        await keep(secret.value);
      } catch (error) {
        box.tell(error);
        secret.select();
        return;
      }
      panel.remove();
      main.hidden = false;
      (focused !== document.body && focused.isConnected ? focused : main).focus();
      done();
    };
    const form = h("form", { class: "sheet", onsubmit: enter }, h("p", {}, "This server asks for its token."), h("div", { class: "row" },
      field("Token", secret), h("button", { class: "main" }, "Enter")));
    const panel = h("main", { tabindex: -1 }, h("h2", {}, "Who is there?"), form, box.node);
    main.hidden = true;
    main.before(panel);
    secret.focus();
  });
}
