"""Files of one's own, in every format: ingest, validate, prepare, a short training, an answer."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from problems import tables

from datasets import own_files as own
from unroll.core.config import TrainConfig
from unroll.stages.train import train

torch.set_num_threads(1)
EVERY = [(table, name) for table, formats in own.FORMATS.items() for name in formats]
CHANGED: dict[str, dict[str, Any]] = {
    "series_classification": {"split": "stratified", "test_share": 0.25},
}
"""Of the problems' small tasks, what is otherwise on files without a split of their own."""
TRAIN = TrainConfig(
    seed=1, threads=1, device="cpu", precision="float32", epochs=1, batch_size=32, optimizer="adam", learning_rate=0.01,
    momentum=0.9, weight_decay=0.0, schedule="constant", clip_norm=1.0, patience=None,
)  # fmt: skip


def written(root: Path, table: str, name: str) -> pd.DataFrame:
    frame = own.MADE[table]()
    own.FORMATS[table][name](root / name, frame)
    return frame


@pytest.mark.parametrize(("table", "name"), EVERY)
def test_every_format_is_read_with_a_path_alone_and_serves_every_problem_of_its_table(
    table: str, name: str, tmp_path: Path
) -> None:
    expected = written(tmp_path, table, name)
    block = own.config(table=table, path=name)
    layout = own.ingest(tmp_path, block)
    read = own.validate(layout, block)
    assert set(read.columns) == set(expected.columns)
    pd.testing.assert_frame_equal(read[list(expected.columns)], expected, check_dtype=True, rtol=1e-6)
    assert (layout.raw / "rejected.csv").read_text() == "file,row,column,value,reason,key\n"
    for problem in own.PROBLEMS[table]:
        prepared = own.prepare(layout, problem, **CHANGED.get(problem, {}))
        assert all(prepared.meta["examples"].values())


@pytest.mark.parametrize(("table", "name"), EVERY)
def test_every_format_gives_the_same_table_to_the_byte(table: str, name: str, tmp_path: Path) -> None:
    """The file's form leaves no trace: as a CSV does, so does any other."""
    written(tmp_path, table, name)
    written(tmp_path, table, "data.csv")
    tables_of = [own.ingest(tmp_path, own.config(table=table, path=path), path) for path in ("data.csv", name)]
    first, other = ((layout.raw / "table.parquet").read_bytes() for layout in tables_of)
    assert first == other


@pytest.mark.parametrize(("table", "problem"), [(t, p) for t, problems in own.PROBLEMS.items() for p in problems])
def test_a_task_on_a_file_trains_and_answers(table: str, problem: str, tmp_path: Path) -> None:
    written(tmp_path, table, "data.csv")
    block = own.config(table=table, path="data.csv")
    layout = own.ingest(tmp_path, block)
    own.validate(layout, block)
    prepared = own.prepare(layout, problem, **CHANGED.get(problem, {}))
    kind, _, model_config = tables.CASES[problem].open(**CHANGED.get(problem, {}))
    torch.manual_seed(1)
    model = kind.learning.model(model_config, prepared.meta)
    train.fit_network(model, kind, prepared, TRAIN, lambda *_: None)
    answer = kind.answering.predict(model.eval(), prepared.meta, kind.answering.example(prepared))
    assert len(answer)
    assert answer.notna().all(axis=None)
