"""What every problem promises, whatever it is: one test a promise, run for each problem that there is."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch

from problems import tables
from unroll import problems
from unroll.core import store
from unroll.core.config import TrainConfig
from unroll.core.params import Params
from unroll.datasets.common.base import Dataset
from unroll.problems.common.base import Batch, Prepared, Problem, Split
from unroll.problems.common.scoring import Figure
from unroll.stages.common.task import Task
from unroll.stages.train import train
from unroll.stages.validate import validate

torch.set_num_threads(1)  # a second one only waits for networks this small

NAMES = problems.names()
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class Made:
    """A prepared task of one problem."""

    name: str
    problem: Problem[Any, Any]
    config: Any
    model_config: Any
    prepared: Prepared
    folder: Path

    @property
    def carries_state(self) -> bool:
        """Whether train examples are streams that begin elsewhere each epoch."""
        learning = self.problem.learning
        batch = next(iter(learning.train_batches(self.prepared, 4, np.random.default_rng(0))))
        with torch.no_grad():
            return learning.loss(self.network(), batch).state is not None

    def network(self, seed: int = 0) -> torch.nn.Module:
        torch.manual_seed(seed)
        model = self.problem.learning.model(self.model_config, self.prepared.meta)
        with torch.no_grad():
            for parameter in model.parameters():  # what starts at zero would hide faults
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    name = request.param
    case = tables.case(name)
    problem, config, model_config = case.open()
    folder = tmp_path_factory.mktemp(name)
    return Made(name, problem, config, model_config, case.run(folder), folder)


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def rows_of(prepared: Prepared, split: Split) -> np.ndarray:
    """What of the table a split holds: examples by number, or rows of one long array."""
    if split in prepared.arrays:
        return np.asarray(prepared.arrays[split])
    if f"{split}_ranges" in prepared.arrays:
        meta = prepared.meta
        reach = meta["lag"] + meta["horizon"] - 1
        ranges = prepared.arrays[f"{split}_ranges"]
        return np.unique(np.concatenate([np.arange(low, high + reach) for low, high in ranges]))
    return np.arange(*prepared.meta["bounds"][split])


def contents(batches: Iterable[Batch]) -> list[bytes]:
    """Each batch as bytes."""
    return [
        b"".join(
            name.encode() + str(tuple(t.shape)).encode() + t.numpy().tobytes() for name, t in sorted(batch.items())
        )
        for batch in batches
    ]


def total_loss(made: Made, model: torch.nn.Module, batches: Iterable[Batch]) -> tuple[float, int]:
    total, count, state = 0.0, 0, None
    with torch.no_grad():
        for batch in batches:
            found = made.problem.learning.loss(model, batch, state)
            assert found.total.shape == ()
            total, count, state = total + found.total.item(), count + found.count, found.state
    return total, count


# ---- prepare


def test_the_same_table_gives_the_same_bytes_elsewhere(made: Made, tmp_path: Path) -> None:
    tables.case(made.name).run(tmp_path / "other" / "place")
    assert digests(tmp_path / "other" / "place") == digests(made.folder)


def test_the_tables_index_does_not_matter(made: Made, tmp_path: Path) -> None:
    case = tables.case(made.name)
    table = case.table()
    case.run(tmp_path, table.set_axis(range(500, 500 + len(table))))
    assert digests(tmp_path) == digests(made.folder)


def test_for_a_model_trained_on_this_table_nothing_comes_out_otherwise(made: Made, tmp_path: Path) -> None:
    case = tables.case(made.name)
    table = case.table()
    found = made.problem.preparation.prepare(table, made.config, tmp_path, made.prepared.meta)
    assert found == made.prepared.meta
    expected = {name: digest for name, digest in digests(made.folder).items() if name != "meta.json"}
    assert digests(tmp_path) == expected


def test_a_trained_model_answers_a_row_the_same_from_another_table(made: Made, tmp_path: Path) -> None:
    """Without the last rows splits, scaler and vocabulary would come out otherwise; the model keeps its own.

    A language model reads on from the start of a part: where that is elsewhere, only what it has learned is the same.
    """
    case = tables.case(made.name)
    table = case.table()
    shorter = table[: int(len(table) * 0.97)]
    meta = made.problem.preparation.prepare(shorter, made.config, tmp_path, made.prepared.meta)
    prepared, metric = Prepared(store.read_arrays(tmp_path), meta), made.problem.scoring.metric_keys(made.config)[0]
    learned = {
        "scaler",
        "classes",
        "vocabulary",
        "symbols",
        "words",
        "source_characters",
        "target_characters",
        "spread",
    }
    assert {key: meta[key] for key in learned & set(meta)} == {
        key: made.prepared.meta[key] for key in learned & set(meta)
    }
    assert learned & set(meta) or made.name not in tables.CASES
    asked = [made.problem.preparation.questions(each, "test", metric) for each in (prepared, made.prepared)]
    scores = [
        made.problem.scoring.score(made.network(), each, "test", 4).statistics_NK for each in (prepared, made.prepared)
    ]
    assert [len(each.key_N) for each in asked] == [len(each) for each in scores]
    _, here, there = np.intersect1d(asked[0].key_N, asked[1].key_N, return_indices=True)
    assert len(here) >= 5
    assert asked[0].truth_N[here].tolist() == asked[1].truth_N[there].tolist()
    if not made.carries_state:
        np.testing.assert_allclose(scores[0][here], scores[1][there], rtol=1e-4, atol=1e-5)


def test_each_test_row_is_asked_once_and_told_by_a_key(made: Made) -> None:
    metric = made.problem.scoring.metric_keys(made.config)[0]
    for split in SPLITS:
        asked = made.problem.preparation.questions(made.prepared, split, metric)
        assert len(np.unique(asked.key_N)) == len(asked.key_N) == len(asked.truth_N)
        assert asked.key_N.dtype == np.int64
        json.dumps(dict(asked.about))
    rows = made.problem.scoring.score(made.network(), made.prepared, "test", 8).table()
    truth = made.problem.preparation.questions(made.prepared, "test", metric).truth_N
    if "truth" in rows and rows["truth"].dtype.kind == "f":
        np.testing.assert_allclose(truth, rows["truth"])
    elif "truth" in rows and truth.dtype == object:
        assert truth.tolist() == rows["truth"].tolist()


def test_columns_that_the_problem_does_not_name_are_not_needed(made: Made, tmp_path: Path) -> None:
    case = tables.case(made.name)
    store.write_table(tmp_path / "table.parquet", case.table())
    columns = made.problem.preparation.columns(made.config)
    case.run(
        tmp_path / "out", store.read_table(tmp_path / "table.parquet", columns, made.problem.preparation.categories)
    )
    assert digests(tmp_path / "out") == digests(made.folder)


def test_meta_is_json_as_it_is(made: Made, tmp_path: Path) -> None:
    case = tables.case(made.name)
    meta = made.problem.preparation.prepare(case.table(), made.config, tmp_path)
    assert json.loads(json.dumps(meta, allow_nan=False)) == meta
    assert str(tmp_path) not in json.dumps(meta)


def test_splits_share_nothing_and_none_is_empty(made: Made) -> None:
    rows = {split: rows_of(made.prepared, split) for split in SPLITS}
    assert all(len(found) for found in rows.values())
    together = np.concatenate(list(rows.values()))
    assert len(np.unique(together)) == len(together)


def test_good_data_passes_the_check(made: Made) -> None:
    check = made.problem.preparation.check(made.prepared, made.config)
    assert check.expectations
    report = validate.check(check.facts, check.expectations, title=f"{made.name} prepared")
    assert report.failures() == []


# ---- batches


def test_an_epoch_holds_every_example_once(made: Made) -> None:
    if made.carries_state:
        pytest.skip("an epoch is a stretch of text, not a set of examples")
    epoch = contents(made.problem.learning.train_batches(made.prepared, 1, np.random.default_rng(0)))
    own_order = contents(made.problem.learning.batches(made.prepared, "train", 1))
    assert Counter(epoch) == Counter(own_order)
    assert len(epoch) == made.prepared.meta["examples"]["train"]
    assert epoch != own_order
    model = made.network().eval()
    whole = total_loss(made, model, made.problem.learning.batches(made.prepared, "train", 1))
    for size in (7, 64):
        batches = list(made.problem.learning.train_batches(made.prepared, size, np.random.default_rng(1)))
        assert total_loss(made, model, batches) == pytest.approx(whole, rel=1e-4)


def test_the_generator_alone_decides_the_order(made: Made) -> None:
    first, same, other = (
        contents(made.problem.learning.train_batches(made.prepared, 8, np.random.default_rng(seed)))
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_one_order_whatever_the_batches(made: Made, split: Split) -> None:
    assert contents(made.problem.learning.batches(made.prepared, split, 5)) == contents(
        made.problem.learning.batches(made.prepared, split, 5)
    )
    if not made.carries_state:
        assert (
            len(list(made.problem.learning.batches(made.prepared, split, 1))) == made.prepared.meta["examples"][split]
        )


# ---- loss and score


@pytest.mark.parametrize("split", SPLITS)
def test_losses_of_batches_add_up_to_those_of_single_examples(made: Made, split: Split) -> None:
    model = made.network().eval()
    single = total_loss(made, model, made.problem.learning.batches(made.prepared, split, 1))
    for size in (3, 1000):
        assert total_loss(made, model, made.problem.learning.batches(made.prepared, split, size)) == pytest.approx(
            single, rel=1e-4
        )


@pytest.mark.parametrize("split", SPLITS)
def test_scores_do_not_depend_on_the_batches(made: Made, split: Split) -> None:
    model = made.network()
    single = made.problem.scoring.score(model, made.prepared, split, 1)
    for size in (3, 1000):
        scores = made.problem.scoring.score(model, made.prepared, split, size)
        np.testing.assert_allclose(scores.statistics_NK, single.statistics_NK, rtol=1e-3, atol=1e-5)
        assert scores.block == single.block


def test_scoring_and_predicting_draw_nothing_from_global_generators(made: Made) -> None:
    model = made.network()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    made.problem.scoring.score(model, made.prepared, "test", 16)
    list(made.problem.learning.train_batches(made.prepared, 16, np.random.default_rng(0)))
    made.problem.scoring.baselines(made.prepared, "test")
    made.problem.answering.predict(model, made.prepared.meta, made.problem.answering.example(made.prepared))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002


@pytest.mark.parametrize("split", SPLITS)
def test_model_and_baselines_are_scored_on_the_same_rows(made: Made, split: Split) -> None:
    scores = made.problem.scoring.score(made.network(), made.prepared, split, 16)
    baselines = made.problem.scoring.baselines(made.prepared, split)
    assert baselines
    for baseline in baselines.values():
        assert baseline.statistics_NK.shape == scores.statistics_NK.shape
        assert baseline.block == scores.block
        truth = [name for name in ("time", "truth", "question", "text", "kind", "place") if name in scores.table()]
        pd.testing.assert_frame_equal(baseline.table()[truth], scores.table()[truth])
        assert baseline.groups.keys() == scores.groups.keys()
        for name, labels in scores.groups.items():
            np.testing.assert_array_equal(baseline.groups[name], labels)


def test_metrics_are_finite_and_hold_the_headline(made: Made) -> None:
    scores = made.problem.scoring.score(made.network(), made.prepared, "test", 16)
    for found in (scores, *made.problem.scoring.baselines(made.prepared, "test").values()):
        metrics = made.problem.scoring.metrics(found.sums(), made.prepared.meta)
        assert made.problem.scoring.headline in metrics
        assert all(np.isfinite(value) for value in metrics.values())
        summary = found.summary(lambda sums: made.problem.scoring.metrics(sums, made.prepared.meta), seed=0)
        low, high = summary[f"{made.problem.scoring.headline}_low"], summary[f"{made.problem.scoring.headline}_high"]
        assert low <= high or len(found.statistics_NK) <= found.block  # one block has no interval
        breakdown = made.problem.scoring.breakdown(found, made.prepared.meta)
        assert all(isinstance(group, str) for groups in breakdown.values() for group in groups)


def test_figures_are_data_that_can_be_drawn(made: Made) -> None:
    model = made.network()
    scores = made.problem.scoring.score(model, made.prepared, "test", 16)
    figures = list(
        made.problem.scoring.figures(
            model, made.prepared, scores, made.problem.scoring.baselines(made.prepared, "test")
        )
    )
    assert len({figure.name for figure in figures}) == len(figures) > 0
    for figure in figures:
        assert isinstance(figure, Figure)
        assert len(figure.frame)
        assert not figure.x or figure.x in figure.frame


# ---- the network


def test_weights_come_back_from_a_file(made: Made, tmp_path: Path) -> None:
    model, other = made.network(seed=1), made.network(seed=2)
    store.write_tensors(tmp_path / "w.safetensors", model.state_dict())
    other.load_state_dict(store.read_tensors(tmp_path / "w.safetensors")[0])
    for split in ("validation", "test"):
        scores = [made.problem.scoring.score(each, made.prepared, split, 16).statistics_NK for each in (model, other)]
        np.testing.assert_array_equal(*scores)


def test_a_network_is_built_from_the_seed_and_meta_alone(made: Made) -> None:
    config = TrainConfig(**TRAIN)
    built = [train.build(made.problem, made.model_config, made.prepared, config) for _ in range(2)]
    for a, b in zip(built[0].state_dict().values(), built[1].state_dict().values(), strict=True):
        assert torch.equal(a, b)


TRAIN: dict[str, Any] = {
    "seed": 1,
    "threads": 1,
    "device": "cpu",
    "precision": "float32",
    "epochs": 4,
    "batch_size": 8,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "schedule": "constant",
    "clip_norm": 1.0,
    "patience": None,
}


def test_it_learns_and_twice_the_same(made: Made) -> None:
    config = TrainConfig(**TRAIN)
    runs = []
    for _ in range(2):
        model = train.build(made.problem, made.model_config, made.prepared, config)
        history = train.fit_network(model, made.problem, made.prepared, config, lambda *_: None)
        runs.append((model.state_dict(), history))
    (weights, history), (again, same_history) = runs
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    assert history == same_history
    assert all(torch.equal(weights[name], again[name]) for name in weights)


# ---- prediction


def test_the_example_is_answered_row_by_row(made: Made) -> None:
    model, meta = made.network(), made.prepared.meta
    example = made.problem.answering.example(made.prepared)
    before = example.copy()
    answer = made.problem.answering.predict(model, meta, example)
    pd.testing.assert_frame_equal(example, before)
    assert len(answer) == (1 if made.problem.takes == "series" else len(example))
    assert answer.notna().all(axis=None)
    pd.testing.assert_frame_equal(made.problem.answering.predict(model, meta, example), answer)


def test_an_answer_does_not_depend_on_the_rows_beside_it(made: Made) -> None:
    if made.problem.takes == "series":
        pytest.skip("a window is many rows")
    model, meta = made.network(), made.prepared.meta
    example = made.problem.answering.example(made.prepared)
    many = pd.concat([example] * 3, ignore_index=True)
    whole = made.problem.answering.predict(model, meta, many)
    for row in range(len(many)):
        alone = made.problem.answering.predict(model, meta, many[row : row + 1])
        pd.testing.assert_frame_equal(alone, whole[row : row + 1].reset_index(drop=True), rtol=1e-4)


def test_several_inputs_at_once_are_answered_as_each_by_itself(made: Made) -> None:
    """Inputs of one and of several rows, and of several windows, answered in one pass."""
    model, meta = made.network(), made.prepared.meta
    example = made.problem.answering.example(made.prepared)
    if made.problem.takes == "series":
        later = pd.to_timedelta(meta["step_s"] * meta["lag"], unit="s")
        parts = [example, pd.concat([example, example.assign(time=example["time"] + later)], ignore_index=True)]
    else:
        parts = [example, example[:1]]
    inputs = [*parts, *parts[:1]]
    found = made.problem.answering.predict_all(model, meta, inputs)
    assert len(found) == len(inputs)
    for frame, answer in zip(inputs, found, strict=True):
        pd.testing.assert_frame_equal(answer, made.problem.answering.predict(model, meta, frame), rtol=1e-4)
    assert len({len(answer) for answer in found}) == (2 if len(example) > 1 else 1)


def test_an_example_passes_through_csv_and_json(made: Made, tmp_path: Path) -> None:
    """A caller sends text: what comes back from it is answered as the example itself."""
    model, meta = made.network(), made.prepared.meta
    example = made.problem.answering.example(made.prepared)
    answer = made.problem.answering.predict(model, meta, example)
    example.to_csv(tmp_path / "example.csv", index=False)
    spoken = json.loads(example.to_json(orient="records", date_format="iso"))
    for frame in (pd.read_csv(tmp_path / "example.csv"), pd.DataFrame(spoken)):
        pd.testing.assert_frame_equal(made.problem.answering.predict(model, meta, frame), answer, rtol=1e-3)


# ---- the project's own tasks


@pytest.mark.parametrize("name", Params(tables.ROOT / "params.yaml").tasks())
def test_a_task_of_the_project_asks_for_what_its_problem_gives(name: str, tmp_path: Path) -> None:
    task = Task.open(tables.ROOT, name)
    problem, gate = task.problem(), task.gate_config()
    dataset: Dataset[Any] = task.dataset()[0]
    assert problem.takes == dataset.kind
    case = tables.case(task.params.value(name, "prepare.problem"))
    prepared = case.run(tmp_path)
    baselines = problem.scoring.baselines(prepared, "test")
    metrics = problem.scoring.metrics(next(iter(baselines.values())).sums(), prepared.meta)
    assert gate.metric in metrics
    assert set(gate.baselines) <= set(baselines)
    assert (gate.direction == "higher") is (gate.metric != problem.scoring.headline or problem.scoring.higher_is_better)
