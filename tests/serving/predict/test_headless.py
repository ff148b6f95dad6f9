"""``unroll predict`` for tables without a header, and for packed ones that unpack to very much."""

import gzip
import io
from pathlib import Path

import pandas as pd
import pytest
from workbench.new import files

from serving.predict import made
from unroll.core.errors import DataError
from unroll.datasets.files.reading import source
from unroll.serving import predict
from unroll.stages.common.task import Task
from unroll.workbench.new import Request

TEXTS = ["love it, thanks", "late again", "gate"]


def posts(folder: Path, given: dict[str, int] | None = None) -> Request:
    """The label first, the text last, numbers between them; no header."""
    words = ("love thanks great", "late lost rude")
    rows = [f'"{4 * (n % 2)}",{n},"{words[1 - n % 2]} {n % 13}, word{n % 17}"' for n in range(300)]
    (folder / "posts.csv").write_text("\n".join(rows) + "\n")
    return Request("text_classification", ("posts.csv",), label="1", text="3", given=given or {})


def task(folder: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, int] | None = None) -> Task:
    monkeypatch.setitem(files.CASES, "posts", lambda root: posts(root, given))
    return made.make(folder / "project", "posts")


def labels(task: Task, path: Path) -> list[str]:
    out = io.StringIO()
    predict.main(task.layout.root, predict.Request(task.name, str(path), format="csv"), out)
    return pd.read_csv(io.StringIO(out.getvalue()), dtype="str")["label"].tolist()


def test_the_labels_may_be_away_where_the_texts_stand_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = task(tmp_path, monkeypatch)
    expected = made.own_answer(mine, pd.DataFrame({"text": pd.array(TEXTS, dtype="str")}))["label"].tolist()
    for name, head in (("whole.csv", "0,7,"), ("without.csv", "7,")):
        (tmp_path / name).write_text("".join(f'{head}"{text}"\n' for text in TEXTS))
        assert labels(mine, tmp_path / name) == expected
    (tmp_path / "alone.csv").write_text("".join(f'"{text}"\n' for text in TEXTS))  # what else lacks is unknown
    with pytest.raises(DataError, match=r"^alone\.csv: no column 'column_3'"):
        labels(mine, tmp_path / "alone.csv")


def test_an_input_that_unpacks_to_very_much_is_told_unless_the_block_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.csv.gz"
    path.write_bytes(gzip.compress(f'0,7,"late again {"x" * 900}"\n'.encode() * 20_000))
    monkeypatch.setattr(source, "RATIO_FROM", 1 << 20)
    with pytest.raises(
        DataError, match=r"^new\.csv\.gz: .* expected at most 150 times as much: .* unpack it, or say in"
    ):
        labels(task(tmp_path, monkeypatch), path)
    (tmp_path / "second").mkdir()
    assert len(labels(task(tmp_path / "second", monkeypatch, {"data.max_bytes": 1 << 25}), path)) == 20_000
