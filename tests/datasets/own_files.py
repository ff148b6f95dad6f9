"""Generated files of every format, of each canonical table, and tasks on them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from problems import tables

from unroll.core import store
from unroll.core.layout import Layout
from unroll.datasets.files import DATASET, FilesConfig
from unroll.problems.common.base import Prepared
from unroll.stages.ingest import ingest as ingestion
from unroll.stages.validate import validate as validation


def csv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False)


def semicolons(path: Path, frame: pd.DataFrame) -> None:
    """As German tools write: semicolons, decimal commas."""
    frame.to_csv(path, index=False, sep=";", decimal=",")


def packed(path: Path, frame: pd.DataFrame) -> None:
    path.write_bytes(gzip.compress(frame.to_csv(index=False).encode(), mtime=0))


def tabs(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False, sep="\t")


def parquet(path: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet(path, index=False)


def jsonl(path: Path, frame: pd.DataFrame) -> None:
    frame.to_json(path, orient="records", lines=True, date_format="iso")


def npz(path: Path, frame: pd.DataFrame) -> None:
    """A column an array; times as NumPy's own, text as NumPy's text."""
    arrays: dict[str, np.ndarray] = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            arrays[str(name)] = column.dt.tz_convert(None).to_numpy().astype("datetime64[s]")
        elif column.dtype == "str":
            arrays[str(name)] = column.to_numpy(dtype=str)
        else:
            arrays[str(name)] = column.to_numpy()
    np.savez(path, allow_pickle=False, **arrays)


def ts(path: Path, frame: pd.DataFrame) -> None:
    """UCR's own form: headers, values between commas, the label after a colon."""
    steps = [name for name in frame if name.startswith("t0")]
    labels = " ".join(sorted(frame["label"].unique()))
    rows = [
        f"{','.join(str(v) for v in values if not np.isnan(v))}:{label}"
        for label, values in zip(frame["label"], frame[steps].to_numpy(), strict=True)
    ]
    head = ["# made for a test", "@problemName Shapes", "@univariate true", f"@classLabel true {labels}", "@data"]
    path.write_text("\n".join([*head, *rows]) + "\n")


def arff(path: Path, frame: pd.DataFrame) -> None:
    steps = [name for name in frame if name.startswith("t0")]
    labels = ",".join(sorted(frame["label"].unique()))
    head = ["@relation Shapes", *(f"@attribute att{n} numeric" for n in range(len(steps)))]
    head += [f"@attribute target {{{labels}}}", "@data"]
    rows = [",".join([*map(str, v), la]) for la, v in zip(frame["label"], frame[steps].to_numpy(), strict=True)]
    path.write_text("\n".join([*head, *rows]) + "\n")


def ucr(path: Path, frame: pd.DataFrame) -> None:
    """Without a header: the label, then the values."""
    frame.drop(columns="split", errors="ignore").to_csv(path, index=False, header=False)


def text(path: Path, frame: pd.DataFrame) -> None:
    path.write_text("".join(f"{line}\n" for line in frame["text"]))


def latin(path: Path, frame: pd.DataFrame) -> None:
    """Every cell in quotes, in an older encoding."""
    path.write_bytes(frame.to_csv(index=False, quoting=1).encode("latin-1"))


Writer = Callable[[Path, pd.DataFrame], None]
TABULAR: dict[str, Writer] = {
    "data.csv": csv,
    "data.tsv": tabs,
    "data.csv.gz": packed,
    "data.parquet": parquet,
    "data.jsonl": jsonl,
    "data.npz": npz,
    "data_semicolons.csv": semicolons,
}
TEXTUAL = {name: writer for name, writer in TABULAR.items() if name != "data_semicolons.csv"} | {"latin.csv": latin}
FORMATS: dict[str, dict[str, Writer]] = {
    "series": TABULAR,
    "labelled_series": {**TABULAR, "data.ts": ts, "data.arff": arff, "ucr.csv": ucr},
    "labelled_text": TEXTUAL,
    "text": {**TEXTUAL, "lines.txt": text},
    "pairs": TEXTUAL,
}
PROBLEMS = {
    "series": ("forecasting", "rise_or_fall"),
    "labelled_series": ("series_classification",),
    "labelled_text": ("text_classification",),
    "text": ("language_model",),
    "pairs": ("sequence_to_sequence",),
}
MADE: dict[str, Callable[[], pd.DataFrame]] = {
    "series": tables.series,
    "labelled_series": lambda: tables.labelled_series().drop(columns="split"),
    "labelled_text": tables.labelled_text,
    "text": tables.text,
    "pairs": tables.pairs,
}


def config(**block: Any) -> FilesConfig:
    return FilesConfig.model_validate({"dataset": "files", **block})


def ingest(root: Path, block: FilesConfig, task: str = "own") -> Layout:
    """What the stage ingest does."""
    layout = Layout(root, task)
    with store.atomic_folder(layout.raw) as folder:
        ingestion.fetch(DATASET, block, "sample", folder, root, task)
        ingestion.read(DATASET, block, "sample", folder, root, task)
    return layout


def found(layout: Layout) -> dict[str, Any]:
    """What ingest found."""
    manifest: dict[str, Any] = json.loads((layout.raw / "manifest.json").read_text())
    return dict(manifest["found"])


def validate(layout: Layout, block: FilesConfig) -> pd.DataFrame:
    """What the stage validate lets through."""
    validation.validate(DATASET, block, layout)
    return store.read_table(layout.validated / "table.parquet")


def prepare(layout: Layout, case: str, **changed: Any) -> Prepared:
    """What the stage prepare does."""
    problem, prepare_config, _ = tables.CASES[case].open(**changed)
    path = layout.validated / "table.parquet"
    table = store.read_table(
        path, problem.preparation.columns(prepare_config), problem.preparation.coded(prepare_config)
    )
    with store.atomic_folder(layout.prepared) as folder:
        store.write_json(folder / "meta.json", problem.preparation.prepare(table, prepare_config, folder))
        validation.validate_prepared(problem.preparation.check(Prepared.load(folder), prepare_config), layout)
    return Prepared.load(layout.prepared)
