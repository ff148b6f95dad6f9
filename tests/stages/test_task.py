"""A task joins a dataset and a problem, and reads only what it names."""

from pathlib import Path

import pytest

from unroll.core.errors import ConfigError
from unroll.core.layout import Layout
from unroll.stages.common.task import Task

ROOT = Path(__file__).parents[2]
TEXT = """
source: sample
tasks:
  air:
    data: {dataset: air_quality, seed: 1, max_rejected_share: 0.0, sample_hours: 100}
    prepare:
      problem: series_classification
      validation_share: 0.1
      word_windows: []
      word_length: 6
      word_letters: 4
      seed: 2
    gate: {metric: accuracy, direction: higher, threshold: 0.5, baselines: [majority]}
  own:
    data: {dataset: air_quality, source: folder, seed: 1, max_rejected_share: 0.0, sample_hours: 100}
    prepare: {problem: forecastin}
"""


def task(tmp_path: Path, name: str, text: str = TEXT) -> Task:
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    return Task.open(tmp_path, name)


def test_a_task_knows_its_place_and_blocks(tmp_path: Path) -> None:
    air = task(tmp_path, "air")
    assert air.layout == Layout(tmp_path, "air")
    assert air.problem().takes == "labelled series"
    assert air.gate_config().baselines == ("majority",)
    config = air.prepare_config()
    assert isinstance(config, air.problem().Prepare)
    assert config.validation_share == 0.1


def test_each_method_reads_only_what_it_names(tmp_path: Path) -> None:
    air = task(tmp_path, "air")
    assert air.params.reads == set()
    air.problem()
    assert air.params.reads == {"tasks.air.prepare.problem"}
    air.gate_config()
    assert air.params.reads == {"tasks.air.prepare.problem", "tasks.air.gate"}
    air.prepare_config()
    assert air.params.reads == {"tasks.air.prepare.problem", "tasks.air.gate", "tasks.air.prepare"}


def test_a_source_of_its_own_leaves_that_of_all_unread(tmp_path: Path) -> None:
    own = task(tmp_path, "own")
    _, config = own.dataset()
    assert own.source(config) == "folder"
    assert "source" not in own.params.reads
    air = task(tmp_path, "air")
    _, config = air.dataset()
    assert air.source(config) == "sample"
    assert "source" in air.params.reads


def test_an_unknown_task_is_answered_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        task(tmp_path, "aire")
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: tasks.aire: no such task; expected one of air, own"


def test_an_unknown_problem_and_dataset_are_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"prepare\.problem: 'forecastin' is not allowed; expected one of .*forecasting"
    ):
        task(tmp_path, "own").problem()
    with pytest.raises(ConfigError, match=r"data\.dataset: 'air' is not allowed; expected one of .*air_quality"):
        task(tmp_path, "air", TEXT.replace("dataset: air_quality", "dataset: air")).dataset()


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tasks\.own\.train: missing"):
        task(tmp_path, "own").train_config()


@pytest.mark.parametrize("name", ["air_quality", "household_power", "tweets", "poetry", "addition"])
def test_every_block_of_the_projects_own_tasks_is_good(name: str) -> None:
    own = Task.open(ROOT, name)
    dataset, _ = own.dataset()
    assert dataset.kind == own.problem().takes
    own.prepare_config()
    own.model_config()
    own.train_config()
    own.gate_config()
