"""Send a server requests that no client should send; count what it answers and how its memory grows.

    python benchmarks/malformed.py [--port 8000] [--count 10000] [--seed 1]

The server runs already (`unroll serve`); its memory is read from /proc on this machine. Every answer must be 4xx, or a
connection that the server closed; a 503 that asks to come again is counted apart. Ends with 1 where anything is 5xx.
"""

import argparse
import http.client
import json
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

CLOSED = "closed"
"""The server ended the connection without an answer, as it may where what came is no HTTP."""
Request = tuple[str, str, dict[str, str], bytes]
STRINGS = [
    "", " ", "\0", "x", "NaN", "9" * 400, "é" * 400, "\ud800", "😀" * 50, "१+१", "1+", "++", "-1+2", "now", "12:00",
    "2012", "1970-01-01", "0000-00-00", "1677-01-01", "9999-12-31T23:59:59Z", "-9999-01-01T00:00:00Z",
    "2012-03-20T00:00:00+99:99", "1'; DROP TABLE models; --", "../../etc/passwd", "<script>alert(1)</script>",
    "a" * 9_999,
]  # fmt: skip
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1e308,
    -1e308,
    10**400,
    2**63,
    0.1,
    [],
    {},
    [[]],
    [1],
    {"a": 1},
    *STRINGS,
]


def requests(tasks: list[dict[str, Any]], rng: random.Random) -> Iterator[Request]:
    """Malformed requests without end: each of a random kind, from a random task's example."""
    kinds = [
        _wrong_cell, _wrong_cell, _wrong_cell, _wrong_record, _wrong_top, _cut, _flipped, _not_utf8, _not_json, _deep,
        _huge, _many_rows, _unknown_task, _wrong_method, _wrong_headers, _wrong_type, _empty, _wrong_generate,
    ]  # fmt: skip
    while True:
        yield rng.choice(kinds)(rng.choice(tasks), rng)


def odd(tasks: list[dict[str, Any]], rng: random.Random) -> Iterator[Request]:
    """Requests without end that have the right form, and values that nobody has measured or said: some are sound."""
    while True:
        task = rng.choice(tasks)
        rows = _records(task)
        for row in rng.sample(rows, rng.randrange(1, len(rows) + 1)):
            name = rng.choice(list(row))
            kind = task["inputs"]["properties"][name]["type"]
            row[name] = rng.choice(STRINGS if "string" in kind else [0, -1, 3e38, -3e38, 1e-45, -0.0, 2**63])
        yield _post(task, _dump({"records": rows}))


def _post(task: dict[str, Any], body: bytes, **headers: str) -> Request:
    return "POST", f"/v1/{task['task']}/predict", {"Content-Type": "application/json", **headers}, body


def _records(task: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in task["example"]["records"]]


def _dump(value: Any) -> bytes:
    return json.dumps(value, allow_nan=True).encode("utf-8", "surrogatepass")


def _wrong_cell(task: dict[str, Any], rng: random.Random) -> Request:
    """One cell is of another type or out of range; which one is good by chance is left out."""
    rows = _records(task)
    row = rng.choice(rows)
    name = rng.choice(list(row))
    kind = task["inputs"]["properties"][name]["type"]
    wrong = [value for value in VALUES if not isinstance(value, str)] if "string" in kind else VALUES
    wrong = [value for value in wrong if not (("number" in kind or "integer" in kind) and value in (0, -1, 0.1, 2**63))]
    wrong = [value for value in wrong if not (value is None and "null" in kind)]
    row[name] = rng.choice([*wrong, float("nan"), float("inf")])
    return _post(task, _dump({"records": rows}))


def _wrong_record(task: dict[str, Any], rng: random.Random) -> Request:
    rows: list[Any] = _records(task)
    where = rng.randrange(len(rows))
    change = rng.randrange(3)
    if change == 0:
        rows[where] = rng.choice(VALUES)
    elif change == 1:
        rows[where][rng.choice(["", "x", "records", "\ud800", "é" * 300])] = 1
    else:
        rows[where].pop(next(iter(rows[where])))
    return _post(task, _dump({"records": rows}))


def _wrong_top(task: dict[str, Any], rng: random.Random) -> Request:
    value = rng.choice(VALUES)
    return _post(
        task, _dump(rng.choice([value, {"records": value}, {"record": value}, {"records": [], "more": value}]))
    )


def _cut(task: dict[str, Any], rng: random.Random) -> Request:
    whole = _dump({"records": _records(task)})
    return _post(task, whole[: rng.randrange(1, len(whole))])


def _flipped(task: dict[str, Any], rng: random.Random) -> Request:
    """A few bytes are others; a brace in front makes sure that the whole is no JSON."""
    body = bytearray(b"{" + _dump({"records": _records(task)}))
    for _ in range(rng.randrange(1, 8)):
        body[rng.randrange(1, len(body))] = rng.randrange(256)
    return _post(task, bytes(body))


def _not_utf8(task: dict[str, Any], rng: random.Random) -> Request:
    return _post(task, b'{"records": [{"text": "' + rng.randbytes(rng.randrange(1, 60)) + b'\xff"}]}')


def _not_json(task: dict[str, Any], rng: random.Random) -> Request:
    return _post(
        task, rng.choice([b"records=1", b"<a/>", b"\0", b"[1,]", b"{'a': 1}", b"NaN", b"nul", b"1e", b"\xef\xbb\xbf{}"])
    )


def _deep(task: dict[str, Any], rng: random.Random) -> Request:
    depth = rng.choice([10, 1_000, 100_000])
    return _post(task, rng.choice([b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth]))


def _huge(task: dict[str, Any], rng: random.Random) -> Request:
    size = rng.choice([1 << 20, 3 << 20])
    return _post(task, b'{"records": [{"text": "' + b"a" * size + b'"}]}')


def _many_rows(task: dict[str, Any], rng: random.Random) -> Request:
    return _post(task, _dump({"records": [{}] * rng.choice([2_001, 50_000])}))


def _unknown_task(task: dict[str, Any], rng: random.Random) -> Request:  # noqa: ARG001
    name = rng.choice(["nope", "", "..", "%2e%2e", "%00", "a" * 5_000, "%ff", "poetry%2fpredict", "é".encode().hex()])
    return "POST", f"/v1/{name}/predict", {"Content-Type": "application/json"}, b'{"records": [{}]}'


def _wrong_method(task: dict[str, Any], rng: random.Random) -> Request:
    path = rng.choice(
        [f"/v1/{task['task']}/predict", "/v1/", "/metrics/x", "/page/../app.py", "/page/%2e%2e%2fapp.py", "//"]
    )
    return rng.choice(["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]), path, {}, b""


def _wrong_headers(task: dict[str, Any], rng: random.Random) -> Request:
    headers = rng.choice(
        [
            {f"X-{number}": "a" for number in range(200)},
            {"X-Long": "a" * 40_000},
            {"Content-Length": "-1"},
            {"Content-Length": "99999999999999999999"},
            {"Content-Length": "abc"},
            {"Transfer-Encoding": "chunked"},
            {"Transfer-Encoding": "gzip, chunked"},
            {"Host": "evil.example"},
            {"Content-Encoding": "gzip", "Content-Type": "text/plain"},
            {"X-Bad\x01": "1"},
        ]
    )
    return _post(task, b"{\r\n", **headers)


def _wrong_type(task: dict[str, Any], rng: random.Random) -> Request:
    kind = rng.choice(
        ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", "é", "a" * 900]
    )
    return _post(task, _dump({"records": _records(task)}), **{"Content-Type": kind})


def _empty(task: dict[str, Any], rng: random.Random) -> Request:
    return _post(task, rng.choice([b"", b" ", b"\n\n"]))


def _wrong_generate(task: dict[str, Any], rng: random.Random) -> Request:
    method, _, headers, body = _wrong_top(task, rng)
    return method, f"/v1/{task['task']}/generate", headers, body


def send(port: int, request: Request) -> str:
    """The status of the answer as text, or CLOSED. Whatever is sent goes as it is, also where it is no HTTP."""
    method, path, headers, body = request
    lines = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body)), "Connection": "close"} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    raw = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(raw)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            content = answer.read()
        except (ConnectionError, http.client.HTTPException):
            return CLOSED
    if answer.status >= 400 and method != "HEAD":
        told = json.loads(content)["error"]  # every refusal has the same shape
        assert told["type"]
        assert told["message"]
    return str(answer.status)


def resident_bytes(port: int) -> int:
    """Memory of the server's process, as it tells it itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found, "no process_resident_memory_bytes in /metrics"
    return int(float(found[1]))


def run(port: int, count: int, seed: int, told: Callable[[int], None] | None = None) -> Counter[str]:
    """Send ``count`` malformed requests; how often each status came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/v1")
    tasks = [task for task in json.loads(connection.getresponse().read())["tasks"] if task["version"]]
    connection.close()
    found: Counter[str] = Counter()
    whole, rng = count - count // 10, random.Random(seed)
    asked = chain(islice(requests(tasks, rng), whole), islice(odd(tasks, rng), count // 10))
    for number, request in enumerate(asked):
        status = send(port, request)
        found[status if number < whole else f"{status} (odd)"] += 1
        if status.startswith("5") and status != "503":
            print(f"{status}: {request!r:.2000}", file=sys.stderr)
        if told:
            told(number + 1)
    return found


def wrong(status: str) -> bool:
    """Whether that is no answer to a malformed request: a success, or a failure of the server."""
    return (status.startswith("5") and not status.startswith("503")) or (status.startswith("2") and "odd" not in status)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    run(given.port, given.count // 10, given.seed + 1)  # buffers grow to their size once
    sizes = [resident_bytes(given.port)]

    def told(done: int) -> None:
        if done % max(given.count // 5, 1) == 0:
            sizes.append(resident_bytes(given.port))
            print(f"{done}: {sizes[-1] / 2**20:.1f} MiB", flush=True)

    found = run(given.port, given.count, given.seed, told)
    print(dict(sorted(found.items())))
    print(f"memory: {sizes[0] / 2**20:.1f} MiB before, {sizes[-1] / 2**20:.1f} MiB after")
    bad = sum(number for status, number in found.items() if wrong(status))
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
