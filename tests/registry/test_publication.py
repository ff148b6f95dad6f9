import json
import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from trained_project import METRICS, NAME, make, write_model

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.registry import publication
from unroll.stages.common import timings
from unroll.stages.common.task import Task
from unroll.tracking import backend, dvc_lock, runs
from unroll.tracking.live import LiveRun


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return make(tmp_path / "project")


def client(task: Task) -> MlflowClient:
    return MlflowClient(backend.uri(task.layout.root))


def all_runs(task: Task) -> list[Run]:
    found = client(task)
    return list(found.search_runs([e.experiment_id for e in found.search_experiments()]))


def everything(task: Task) -> list[Any]:
    """All that the store knows of its runs, each value of each metric included."""
    found = client(task)
    return [
        (
            run.to_dictionary(),
            [[dict(m) for m in found.get_metric_history(run.info.run_id, k)] for k in run.data.metrics],
        )
        for run in all_runs(task)
    ]


def artifacts(task: Task, run_id: str, folder: str = "") -> list[str]:
    found = []
    for entry in client(task).list_artifacts(run_id, folder):
        found += artifacts(task, run_id, entry.path) if entry.is_dir else [entry.path]
    return found


def test_a_run_is_made_from_files(task: Task) -> None:
    with timings.measure(task.layout, "train"):
        pass
    store.write_json(task.layout.reports / "validation.json", {"rows": 800, "rejected": 2, "success": True})
    run_id = publication.publish(task)
    (run,) = all_runs(task)
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert client(task).get_experiment(run.info.experiment_id).name == NAME
    assert run.data.params["train.learning_rate"] == "0.1"
    assert run.data.params["model.hidden"] == "8"
    assert run.data.params["data.sample_hours"] == "400"
    assert run.data.params["data.source"] == "sample"
    assert run.data.params["prepare.calendar"] == '["hour"]'
    for key, value in {
        "test/r2": 0.8, "test/r2_low": 0.7, "validation/r2": 0.81, "baseline/persistence/rmse": 3.5,
        "model/best_epoch": 2, "data/rejected": 2, "train_loss": 1.0,
    }.items():  # fmt: skip
        assert run.data.metrics[key] == value, key
    assert "data/success" not in run.data.metrics
    assert run.data.metrics["seconds/train"] >= 0
    losses = client(task).get_metric_history(run_id, "train_loss")
    assert [(m.step, m.value) for m in losses] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert run.data.tags["unroll.model_hash"] == runs.model_hash(task.layout.model)
    assert run.data.tags["mlflow.note.content"] == "# A card\n"
    assert sorted(artifacts(task, run_id)) == [
        "figures/forecast.csv", "metrics.json", "model_card.md", "validation.json",
    ]  # fmt: skip


def test_the_dataset_has_the_digest_of_the_raw_files(task: Task) -> None:
    def dataset() -> Any:
        (used,) = client(task).get_run(publication.publish(task)).inputs.dataset_inputs
        return used.dataset

    first = dataset()
    assert (first.name, json.loads(first.source), json.loads(first.profile)) == (
        NAME,
        {"uri": "sample"},
        {"num_rows": 800},
    )
    names = [(column["name"], column["type"]) for column in json.loads(first.schema)["mlflow_colspec"]]
    assert names == [("time", "datetime"), ("site", "string"), ("pm10_ug_m3", "float"), ("no_ug_m3", "float")]
    store.write_json(
        task.layout.raw / "manifest.json", {"source": "lab", "files": {"a.npz": {"sha256": "cd", "bytes": 3}}}
    )
    write_model(task, 2)
    assert dataset().digest != first.digest


def test_a_second_publication_adds_nothing(task: Task) -> None:
    run_id = publication.publish(task)
    before = everything(task)
    assert publication.publish(task) == run_id
    assert everything(task) == before


def test_a_live_run_is_completed_and_its_epochs_are_not_doubled(task: Task) -> None:
    live = LiveRun.start(task.layout.root, NAME, f"{1:064x}", {"train": {"learning_rate": 0.1}}, 3)
    live.log(1, {"train_loss": 3.0})
    live.log(2, {"train_loss": 2.0})
    live.finish(runs.model_hash(task.layout.model))
    (begun,) = all_runs(task)
    assert publication.publish(task) == begun.info.run_id
    (run,) = all_runs(task)
    losses = client(task).get_metric_history(run.info.run_id, "train_loss")
    assert [(m.step, m.value) for m in losses] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert run.data.metrics["test/r2"] == 0.8
    assert run.info.end_time == begun.info.end_time


def test_a_live_run_that_never_heard_of_the_end_is_completed(task: Task) -> None:
    found = client(task)
    experiment = runs.experiment(found, task.layout.root, NAME)
    begun = runs.create_run(found, experiment, task.layout.root, NAME, f"{1:064x}")
    assert publication.publish(task) == begun.info.run_id
    (run,) = all_runs(task)
    assert run.info.status == "FINISHED"


def test_another_model_of_the_same_training_is_another_run(task: Task) -> None:
    first = publication.publish(task)
    write_model(task, 2)
    config = store.read_json(task.layout.model / "config.json")
    store.write_json(task.layout.model / "config.json", config | {"fingerprint": f"{1:064x}"})
    assert publication.publish(task) != first
    assert len(all_runs(task)) == 2


def test_a_new_evaluation_of_the_same_model_comes_into_its_run(task: Task) -> None:
    run_id = publication.publish(task)
    store.write_json(task.layout.reports / "metrics.json", METRICS | {"test": {"r2": 0.9}})
    assert publication.publish(task) == run_id
    (run,) = all_runs(task)
    assert run.data.metrics["test/r2"] == 0.9
    assert len(client(task).get_metric_history(run_id, "train_loss")) == 3


def test_an_empty_store_gets_everything_anew(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publication.publish(task)
    (first,) = all_runs(task)
    make(tmp_path / "other")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/mlflow.db")
    publication.publish(task)
    (second,) = all_runs(task)
    assert second.info.run_id != first.info.run_id
    assert (second.data.params, second.data.metrics) == (first.data.params, first.data.metrics)


def test_a_deleted_experiment_comes_back(task: Task) -> None:
    publication.publish(task)
    client(task).delete_experiment(client(task).get_experiment_by_name(NAME).experiment_id)
    publication.publish(task)
    assert len(all_runs(task)) == 1


def test_the_run_leads_to_the_model_in_dvc_lock(task: Task) -> None:
    lock = """\
schema: '2.0'
stages:
  evaluate@air_quality:
    deps:
    - path: models/air_quality
      hash: md5
      md5: 00000000000000000000000000000000.dir
  train@air_quality:
    outs:
    - path: models/air_quality
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
"""
    assert publication.dvc_md5(task.layout) == ""
    (task.layout.root / "dvc.lock").write_text(lock, encoding="utf-8")
    assert publication.dvc_md5(task.layout) == "", "that of another model"
    assert "unroll.dvc_outs" not in publication.lineage(task.layout)
    own = dvc_lock.of_folder(task.layout.model)
    lock = lock.replace("0123456789abcdef0123456789abcdef.dir", own)
    (task.layout.root / "dvc.lock").write_text(lock, encoding="utf-8")
    publication.publish(task)
    assert all_runs(task)[0].data.tags["unroll.dvc_md5"] == own
    assert json.loads(publication.lineage(task.layout)["unroll.dvc_outs"]) == {"models/air_quality": own}
    (task.layout.root / "dvc.lock").write_text("stages: [", encoding="utf-8")
    with pytest.raises(StoreError, match=r"dvc\.lock: no valid YAML: "):
        publication.dvc_md5(task.layout)


def test_dvc_s_stage_and_experiment_are_tags(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "register@air_quality")
    monkeypatch.setenv("DVC_EXP_NAME", "wet-owl")
    publication.publish(task)
    (run,) = all_runs(task)
    assert run.data.tags["DVC_STAGE"] == "register@air_quality"
    assert run.data.tags["DVC_EXP_NAME"] == run.info.run_name == "wet-owl"


@pytest.mark.parametrize("missing", ["models/{}/config.json", "models/{}/history.csv", "reports/{}/metrics.json"])
def test_what_is_missing_is_named(task: Task, missing: str) -> None:
    path = task.layout.root / missing.format(NAME)
    path.unlink()
    with pytest.raises(StoreError, match=re.escape(str(path))):
        publication.publish(task)


def test_numbers_have_names_that_mlflow_allows() -> None:
    assert publication.numbers({"r2": 1, "q(5 %)": 2.5, "é": 3, "x": None, "n": float("nan"), "b": True}, "t/") == {
        "t/r2": 1.0, "t/q_5___": 2.5, "t/_": 3.0,
    }  # fmt: skip
