"""Latency and throughput of `unroll serve`, beside `mlflow models serve` of the same champions in the same run.

    python benchmarks/serving.py PROJECT [--seconds 5] [--no-peer] [--task TASK ...]

PROJECT is a folder in which `unroll repro` has been run. Each server is a process of its own, asked over connections
that stay open, first by one client, then by 16 at once; what is asked is the example that is registered with the model
(one row, one window, or a verse of 100 characters). The clients run on the same processors as the server. Milliseconds.
"""

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

CLIENTS = (1, 16)
WARM = 5
QUIET = {"MLFLOW_LOGGING_LEVEL": "ERROR", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}


@contextmanager
def process(command: list[str], root: Path, **environment: str) -> "Iterator[subprocess.Popen[str]]":
    """A server's process, ended afterwards with all that it started."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # MLflow calls uvicorn by name
    started = subprocess.Popen(
        command, cwd=root, env={**os.environ, **QUIET, "PATH": places, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, 15)
            started.wait(30)


def wait_for(server: "subprocess.Popen[str]", port: int, path: str, seconds: float = 300) -> None:
    """Until the path answers 200; raises RuntimeError where the server has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the server of {path} ended with {server.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"port {port}, {path}: no answer in {seconds} s")


def client(port: int, path: str, body: bytes, until: float, found_s: list[float], refused: list[int]) -> None:
    """Ask again and again over one connection; the time of each answer. None within a minute counts as refused."""
    connection, headers = connect(port), {"Content-Type": "application/json"}
    while time.perf_counter() < until:
        begun = time.perf_counter()
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            refused.append(0)
            connection.close()
            connection = connect(port)
            continue
        if answer.status == 200:
            found_s.append(time.perf_counter() - begun)
        else:
            refused.append(answer.status)
    connection.close()


def connect(port: int) -> http.client.HTTPConnection:
    """A connection that sends at once what there is to send."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def measure(port: int, path: str, body: bytes, clients: int, seconds: float) -> dict[str, float]:
    """p50 and p99 in ms, and answers a second."""
    client(port, path, body, time.perf_counter() + seconds / WARM, [], [])
    found_s: list[float] = []
    refused: list[int] = []
    begun = time.perf_counter()
    arguments = (port, path, body, begun + seconds, found_s, refused)
    threads = [threading.Thread(target=client, args=arguments) for _ in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    took = time.perf_counter() - begun
    if not found_s:
        raise RuntimeError(f"{path}: no answer; refused with {set(refused)}")
    p50, p99 = np.percentile(np.array(found_s) * 1000, [50, 99])
    return {"p50": p50, "p99": p99, "rps": len(found_s) / took, "refused": len(refused)}


def question(task: dict[str, Any]) -> list[dict[str, Any]]:
    """One row of the example; a series needs all of it."""
    records = task["example"]["records"]
    if "time" in records[0]:
        return list(records)
    return [{**records[0], "length": 100}] if "length" in task["inputs"]["properties"] else records[:1]


def own(root: Path, chosen: list[str], seconds: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All tasks from one server; the tasks and the rows of the table."""
    rows: list[dict[str, Any]] = []
    with process([sys.executable, "-m", "unroll", "serve", "--port", "0"], root) as server:
        assert server.stdout
        port = int(re.findall(r":(\d+)/", server.stdout.readline())[0])
        wait_for(server, port, "/readyz")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1")
        told = json.loads(connection.getresponse().read())["tasks"]
        tasks = [task for task in told if task["version"] and (not chosen or task["task"] in chosen)]
        for task in tasks:
            body = json.dumps({"records": question(task)}).encode()
            for clients in CLIENTS:
                found = measure(port, f"/v1/{task['task']}/predict", body, clients, seconds)
                rows.append({"task": task["task"], "server": "unroll serve", "clients": clients, **found})
                print(row(rows[-1]), flush=True)
    return tasks, rows


def peer(root: Path, task: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    """One task from one server of MLflow's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{task['task']}@champion",
        "--env-manager", "local", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    body = json.dumps({"dataframe_records": question(task)}).encode()
    rows = []
    store = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{root.resolve() / 'mlflow.db'}")
    with process(command, root, MLFLOW_TRACKING_URI=store) as server:
        wait_for(server, port, "/ping")
        for clients in CLIENTS:
            found = measure(port, "/invocations", body, clients, seconds)
            rows.append({"task": task["task"], "server": "mlflow models serve", "clients": clients, **found})
            print(row(rows[-1]), flush=True)
    return rows


def row(found: dict[str, Any]) -> str:
    """A line of the table."""
    times = " | ".join(f"{found[name]:.1f}" for name in ("p50", "p99", "rps"))
    return f"| {found['task']} | {found['server']} | {found['clients']} | {times} | {found['refused']:.0f} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--task", action="append", default=[])
    parser.add_argument("--no-peer", action="store_true")
    given = parser.parse_args()
    print("| task | server | clients | p50 ms | p99 ms | answers/s | refused |\n|---|---|---|---|---|---|---|")
    tasks, _ = own(given.project, given.task, given.seconds)
    for task in [] if given.no_peer else tasks:
        peer(given.project, task, given.seconds)


if __name__ == "__main__":
    main()
