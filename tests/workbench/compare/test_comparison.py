"""``unroll compare`` as a whole: it trains what the pipeline trains, MLflow has all, the project stays as it was."""

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from comparison_parts import trained, write_project
from mlflow import MlflowClient
from mlflow.entities import Run
from projects import ROOT, change_params, copy_project, run_cli
from rich.console import Console
from trained_project import _empty_store

from unroll.core import store
from unroll.core.errors import ConfigError, TrackingError
from unroll.problems.common.base import Prepared
from unroll.stages import fingerprint
from unroll.stages.common.task import Task
from unroll.stages.ingest import ingest
from unroll.stages.train import train
from unroll.stages.validate import validate
from unroll.tracking import backend, groups
from unroll.workbench import compare as comparison
from unroll.workbench.compare import prepared_data, workers
from unroll.workbench.compare.workers import Answer

pytestmark = pytest.mark.slow

GIVEN = ["model.cell=lstm,gru", "prepare.lower_case=true,false"]
OURS = ("mlflow.db", "mlartifacts/", ".unroll/", "reports/poetry/compare/", ".dvc/tmp/")


class Told(NamedTuple):
    """A comparison that was run: where, what was shown, and the files of the project before and after."""

    root: Path
    failed: bool
    progress: str
    shown: str
    before: dict[str, str]
    after: dict[str, str]

    @property
    def folder(self) -> Path:
        (folder,) = (self.root / "reports" / "poetry" / "compare").iterdir()
        return folder


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


def compare(root: Path, given: list[str], seeds: int, task: str = "addition", **changes: Any) -> tuple[bool, str, str]:
    progress, shown = console(), console()
    options: dict[str, Any] = {"jobs": 2, "output": None, "baselines": True} | changes
    failed = comparison.main(root, task, given, seeds, progress=progress, console=shown, **options)
    return failed, said(progress), said(shown)


def files(root: Path) -> dict[str, str]:
    names = (path for path in sorted(root.rglob("*")) if path.is_file() and ".git/" not in path.as_posix())
    found = {path.relative_to(root).as_posix(): store.sha256(path) for path in names}
    return {name: digest for name, digest in found.items() if not name.startswith(OURS)}


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("UNROLL_PROGRESS", "plain")
        yield patch


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, environment: pytest.MonkeyPatch) -> Told:
    root = tmp_path_factory.mktemp("compared") / "project"
    copy_project(root)
    change_params(root, {"tasks.poetry.data.sample_characters": 20000})
    write_outputs(root)
    before = files(root)
    failed, progress, shown = compare(root, GIVEN, 2, "poetry")
    return Told(root, failed, progress, shown, before, files(root))


def write_outputs(root: Path) -> None:
    """What a project has that a comparison must not touch."""
    for name in ("dvc.lock", "models/poetry/config.json", "reports/poetry/metrics.json", "data/raw/poetry/a.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}\n")


@pytest.fixture(scope="module")
def runs(told: Told) -> pd.DataFrame:
    return pd.read_csv(told.folder / "runs.csv")


def mlflow_runs(root: Path, task: str = "addition") -> tuple[MlflowClient, list[Run]]:
    client = MlflowClient(backend.uri(root))
    (experiment,) = (each for each in client.search_experiments() if each.name == task)
    return client, list(client.search_runs([experiment.experiment_id]))


def test_every_point_with_every_seed_is_a_row(told: Told, runs: pd.DataFrame) -> None:
    assert not told.failed
    assert list(zip(runs["model.cell"], runs["prepare.lower_case"], runs["seed"], strict=True)) == [
        (cell, lower, seed) for cell in ("lstm", "gru") for lower in (True, False) for seed in (4, 5)
    ]
    assert set(runs["status"]) == {"finished"}
    assert (runs["seconds"] > 0).all()
    assert runs["validation_perplexity"].nunique() == 8  # other weights, other answers


def test_mlflow_has_one_run_with_the_others_in_it(told: Told, runs: pd.DataFrame) -> None:
    client, every = mlflow_runs(told.root, "poetry")
    parents = [run for run in every if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.run_name for run in parents] == ["compare model.cell × prepare.lower_case"]
    (parent,) = parents
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {
        "model.cell": "lstm, gru", "prepare.lower_case": "true, false", "seeds": "4, 5",
    }  # fmt: skip
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == set(comparison.FILES)
    assert parent.data.tags["mlflow.note.content"] in (told.folder / "comparison.md").read_text()
    children = [run for run in every if run not in parents]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len(children) == len(runs) == 8
    assert len({run.info.run_name for run in children}) == 8


def test_the_numbers_in_mlflow_are_those_of_the_files(told: Told, runs: pd.DataFrame) -> None:
    client, every = mlflow_runs(told.root, "poetry")
    epochs = pd.read_csv(told.folder / "epochs.csv")
    for row in runs.to_dict("records"):
        lower = str(row["prepare.lower_case"]).lower()
        (run,) = (
            run
            for run in every
            if run.data.tags.get("unroll.point") == f"model.cell={row['model.cell']} prepare.lower_case={lower}"
            and run.data.tags["unroll.seed"] == str(row["seed"])
        )
        assert run.info.status == "FINISHED"
        params, metrics = run.data.params, run.data.metrics
        assert (params["model.cell"], params["train.seed"]) == (row["model.cell"], str(row["seed"]))
        assert (params["prepare.lower_case"], params["data.sample_characters"]) == (lower, "20000")
        for split in ("validation", "test"):
            for name in ("bits_per_character", "perplexity"):
                assert metrics[f"{split}/{name}"] == row[f"{split}_{name}"]
        assert metrics["model/parameters"] == row["parameters"]
        assert metrics["seconds/train"] == pytest.approx(row["seconds"], abs=1e-3)
        same = (epochs[["model.cell", "prepare.lower_case", "seed"]] == [row[k] for k in list(row)[:3]]).all(axis=1)
        history = client.get_metric_history(run.info.run_id, "validation_loss")
        assert sorted((each.step, each.value) for each in history) == [
            (epoch, loss) for epoch, loss in epochs.loc[same, ["epoch", "validation_loss"]].itertuples(index=False)
        ]


def test_the_table_has_numpys_means_in_the_order_of_validation(told: Told, runs: pd.DataFrame) -> None:
    lines = (told.folder / "comparison.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:6]
    for _, cell, lower, validation_text, test_text, *_ in rows:
        of = runs[(runs["model.cell"] == cell) & (runs["prepare.lower_case"] == (lower == "true"))]
        for text, name in ((validation_text, "validation_bits_per_character"), (test_text, "test_bits_per_character")):
            middle, spread = re.fullmatch(r"(\S+) ± <?(\S+)", text).groups()  # type: ignore[union-attr]
            assert float(middle) == pytest.approx(np.mean(of[name]), abs=6e-5)
            assert float(spread) == pytest.approx(np.std(of[name], ddof=1), abs=1e-4)
    ordered = [float(row[3].split()[0]) for row in rows]
    assert ordered == sorted(ordered)  # of bits, fewer are better
    assert "never by test" in told.shown


def test_nothing_else_in_the_project_has_changed(told: Told) -> None:
    assert told.after == told.before
    assert "dvc.lock" in told.before
    assert [path.name for path in (told.root / ".unroll" / "poetry").iterdir()] == []


def test_data_are_made_once_for_all_that_share_them(told: Told) -> None:
    stages = re.findall(r"compare poetry: (ingest|validate|prepare)\n", told.progress)
    assert stages == ["ingest", "validate", "prepare", "prepare"]
    done = re.findall(r"compare poetry: (\d)/8 · (lstm|gru) · lower_case (?:true|false), seed \d", told.progress)
    assert [int(number) for number, _ in done] == list(range(1, 9))


def test_a_run_is_what_the_pipeline_trains(told: Told, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    shutil.copy(told.root / "params.yaml", root)
    task = Task.open(root, "poetry")
    dataset, config = task.dataset()
    with store.atomic_folder(task.layout.raw) as folder:
        ingest.fetch(dataset, config, "sample", folder, root)
        ingest.read(dataset, config, "sample", folder, root)
    validate.validate(dataset, config, task.layout)
    problem, prepare = task.problem(), task.prepare_config()
    with store.atomic_folder(task.layout.prepared) as folder:
        table = store.read_table(task.layout.validated / "table.parquet")
        store.write_json(folder / "meta.json", problem.preparation.prepare(table, prepare, folder))
    network, history = build_and_fit(task)
    epochs = pd.read_csv(told.folder / "epochs.csv")
    own = epochs[(epochs["model.cell"] == "lstm") & epochs["prepare.lower_case"] & (epochs["seed"] == 4)]
    assert own["validation_loss"].tolist() == [epoch.validation_loss for epoch in history.epochs]
    prepared = Prepared.load(task.layout.prepared)
    sums = problem.scoring.score(network.eval(), prepared, "test", task.train_config().batch_size).sums()
    runs = pd.read_csv(told.folder / "runs.csv")
    assert runs.loc[0, "test_perplexity"] == problem.scoring.metrics(sums, prepared.meta)["perplexity"]


def build_and_fit(task: Task) -> tuple[Any, Any]:
    prepared, config = Prepared.load(task.layout.prepared), task.train_config()
    network = train.build(task.problem(), task.model_config(), prepared, config)
    return network, train.fit_network(network, task.problem(), prepared, config, lambda *_: None)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose data are said to be prepared, and whose store is new."""
    root = write_project(tmp_path / "project")
    monkeypatch.setenv("UNROLL_PROGRESS", "plain")
    monkeypatch.setattr(prepared_data.Preparing, "of", lambda self, task: root)
    monkeypatch.setattr(prepared_data, "fresh_stages", lambda task: set())
    (root / "mlflow.db").write_bytes(_empty_store())
    return root


def test_a_point_that_diverges_is_told_and_the_others_go_on(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLL_PROGRESS", "plain")  # every test begins without it
    given = ["train.learning_rate=0.001,1e38", "train.optimizer=sgd", "train.clip_norm=null", "data.count=400"]
    failed, progress, shown = compare(told.root, given, 1, output=tmp_path / "out", baselines=False)
    assert not failed
    assert "failed: epoch 1: loss nan on train" in progress
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert runs["status"].tolist() == ["finished", "failed"]
    assert runs["reason"][1].startswith("epoch 1: loss nan")
    assert "failed: train.learning_rate=1e+38, seed 5: epoch 1: loss nan" in shown
    _, every = mlflow_runs(told.root)
    (run,) = (run for run in every if run.data.tags.get("unroll.point") == "train.learning_rate=1e+38")
    assert run.info.status == "FAILED"
    assert run.data.tags["unroll.reason"].startswith("epoch 1: loss nan")


def test_where_every_run_failed_the_command_has(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("stays")
    failed, progress, _ = compare(root, ["model.cell=lstm,gru"], 1, output=tmp_path / "out", baselines=False)
    assert failed  # the folder said to hold prepared data holds none
    assert "meta.json: not there" in progress
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mine.txt", *comparison.FILES}
    _, every = mlflow_runs(root)
    assert [run.info.status for run in every] == ["FAILED"] * 3


def test_ctrl_c_keeps_and_shows_what_is_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(jobs: list[Any], count: int, threads: int) -> Iterator[Answer]:
        yield Answer(jobs[0], trained(0.5, 0.4))
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "run", interrupted)
    shown = console()
    with pytest.raises(KeyboardInterrupt):
        comparison.main(root, "addition", ["model.cell=lstm,gru"], 2, 1, None, True, console(), shown)
    assert "0.5000 (1 of 2 not run)" in said(shown)
    assert not (root / "reports" / "addition" / "compare").exists()
    _, every = mlflow_runs(root)
    assert sorted(run.info.status for run in every) == ["FINISHED", "KILLED"]
    assert list((root / ".unroll" / "addition").iterdir()) == []


def test_a_store_that_is_away_is_told_before_anything_is_trained(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(TrackingError, match="cannot be reached"):
        compare(root, ["model.cell=lstm,gru"], 1)


def test_a_store_that_is_lost_on_the_way_does_not_cost_the_results(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise TrackingError("http://there: cannot be reached")

    monkeypatch.setattr(workers, "run", lambda jobs, *_: iter([Answer(job, trained(0.5, 0.4)) for job in jobs]))
    monkeypatch.setattr(groups, "add_nested", lost)
    failed, progress, _ = compare(root, ["model.cell=lstm,gru"], 1, output=tmp_path / "out", baselines=False)
    assert not failed
    assert "not in MLflow yet: http://there: cannot be reached" in progress
    assert progress.rstrip().endswith("not in MLflow: http://there: cannot be reached")
    assert len(pd.read_csv(tmp_path / "out" / "runs.csv")) == 2


def test_quiet_is_quiet(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLL_PROGRESS", "quiet")
    monkeypatch.setattr(workers, "run", lambda jobs, *_: iter([Answer(job, trained(0.5, 0.4)) for job in jobs]))
    _, progress, shown = compare(root, ["model.cell=lstm,gru"], 1, output=tmp_path / "out", baselines=False)
    assert progress == ""
    assert "exact match validation" in shown
    monkeypatch.setenv("UNROLL_PROGRESS", "loud")
    with pytest.raises(ConfigError, match="UNROLL_PROGRESS"):
        compare(root, ["model.cell=lstm,gru"], 1)


def test_own_data_are_used_where_dvc_says_that_they_are_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task.open(write_project(tmp_path / "project"), "addition")
    store.write_json(task.layout.prepared / "meta.json", {"own": 1})
    store.write_json(task.layout.validated / "table.parquet", {"own": 2})
    fingerprint.write(task)
    asked: list[str] = []

    def status(root: Path, *arguments: str) -> str:
        asked.extend(arguments)
        return '{"train@addition": ["changed params"]}'

    monkeypatch.setattr(prepared_data.chain, "dvc", status)
    told: list[str] = []
    made = prepared_data.Preparing(task, tmp_path / "temporary", told.append)
    folder = made.of(task)
    assert store.read_json(folder / "meta.json") == {"own": 1}
    assert folder.is_relative_to(tmp_path / "temporary")
    assert [name for name in asked if "@" in name] == [
        f"{s}@addition" for s in ("ingest", "validate", "prepare", "train", "evaluate")
    ]
    assert told == []
    assert [made.is_own(task, stage) for stage in ("validate", "prepare", "train", "evaluate")] == [
        True,
        True,
        False,
        False,
    ]
    other = Task("addition", task.params.replaced({"tasks.addition.prepare.seed": 9}), task.layout)
    assert [made.is_own(other, stage) for stage in ("validate", "prepare")] == [True, False]
    third = Task("addition", task.params.replaced({"tasks.addition.data.count": 9}), task.layout)
    assert [made.is_own(third, stage) for stage in ("validate", "prepare")] == [False, False]


def test_data_are_not_taken_for_fresh_where_dvc_cannot_tell(tmp_path: Path) -> None:
    task = Task.open(write_project(tmp_path / "project"), "addition")
    assert prepared_data.fresh_stages(task) == set()


def test_the_command_ends_in_one_line_for_a_fault() -> None:
    done = run_cli(ROOT, "compare", "addition", "--set", "model.cel=rnn,lstm")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("unroll: --set model.cel: unknown key; did you mean 'model.cell'?; allowed: ")
    assert done.stderr.count("\n") == 1
