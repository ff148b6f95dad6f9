"""``mlflow models serve`` of a champion of every problem, as a person starts it, with pickle switched off."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from pandas.testing import assert_frame_equal
from problems import tables

from unroll.core import store
from unroll.core.layout import Layout
from unroll.model import packaging
from unroll.model.predictor import Predictor
from unroll.problems.common.base import Prepared
from unroll.registry import register as registry
from unroll.registry import versions
from unroll.tracking import backend, runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose registry has a champion of each problem, an untrained network each."""
    root: Path = tmp_path_factory.mktemp("served") / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for problem in tables.CASES:
            write(Layout(root, problem))
            backend.patiently(root, lambda client, problem=problem: register(client, Layout(root, problem)))  # type: ignore[misc]
    return root


def write(layout: Layout) -> None:
    case = tables.CASES[layout.task]
    meta = case.run(layout.prepared).meta
    opened, _, config = case.open()
    torch.manual_seed(0)
    store.write_tensors(layout.model / "weights.safetensors", opened.learning.model(config, meta).state_dict())
    blocks = {"problem": layout.task, "model": config.model_dump(mode="json"), "meta": meta}
    store.write_json(layout.model / "config.json", blocks)


def register(client: MlflowClient, layout: Layout) -> None:
    """As the stage does, without what is told of its training."""
    task, experiment_id = layout.task, runs.experiment(client, layout.root, layout.task)
    run_id = client.create_run(experiment_id).info.run_id
    model_id = registry.log_model(client, layout, run_id, experiment_id)
    client.create_registered_model(task)
    tags = {"unroll.model_hash": runs.model_hash(layout.model), "unroll.code_hash": packaging.code_hash(task)}
    client.create_model_version(task, f"models:/{model_id}", run_id, tags, model_id=model_id)
    client.set_registered_model_alias(task, "champion", "1")


@contextmanager
def served(root: Path, task: str, folder: Path) -> Iterator[str]:
    """The address of a server of the task's champion, started elsewhere than in the project."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{task}@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": backend.uri(root),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
    try:
        until = time.monotonic() + 600
        while not answers(f"http://127.0.0.1:{port}/ping"):
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def post(url: str, body: bytes) -> tuple[int, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status), json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("problem", tables.CASES)
def test_a_champion_is_served_as_predictor_answers(root: Path, tmp_path: Path, problem: str) -> None:
    located = versions.locate(root, problem, "champion")
    assert not list(located.folder.parents[1].rglob("*.pkl"))
    predictor = Predictor.load(located.folder)
    example = predictor.example(Prepared.load(Layout(root, problem).prepared))
    expected = predictor.predict(example)
    records = example.to_json(orient="records", date_format="iso")
    with served(root, problem, tmp_path) as url:
        status, told = post(url, f'{{"dataframe_records": {records}}}'.encode())
        assert status == 200, told
        found = pd.DataFrame(told["predictions"])
        if "time" in expected:
            found["time"] = pd.to_datetime(found["time"], utc=True)
        assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)
        rows = json.loads(records)
        rows[0][example.columns[-1]] = {"not": "allowed"}
        status, told = post(url, json.dumps({"dataframe_records": rows}).encode())
        assert status == 400, told
        assert told["error_code"] == "BAD_REQUEST" or told["error_code"] == "INVALID_PARAMETER_VALUE"
        assert str(example.columns[-1]) in told["message"]
        assert post(url, f'{{"dataframe_records": {records}}}'.encode())[0] == 200, "it goes on"
