"""``unroll serve`` as a person starts it: the real process, the real registry."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from projects import ROOT, own_code
from trained_project import NAME, make, write_model

from serving.http.made import Asked, expected
from unroll.core import store
from unroll.core.errors import ConfigError
from unroll.registry import publication, register
from unroll.serving import http
from unroll.stages.common.task import Task
from unroll.tracking import backend

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-some-length"


@contextmanager
def serving(root: Path, *arguments: str, **environment: str) -> Iterator[tuple[Asked, "subprocess.Popen[str]"]]:
    """The server's process, ready, and a way to ask it."""
    command = [sys.executable, "-m", "unroll", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, cwd=root, env={**os.environ, **own_code(ROOT), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.fullmatch(rf"serving {NAME} at http://\S+:(\d+)/\n", line)
        assert found, line + (process.stderr.read() if process.stderr and process.poll() is not None else "")
        asked = Asked(int(found[1]), token=environment.get("UNROLL_TOKEN"))
        asked.wait()
        yield asked, process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Registered twice: version 1 is champion, version 2 is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        task = make(tmp_path_factory.mktemp("served") / "project")
        for seed in (1, 2):
            write_model(task, seed)
            unlike(task.layout.model / "weights.safetensors", seed)
            register.register(task, publication.publish(task))
    promote(task, 1)
    (task.layout.root / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")  # what makes it a project to be in
    return task


def unlike(path: Path, seed: int) -> None:
    """Weights that answer otherwise: untrained ones all answer that nothing changes."""
    tensors, _ = store.read_tensors(path)
    generator = torch.Generator().manual_seed(seed)
    store.write_tensors(path, {k: v + 0.3 * torch.randn(v.shape, generator=generator) for k, v in tensors.items()})


def promote(task: Task, version: int) -> None:
    def name(client: mlflow.MlflowClient) -> None:
        client.set_registered_model_alias(NAME, "champion", str(version))

    backend.patiently(task.layout.root, name)


def test_a_promoted_champion_takes_over_without_a_request_lost(task: Task) -> None:
    with serving(task.layout.root) as (asked, process):
        records = asked.example(NAME)
        before = asked.predict(NAME, records).json
        assert before["version"] == 1
        seen: list[tuple[int, Any]] = []
        ended = threading.Event()

        def go_on() -> None:
            while not ended.is_set():
                answer = asked.predict(NAME, records)
                seen.append((answer.status, answer.json))

        clients = [threading.Thread(target=go_on) for _ in range(3)]
        for each in clients:
            each.start()
        promote(task, 2)
        until = time.monotonic() + 60
        while not any(answer.get("version") == 2 for _, answer in seen[-5:]):
            assert time.monotonic() < until, seen[-1]
            time.sleep(0.05)
        ended.set()
        for each in clients:
            each.join(30)
        assert {status for status, _ in seen} == {200}
        answers = {answer["version"]: answer["answers"] for _, answer in seen}
        assert answers[1] == before["answers"] != answers[2]
        (after,) = expected(task.layout.model, records)  # seed 2 was written last
        assert answers[2][0]["pm10_ug_m3"] == pytest.approx(after["pm10_ug_m3"], rel=1e-5)
        promote(task, 1)
        until = time.monotonic() + 60
        while asked.predict(NAME, records).json["version"] != 1:
            assert time.monotonic() < until, "the way back was not taken"
        process.send_signal(signal.SIGTERM)
        out, log = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM), log
    assert "version 2 answers" in log
    assert "Traceback" not in out + log


def test_the_token_stands_in_no_line_that_is_written(task: Task) -> None:
    with serving(task.layout.root, "--host", "0.0.0.0", UNROLL_TOKEN=TOKEN) as (asked, process):
        assert asked.ask("GET", "/v1", Host="any.example").status == 200
        assert Asked(asked.port).ask("GET", "/v1").status == 401
        process.terminate()
        out, log = process.communicate(timeout=30)
    assert TOKEN not in out + log


def run(root: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "unroll", "serve", *arguments]
    return subprocess.run(
        command, cwd=root, env={**os.environ, **own_code(ROOT), **environment}, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


def test_what_cannot_be_served_is_told_in_one_line(task: Task) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, message in [
            (("--task", "nope"), f"params.yaml: tasks.nope: no such task; expected one of {NAME}"),
            (("--port", port), f"--host, --port: 127.0.0.1:{port}: Address already in use; expected a free address"),
            (("--host", "0.0.0.0"), "--host: '0.0.0.0' is reached by others; expected UNROLL_TOKEN"),
        ]:
            done = run(task.layout.root, *arguments)
            assert (done.returncode, done.stdout) == (1, ""), arguments
            assert done.stderr.count("\n") == 1
            assert message in done.stderr


@pytest.mark.parametrize(
    ("host", "no_token", "token", "message"),
    [
        ("0.0.0.0", False, None, r"--host: '0\.0\.0\.0' is reached by others"),
        ("::", False, None, "is reached by others"),
        ("example.org", False, None, "is reached by others"),
        ("127.0.0.1", False, "short", "UNROLL_TOKEN: 5 characters; expected at least 16"),
        ("127.0.0.1", False, "é" * 20, "UNROLL_TOKEN: 20 characters; expected at least 16, ASCII alone"),
        ("0.0.0.0", True, TOKEN, "--no-token: UNROLL_TOKEN is set; expected one of the two"),
    ],
)
def test_others_are_let_in_only_where_somebody_said_so(
    monkeypatch: pytest.MonkeyPatch, host: str, no_token: bool, token: str | None, message: str
) -> None:
    monkeypatch.delenv("UNROLL_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("UNROLL_TOKEN", token)
    with pytest.raises(ConfigError, match=message) as caught:
        http.Address.allowed(host, 8000, no_token)
    assert token is None or token not in str(caught.value)


def test_loopback_needs_no_token_and_others_may_be_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNROLL_TOKEN", raising=False)
    assert http.Address.allowed("127.0.0.1", 1, no_token=False).local
    assert http.Address.allowed("::1", 1, no_token=False).local
    assert not http.Address.allowed("0.0.0.0", 1, no_token=True).local
    monkeypatch.setenv("UNROLL_TOKEN", TOKEN)
    assert http.Address.allowed("0.0.0.0", 1, no_token=False).token == TOKEN
