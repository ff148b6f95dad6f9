// Requests to this server; the token, where the server has one, stays in this tab.

import { askToken } from "./token.js";

const KEY = "unroll-token";

const kept = () => sessionStorage.getItem(KEY);
let asking = null;  // what all requests that lack the token wait for

async function request(path, token, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer.");
  }
}

async function refusal(response) {
  const refused = await response.json().catch(() => null);
  return new Error(refused?.error?.message ?? `The server said ${response.status}.`);
}

/** Keeps a token that the server takes, and throws for another. */
async function keep(token) {
  if (!/^[ -~]*$/.test(token)) throw new Error("That cannot be the token: it has characters other than ASCII.");
  const response = await request("/v1", token);
  if (response.status === 401) throw new Error("That is not the token that the server was started with.");
  if (!response.ok) throw await refusal(response);
  sessionStorage.setItem(KEY, token);
}

/** An answer; a request that lacks the token waits until it is given, and is sent again. */
async function send(path, body, signal) {
  const posted = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const options = { ...(body === undefined ? {} : posted), signal };
  for (;;) {
    const token = kept();
    const response = await request(path, token, options);
    if (response.ok) return response;
    if (response.status !== 401) throw await refusal(response);
    if (token === kept()) await (asking ??= askToken(keep).finally(() => { asking = null; }));
  }
}

export const get = async (path) => (await send(path)).json();
export const predict = async (task, records) => (await send(`/v1/${task}/predict`, { records })).json();

/** The lines of a text, as they are drawn. */
export async function* generate(task, record, signal) {
  const response = await send(`/v1/${task}/generate`, record, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

/**
 * Sends records and shows the answers, with the version and the time they took in `state`, or clears them.
 * A late answer that a newer request has overtaken is thrown away. Null asks nothing, and clears.
 */
export function asker(task, state, show, clear, tell) {
  let newest = 0;
  const none = (error) => { state(); clear(); tell(error); };
  return async (records) => {
    const mine = ++newest;
    if (records === null) return none(null);
    const begun = performance.now();
    try {
      const { version, answers } = await predict(task, records);
      if (mine !== newest) return;
      tell(null);
      state(version, performance.now() - begun);
      show(answers);
    } catch (error) {
      if (mine === newest) none(error);
    }
  };
}
