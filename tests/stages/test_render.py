"""Pictures: every kind is drawn, the same each time, whatever a person's own matplotlib settings are."""

import struct
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates as mdates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Canvas
from matplotlib.transforms import BboxBase

from unroll.problems.common.scoring import Figure
from unroll.stages.evaluate.figures import canvas as canvases
from unroll.stages.evaluate.figures import render, series_plots, text_plots

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
    "heatmap": pd.DataFrame(
        {"map": list("aaab"), "row": [0, 0, 1, 0], "column": [0, 1, 0, 0], "value": [0.1, 0.9, 0.5, 0.0]}
    ).assign(row_label=["x", "x", " ", "$y"], column_label=["1", "2", "1", "$"]),
    "bands": pd.DataFrame(
        {"time": HOURS, "truth": WAVE, "forecast": WAVE + 0.1, "low_50": WAVE - 0.2, "high_50": WAVE + 0.3}
    ).assign(low_95=WAVE - 1, high_95=WAVE + 1, path_1=WAVE),
    "stems": pd.DataFrame({"lag": range(1, 49), "autocorrelation": WAVE, "partial": -WAVE / 2, "bound": 0.2}),
}
FIGURES = [
    Figure(kind, kind, f"The {kind}", frame, x=str(frame.columns[0]), x_label="x", y_label="y, $")
    for kind, frame in FRAMES.items()
]


def ident(figure: Figure) -> str:
    return figure.kind


@pytest.mark.parametrize("figure", FIGURES, ids=ident)
def test_same_figure_same_bytes(figure: Figure, tmp_path: Path) -> None:
    render.write(figure, tmp_path / "one", tmp_path / "one")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20, "lines.linewidth": 9}):
        render.write(figure, tmp_path / "two", tmp_path / "two")
        assert mpl.rcParams["font.size"] == 30
    for ending in ("csv", "png"):
        first = (tmp_path / "one" / f"{figure.name}.{ending}").read_bytes()
        assert first == (tmp_path / "two" / f"{figure.name}.{ending}").read_bytes()


@pytest.mark.parametrize("figure", FIGURES, ids=ident)
def test_png_is_wide_enough_for_a_readme_and_tells_nothing_else(figure: Figure, tmp_path: Path) -> None:
    render.write(figure, tmp_path, tmp_path)
    png = (tmp_path / f"{figure.name}.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert width == 1200
    assert 200 <= height <= 1200
    assert b"tEXt" not in png
    assert b"tIME" not in png


def test_pictures_are_not_empty_and_differ_with_the_data(tmp_path: Path) -> None:
    moved = replace(FIGURES[0], frame=FIGURES[0].frame.assign(guess=-WAVE))
    render.write(FIGURES[0], tmp_path / "one", tmp_path / "one")
    render.write(moved, tmp_path / "two", tmp_path / "two")
    assert (tmp_path / "one" / "lines.png").read_bytes() != (tmp_path / "two" / "lines.png").read_bytes()


def test_csv_is_the_frame(tmp_path: Path) -> None:
    render.write(FIGURES[2], tmp_path, tmp_path)
    assert (tmp_path / "confusion.csv").read_text() == "truth,guess,count\na,a,9\na,b,1\nb,a,0\nb,b,5\n"


def test_histogram_counts_the_middle_and_leaves_out_far_and_missing_values() -> None:
    values = np.concatenate([np.linspace(-1, 1, 4000), [1e9], [np.nan]])
    found = render.data(Figure("h", "histogram", "", pd.DataFrame({"error": values}), "error"))
    assert list(found) == ["error", "low", "high", "count"]
    assert found["count"].sum() == pytest.approx(4000, abs=12)  # 0.1 % at either end stays outside
    assert found["high"].max() < 2
    np.testing.assert_allclose(found["error"], (found["low"] + found["high"]) / 2)


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_histogram_of_nothing_or_of_one_value(values: list[float], tmp_path: Path) -> None:
    frame = pd.DataFrame({"error": np.array(values, dtype=float)})
    render.write(Figure("h", "histogram", "", frame), tmp_path, tmp_path)
    assert (tmp_path / "h.png").is_file()


def test_long_tables_and_texts_are_cut_in_the_picture_but_not_in_the_csv(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": ["x" * 500] * 300, "other": ["y" * 200] * 300})
    render.write(Figure("t", "table", "Long", rows), tmp_path, tmp_path)
    verse = pd.DataFrame({"heading": ["h"], "text": ["\n".join(["line " * 40] * 200)]})
    render.write(Figure("v", "text", "Long", verse), tmp_path, tmp_path)
    for name in ("t", "v"):
        width, height = struct.unpack(">II", (tmp_path / f"{name}.png").read_bytes()[16:24])
        assert (width, height < 1200) == (1200, True)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 300


def test_a_small_group_does_not_set_the_scale_of_bars() -> None:
    groups = pd.DataFrame({"digits": [1, 2, 3], "value": [0, 0.002, 0.001], "low": 0.0, "high": [0.56, 0.012, 0.003]})
    assert render.bars_end(groups) is None  # nothing is known of the groups' sizes
    assert render.bars_end(groups.assign(count=[3, 451, 4546])) == pytest.approx(1.05 * 0.012)
    assert render.bars_end(groups.assign(count=[20, 451, 4546])) is None
    assert render.bars_end(groups.assign(count=3)) is None  # all are small
    assert render.bars_end(groups.assign(count=[451, 3, 4546])) is None  # the small one fits


@pytest.mark.parametrize("label", ["", "forecast − truth"])
def test_notes_stay_clear_of_labels_and_counts_are_written(label: str) -> None:
    frame = pd.DataFrame({"class": ["a", "b"], "value": [0.1, 0.9], "low": 0.0, "high": 1.0, "count": [1234, 50]})
    for figure in (Figure("b", "bars", "B", frame, "class", "class", label),
                   Figure("h", "histogram", "H", FRAMES["histogram"], "residual", label)):  # fmt: skip
        with canvases.own_style():
            canvas = render._DRAW[figure.kind](figure)
            canvas.draw_without_rendering()
            (axes,) = canvas.axes
            (note,) = [
                text for text in axes.texts if text.get_color() == canvases.MUTED and "n = " not in text.get_text()
            ]
            others = [axes.xaxis.label, *axes.get_xticklabels()]
            assert not any(
                note.get_window_extent().overlaps(text.get_window_extent()) for text in others if text.get_text()
            )
            if figure.kind == "bars":
                assert {"n = 1,234", "n = 50"} <= {text.get_text() for text in axes.texts}


def test_what_was_given_looks_different_from_what_was_sampled() -> None:
    line, long = "a line that was given\n", "word " * 40
    frame = pd.DataFrame({"heading": ["h"], "given": [line], "text": [f"{long}\nend"]})
    figure = Figure("v", "text", "Verse", frame)
    with canvases.own_style():
        canvas = text_plots.text(figure)
    given, sampled = canvas.axes[0].texts
    assert (given.get_text(), given.get_style(), given.get_color()) == (line.strip(), "italic", canvases.MUTED)
    assert (sampled.get_style(), sampled.get_color()) == ("normal", canvases.INK)
    assert sampled.get_text().split() == [*long.split(), "end"]  # wrapped, nothing is lost
    assert sampled.get_text().startswith("\n")  # below the line that was given
    short = text_plots.text(replace(figure, frame=frame.assign(text="end")))
    assert short.get_size_inches()[1] < canvas.get_size_inches()[1]


@pytest.mark.parametrize("name", ["guess", "forecast"])
def test_forecasts_are_drawn_like_guesses(name: str) -> None:
    frame = FRAMES["lines"].rename(columns={"guess": name})
    with canvases.own_style():
        (axes,) = render._lines(Figure("l", "lines", "L", frame, "time")).axes
        scatter = render._scatter(Figure("s", "scatter", "S", frame[["truth", name]], "truth"))
    assert {line.get_label(): line.get_linestyle() for line in axes.lines}[name] == "-"
    assert {line.get_label(): line.get_linestyle() for line in axes.lines}["persistence"] == "--"
    assert [line.get_label() for line in scatter.axes[0].lines] == ["forecast = truth"]


def drawn(canvas: Canvas) -> np.ndarray:
    """Red, green and blue of every pixel."""
    canvas.draw_without_rendering()
    agg = canvas.canvas
    assert isinstance(agg, FigureCanvasAgg)
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3].astype(int)


def middle(canvas: Canvas, box: BboxBase) -> tuple[int, int]:
    """Row and column of the pixel in the middle of a box."""
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return int(canvas.bbox.height - y), int(x)


def test_a_band_looks_as_its_mark_in_the_legend_which_says_what_was_measured() -> None:
    wide = FRAMES["bands"][["time"]].assign(truth=9.0, forecast=9.0)
    for level, half in ((50, 1), (80, 2), (95, 3)):
        wide = wide.assign(**{f"low_{level}": -float(half), f"high_{level}": float(half)})
    said = {"50": "50 % (measured 51.0 %)", "80": "80 % (measured 82.7 %)", "95": "95 % (measured 96.1 %)"}
    with canvases.own_style():
        canvas = series_plots.bands(Figure("b", "bands", "B", wide, "time", legend=said, note="on 20 windows"))
        pixels = drawn(canvas)
    (axes,), (legend,) = canvas.axes, canvas.legends
    marks = dict(zip([text.get_text() for text in legend.get_texts()], legend.legend_handles, strict=True))
    assert set(said.values()) <= set(marks)
    shades = []
    for level, height in ((50, 0.3), (80, 1.6), (95, 2.6)):
        column, row = axes.transData.transform((float(mdates.date2num(HOURS[10])) + 0.01, height))
        mark = marks[said[str(level)]]
        assert mark is not None
        inside = pixels[int(canvas.bbox.height - row), int(column)]
        assert inside.tolist() == pixels[middle(canvas, mark.get_window_extent())].tolist(), level
        shades.append(int(inside.sum()))
    assert shades == sorted(shades)  # the narrowest is the darkest
    assert len(set(shades)) == 3
    assert [text.get_text() for text in axes.texts] == ["on 20 windows"]


def test_stems_stand_on_zero_between_bounds_on_both_sides() -> None:
    frame = FRAMES["stems"]
    with canvases.own_style():
        canvas = series_plots.stems(Figure("s", "stems", "S", frame, "lag", "steps back"))
    assert [axes.get_ylabel() for axes in canvas.axes] == ["autocorrelation", "partial"]
    for axes, name in zip(canvas.axes, ("autocorrelation", "partial"), strict=True):
        levels = [np.asarray(line.get_ydata()).tolist() for line in axes.lines]
        assert levels == [[0, 0], [-0.2, -0.2], [0.2, 0.2]]
        (stems,) = [each for each in axes.collections if isinstance(each, LineCollection)]
        ends = np.array([segment[:, 1] for segment in stems.get_segments()])
        np.testing.assert_allclose(ends, np.stack([np.zeros(48), frame[name]], axis=1))
        grey = np.array([to_hex(colour).upper() == canvases.MUTED for colour in stems.get_colors()])
        np.testing.assert_array_equal(grey, frame[name].abs() <= 0.2)
