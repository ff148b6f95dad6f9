"""Pictures: every kind is drawn, the same each time, whatever a person's own matplotlib settings are."""

import struct
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from unroll import drawing
from unroll.problems.base import Figure

RNG = np.random.default_rng(0)
HOURS = pd.date_range("2016-03-01", periods=48, freq="h", tz="UTC")
WAVE = np.sin(np.arange(48) / 4)
FRAMES = {
    "lines": pd.DataFrame({"time": HOURS, "truth": WAVE, "guess": WAVE + 0.1, "persistence": WAVE}),
    "histogram": pd.DataFrame({"residual": RNG.normal(size=500)}),
    "confusion": pd.DataFrame({"truth": list("aabb"), "guess": list("abab"), "count": [9, 1, 0, 5]}),
    "bars": pd.DataFrame({"name": ["network", "$5"], "value": [0.8, 0.7], "low": [0.7, None], "high": [0.9, None]}),
    "scatter": pd.DataFrame({"truth": WAVE, "guess": WAVE + 0.1}),
    "table": pd.DataFrame({"question": ["1+2", "$3 + $4"], "right": [True, False], "p": [0.5, 1]}),
    "text": pd.DataFrame({"heading": ["temperature 0.2"] * 3, "text": ["a $1\nb $2", "", "žvižg"]}),
}
FIGURES = [
    Figure(kind, kind, f"The {kind}", frame, x=str(frame.columns[0]), x_label="x", y_label="y, $")
    for kind, frame in FRAMES.items()
]


def ident(figure: Figure) -> str:
    return figure.kind


@pytest.mark.parametrize("figure", FIGURES, ids=ident)
def test_same_figure_same_bytes(figure: Figure, tmp_path: Path) -> None:
    drawing.write(figure, tmp_path / "one")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20, "lines.linewidth": 9}):
        drawing.write(figure, tmp_path / "two")
        assert mpl.rcParams["font.size"] == 30
    for ending in ("csv", "png"):
        first = (tmp_path / "one" / f"{figure.name}.{ending}").read_bytes()
        assert first == (tmp_path / "two" / f"{figure.name}.{ending}").read_bytes()


@pytest.mark.parametrize("figure", FIGURES, ids=ident)
def test_png_is_wide_enough_for_a_readme_and_tells_nothing_else(figure: Figure, tmp_path: Path) -> None:
    drawing.write(figure, tmp_path)
    png = (tmp_path / f"{figure.name}.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert width == 1200
    assert 200 <= height <= 1200
    assert b"tEXt" not in png
    assert b"tIME" not in png


def test_pictures_are_not_empty_and_differ_with_the_data(tmp_path: Path) -> None:
    moved = replace(FIGURES[0], frame=FIGURES[0].frame.assign(guess=-WAVE))
    drawing.write(FIGURES[0], tmp_path / "one")
    drawing.write(moved, tmp_path / "two")
    assert (tmp_path / "one" / "lines.png").read_bytes() != (tmp_path / "two" / "lines.png").read_bytes()


def test_csv_is_the_frame(tmp_path: Path) -> None:
    drawing.write(FIGURES[2], tmp_path)
    assert (tmp_path / "confusion.csv").read_text() == "truth,guess,count\na,a,9\na,b,1\nb,a,0\nb,b,5\n"


def test_histogram_counts_the_middle_and_leaves_out_far_and_missing_values() -> None:
    values = np.concatenate([np.linspace(-1, 1, 4000), [1e9], [np.nan]])
    found = drawing.data(Figure("h", "histogram", "", pd.DataFrame({"error": values}), "error"))
    assert list(found) == ["error", "low", "high", "count"]
    assert found["count"].sum() == pytest.approx(4000, abs=12)  # 0.1 % at either end stays outside
    assert found["high"].max() < 2
    np.testing.assert_allclose(found["error"], (found["low"] + found["high"]) / 2)


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_histogram_of_nothing_or_of_one_value(values: list[float], tmp_path: Path) -> None:
    drawing.write(Figure("h", "histogram", "", pd.DataFrame({"error": np.array(values, dtype=float)})), tmp_path)
    assert (tmp_path / "h.png").is_file()


def test_long_tables_and_texts_are_cut_in_the_picture_but_not_in_the_csv(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": ["x" * 500] * 300, "other": ["y" * 200] * 300})
    drawing.write(Figure("t", "table", "Long", rows), tmp_path)
    verse = pd.DataFrame({"heading": ["h"], "text": ["\n".join(["line " * 40] * 200)]})
    drawing.write(Figure("v", "text", "Long", verse), tmp_path)
    for name in ("t", "v"):
        width, height = struct.unpack(">II", (tmp_path / f"{name}.png").read_bytes()[16:24])
        assert (width, height < 1200) == (1200, True)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 300
