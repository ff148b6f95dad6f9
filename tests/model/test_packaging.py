import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server
from pandas.testing import assert_frame_equal
from problems import tables
from trained_project import NAME, make, network

from unroll import problems
from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.model import packaging
from unroll.model.predictor import Predictor
from unroll.problems.common.base import Prepared
from unroll.registry import publication, register
from unroll.stages.common.task import Task
from unroll.tracking import backend, runs
from unroll.tracking.backend import as_default

LOAD_ELSEWHERE = """
import json, sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/air_quality@champion")
answer = model.predict(model.input_example)
import unroll
heavy = {"sklearn", "great_expectations", "matplotlib", "dvc", "ray"} & set(sys.modules)
ours = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "unroll"]
answer = float(answer["pm10_ug_m3"][0])
print(json.dumps({"code": unroll.__file__, "answer": answer, "heavy": sorted(heavy), "ours": sorted(ours)}))
"""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Registered once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        task = make(tmp_path_factory.mktemp("serving") / "project")
        register.register(task, publication.publish(task))
    return task


@pytest.fixture
def served(task: Task) -> PyFuncModel:
    with as_default(task.layout.root):
        return mlflow.pyfunc.load_model(f"models:/{NAME}@champion")


def expected(task: Task, frame: pd.DataFrame) -> pd.DataFrame:
    """The answer of the network itself, which has never been written and read."""
    return problems.load("forecasting").answering.predict(
        network(task), Prepared.load(task.layout.prepared).meta, frame
    )


def example(task: Task) -> pd.DataFrame:
    return problems.load("forecasting").answering.example(Prepared.load(task.layout.prepared))


def small_model(root: Path, problem: str) -> PyFuncModel:
    """An untrained network of that problem, logged as ``register`` logs one, and loaded again."""
    import torch

    layout, case = Layout(root, "small"), tables.CASES[problem]
    meta = case.run(layout.prepared).meta
    opened, _, config = case.open()
    torch.manual_seed(0)
    store.write_tensors(layout.model / "weights.safetensors", opened.learning.model(config, meta).state_dict())
    blocks = {"problem": problem, "model": config.model_dump(mode="json"), "meta": meta}
    store.write_json(layout.model / "config.json", blocks)

    def log(client: mlflow.MlflowClient) -> PyFuncModel:
        experiment_id = runs.experiment(client, root, "small")
        run = runs.create_run(client, experiment_id, root, "small", "f")
        model_id = register.log_model(client, layout, run.info.run_id, experiment_id)
        return mlflow.pyfunc.load_model(f"models:/{model_id}")

    return backend.patiently(root, log)


def post(served: PyFuncModel, body: Any) -> list[dict[str, Any]]:
    """What the scoring server does with a request."""
    schema = served.metadata.get_input_schema()
    answer = scoring_server.invocations(json.dumps(body), "application/json", served, schema)
    assert answer.status == 200
    rows: list[dict[str, Any]] = json.loads(answer.response)["predictions"]
    return rows


def test_a_model_folder_answers_as_the_network_does(task: Task) -> None:
    answer = Predictor.load(task.layout.model).predict(example(task))
    assert_frame_equal(answer, expected(task, example(task)))


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"config\.json: not there"):
        Predictor.load(tmp_path)


def test_the_champion_answers_as_the_network_does(task: Task, served: PyFuncModel) -> None:
    recent = pd.read_parquet(task.layout.validated / "table.parquet").groupby("site").tail(48)
    answer = served.predict(recent)
    assert_frame_equal(answer, expected(task, recent))
    assert len(answer) > 24


def test_a_time_may_be_text_or_a_timestamp_with_or_without_a_zone(task: Task, served: PyFuncModel) -> None:
    frame, wanted = example(task), expected(task, example(task))
    assert_frame_equal(served.predict(frame), wanted)
    assert_frame_equal(served.predict(frame.assign(time=frame["time"].dt.tz_localize(None))), wanted)
    assert_frame_equal(served.predict(frame.assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))), wanted)


def test_numbers_may_be_single_or_double(task: Task, served: PyFuncModel) -> None:
    frame = example(task)
    for kind in ("float32", "float64"):
        assert_frame_equal(served.predict(frame.astype({"pm10_ug_m3": kind, "no_ug_m3": kind})), expected(task, frame))


def test_numbers_may_be_whole(task: Task, served: PyFuncModel) -> None:
    frame = example(task).round({"pm10_ug_m3": 0, "no_ug_m3": 0})
    whole, wanted = frame.astype({"pm10_ug_m3": "int64", "no_ug_m3": "int32"}), expected(task, frame)
    assert_frame_equal(served.predict(whole), wanted)
    (answer,) = post(served, {"dataframe_records": json.loads(whole.to_json(orient="records", date_format="iso"))})
    assert answer["pm10_ug_m3"] == pytest.approx(wanted["pm10_ug_m3"][0], abs=1e-4)


def test_what_is_no_number_is_refused_by_row_and_column(task: Task, served: PyFuncModel) -> None:
    frame = example(task).astype({"no_ug_m3": object})
    frame.loc[2, "no_ug_m3"] = "much"
    with pytest.raises(MlflowException, match=r"input: row 3, column no_ug_m3: 'much'; expected a number"):
        served.predict(frame)


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**40])
def test_a_whole_number_of_any_length_is_refused_by_row_and_column(task: Task, served: PyFuncModel, value: int) -> None:
    rows = json.loads(example(task).to_json(orient="records", date_format="iso"))
    rows[2]["no_ug_m3"] = value
    with pytest.raises(MlflowException, match=r"input: row 3, column no_ug_m3: -?10+; expected a number") as caught:
        post(served, {"dataframe_records": rows})
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert len(str(caught.value)) < 300


def test_whole_numbers_are_classified_as_single_ones_are(tmp_path: Path) -> None:
    served = small_model(tmp_path, "series_classification")
    whole = (tables.labelled_series().filter(regex=r"^t\d") * 10).round().astype("int64").head(4)
    answer = served.predict(whole)
    assert len(answer) == 4
    assert_frame_equal(answer, served.predict(whole.astype("float32")))
    assert [row["label"] for row in post(served, {"dataframe_split": whole.to_dict(orient="split")})] == list(
        answer["label"]
    )
    with pytest.raises(MlflowException, match=r"input: row 1, column t001: 'x'; expected a finite number"):
        served.predict(whole.astype({"t001": object}).assign(t001="x"))
    with pytest.raises(MlflowException, match=r"input: row 1, column t001: 10+; expected a finite number") as caught:
        post(served, {"dataframe_split": whole.astype({"t001": object}).assign(t001=10**400).to_dict(orient="split")})
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_language_model_is_steered_by_columns_that_may_be_missing(tmp_path: Path) -> None:
    served = small_model(tmp_path, "language_model")
    inputs = served.metadata.signature.inputs
    assert (inputs.required_input_names(), inputs.optional_input_names()) == (
        ["text"], ["length", "temperature", "seed", "top_k", "top_p", "repetition_penalty"],
    )  # fmt: skip
    text = pd.DataFrame({"text": ["the late flight", "my bag"]})

    def ask(**columns: Any) -> list[str]:
        return list(served.predict(text.assign(**columns))["continuation"])

    assert [len(said) for said in ask()] == [200, 200]
    assert [len(said) for said in ask(length=[5, 17])] == [5, 17]
    assert ask(length=5.0) == ask(length=5)
    assert ask(seed=1) == ask(seed=1) != ask(seed=2)
    calm, wild = ask(temperature=0.01), ask(temperature=8)
    assert max(len(set(said)) for said in calm) < min(len(set(said)) for said in wild)
    assert ask(temperature=8, top_k=1) == ask(temperature=0) == ask(temperature=8, top_p=0.001)
    assert ask(temperature=0, repetition_penalty=9.0) != ask(temperature=0)
    (answer,) = post(served, {"dataframe_records": [{"text": "the", "length": 3, "temperature": 1}]})
    assert len(answer["continuation"]) == 3
    with pytest.raises(MlflowException, match=r"input: row 1, column length: 0; expected a whole number"):
        ask(length=0)


def test_json_in_json_out(task: Task, served: PyFuncModel) -> None:
    rows = json.loads(example(task).to_json(orient="records", date_format="iso"))
    (answer,) = post(served, {"dataframe_records": rows})
    wanted = expected(task, example(task))
    assert pd.Timestamp(answer["time"]) == wanted["time"][0]
    assert answer["pm10_ug_m3"] == pytest.approx(wanted["pm10_ug_m3"][0], abs=1e-4)


def test_a_faulty_request_is_answered_with_row_column_and_value(task: Task, served: PyFuncModel) -> None:
    rows = json.loads(example(task).to_json(orient="records", date_format="iso"))
    rows[3]["time"] = "noon"
    with pytest.raises(MlflowException, match=r"input: row 4, column time: 'noon'; expected a time") as caught:
        post(served, {"dataframe_records": rows})
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException, match=r"missing inputs \['site'\]"):
        post(served, {"dataframe_records": [{k: v for k, v in row.items() if k != "site"} for row in rows]})


def test_the_signature_is_raw_input_and_answer(served: PyFuncModel) -> None:
    signature = served.metadata.signature
    assert [(spec.name, str(spec.type)) for spec in signature.inputs.inputs] == [
        ("time", "Any"), ("site", "DataType.string"),
        ("pm10_ug_m3", "Any"), ("no_ug_m3", "Any"),
    ]  # fmt: skip
    assert signature.outputs.input_names() == ["time", "site", "pm10_ug_m3"]


def test_nothing_is_pickled(task: Task) -> None:
    files = [path for path in (task.layout.root / "mlartifacts").rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"MLmodel", "mlflow_model.py", "weights.safetensors", "config.json"} <= names
    assert not {path for path in files if path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".joblib", ".bin", ".pyc"}}
    for path in files:
        assert not path.read_bytes().startswith(b"\x80"), f"{path} starts as a pickle does"


def test_requirements_are_pinned_and_public(task: Task) -> None:
    (path,) = (task.layout.root / "mlartifacts").rglob("requirements.txt")
    lines = path.read_text(encoding="utf-8").split()
    assert lines == packaging.requirements()
    assert {line.split("==")[0] for line in lines} == set(packaging.PACKAGES)
    assert not [line for line in lines if "+" in line]


def test_another_process_needs_the_model_alone(task: Task, tmp_path: Path) -> None:
    """It runs the code that came with the model, and imports nothing that only training needs."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ELSEWHERE, backend.uri(task.layout.root)],
        cwd=tmp_path, env={**os.environ, "MLFLOW_LOGGING_LEVEL": "ERROR"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert Path(told["code"]).is_relative_to(task.layout.root / "mlartifacts")
    assert told["heavy"] == []
    ran = {Path(file).relative_to(Path(told["code"]).parent) for file in told["ours"]}
    hashed = [Path(entry) for entry in (*packaging.CODE, "problems/forecasting")]
    assert not [path for path in ran if not any(path.is_relative_to(entry) for entry in hashed)]
    assert {"model", "problems", "nn"} <= {path.parts[0] for path in ran}
    assert told["answer"] == pytest.approx(expected(task, example(task))["pm10_ug_m3"][0], abs=1e-4)


def test_the_hash_of_the_code_is_that_of_what_serving_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = packaging.code_hash("forecasting")
    shutil.copytree(packaging.PACKAGE, tmp_path / "unroll", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(packaging, "PACKAGE", tmp_path / "unroll")
    assert packaging.code_hash("forecasting") == before
    for name in ("cli/__init__.py", "problems/language_model/build.py"):
        change(tmp_path / "unroll" / name)
        assert packaging.code_hash("forecasting") == before
    seen = {before}
    for name in (
        "__init__.py", "core/store.py", "model/mlflow_model.py", "nn/recurrent.py", "problems/__init__.py",
        "problems/common/base.py", "problems/windows/prepare.py", "problems/forecasting/network/__init__.py",
    ):  # fmt: skip
        change(tmp_path / "unroll" / name)
        seen.add(packaging.code_hash("forecasting"))
    assert len(seen) == 9


def test_a_change_of_one_problem_is_none_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(packaging.PACKAGE, tmp_path / "unroll", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(packaging, "PACKAGE", tmp_path / "unroll")
    before = {name: packaging.code_hash(name) for name in problems.names()}
    assert len(set(before.values())) == len(before)
    change(tmp_path / "unroll" / "problems" / "forecasting" / "build.py")
    assert [name for name in before if packaging.code_hash(name) != before[name]] == ["forecasting"]


def change(path: Path) -> None:
    """A comment."""
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
