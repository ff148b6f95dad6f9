"""Series as people have them: shares, missing values and rows, categories. What is predicted sees what was learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from problems import tables
from unroll.core.errors import DataError
from unroll.problems.common.base import Prepared
from unroll.problems.windows import arrays
from unroll.problems.windows.recent import recent_windows
from unroll.stages.validate import validate

torch.set_num_threads(1)
SHARES: dict[str, Any] = {"validation_from": None, "test_from": None, "validation_share": 0.2, "test_share": 0.2}
WORDS = ["NE", "NW", "SE"]
CASE = tables.CASES["forecasting"]
MODES: list[dict[str, Any]] = [
    {},
    {"missing": "interpolate", "interpolate_steps": 3},
    {"missing": "mask"},
    {"categories": ["wind"]},
    {"missing": "mask", "categories": ["wind"], "sites": ["south"]},
]


def holed(seed: int = 3, rows: int = 500) -> pd.DataFrame:
    """A series of two sites with a wind direction; some values, words and whole rows are missing."""
    rng = np.random.default_rng(seed)
    table = tables.series(rows)
    table["wind"] = pd.array(rng.choice([*WORDS, None], len(table), p=[0.3, 0.3, 0.3, 0.1]), dtype="str")
    for name in ("a_ug_m3", "b_ug_m3"):
        table.loc[rng.random(len(table)) < 0.04, name] = np.nan
    hour = np.tile(np.arange(rows), 2)
    return table[~np.isin(hour, [40, 41, 120, 300, 301, 302, 303, 304])].reset_index(drop=True)


def prepared_as(folder: Path, **changed: Any) -> Prepared:
    return CASE.run(folder, holed(), **{**SHARES, **changed})


def raw(table: pd.DataFrame, prepared: Prepared, low: int, high: int) -> pd.DataFrame:
    """The table's rows from one row of the prepared array to another."""
    seconds = prepared.arrays["seconds"][[low, high]]
    time = table["time"].astype("int64") // (10**6 if "us" in str(table["time"].dtype) else 10**9)
    return table[(time >= seconds[0]) & (time <= seconds[1])]


@pytest.mark.parametrize("changed", MODES)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_predicting_sees_what_was_learned_from(split: Any, changed: dict[str, Any], tmp_path: Path) -> None:
    prepared, table = prepared_as(tmp_path, **changed), holed()
    low, high = prepared.meta["bounds"][split]
    x_NLF, last_N = recent_windows(raw(table, prepared, low, high - 1), prepared.meta)
    last_B = arrays.last_rows(prepared, split)
    place = {int(second): row for row, second in enumerate(last_N)}
    found = [place[int(second)] for second in prepared.arrays["seconds"][last_B]]
    learned_BLF = arrays.inputs(prepared, last_B)
    assert learned_BLF.shape[2] == arrays.width(prepared.meta)
    np.testing.assert_allclose(x_NLF[found], learned_BLF, atol=1e-6)


@pytest.mark.parametrize("changed", MODES)
def test_the_prepared_data_pass_their_check_and_the_example_is_answered(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    prepared = prepared_as(tmp_path, **changed)
    problem, config, model_config = CASE.open(**{**SHARES, **changed})
    check = problem.preparation.check(prepared, config)
    failures = validate.check(check.facts, check.expectations, title="prepared").failed("critical")
    assert failures == [] or "missing" not in changed  # windows without any missing value are few here
    model = problem.learning.model(model_config, prepared.meta).eval()
    example = problem.answering.example(prepared)
    answer = problem.answering.predict(model, prepared.meta, example)
    assert len(answer) == 1
    assert answer.notna().all(axis=None)
    example.to_csv(tmp_path / "example.csv", index=False)
    again = problem.answering.predict(model, prepared.meta, pd.read_csv(tmp_path / "example.csv"))
    pd.testing.assert_frame_equal(again, answer, rtol=1e-4)


@pytest.mark.parametrize("changed", [mode for mode in MODES if "missing" in mode])
@pytest.mark.parametrize("problem", ["forecasting", "rise_or_fall"])
def test_no_value_that_is_scored_was_filled_in(problem: str, changed: dict[str, Any], tmp_path: Path) -> None:
    prepared = tables.CASES[problem].run(tmp_path, holed(), **{**SHARES, **changed})
    column = prepared.meta["target_column"]
    missing_TF, values_TF = prepared.arrays["missing"], prepared.arrays["values"]
    asked = prepared.meta.get("horizons", [0, prepared.meta["horizon"]])
    for split in ("train", "validation", "test"):
        last_N = arrays.last_rows(prepared, split)
        assert not missing_TF[last_N[:, None] + np.array(asked), column].any()
        assert np.isfinite(values_TF[last_N[:, None] + np.arange(1 - prepared.meta["lag"], max(asked) + 1)]).all()
    assert prepared.meta["rows_filled"] > 0


@pytest.mark.parametrize("changed", MODES)
def test_no_window_knows_what_comes_after_it(changed: dict[str, Any], tmp_path: Path) -> None:
    """All later values are others: the inputs of the windows before stay as they are."""
    table = holed()
    later = table.copy()
    cut = table["time"].iloc[0] + pd.Timedelta(hours=200)
    for name in ("a_ug_m3", "b_ug_m3"):
        later.loc[later["time"] > cut, name] = later.loc[later["time"] > cut, name] + 5
    first, other = (
        CASE.run(tmp_path / name, each, **{**SHARES, **changed}) for name, each in (("a", table), ("b", later))
    )
    last_N = arrays.last_rows(first, "train")
    last_N = last_N[first.arrays["seconds"][last_N] <= int(cut.timestamp())]
    assert len(last_N) > 20

    def own_unit(prepared: Prepared) -> np.ndarray:
        columns = len(prepared.meta["columns"])
        mean, deviation = (np.array(prepared.meta["scaler"][key]) for key in ("mean", "deviation"))
        return arrays.inputs(prepared, last_N)[..., :columns] * deviation + mean

    np.testing.assert_allclose(own_unit(first), own_unit(other), atol=1e-4)


def test_more_windows_are_left_where_values_are_filled_in(tmp_path: Path) -> None:
    counts = [prepared_as(tmp_path / str(number), **mode).meta["examples"] for number, mode in enumerate(MODES[:3])]
    assert counts[0]["train"] < counts[1]["train"]
    assert counts[0]["train"] < counts[2]["train"]


def test_shares_split_the_rows_in_time(tmp_path: Path) -> None:
    prepared = CASE.run(tmp_path, **SHARES)
    assert prepared.meta["bounds"] == {"train": [0, 240], "validation": [240, 320], "test": [320, 400]}


def test_shares_and_the_dates_of_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    dates = {"validation_from": "2020-01-11", "test_from": "2020-01-14"}
    shares = {**SHARES, "validation_share": 72 / 400, "test_share": 88 / 400}
    for name, split in (("dates", dates), ("shares", shares)):
        CASE.run(tmp_path / name, **split)
    first, other = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("dates", "shares"))
    assert first == other


def test_a_word_that_train_does_not_have_is_answered_as_no_word(tmp_path: Path) -> None:
    prepared = prepared_as(tmp_path, categories=["wind"])
    problem, _, model_config = CASE.open(**SHARES, categories=["wind"])
    torch.manual_seed(0)
    model = problem.learning.model(model_config, prepared.meta).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # a network begins with persistence
            parameter.add_(0.1 * torch.randn_like(parameter))
    example = problem.answering.example(prepared)
    answers = [
        problem.answering.predict(
            model, prepared.meta, example.assign(wind=pd.array([word] * len(example), dtype="str"))
        )
        for word in ("N by E", None, "NW")
    ]
    pd.testing.assert_frame_equal(answers[0], answers[1])
    assert not answers[0].equals(answers[2])


def test_words_of_test_alone_are_unknown(tmp_path: Path) -> None:
    table = holed()
    table.loc[table["time"] > table["time"].iloc[0] + pd.Timedelta(hours=450), "wind"] = "hurricane"
    prepared = CASE.run(tmp_path, table, **SHARES, categories=["wind"])
    assert prepared.meta["categories"] == [{"name": "wind", "words": WORDS}]


def test_several_steps_one_by_one_go_without_the_words_of_the_future(tmp_path: Path) -> None:
    changed = {**SHARES, "missing": "mask", "categories": ["wind"], "horizon": [1, 3]}
    prepared = CASE.run(tmp_path, holed(), **changed)
    problem, _, _ = CASE.open(**changed)
    model_config = problem.Model.model_validate(
        {**CASE.model, "multi_step": "autoregressive", "head": "gaussian", "trajectories": 4}
    )
    model = problem.learning.model(model_config, prepared.meta)
    batch = next(iter(problem.learning.batches(prepared, "train", 8)))
    assert batch["x_BLF"].shape[2] == batch["ahead_BAC"].shape[2] + len(prepared.meta["columns"])
    assert torch.isfinite(problem.learning.loss(model, batch).total)
    assert len(problem.answering.predict(model.eval(), prepared.meta, problem.answering.example(prepared))) == 2


def test_a_missing_category_column_is_told(tmp_path: Path) -> None:
    prepared = prepared_as(tmp_path, categories=["wind"])
    problem, _, model_config = CASE.open(**SHARES, categories=["wind"])
    model = problem.learning.model(model_config, prepared.meta).eval()
    with pytest.raises(
        DataError, match=r"^input: column 'wind' is missing; expected time, site, a_ug_m3, b_ug_m3, wind$"
    ):
        problem.answering.predict(model, prepared.meta, problem.answering.example(prepared).drop(columns="wind"))
    with pytest.raises(DataError, match=r"^category 'rain' is not in the table; expected one of wind$"):
        prepared_as(tmp_path / "other", categories=["rain"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation_from": None}, "validation_from and test_from must be given, or else validation_share and"),
        ({"validation_share": 0.1}, "validation_from and test_from must be given, or else validation_share and"),
        ({**SHARES, "test_share": 0.9}, "validation_share + test_share must be below 1, so that train has rows"),
        ({"missing": "interpolate"}, "interpolate_steps must be given where missing is interpolate, and only there"),
        ({"interpolate_steps": 3}, "interpolate_steps must be given where missing is interpolate, and only there"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        CASE.open(**changed)
    assert message in str(raised.value)
