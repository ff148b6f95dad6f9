"""Means, deviations, the order and what is said of it, against NumPy and SciPy; tables and pictures of every shape."""

import math
from pathlib import Path

import numpy as np
import pytest
from comparison_parts import compared, write_project
from rich.console import Console
from scipy import stats

from unroll.workbench.compare import picture, table_views
from unroll.workbench.compare.summary import deviation, half_width, mean

CELLS = ["model.cell=rnn,lstm,gru"]
# On test the order is the other way round: it must not matter.
VALUES = {
    0: [(0.50, 0.9), (0.52, 0.9), (0.54, 0.93)],
    1: [(0.70, 0.2), (0.71, 0.1), (0.66, 0.3)],
    2: [(0.60, 0.5), (0.62, 0.5), (0.61, 0.6)],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("results"))


def text_of(root: Path, comparison: object) -> str:
    console = Console(width=220, record=True, quiet=False, file=(root / "said.txt").open("w"))
    console.print(table_views.table(comparison))  # type: ignore[arg-type]
    return console.export_text()


def test_means_and_deviations_are_numpys() -> None:
    values = np.random.default_rng(0).normal(3, 2, 7).tolist()
    assert mean(values) == pytest.approx(np.mean(values))
    assert deviation(values) == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(deviation(values[:1]))
    assert math.isnan(mean([]))


def test_the_interval_of_a_difference_is_welchs() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 1, 3).tolist(), rng.normal(0, 4, 5).tolist()
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert half_width(first, second) == pytest.approx((interval.high - interval.low) / 2)
    assert half_width([1.0, 1.0], [2.0, 2.0]) == 0


def test_validation_alone_orders(root: Path) -> None:
    comparison = compared(root, CELLS, VALUES)
    assert [row.point.label for row in comparison.ranked] == ["lstm", "gru", "rnn"]
    assert comparison.best is not None
    assert comparison.best.point.label == "lstm"
    rows = [line for line in text_of(root, comparison).splitlines() if "│" in line]
    assert ["★" in row for row in rows] == [True, False, False, False]
    assert "0.6900 ± 0.0265" in rows[0]
    assert "0.2000 ± 0.1000" in rows[0]
    assert "digit chance" in rows[3]
    assert "0.2000" in rows[3]
    notes = " ".join(comparison.notes())
    assert "by exact match on validation (higher is better), never by test" in notes
    assert "± standard deviation over 3 seeds (5–7)" in notes


def test_lower_is_better_where_the_problem_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = compared(root, CELLS, VALUES)
    comparison.higher_is_better = False
    assert [row.point.label for row in comparison.ranked] == ["rnn", "gru", "lstm"]


def test_the_lead_is_judged_by_the_seeds(root: Path) -> None:
    def verdict(**values: list[tuple[float, float]]) -> str:
        return compared(root, ["model.cell=rnn,lstm"], {0: values["rnn"], 1: values["lstm"]}).verdict()

    close = verdict(rnn=[(0.5, 0), (0.7, 0)], lstm=[(0.6, 0), (0.9, 0)])
    assert close.startswith("lstm leads rnn by 0.1500 in exact match on validation: not told apart by these seeds")
    clear = verdict(rnn=[(0.5, 0), (0.501, 0)], lstm=[(0.9, 0), (0.901, 0)])
    assert "more than the spread of the seeds explains" in clear
    assert "with one seed each that may be chance" in verdict(rnn=[(0.5, 0)], lstm=[(0.9, 0)])
    same = compared(root, ["model.cell=rnn,lstm"], {0: [(0.5, 0)], 1: [(0.5, 1)]})
    assert same.verdict() == "rnn and lstm come to the same on validation"
    assert same.best is None


def test_one_seed_has_no_deviation(root: Path) -> None:
    comparison = compared(root, CELLS, {number: runs[:1] for number, runs in VALUES.items()})
    rows = "\n".join(",".join(line) for line in table_views.lines(comparison))
    assert "±" not in rows
    assert "one seed (5): no deviation" in " ".join(comparison.notes())


def test_a_point_with_a_failed_seed_comes_after_whole_ones_and_says_why(root: Path) -> None:
    values = {0: [(0.5, 0.5), (0.5, 0.5)], 1: [(0.9, 0.9), "loss nan"], 2: ["loss nan", "loss inf"]}
    comparison = compared(root, CELLS, values)  # type: ignore[arg-type]
    assert [row.point.label for row in comparison.ranked] == ["rnn", "lstm", "gru"]
    cells = [" ".join(line) for line in table_views.lines(comparison)]
    assert "0.9000 (1 of 2 failed)" in cells[1]
    assert cells[2].split() == ["gru", "failed"]
    assert "failed: model.cell=lstm, seed 6: loss nan" in comparison.notes()
    assert "failed: model.cell=gru, seed 5: loss nan; seed 6: loss inf" in comparison.notes()
    assert "| failed |" in table_views.markdown(comparison)


def test_where_a_comparison_was_stopped_the_rest_is_not_run(root: Path) -> None:
    comparison = compared(root, CELLS, {0: [(0.5, 0.5), (0.4, 0.4)], 1: [(0.6, 0.6)]}, baseline=None)
    cells = [" ".join(line) for line in table_views.lines(comparison)]
    assert "(1 of 2 not run)" in cells[0]
    assert cells[2].split() == ["gru", "not", "run"]
    assert "cpu, 1 thread each, 1 at a time on 2 processors" in " ".join(comparison.notes())
    alone = compared(root, CELLS, {0: [(0.5, 0.5)]}, baseline=None)
    assert alone.best is None  # the others might have been better


def test_points_with_data_of_their_own_have_their_own_baselines(root: Path) -> None:
    comparison = compared(root, ["prepare.reverse_source=true,false"], {0: [(0.5, 0.5)], 1: [(0.6, 0.6)]})
    scores = {"exact_match": 0.4, "digit_accuracy": 0.1}
    comparison.baselines[1] = {"digit_chance": {"validation": scores, "test": scores}}
    assert table_views.heads(comparison)[4:6] == ["best baseline validation", "best baseline test"]
    rows = list(table_views.lines(comparison))
    assert [row[4] for row in rows] == ["digit chance 0.4000", "digit chance 0.2000"]
    assert "the points differ in data or preparing: their validation and test rows may, too" in comparison.notes()


GRIDS = {
    "rows": (CELLS, VALUES),
    "one seed": (CELLS, {number: runs[:1] for number, runs in VALUES.items()}),
    "all alike": (CELLS, {number: [(0.0, 0.0), (0.0, 0.0)] for number in range(3)}),
    "failures": (CELLS, {0: [(0.5, 0.5)], 1: ["loss nan"], 2: ["loss nan"]}),
    "all failed": (CELLS, {number: ["loss nan"] for number in range(3)}),
    "a line": (["model.hidden=2,8,64"], VALUES),
    "a line with zero": (["train.weight_decay=0.0,0.1,0.2"], VALUES),
    "a line with failures": (["model.hidden=2,8,64"], {0: [(0.5, 0.5)], 1: ["loss nan"], 2: [(0.3, 0.3)]}),
    "lines": (["model.cell=rnn,gru", "model.hidden=2,8,64"], {n: [(0.1 * n, 0.1), (0.12 * n, 0.2)] for n in range(6)}),
    "many": (
        ["model.cell=rnn,rnn_relu,lstm,gru", "train.optimizer=adam,adamw,sgd", "model.hidden=4,8"],
        {n: [(0.02 * n, 0.1), (0.03 * n, 0.2)] for n in range(24)},
    ),
    "seeds": ([], {0: [(0.5, 0.4), (0.6, 0.5)]}),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_every_grid_has_a_picture_for_a_slide(root: Path, tmp_path: Path, name: str) -> None:
    from matplotlib.image import imread

    given, values = GRIDS[name]
    comparison = compared(root, given, values, baseline=None if name == "seeds" else 0.2)  # type: ignore[arg-type]
    picture.write(comparison, tmp_path / "picture.png")
    assert imread(tmp_path / "picture.png").shape[:2] == (900, 1600)


def test_a_picture_shows_means_whiskers_and_seeds(root: Path) -> None:
    from unroll.stages.evaluate.figures import canvas as canvases

    with canvases.own_style():
        canvas = picture.draw(compared(root, CELLS, VALUES))
    validation, test, parameters, seconds = canvas.subfigs[0].axes
    dots = [tuple(np.ravel(part.get_offsets())) for part in validation.collections if hasattr(part, "get_offsets")]
    assert any(point == pytest.approx((0.69, 0)) for point in dots if len(point) == 2)  # lstm, the best, on top
    assert any(set(np.round(point[::2], 6)) == {0.70, 0.71, 0.66} for point in dots if len(point) == 6)
    assert [label.get_text() for label in validation.get_yticklabels()] == ["★ lstm", "gru", "rnn"]
    assert [text.get_text() for text in seconds.texts] == ["2", "3", "1"]
    assert [text.get_text() for text in parameters.texts] == ["1,234"] * 3
    assert any("digit chance" in text.get_text() for text in test.texts)


def test_the_same_runs_give_the_same_picture(root: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture.write(compared(root, CELLS, VALUES), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
