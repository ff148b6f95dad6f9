"""A long input is answered part by part: the same answers as at once, in memory that does not grow with it."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from problems import tables
from projects import ROOT, write_yaml

from unroll.core import store
from unroll.core.errors import ConfigError, DataError
from unroll.core.layout import Layout
from unroll.model.predictor import Predictor
from unroll.problems.common.capabilities import NoWindowError, SeriesParts
from unroll.serving import predict
from unroll.serving.predict import output_file, raw_input, series_parts
from unroll.serving.predict.input_file import Input, opened, share
from unroll.serving.predict.raw_input import Rows


def model(root: Path, name: str, problem: str, **changed: Any) -> Predictor:
    """An untrained network of a small task, in its place in the project."""
    layout, case = Layout(root, name), tables.CASES[problem]
    opened, _, config = case.open(**changed)
    meta = case.run(layout.prepared, **changed).meta
    torch.manual_seed(1)
    store.write_tensors(layout.model / "weights.safetensors", opened.learning.model(config, meta).state_dict())
    store.write_json(layout.model / "config.json", {"problem": problem, "model": case.model, "meta": meta})
    return Predictor.load(layout.model)


def project(root: Path, tasks: Mapping[str, tuple[str, str]]) -> None:
    """Tasks by name, each with its dataset and problem."""
    (root / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    blocks = {name: {"data": {"dataset": dataset, "seed": 1, "max_rejected_share": 0.01, **MORE[dataset]},
                     "prepare": {"problem": problem}} for name, (dataset, problem) in tasks.items()}  # fmt: skip
    write_yaml(root / "params.yaml", {"source": "sample", "tasks": blocks})


MORE: dict[str, dict[str, Any]] = {
    "tweets": {"sample_rows": 400},
    "addition": {"digits": 2, "count": 200, "reverse": False},
    "air_quality": {"sample_hours": 1000},
}


def parts(frame: pd.DataFrame, rows: int) -> Iterator[Rows]:
    """The rows of a file, so many at a time; the first stands in row 2, after the header."""
    for low in range(0, len(frame), rows):
        piece = frame.iloc[low : low + rows].reset_index(drop=True)
        yield Rows("x.csv", piece, np.arange(low + 2, low + 2 + len(piece)))


def series(predictor: Predictor) -> SeriesParts:
    capability: SeriesParts | None = predictor.trained.problem.series_parts
    assert capability
    return capability


def answered(predictor: Predictor, frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    return pd.concat(list(series_parts.answers(parts(frame, rows), predictor, series(predictor))), ignore_index=True)


WAYS: list[dict[str, Any]] = [
    {},
    {"missing": "mask"},
    {"missing": "interpolate", "interpolate_steps": 2},
    {"horizon": (1, 3)},
]


@pytest.fixture(scope="module", params=range(len(WAYS)), ids=["drop", "mask", "interpolate", "horizons"])
def forecaster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return model(tmp_path_factory.mktemp("forecaster"), "air", "forecasting", **WAYS[request.param])


def holed() -> pd.DataFrame:
    """130 hours of two sites, hour by hour, with missing values, missing hours, and rows that only one site has."""
    frame = tables.series(130).sort_values(["time", "site"], ignore_index=True)
    rng = np.random.default_rng(3)
    frame.loc[rng.choice(len(frame), 16, replace=False), "a_ug_m3"] = np.nan
    return frame.drop(index=[40, 41, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 120, 161, 200, 201]).reset_index(drop=True)


@pytest.mark.parametrize("rows", [1, 3, 17, 64, 1000])
def test_windows_across_borders_are_those_of_the_whole(forecaster: Predictor, rows: int) -> None:
    frame = holed()
    whole = forecaster.predict(frame)
    assert len(whole) > 30
    assert_frame_equal(answered(forecaster, frame, rows), whole, rtol=1e-5)


def test_rise_or_fall_across_borders(tmp_path: Path) -> None:
    predictor, frame = model(tmp_path, "air", "rise_or_fall"), holed()
    assert_frame_equal(answered(predictor, frame, 10), predictor.predict(frame), rtol=1e-5)


def test_rows_in_any_other_order_are_held_and_put_into_it(forecaster: Predictor) -> None:
    frame = holed()
    whole, by_site = forecaster.predict(frame), frame.sort_values(["site", "time"], ignore_index=True)
    with pytest.raises(series_parts.UnorderedError):
        answered(forecaster, by_site, 20)
    for other in (by_site, frame.sample(frac=1, random_state=0, ignore_index=True)):
        found = list(
            series_parts.answers(
                series_parts.in_order(parts(other, 20), series(forecaster)), forecaster, series(forecaster)
            )
        )
        assert_frame_equal(pd.concat(found, ignore_index=True), whole, rtol=1e-5)
    assert_frame_equal(answered(forecaster, by_site, 1000), whole, rtol=1e-5)


def test_rows_out_of_order_are_bounded(forecaster: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_parts, "MAX_HELD_BYTES", 1000)
    with pytest.raises(
        DataError, match=r"^x\.csv: its rows are to be put into the order of time and hold more than 1,000 bytes"
    ):
        list(series_parts.in_order(parts(holed(), 20), series(forecaster)))


def test_a_series_without_a_window_tells_its_longest_stretch(forecaster: Predictor) -> None:
    frame = tables.series(130).sort_values(["time", "site"], ignore_index=True)
    hours = frame["time"].dt.hour
    frame = frame[(hours % 12 < 4) & ((hours < 12) | (hours % 12 < 3))]
    frame = frame.dropna().reset_index(drop=True)
    with pytest.raises(NoWindowError) as whole:
        Rows("x.csv", frame).answered(forecaster.predict)
    with pytest.raises(NoWindowError) as told:
        answered(forecaster, frame, 5)
    assert told.value.longest == whole.value.longest == 4
    assert str(whole.value).startswith(str(told.value).removesuffix(", the last one whole"))
    assert "has 4 rows; expected 6 rows" in str(told.value)


def test_a_fault_is_told_by_its_row_in_whichever_part_it_stands(forecaster: Predictor) -> None:
    frame = holed().astype({"b_ug_m3": object})
    frame.loc[150, "b_ug_m3"] = "many"
    with pytest.raises(DataError, match=r"^x\.csv row 152, column b_ug_m3: 'many'; expected a number$"):
        answered(forecaster, frame, 20)
    frame = holed().assign(time=lambda frame: frame["time"].astype(str))
    frame.loc[150, "time"] = "soon"
    with pytest.raises(DataError, match=r"^x\.csv row 152, column time: 'soon'; expected a time"):
        answered(forecaster, frame, 20)
    with pytest.raises(
        DataError, match=r"^x\.csv: column 'time' is missing; expected it among site, a_ug_m3, b_ug_m3$"
    ):
        answered(forecaster, holed().drop(columns="time"), 20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a task of texts, one of pairs and one of a series, with small networks."""
    root: Path = tmp_path_factory.mktemp("parts")
    kinds = {"moods": ("tweets", "text_classification"), "sums": ("addition", "sequence_to_sequence"),
             "air": ("air_quality", "forecasting")}  # fmt: skip
    project(root, kinds)
    for name, (_, problem) in kinds.items():
        model(root, name, problem, **({"lag": 24} if name == "air" else {}))
    return root


def told(root: Path, task: str, source: str, **options: Any) -> str:
    out = io.StringIO()
    predict.main(root, predict.Request(task, source, **options), out)
    return out.getvalue()


def texts(rows: int) -> pd.DataFrame:
    table = tables.labelled_text(rows)
    return table[["text"]]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "txt"])
def test_every_format_is_answered_in_parts_as_at_once(
    root: Path, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, path = texts(1100), tmp_path / f"texts.{ending}"
    match ending:
        case "csv":
            frame.to_csv(path, index=False)
        case "jsonl":
            frame.to_json(path, orient="records", lines=True)
        case "parquet":
            frame.to_parquet(path)
        case _:
            path.write_text("\n".join(frame["text"]) + "\n")
    expected = Predictor.load(Layout(root, "moods").model).predict(frame)
    for rows in (1 << 13, 300):
        monkeypatch.setattr(raw_input, "CHUNK", rows)
        for form in ("csv", "jsonl", "parquet"):
            output = tmp_path / f"out.{form}"
            assert told(root, "moods", str(path), output=output) == ""
            readers: Any = {
                "csv": pd.read_csv,
                "jsonl": lambda p: pd.read_json(p, lines=True),
                "parquet": pd.read_parquet,
            }
            found = readers[form](output)
            assert_frame_equal(found, expected, check_dtype=False, rtol=1e-5)
        assert told(root, "moods", str(path), output=tmp_path / "out.txt") == ""
        assert (tmp_path / "out.txt").read_text().splitlines() == expected["label"].tolist()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_standard_output_is_of_the_inputs_kind_where_that_is_json_lines_or_text(root: Path, tmp_path: Path) -> None:
    texts(3).to_json(tmp_path / "x.jsonl", orient="records", lines=True)
    texts(3).to_csv(tmp_path / "x.csv", index=False)
    rows = [json.loads(line) for line in told(root, "moods", str(tmp_path / "x.jsonl")).splitlines()]
    assert [set(row) for row in rows] == [{"label", "probability_negative", "probability_neutral",
                                           "probability_positive"}] * 3  # fmt: skip
    assert told(root, "moods", str(tmp_path / "x.csv")).startswith("label,probability_negative,")
    assert told(root, "moods", str(tmp_path / "x.csv"), format="jsonl") == told(
        root, "moods", str(tmp_path / "x.jsonl")
    )
    assert told(root, "moods", str(tmp_path / "x.jsonl"), format="csv") == told(root, "moods", str(tmp_path / "x.csv"))
    (tmp_path / "x.txt").write_text("\n".join(texts(3)["text"]) + "\n")
    assert told(root, "moods", str(tmp_path / "x.txt")).splitlines() == [row["label"] for row in rows]
    assert told(root, "moods", str(tmp_path / "x.txt"), format="csv") == told(root, "moods", str(tmp_path / "x.csv"))


def test_lines_of_text_are_for_answers_to_texts(root: Path, tmp_path: Path) -> None:
    tables.series(60).to_csv(tmp_path / "x.csv", index=False)
    for options in ({"format": "text"}, {"output": tmp_path / "out.txt"}):
        with pytest.raises(ConfigError, match=r"^--(output|format): .* is for answers to texts, one a line; expected"):
            told(root, "air", str(tmp_path / "x.csv"), **options)
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize(("kind", "read"), [("csv", pd.read_csv), ("jsonl", lambda p: pd.read_json(p, lines=True))])
def test_numbers_keep_nine_digits_however_small_they_are(tmp_path: Path, kind: Any, read: Any) -> None:
    values = np.array([1.23456789e-12, -9.87654321e-5, 0.1, 123456.789, 3e38, 0.0], dtype=np.float32)
    time = pd.date_range("2020-01-01", periods=6, freq="h", tz="UTC")
    answer = pd.DataFrame({"time": time, "horizon": range(6), "value": values, "double": values.astype("float64")})
    output_file.write(iter([answer]), kind, tmp_path / "out", io.StringIO())
    found = read(tmp_path / "out")
    np.testing.assert_array_equal(found["value"].astype("float32"), values)
    np.testing.assert_allclose(found["double"], answer["double"], rtol=1e-8)
    assert found["horizon"].tolist() == list(range(6))
    assert (pd.to_datetime(found["time"], utc=True) == time).all()
    assert "2020-01-01T01:00:00Z" in (tmp_path / "out").read_text()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_answer_that_is_no_finite_number_is_refused(
    root: Path, tmp_path: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and inputs are finite, and yet their product may not be; the server refuses such an answer, too."""
    predict = Predictor.predict

    def overflow(self: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
        answer = predict(self, frame)
        return answer.assign(**{answer.columns[1]: [0.5] * (len(answer) - 1) + [value]})

    texts(300).to_csv(tmp_path / "x.csv", index=False)
    monkeypatch.setattr(raw_input, "CHUNK", 200)
    told(root, "moods", str(tmp_path / "x.csv"), output=tmp_path / "out.csv")
    before = (tmp_path / "out.csv").read_bytes()
    monkeypatch.setattr(Predictor, "predict", overflow)
    with pytest.raises(DataError, match=r"^x\.csv: answer 200, column probability_\w+: -?(inf|nan); expected a finite"):
        told(root, "moods", str(tmp_path / "x.csv"), output=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == before


def test_line_breaks_within_an_answer_do_not_end_its_line(tmp_path: Path) -> None:
    answer = pd.DataFrame({"continuation": ["two\nlines\r\n", "a \\n as it stands", ""]})
    output_file.write(iter([answer[:2], answer[2:]]), "text", tmp_path / "out.txt", io.StringIO())
    assert (tmp_path / "out.txt").read_text() == "two\\nlines\\r\\n\na \\\\n as it stands\n\n"


def test_a_fault_in_a_later_part_leaves_everything_as_it_was(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_input, "CHUNK", 50)
    frame = texts(400)
    frame.loc[333, "text"] = ""
    frame.to_csv(tmp_path / "x.csv", index=False)
    output = tmp_path / "out.csv"
    output.write_text("before")
    out = io.StringIO()
    for where in (output, None):
        with pytest.raises(DataError, match=r"^x\.csv row 335, column text: ''; expected a text that is not empty$"):
            predict.main(root, predict.Request("moods", str(tmp_path / "x.csv"), output=where), out)
    assert (output.read_text(), out.getvalue()) == ("before", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "x.csv"]


def test_a_series_grouped_by_site_is_answered_all_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.series(100).to_csv(tmp_path / "x.csv", index=False)
    at_once = told(root, "air", str(tmp_path / "x.csv"))
    assert len(at_once.splitlines()) > 40
    monkeypatch.setattr(raw_input, "CHUNK", 30)
    monkeypatch.setattr(series_parts, "CHUNK", 30)
    in_parts = told(root, "air", str(tmp_path / "x.csv"))
    assert_frame_equal(pd.read_csv(io.StringIO(in_parts)), pd.read_csv(io.StringIO(at_once)), rtol=1e-5)


def unroll(root: Path, *arguments: str, given: bytes) -> "subprocess.CompletedProcess[bytes]":
    command, environment = [sys.executable, "-m", "unroll", *arguments], {**os.environ, "UNROLL_PROGRESS": "quiet"}
    return subprocess.run(
        command, cwd=root, env=environment, input=given, capture_output=True, check=False, timeout=300
    )  # fmt: skip


def test_standard_input_takes_a_line_of_text(root: Path) -> None:
    done = unroll(root, "predict", "moods", "-", given=b"I love the crew, thanks\n")
    assert done.returncode == 0, done.stderr
    frame = pd.DataFrame({"text": pd.array(["I love the crew, thanks"], dtype="str")})
    label = Predictor.load(Layout(root, "moods").model).predict(frame)["label"][0]
    assert done.stdout.decode() == f"{label}\n"
    assert done.stderr.decode() == f"unroll: moods: {root.resolve()}/models/moods; the registry has no champion\n"


@pytest.mark.parametrize("given", [b"12+7\n3+4\n", b"source\n12+7\n3+4\n", b'{"source": "12+7"}\n{"source": "3+4"}\n'])
def test_standard_input_takes_lines_tables_and_objects(root: Path, given: bytes) -> None:
    done = unroll(root, "predict", "sums", "-", "--format", "csv", given=given)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(io.BytesIO(done.stdout), dtype={"answer": "str"}, keep_default_na=False)
    sources = pd.DataFrame({"source": pd.array(["12+7", "3+4"], dtype="str")})
    expected = Predictor.load(Layout(root, "sums").model).predict(sources)
    assert found["answer"].tolist() == expected["answer"].tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "standard input: empty; expected raw input in it"),
        (b"12+7\n3-4\n", "standard input row 2, column source: '3-4': character '-' is unknown; expected only '"),
        (b"a,b\n1,2\n3,4\n", "input: column 'source' is missing; expected it among a, b"),
        (b"\xff\xfe\x00", "standard input"),
    ],
)
def test_a_faulty_standard_input_is_one_line(root: Path, given: bytes, message: str) -> None:
    done = unroll(root, "predict", "sums", "-", given=given)
    assert (done.returncode, done.stdout) == (1, b"")
    lines = [line for line in done.stderr.decode().splitlines() if "the registry has no champion" not in line]
    assert len(lines) == 1, lines
    assert message in lines[0]


def test_a_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unroll.serving.predict.input_file.MAX_BYTES", 100)
    with pytest.raises(DataError, match="standard input: more than 100 bytes"), opened("-", io.BytesIO(b"a" * 101)):
        pass
    with opened("-", io.BytesIO(b"a" * 100)) as found:
        path = found.path
        assert path.read_bytes() == b"a" * 100
    assert not path.exists()


def test_the_share_that_is_read_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNROLL_PROGRESS", "plain")
    monkeypatch.setattr("unroll.serving.predict.input_file.SHOWN_EVERY_S", 0.0)
    with share("predict moods", 200) as update:
        update(50, 1234)
        update(300, 2000)
    assert capsys.readouterr().err == (
        "predict moods: 25% of 200 bytes read · 1,234 answers\npredict moods: 100% of 200 bytes read · 2,000 answers\n"
    )
    frame = pd.concat([texts(1000)] * 300)
    frame.to_csv(tmp_path / "x.csv", index=False)
    source = Input(tmp_path / "x.csv", "x.csv")
    seen = [source.position for _ in raw_input.read(Predictor.load(Layout(root, "moods").model), source)]
    size = source.path.stat().st_size
    assert seen == sorted(seen)
    assert 0 < seen[0] < size / 2
    assert seen[-1] == size


PEAK = """
import io, re, sys
from pathlib import Path
from unroll.serving import predict
root, task, few, many = Path(sys.argv[1]), *sys.argv[2:]
for source in (few, many):  # the small one first: all that is imported and set up once
    predict.main(root, predict.Request(task, source, output=root / "out.csv"), io.StringIO())
    print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text()).group(1))
"""


def peaks(root: Path, task: str, few: Path, many: Path) -> list[float]:
    """The most memory a process took after each of two inputs, in MB."""
    command = [sys.executable, "-c", PEAK, str(root), task, str(few), str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) / 1024 for line in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("task", ["moods", "air"])
def test_memory_does_not_grow_with_the_input(root: Path, tmp_path: Path, task: str) -> None:
    """Files are read 4 MiB at a time, which the short one fills; at once, the long one would take 80 MB more."""
    few_rows = {"moods": 150_000, "air": 125_000}[task]
    for name, rows in (("few", few_rows), ("many", 3 * few_rows)):
        if task == "moods":
            pd.concat([texts(1000)] * (rows // 1000)).to_csv(tmp_path / f"{name}.csv", index=False)
        else:
            tables.series(rows // 2).sort_values(["time", "site"]).to_csv(tmp_path / f"{name}.csv", index=False)
        assert (tmp_path / f"{name}.csv").stat().st_size > 1 << 22
    few, many = peaks(root, task, tmp_path / "few.csv", tmp_path / "many.csv")
    assert many - few < 25, f"{few:.0f} MB for the short one, {many:.0f} MB for the long one"
    assert len(re.findall("\n", (root / "out.csv").read_text())) > few_rows
