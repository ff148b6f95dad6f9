"""``unroll predict`` with what the registry has: the champion by default, and no file of the task is needed."""

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from mlflow import MlflowClient

from serving.predict import made
from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.model import packaging, trained
from unroll.model.predictor import Predictor
from unroll.registry import challenge, versions
from unroll.registry import register as registry
from unroll.serving import predict
from unroll.serving.predict import own_reading
from unroll.stages.common.task import Task
from unroll.tracking import backend, runs

ROWS = "tweet\nlove it\nlost my bag\n"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """A task on texts of one's own: the registry has the drawn network as version 1, ``models`` another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        task = made.make(tmp_path_factory.mktemp("registry") / "project", "tweets")
        registered(task)
        draw(task, seed=2)
    return task


def draw(task: Task, seed: int) -> None:
    """Put other weights into the task's model folder."""
    path = task.layout.model / "weights.safetensors"
    tensors, _ = store.read_tensors(path)
    torch.manual_seed(seed)
    changed = {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in tensors.items()}
    store.write_tensors(path, changed)


def registered(task: Task) -> None:
    """Put the model folder into the registry as ``register`` does, and make it champion."""
    layout = task.layout

    def register(client: MlflowClient) -> None:
        experiment_id = runs.experiment(client, layout.root, task.name)
        run_id = client.create_run(experiment_id).info.run_id
        model_id = registry.log_model(client, layout, run_id, experiment_id)
        client.create_registered_model(task.name)
        code = packaging.code_hash(challenge.problem_of(layout.model))
        tags = {"unroll.model_hash": runs.model_hash(layout.model), "unroll.code_hash": code}
        tags |= {"unroll.reader_hash": trained.reader_hash(packaging.reader(layout))}
        client.create_model_version(task.name, f"models:/{model_id}", run_id, tags, model_id=model_id)
        client.set_registered_model_alias(task.name, "champion", "1")

    backend.patiently(layout.root, register)


@pytest.fixture
def alone(task: Task, tmp_path: Path) -> Path:
    """The project with params.yaml and the registry, and nothing that a stage has made."""
    root = tmp_path / "project"
    shutil.copytree(task.layout.root, root)
    for folder in ("data", "models", ".unroll"):
        shutil.rmtree(root / folder)
    for path in root.glob("*.csv"):
        path.unlink()
    return root


def asked(root: Path, source: Path, **options: Any) -> str:
    out = io.StringIO()
    predict.main(root, predict.Request(made.NAME, str(source), **options), out)
    return out.getvalue()


def test_the_champion_answers_where_there_is_one(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = task.layout.root
    (tmp_path / "new.csv").write_text(ROWS)
    by_default = asked(root, tmp_path / "new.csv")
    assert capsys.readouterr().err == f"unroll: {made.NAME}: the champion, version 1\n"
    assert (
        asked(root, tmp_path / "new.csv", model="champion")
        == by_default
        == asked(root, tmp_path / "new.csv", model="1")
    )
    local = asked(root, tmp_path / "new.csv", model=str(task.layout.model))
    assert local != by_default
    frame = pd.DataFrame({"text": pd.array(["love it", "lost my bag"], dtype="str")})
    assert pd.read_csv(io.StringIO(local))["label"].tolist() == made.own_answer(task, frame)["label"].tolist()
    folder = versions.locate(root, made.NAME, "champion").folder
    champion = Predictor.load(folder).predict(frame)
    assert pd.read_csv(io.StringIO(by_default)).iloc[:, 1:].to_numpy() == pytest.approx(
        champion.iloc[:, 1:].to_numpy(), rel=1e-6
    )


def test_the_registry_alone_is_enough(task: Task, alone: Path, tmp_path: Path) -> None:
    """The block with all that was found in the task's files comes with the model."""
    (tmp_path / "new.csv").write_text(ROWS)
    assert asked(alone, tmp_path / "new.csv") == asked(task.layout.root, tmp_path / "new.csv")
    (tmp_path / "latin.csv").write_bytes("tweet\nça va\n".encode("latin-1"))
    assert asked(alone, tmp_path / "latin.csv") == asked(task.layout.root, tmp_path / "latin.csv")
    reader = versions.locate(alone, made.NAME, "champion").reader
    assert reader is not None
    found = own_reading.block(Task.open(alone, made.NAME), reader)
    assert found == own_reading.block(task, None), "as the stage ingest left it"


def test_a_reader_that_was_changed_is_told(alone: Path, tmp_path: Path) -> None:
    reader = versions.locate(alone, made.NAME, "champion").reader
    assert reader is not None
    (tmp_path / "new.csv").write_text(ROWS)
    told = store.read_json(reader)
    store.write_json(reader, {**told, "text": "id"})  # a column of the file as well, and another one
    message = rf"reader\.json: its hash is \w{{12}}…; expected \w{{12}}…, as {made.NAME} version 1 was registered$"
    with pytest.raises(StoreError, match=message):
        asked(alone, tmp_path / "new.csv")
    reader.unlink()
    with pytest.raises(StoreError, match=rf"reader\.json: not there; expected the reader of {made.NAME} version 1$"):
        asked(alone, tmp_path / "new.csv")
    reader.write_text(json.dumps(told), encoding="utf-8")  # laid out otherwise, it says the same
    assert asked(alone, tmp_path / "new.csv").startswith("label,")


def test_a_block_that_cannot_be_is_told(task: Task, tmp_path: Path) -> None:
    store.write_json(tmp_path / "reader.json", {**own_reading.block(task, None).model_dump(mode="json"), "text": 5})
    with pytest.raises(StoreError, match=r"reader\.json: text: 5 is not allowed; input should be a valid string"):
        own_reading.block(task, tmp_path / "reader.json")


def test_a_reader_that_a_version_came_without_is_passed_over(alone: Path, tmp_path: Path) -> None:
    reader = versions.locate(alone, made.NAME, "champion").reader
    client = MlflowClient(backend.uri(alone))
    client.delete_model_version_tag(made.NAME, "1", "unroll.reader_hash")
    assert reader is not None
    assert reader.is_file()
    assert versions.locate(alone, made.NAME, "champion").reader is None


class Planted:
    """What does something when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "reader.json", "python_model.pkl"])
def test_no_pickle_is_ever_loaded(alone: Path, tmp_path: Path, name: str) -> None:
    """Whoever may write to the store can put anything beside the model; it is refused or passed over, never run."""
    (tmp_path / "new.csv").write_text(ROWS)
    folder = versions.locate(alone, made.NAME, "champion").folder
    path = (folder.parent if name == "reader.json" else folder) / name
    path.write_bytes(pickle.dumps(Planted(tmp_path / "run")))
    (folder.parent.parent / "mlflow_model.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    if name == "python_model.pkl":
        assert asked(alone, tmp_path / "new.csv").startswith("label,")
    else:
        with pytest.raises(StoreError):
            asked(alone, tmp_path / "new.csv")
    assert not (tmp_path / "run").exists()
    pickle.loads(pickle.dumps(Planted(tmp_path / "run")))
    assert (tmp_path / "run").exists(), "the trap itself works"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "nowhere/out.csv"}, r"--output: no folder .*nowhere; expected one that is there$"),
        ({"output": "out.xlsx"}, r"--output: 'out\.xlsx' is not allowed; expected a name that ends with \.csv, "),
        ({"output": "folder.csv"}, r"--output: .*folder\.csv is a folder; expected a file$"),
        ({"output": "new.csv"}, r"--output: .*new\.csv is the input itself; expected another file$"),
        ({"output": "out.csv", "format": "jsonl"}, r"'jsonl' is not the ending of --output 'out\.csv'; expected csv$"),
        ({"format": "parquet"}, r"--format: parquet is not a text format; expected csv, jsonl or text, or --out"),
    ],
)  # fmt: skip
def test_where_answers_cannot_go(task: Task, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    (tmp_path / "new.csv").write_text(ROWS)
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    if "output" in options:
        options = {**options, "output": tmp_path / options["output"]}
    with pytest.raises(ConfigError, match=message):
        asked(task.layout.root, tmp_path / "new.csv", **options)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "new.csv").read_text() == ROWS


def test_an_input_of_no_rows_is_told(task: Task, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("tweet\n")
    with pytest.raises(DataError, match=r"new\.csv: no row"):
        asked(task.layout.root, tmp_path / "new.csv")
