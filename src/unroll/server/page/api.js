// Requests to this server; the token, where one is asked for, stays in this tab.

const KEY = "unroll-token";

export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.kind = error.type;
  }
}

export const setToken = (token) => sessionStorage.setItem(KEY, token);

async function send(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { method: body === undefined ? "GET" : "POST", headers, signal };
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { type: "network", message: "The server does not answer." });
  }
  if (!response.ok) {
    const told = await response.json().catch(() => null);
    throw new Refused(response.status, told?.error ?? { type: "unknown", message: `The server said ${response.status}.` });
  }
  return response;
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

/** A question that a newer one overtakes: its late answer is thrown away. */
export function asker(task, show, tell) {
  let number = 0;
  return async (records) => {
    const mine = ++number;
    try {
      const begun = performance.now();
      const told = await predict(task, records);
      if (mine === number) {
        tell(null);
        show(told, performance.now() - begun);
      }
    } catch (error) {
      if (mine === number) tell(error);
    }
  };
}
