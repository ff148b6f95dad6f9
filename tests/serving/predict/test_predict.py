"""``unroll predict``: a file like the task's own, without what is asked for, is answered as the network answers."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import trained_project
from pandas.testing import assert_frame_equal

from serving.predict import made
from unroll.core import store
from unroll.core.errors import ConfigError, DataError
from unroll.model.predictor import Predictor
from unroll.problems.common.base import Prepared
from unroll.problems.language_model import verse
from unroll.serving import predict
from unroll.serving.predict import series_parts
from unroll.stages.common.task import Task

Make = Callable[[str], Task]


@pytest.fixture(scope="module")
def task_of(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A task on the files of a case, made once."""
    known: dict[str, Task] = {}

    def find(case: str) -> Task:
        if case not in known:
            known[case] = made.make(tmp_path_factory.mktemp(case) / "project", case)
        return known[case]

    return find


@pytest.fixture
def builtin(tmp_path: Path) -> Task:
    shutil.copy(made.ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    return trained_project.make(tmp_path)


def asked(task: Task, source: Path, **options: Any) -> pd.DataFrame:
    """What the command writes to standard output, as CSV."""
    out = io.StringIO()
    if "output" not in options:
        options = {"format": "csv", **options}
    predict.main(task.layout.root, predict.Request(task.name, str(source), **options), out)
    if not out.getvalue():
        return pd.DataFrame()
    return pd.read_csv(io.StringIO(out.getvalue()))


def same(answer: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal but for what nine digits of text cannot hold."""
    for name in expected:
        if isinstance(expected[name].dtype, pd.DatetimeTZDtype):
            answer = answer.assign(**{name: pd.to_datetime(answer[name], utc=True)})
        elif expected[name].dtype == "str":
            answer = answer.assign(**{name: answer[name].fillna("").astype("str")})  # an answer may be empty
    assert_frame_equal(answer, expected, check_dtype=False, rtol=1e-6)


def lines(path: Path, encoding: str = "utf-8") -> list[str]:
    return path.read_text(encoding=encoding).splitlines()


def test_the_last_rows_of_a_series_are_forecast(task_of: Make, tmp_path: Path) -> None:
    task = task_of("pollution")
    rows = lines(task.layout.root / "pollution.csv")
    (tmp_path / "last.csv").write_text("\n".join([rows[0], *rows[-40:]]) + "\n")
    expected = made.own_answer(task, made.table(task).tail(40))
    assert len(expected) == 3 * 17
    same(asked(task, tmp_path / "last.csv"), expected)


def test_rows_out_of_order_are_put_into_it_where_the_task_says_so(
    task_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are in order are not held for that."""
    task = made.make(tmp_path / "project", "pollution")
    head, *rows = lines(task.layout.root / "pollution.csv")
    for name, own in (("ordered", rows[-40:]), ("other", rows[:-41:-1])):
        (tmp_path / f"{name}.csv").write_text("\n".join([head, *own]) + "\n")
    with pytest.raises(DataError, match=r"^other\.csv row 3: time runs backwards"):
        asked(task, tmp_path / "other.csv")
    manifest: Any = store.read_json(task.layout.raw / "manifest.json")
    manifest["found"]["block"]["sort"] = True
    store.write_json(task.layout.raw / "manifest.json", manifest)
    whole = asked(task, tmp_path / "other.csv")
    same(whole, made.own_answer(task, made.table(task).tail(40)))
    monkeypatch.setattr(series_parts, "MAX_HELD_BYTES", 100)
    assert_frame_equal(asked(task, tmp_path / "ordered.csv"), whole)
    with pytest.raises(DataError, match=r"^other\.csv: its rows are to be put into the order of time and hold more"):
        asked(task, tmp_path / "other.csv")


def test_columns_that_the_model_does_not_know_may_be_away(task_of: Make, tmp_path: Path) -> None:
    task = task_of("sensors")
    rows = [line.split(";") for line in lines(task.layout.root / "sensors.csv")]
    (tmp_path / "last.csv").write_text("\n".join(";".join(row[:3] + row[4:]) for row in [rows[0], *rows[-30:]]) + "\n")
    same(asked(task, tmp_path / "last.csv"), made.own_answer(task, made.table(task).tail(30)))


def test_stations_come_together(task_of: Make, tmp_path: Path) -> None:
    task = task_of("stations")
    frame = pd.read_csv(task.layout.root / "stations.csv")
    frame.groupby("site").tail(26).to_json(tmp_path / "last.jsonl", orient="records", lines=True)
    same(asked(task, tmp_path / "last.jsonl"), made.own_answer(task, made.table(task).groupby("site").tail(26)))


@pytest.mark.parametrize("labelled", [True, False])
def test_series_are_told_with_or_without_a_label_beside_them(task_of: Make, tmp_path: Path, labelled: bool) -> None:
    task = task_of("humps")
    rows = lines(task.layout.root / "Humps_TEST.csv")
    (tmp_path / "some.csv").write_text("\n".join(row if labelled else row.partition(",")[2] for row in rows) + "\n")
    table = made.table(task)
    same(asked(task, tmp_path / "some.csv"), made.own_answer(task, table[table["split"] == "test"]))


@pytest.mark.parametrize("labelled", [True, False])
def test_series_of_several_lengths_in_ts(task_of: Make, tmp_path: Path, labelled: bool) -> None:
    task = task_of("uneven")
    rows = lines(task.layout.root / "Uneven_TEST.ts")
    if not labelled:
        rows = [row.rpartition(":")[0] or row.replace("true -1 1", "false") for row in rows]
    (tmp_path / "some.ts").write_text("\n".join(rows) + "\n")
    table = made.table(task)
    same(asked(task, tmp_path / "some.ts"), made.own_answer(task, table[table["split"] == "test"]))


def test_named_columns_of_a_series_may_stand_in_another_order(task_of: Make, tmp_path: Path) -> None:
    task = task_of("named_series")
    frame = pd.read_csv(task.layout.root / "named.csv").drop(columns="kind").head(20)
    frame[frame.columns[::-1]].to_parquet(tmp_path / "some.parquet")
    canonical = frame.set_axis([f"t{step:03d}" for step in range(30)], axis=1).astype("float32")
    same(asked(task, tmp_path / "some.parquet"), made.own_answer(task, canonical))


@pytest.mark.parametrize(("encoding", "column"), [("latin-1", "tweet"), ("utf-8", "tweet"), ("utf-8", "text")])
def test_texts_need_no_label_nor_the_encoding_of_train(
    task_of: Make, tmp_path: Path, encoding: str, column: str
) -> None:
    task = task_of("tweets")
    texts = ["ça va, love", 'a "seat"\nlost', "gate"]
    frame = pd.DataFrame({column: texts})
    frame.to_csv(tmp_path / "new.csv", index=False, encoding=encoding)
    found = asked(task, tmp_path / "new.csv")
    same(found, made.own_answer(task, pd.DataFrame({"text": pd.array(texts, dtype="str")})))
    assert set(found["label"]) <= {"good", "bad"}


@pytest.mark.parametrize("name", ["new.txt", "new"])
def test_lines_of_text_are_answered_by_a_task_whose_texts_stand_in_tables(
    task_of: Make, tmp_path: Path, name: str
) -> None:
    task, texts = task_of("tweets"), ["love it, thanks", "late again", "gate"]
    (tmp_path / name).write_text("\n".join(texts) + "\n")
    same(asked(task, tmp_path / name), made.own_answer(task, pd.DataFrame({"text": pd.array(texts, dtype="str")})))


def test_lines_of_a_text_are_gone_on_from(task_of: Make, tmp_path: Path) -> None:
    task = task_of("prose")
    (tmp_path / "begin.txt").write_text("the late\n\nlost a\n")
    found = asked(task, tmp_path / "begin.txt")
    same(found, made.own_answer(task, pd.DataFrame({"text": pd.array(["the late", "lost a"], dtype="str")})))


def test_options_of_a_request_stand_in_columns(task_of: Make, tmp_path: Path) -> None:
    task = task_of("prose")
    rows = [{"text": "the late", "length": 5, "seed": seed} for seed in (1, 2)]
    (tmp_path / "begin.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert asked(task, tmp_path / "begin.jsonl")["continuation"].str.len().tolist() == [5, 5]


def test_an_option_may_be_told_for_some_rows(task_of: Make, tmp_path: Path) -> None:
    (tmp_path / "begin.jsonl").write_text('{"text": "the late"}\n{"text": "the late", "length": 5}\n')
    (tmp_path / "begin.csv").write_text("text,length\nthe late,\nthe late,5\n")
    for name in ("begin.jsonl", "begin.csv"):
        found = asked(task_of("prose"), tmp_path / name)["continuation"].str.len().tolist()
        assert found == [verse.DEFAULTS["length"], 5]
    (tmp_path / "sums.jsonl").write_text('{"source": "12+7"}\n{"source": "12+7", "temperature": 2.0, "seed": 3}\n')
    (tmp_path / "told.csv").write_text("source,temperature,seed\n12+7,0,0\n12+7,2,3\n")
    task = task_of("sums")
    assert_frame_equal(asked(task, tmp_path / "sums.jsonl"), asked(task, tmp_path / "told.csv"))


def test_sources_are_answered(task_of: Make, tmp_path: Path) -> None:
    task = task_of("sums")
    (tmp_path / "sums.csv").write_text("source\n12+7\n3+4\n")
    same(asked(task, tmp_path / "sums.csv"), made.own_answer(task, pd.DataFrame({"source": ["12+7", "3+4"]})))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_answers_are_written_by_the_ending_of_their_file(task_of: Make, tmp_path: Path, ending: str) -> None:
    task = task_of("pollution")
    rows = lines(task.layout.root / "pollution.csv")
    (tmp_path / "last.csv").write_text("\n".join([rows[0], *rows[-26:]]) + "\n")
    asked(task, tmp_path / "last.csv", output=tmp_path / f"out.{ending}")
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        "csv": pd.read_csv,
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }
    same(readers[ending](tmp_path / f"out.{ending}"), made.own_answer(task, made.table(task).tail(26)))


@pytest.mark.parametrize(
    ("case", "name", "text", "told"),
    [
        ("pollution", "x.csv", "year,month,day,hour,TEMP,cbwd\n2014,1,1,1,2,NW\n", r"x\.csv: no column 'pm2\.5'"),
        ("pollution", "x.csv", "year,month,day,hour,pm2.5,TEMP,cbwd\n2014,1,1,1,2,warm,NW\n",
         r"x\.csv row 2, TEMP 'warm': not a number; expected one \(mend the row or leave it out: every row is"),
        ("pollution", "x.csv", "year,month,day,hour,pm2.5,TEMP,cbwd\n2014,1,40,1,2,3,NW\n",
         r"x\.csv row 2, year\+month\+day\+hour '2014 1 40 1': not a time; expected %Y %m %d %H"),
        ("pollution", "x.csv", "year,month,day,hour,pm2.5,TEMP,cbwd\n2014,1,4,1,2,3,NW\n",
         r"x\.csv: the longest stretch without a gap or a missing value has 1 rows; expected 24"),
        ("humps", "x.csv", ("1," * 79) + "b\n", r"x\.csv row 1, column_80 'b': not a number"),
        ("humps", "x.csv", ("1," * 99) + "1\n", r"x\.csv: series of 99 values; expected at most 80"),
        ("humps", "x.csv", ("1," * 78) + "1\n", r"x\.csv: column 't079' is missing"),
        ("named_series", "x.csv", ",".join(f"v{n}" for n in range(29)) + "\n" + "1," * 28 + "1\n",
         r"x\.csv: no column 'v29'; did you mean"),
        ("tweets", "x.csv", 'tweet,id\n"two\nlines",1\n,2\n',
         r"x\.csv row 4, tweet '': empty text \(mend the row or leave it out"),
        ("tweets", "x.csv", "words,id\nhello there,1\n", r"x\.csv: no column 'tweet'"),
        ("prose", "x.txt", "\n\n", r"x\.txt: no row in it"),
        ("prose", "x.csv", "text,length\nthe,few\n", r"x\.csv row 2, column length: 'few'; expected a number"),
        ("prose", "x.csv", "text,length\nthe,2.5\n", r"x\.csv row 2, column length: 2\.5; expected a whole number"),
        ("sums", "x.csv", "source\n1+1\n1-1\n", r"x\.csv row 3, column source: '1-1': character '-' is unknown"),
    ],
)  # fmt: skip
def test_a_faulty_input_is_told_by_its_own_rows_and_columns(
    task_of: Make, tmp_path: Path, case: str, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text)
    output = tmp_path / "out.csv"
    output.write_text("before")
    with pytest.raises(DataError, match=told) as error:
        asked(task_of(case), tmp_path / name, output=output)
    assert "\n" not in str(error.value)
    assert output.read_text() == "before"


def test_a_missing_value_within_a_series_is_told_by_the_files_own_column(task_of: Make, tmp_path: Path) -> None:
    rows = [",".join(f"v{n}" for n in range(30)), ",".join("" if n == 4 else "1" for n in range(30))]
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"x\.csv row 2, column v4: nan; expected a finite number"):
        asked(task_of("named_series"), tmp_path / "x.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_built_in_task_takes_the_columns_of_its_example(builtin: Task, tmp_path: Path, ending: str) -> None:
    example = Predictor.load(builtin.layout.model).example(Prepared.load(builtin.layout.prepared))
    path = tmp_path / f"example.{ending}"
    match ending:
        case "csv":
            example.to_csv(path, index=False)
        case "jsonl":
            example.to_json(path, orient="records", lines=True, date_format="iso")
        case _:
            example.to_parquet(path)
    same(asked(builtin, path), made.own_answer(builtin, example))


def test_a_faulty_input_of_a_built_in_task_is_told_by_the_files_own_rows(builtin: Task, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "time,site,pm10_ug_m3,no_ug_m3\n2015-01-01T00:00,north,1,2\n2015-01-01T01:00,north,x,2\n"
    )
    with pytest.raises(DataError, match=r"x\.csv row 3, column pm10_ug_m3: 'x'; expected a number"):
        asked(builtin, tmp_path / "x.csv")


def test_a_file_that_is_not_there_is_told(builtin: Task, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: missing; expected a file of raw input"):
        asked(builtin, tmp_path / "none.csv")


def test_an_unknown_ending_is_told_before_anything_is_read(builtin: Task, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--output: 'a\.xlsx' is not allowed; expected a name that ends with \.csv"):
        asked(builtin, tmp_path / "none.csv", output=tmp_path / "a.xlsx")


def test_another_folder_may_have_the_model(task_of: Make, tmp_path: Path) -> None:
    task = task_of("sums")
    shutil.copytree(task.layout.model, tmp_path / "copy")
    (tmp_path / "sums.csv").write_text("source\n12+7\n")
    assert asked(task, tmp_path / "sums.csv", model=str(tmp_path / "copy")).equals(asked(task, tmp_path / "sums.csv"))
    with pytest.raises(ConfigError, match=r"nowhere': no such folder; expected champion, challenger, a version"):
        asked(task, tmp_path / "sums.csv", model=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="a model of problem 'sequence_to_sequence'; expected one of 'forecasting'"):
        asked(task_of("pollution"), tmp_path / "sums.csv", model=str(tmp_path / "copy"))


def test_without_a_manifest_the_tasks_files_are_looked_at_again(task_of: Make, tmp_path: Path) -> None:
    task = task_of("tweets")
    (tmp_path / "new.csv").write_text("tweet\nlove it\n")
    before = asked(task, tmp_path / "new.csv")
    manifest = task.layout.raw / "manifest.json"
    kept = store.read_json(manifest)
    manifest.unlink()
    try:
        assert asked(task, tmp_path / "new.csv").equals(before)
    finally:
        store.write_json(manifest, kept)


@pytest.mark.parametrize(("delimiter", "decimal"), [(",", "."), ("\t", ","), ("|", ".")])
def test_a_file_between_other_delimiters_is_read_as_it_is(
    task_of: Make, tmp_path: Path, delimiter: str, decimal: str
) -> None:
    task = task_of("sensors")
    frame = pd.read_csv(task.layout.root / "sensors.csv", sep=";", decimal=",", dtype={"Date": str, "Time": str})
    frame.tail(30).to_csv(tmp_path / "last.csv", sep=delimiter, decimal=decimal, index=False)
    same(asked(task, tmp_path / "last.csv"), made.own_answer(task, made.table(task).tail(30)))


def test_series_without_names_between_other_delimiters(task_of: Make, tmp_path: Path) -> None:
    task = task_of("humps")
    (tmp_path / "some.csv").write_text((task.layout.root / "Humps_TEST.csv").read_text().replace(",", ";"))
    table = made.table(task)
    same(asked(task, tmp_path / "some.csv"), made.own_answer(task, table[table["split"] == "test"]))


def test_the_delimiter_is_told_where_no_column_is_there_by_it(task_of: Make, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("Datum,CO\n10/03/2004,2.6\n11/03/2004,2.7\n")
    told = (
        r"^x\.csv: no column 'Date'; expected one of 'Datum,CO'; cells seem to end at ',', "
        r"those of the task's files at ';'$"
    )
    with pytest.raises(DataError, match=told):
        asked(task_of("sensors"), tmp_path / "x.csv")


def test_decimal_points_where_the_task_has_commas_are_told(task_of: Make, tmp_path: Path) -> None:
    rows = lines(task_of("sensors").layout.root / "sensors.csv")
    (tmp_path / "x.csv").write_text("\n".join([rows[0], *(row.replace(",", ".") for row in rows[-30:])]) + "\n")
    with pytest.raises(DataError, match=r"^x\.csv row 2, CO\(GT\) '[\d.]+': a decimal point; expected a decimal comma"):
        asked(task_of("sensors"), tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("zone", "end"), [("", ""), ("Z", "Z"), ("+00:00", "Z")], ids=["no zone", "by a letter", "by an offset"]
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_times_of_a_forecast_name_a_zone_where_those_of_the_file_do(
    task_of: Make, tmp_path: Path, zone: str, end: str, kind: str
) -> None:
    task = task_of("stations")
    frame = pd.read_csv(task.layout.root / "stations.csv").groupby("site").tail(26)
    time = pd.to_datetime(frame["time"], utc=True)
    frame.assign(time=time.dt.strftime("%Y-%m-%dT%H:%M:%S") + zone).to_csv(tmp_path / "last.csv", index=False)
    asked(task, tmp_path / "last.csv", output=tmp_path / f"out.{kind}")
    path = tmp_path / f"out.{kind}"
    read = pd.read_csv(path) if kind == "csv" else pd.DataFrame(map(json.loads, lines(path)))
    assert set(read["time"].str[19:]) == {end}
    expected = made.own_answer(task, made.table(task).groupby("site").tail(26))
    assert (pd.to_datetime(read["time"], utc=True) == expected["time"]).all()
