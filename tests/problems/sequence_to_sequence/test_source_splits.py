"""The source's own split, groups that never part, series of several lengths."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from problems import tables
from unroll.core.config import TrainConfig
from unroll.core.errors import DataError
from unroll.problems.common.base import Prepared
from unroll.stages.train import train as trainer
from unroll.stages.validate import validate

torch.set_num_threads(1)
SOURCE: dict[str, Any] = {"split": "source", "test_share": None}
TRAIN = TrainConfig(
    seed=1, threads=1, device="cpu", precision="float32", epochs=2, batch_size=16, optimizer="adam", learning_rate=0.01,
    momentum=0.9, weight_decay=0.0, schedule="constant", clip_norm=1.0, patience=None,
)  # fmt: skip


def parted(table: pd.DataFrame, parts: tuple[str, ...] = ("train", "validation", "test")) -> pd.DataFrame:
    """The same rows with the source's own split, in turn, and a group of every five rows."""
    rows = np.arange(len(table))
    table = table.assign(split=pd.array([parts[row % len(parts)] for row in rows], dtype="str"))
    return table.assign(group=pd.array([f"user {row // 5}" for row in rows], dtype="str"))


def rows_of(prepared: Prepared) -> dict[str, list[int]]:
    return {split: prepared.arrays[split].tolist() for split in ("train", "validation", "test")}


@pytest.mark.parametrize("name", ["text_classification", "series_classification", "sequence_to_sequence"])
def test_the_sources_parts_are_kept(name: str, tmp_path: Path) -> None:
    case = tables.CASES[name]
    table = parted(case.table())
    found = rows_of(case.run(tmp_path, table, **SOURCE, validation_share=None))
    assert found["test"] == np.flatnonzero(table["split"] == "test").tolist()
    for part in ("train", "validation"):
        assert set(found[part]) <= set(np.flatnonzero(table["split"] == part).tolist())


@pytest.mark.parametrize("name", ["text_classification", "series_classification", "sequence_to_sequence"])
def test_validation_is_drawn_from_train_where_the_source_has_none(name: str, tmp_path: Path) -> None:
    case = tables.CASES[name]
    table = parted(case.table(), ("train", "train", "test"))
    found = rows_of(case.run(tmp_path, table, **SOURCE, validation_share=0.2))
    assert found["test"] == np.flatnonzero(table["split"] == "test").tolist()
    of_train = set(np.flatnonzero(table["split"] == "train").tolist())
    assert set(found["train"]) | set(found["validation"]) <= of_train
    assert 0.1 < len(found["validation"]) / len(of_train) < 0.3
    with pytest.raises(DataError, match=r"^split validation: no rows in the source's own split; expected prepare\."):
        case.run(tmp_path / "none", table, **SOURCE, validation_share=None)


@pytest.mark.parametrize("name", ["text_classification", "sequence_to_sequence"])
def test_what_stands_in_a_later_part_too_is_left_out_of_the_earlier_one(name: str, tmp_path: Path) -> None:
    case = tables.CASES[name]
    table = parted(case.table())
    train, test = (int(np.flatnonzero(table["split"] == part)[0]) for part in ("train", "test"))
    columns = [column for column in table if column not in ("split", "group")]
    table.loc[train, columns] = table.loc[test, columns].to_numpy()
    prepared = case.run(tmp_path, table, **SOURCE, validation_share=None)
    assert train not in rows_of(prepared)["train"]
    assert test in rows_of(prepared)["test"]
    problem, config, _ = case.open(**SOURCE, validation_share=None)
    check = problem.preparation.check(prepared, config)
    report = validate.check(check.facts, check.expectations, title="prepared")
    assert report.failed("critical") == []


@pytest.mark.parametrize("name", ["text_classification", "series_classification", "sequence_to_sequence"])
def test_groups_never_part(name: str, tmp_path: Path) -> None:
    case = tables.CASES[name]
    table = parted(case.table()).drop(columns="split")
    changed = {"split": "stratified", "validation_share": 0.15, "test_share": 0.2, "grouped": True}
    prepared = case.run(tmp_path, table, **changed)
    groups = [set(table["group"].to_numpy()[rows]) for rows in rows_of(prepared).values()]
    assert all(groups)
    assert sum(map(len, groups)) == len(set().union(*groups))
    problem, config, _ = case.open(**changed)
    check = problem.preparation.check(prepared, config)
    assert validate.check(check.facts, check.expectations, title="prepared").failed("critical") == []


def test_a_group_in_two_splits_is_found(tmp_path: Path) -> None:
    case = tables.CASES["text_classification"]
    prepared = case.run(tmp_path, parted(case.table()), grouped=True)
    arrays = dict(prepared.arrays) | {"groups": np.zeros(len(prepared.arrays["labels"]), np.int32)}
    problem, config, _ = case.open(grouped=True)
    check = problem.preparation.check(Prepared(arrays, prepared.meta), config)
    failed = validate.check(check.facts, check.expectations, title="prepared").failed("critical")
    assert [outcome.reason for outcome in failed] == ["a group in two splits"]


@pytest.mark.parametrize("name", ["text_classification", "series_classification"])
def test_a_class_of_the_sources_test_that_train_lacks_is_told(name: str, tmp_path: Path) -> None:
    case = tables.CASES[name]
    table = parted(case.table())
    table.loc[int(np.flatnonzero(table["split"] == "test")[0]), "label"] = "99"
    with pytest.raises(DataError, match=r"^class '99' is in test but not in train; expected one of "):
        case.run(tmp_path, table, **SOURCE, validation_share=None)


def test_a_table_without_the_split_asked_for_is_told(tmp_path: Path) -> None:
    table = tables.labelled_series().drop(columns="split")
    with pytest.raises(DataError, match=r"^split source: the table has no column split; expected the source's own"):
        tables.CASES["series_classification"].run(tmp_path, table)


@pytest.mark.parametrize("name", ["text_classification", "series_classification", "sequence_to_sequence"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"split": "source", "test_share": 0.1}, "test_share must be null where split is source"),
        ({"split": "stratified", "test_share": None}, "validation_share and test_share must be given, unless split is"),
        ({"split": "file_order", "validation_share": 0.5, "test_share": 0.6}, "must be below 1, so that train has"),
        ({**SOURCE, "grouped": True}, "grouped must be false where split is source"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        tables.CASES[name].open(**changed)
    assert message in str(raised.value)


def test_numbers_are_classes_in_their_own_order(tmp_path: Path) -> None:
    table = tables.labelled_text()
    table["label"] = pd.array(table["label"].map({"negative": "-1", "neutral": "9", "positive": "10"}), dtype="str")
    assert tables.CASES["text_classification"].run(tmp_path, table).meta["classes"] == ["-1", "9", "10"]


# ---- series of several lengths

UNEVEN: dict[str, Any] = {"split": "stratified", "validation_share": 0.2, "test_share": 0.2}
CASE = tables.CASES["series_classification"]


def uneven(holes: int = 0) -> pd.DataFrame:
    """Series of 7 to 12 steps; some have a step missing inside."""
    rng = np.random.default_rng(0)
    table = tables.labelled_series().drop(columns="split")
    lengths = rng.integers(7, 13, len(table))
    lengths[[0, 1, 2, 3]] = 12
    steps = [name for name in table if name.startswith("t0")]
    values = np.where(np.arange(12) < lengths[:, None], table[steps], np.nan)
    values[10 : 10 + holes, 3] = np.nan
    table[steps] = values.astype(np.float32)
    return table


def test_a_short_series_is_answered_as_it_would_be_alone(tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, uneven(), **UNEVEN)
    assert prepared.meta["shortest"] == 7
    problem, _, model_config = CASE.open(**UNEVEN)
    torch.manual_seed(0)
    model = problem.learning.model(model_config, prepared.meta)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    raw = uneven().drop(columns="label")
    together = problem.answering.predict(model.eval(), prepared.meta, raw)
    alone = [
        problem.answering.predict(model, prepared.meta, raw.iloc[[row]].dropna(axis=1).reset_index(drop=True))
        for row in range(0, len(raw), 9)
    ]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), together[::9].reset_index(drop=True), rtol=1e-4)


def test_what_lies_beyond_a_series_enters_nothing(tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, uneven(), **UNEVEN)
    problem, _, model_config = CASE.open(**UNEVEN)
    torch.manual_seed(0)
    model = problem.learning.model(model_config, prepared.meta).eval()
    batch = next(iter(problem.learning.batches(prepared, "train", 64)))
    beyond_BT = torch.arange(12) >= batch["lengths_B"][:, None]
    assert beyond_BT.any()
    other = {**batch, "x_BT": torch.where(beyond_BT, torch.tensor(1e3), batch["x_BT"])}
    first, second = (problem.learning.loss(model, each).total for each in (batch, other))
    assert torch.allclose(first, second)


def test_series_of_several_lengths_train_and_are_judged(tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, uneven(), **UNEVEN)
    problem, _, model_config = CASE.open(**UNEVEN)
    torch.manual_seed(0)
    model = problem.learning.model(model_config, prepared.meta)
    history = trainer.fit_network(model, problem, prepared, TRAIN, lambda *_: None)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    scores, baselines = problem.scoring.score(model, prepared, "test", 8), problem.scoring.baselines(prepared, "test")
    assert all(len(each.statistics_NK) == len(scores.statistics_NK) for each in baselines.values())
    assert len(list(problem.scoring.figures(model, prepared, scores, baselines))) == 3
    example = problem.answering.example(prepared)
    assert problem.answering.predict(model.eval(), prepared.meta, example).notna().all(axis=None)


def test_series_with_holes_are_left_out_or_mended(tmp_path: Path) -> None:
    left_out = CASE.run(tmp_path / "drop", uneven(holes=5), **UNEVEN)
    assert left_out.meta["series_left_out"] == 5
    assert sum(left_out.meta["examples"].values()) == 85
    mended = CASE.run(tmp_path / "mend", uneven(holes=5), **UNEVEN, missing="interpolate")
    assert sum(mended.meta["examples"].values()) == 90
    problem, _, model_config = CASE.open(**UNEVEN, missing="interpolate")
    model = problem.learning.model(model_config, mended.meta).eval()
    raw = uneven(holes=5).drop(columns="label")[10:12]
    assert problem.answering.predict(model, mended.meta, raw).notna().all(axis=None)
    words = raw.astype(object)
    words.iloc[1, 2] = "high"
    with pytest.raises(DataError, match=r"^input: row 2, column t002: 'high'; expected a finite number$"):
        problem.answering.predict(model, mended.meta, words)
    with pytest.raises(DataError, match=r"^input: row 1, column t003: nan; expected a finite number$"):
        problem.answering.predict(model, left_out.meta, raw)
