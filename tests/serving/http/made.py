"""Small untrained models of every problem, a roster over them, and a server in this process to ask over HTTP."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from problems import tables

from unroll.core import store
from unroll.core.errors import UnrollError
from unroll.model.predictor import Predictor
from unroll.problems.common.base import Prepared
from unroll.registry import snapshot, versions
from unroll.registry.versions import Located
from unroll.serving import http as server
from unroll.serving.http.limits import Limits
from unroll.serving.http.measures import Measures
from unroll.serving.http.roster import Roster
from unroll.tracking import runs

PROBLEMS = tuple(tables.CASES)


def model(root: Path, problem: str, seed: int = 0) -> Path:
    """A folder with an untrained network, where a registered one would lie, and an example beside it."""
    folder = root / f"{problem}-{seed}" / "artifacts" / problem
    case = tables.CASES[problem]
    opened, _, config = case.open()
    prepared = root / f"{problem}-prepared"
    meta = (Prepared.load(prepared) if (prepared / "meta.json").is_file() else case.run(prepared)).meta
    torch.manual_seed(seed)
    network = opened.learning.model(config, meta)
    with torch.no_grad():
        for parameter in network.parameters():  # a layer that begins at zero would answer all alike
            parameter.add_(0.1 * torch.randn_like(parameter))
    store.write_tensors(folder / "weights.safetensors", network.state_dict())
    blocks = {"problem": problem, "model": config.model_dump(mode="json"), "meta": meta}
    store.write_json(folder / "config.json", blocks)
    example = opened.answering.example(Prepared.load(prepared))
    split = json.loads(example.to_json(orient="split", date_format="iso"))
    store.write_json(folder.parent.parent / "input_example.json", {key: split[key] for key in ("columns", "data")})
    return folder


@dataclass
class Registry:
    """What stands for MLflow's registry: the version of each task and where its files are."""

    versions: dict[str, int] = field(default_factory=dict)
    folders: dict[tuple[str, int], Path] = field(default_factory=dict)
    unreadable: UnrollError | None = None

    def promote(self, task: str, version: int, folder: Path) -> None:
        self.folders[task, version] = folder
        self.versions[task] = version

    def champions(self, _root: Path) -> dict[str, int]:
        if self.unreadable:
            raise self.unreadable
        return dict(self.versions)

    def locate(self, _root: Path, task: str, which: str) -> Located:
        assert which == "champion"
        version = self.versions[task]
        folder = self.folders[task, version]
        return Located(folder, version, runs.model_hash(folder))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(snapshot, "champions", self.champions)
        patch.setattr(versions, "locate", self.locate)


@contextmanager
def running(
    root: Path, tasks: tuple[str, ...], limits: Limits, token: str | None = None, host: str = "127.0.0.1"
) -> "Iterator[Asked]":
    """A server of these tasks on a free port, ready."""
    roster = Roster(root, tasks, limits, Measures(tasks), threads=1)
    built = server.build(roster, server.Address(host, 0, token))
    listening = server.Address(host, 0, token).listen()
    thread = threading.Thread(target=built.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    asked = Asked(listening.getsockname()[1], roster, token, host)
    try:
        asked.wait()
        yield asked
    finally:
        built.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found = self.json
        assert set(found) == {"error"}, found
        return dict(found["error"])


@dataclass
class Asked:
    """A server to ask."""

    port: int
    roster: Roster | None = None
    token: str | None = None
    host: str = "127.0.0.1"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """``body`` as bytes is sent as it is; headers are named with ``_`` for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, raw, sent)
            told = connection.getresponse()
            return Answer(told.status, {k.lower(): v for k, v in told.getheaders()}, told.read())
        finally:
            connection.close()

    def predict(self, task: str, records: Any) -> Answer:
        return self.ask("POST", f"/v1/{task}/predict", {"records": records})

    def example(self, task: str) -> list[dict[str, Any]]:
        (found,) = [each for each in self.ask("GET", "/v1").json["tasks"] if each["task"] == task]
        return list(found["example"]["records"])

    def wait(self, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                answer = self.ask("GET", "/readyz")
            except OSError:
                answer = None
            if answer and answer.status == 200:
                return
            assert time.monotonic() < until, f"never ready: {answer and answer.body!r}"
            time.sleep(0.05)


def expected(folder: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the model itself answers, times as the server writes them."""
    answer = Predictor.load(folder).predict(pd.DataFrame(records))
    if "time" in answer:
        answer["time"] = answer["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return list(answer.to_dict(orient="records"))
