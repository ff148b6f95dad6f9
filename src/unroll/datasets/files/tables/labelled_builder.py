"""Chunks of labelled rows to the canonical tables of labelled series and labelled texts. Shapes: N rows, K kept."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.datasets.common.base import Part
from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.columns.watch import Watch
from unroll.datasets.files.config import PARTS, FilesConfig
from unroll.datasets.files.tables.builder import TableReader
from unroll.datasets.files.tables.sifting import Sieve
from unroll.datasets.files.tables.tallies import USUAL_PARTS, Labels, Lengths, Splits

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.files.reading import Chunk


class LabelledReader(TableReader):
    """One block's files of labelled series, ``steps`` columns each, or of labelled texts."""

    def __init__(self, config: FilesConfig, marks: Marks, steps: int, watch: Watch | None = None) -> None:
        self.config, self.marks, self.steps, self.watch = config, marks, steps, watch
        self.labels = Labels(config, marks.words if config.missing is not None else frozenset())
        self.splits = Splits(config)
        self.lengths = Lengths()

    def columns(self) -> list[str]:
        """The columns of a file that are needed beside the steps of a series."""
        config = self.config
        columns = [config.label, config.text, self.splits.column, config.group]
        return [name for name in columns if name is not None]

    def parts(self, chunk: "Chunk", part: str, values: Sequence[str]) -> Iterator[Part]:
        """The rows of a chunk that can be used; ``values`` are its file's columns of steps, in order."""
        import pandas as pd

        sieve, frame = Sieve.of(chunk), chunk.frame
        label_N = self.labels.read(frame[self.config.label], sieve)
        columns: dict[str, Any] = {}
        if self.config.text is None:
            columns |= self._steps(frame, values, sieve)
            columns = {"label": label_N, **columns}
        else:
            columns = {"text": read_text(frame[self.config.text], self.config.text, sieve), "label": label_N}
        part_N = self.splits.read(frame, part, sieve)
        if part_N is not None:
            columns["split"] = part_N
        if self.config.group is not None:
            columns["group"] = read_text(frame[self.config.group], self.config.group, sieve, "group")
        kept = sieve.kept_N
        self.labels.count(label_N[kept], None if part_N is None else part_N[kept], sieve.file, sieve.rows_N[kept])
        if part_N is not None:
            self.splits.count(part_N[kept])
        table = {name: values_N[kept] for name, values_N in columns.items()}
        if self.steps:
            parts_K = np.full(int(kept.sum()), "") if part_N is None else part_N[kept]
            self.lengths.add(table, parts_K, sieve.file, sieve.rows_N[kept])
        words = {name for name in table if name in ("label", "text", "split", "group")}
        made = {name: pd.array(v, dtype="str") if name in words else v for name, v in table.items()}
        yield Part(pd.DataFrame(made), sieve.rejected)

    def findings(self) -> dict[str, Any]:
        """The labels with their numbers of rows; of series the shortest and the longest of each part."""
        steps = {"steps": self.steps, "lengths": self.lengths.findings()} if self.steps else {}
        return {**self.labels.findings(), **self.splits.findings(), **steps}

    def _steps(self, frame: "pd.DataFrame", values: Sequence[str], sieve: Sieve) -> dict[str, np.ndarray]:
        series, blank_N = {}, np.ones(len(frame), dtype=bool)
        for step in range(self.steps):
            if step >= len(values):
                series[f"t{step:03d}"] = np.full(len(frame), np.nan, dtype=np.float32)
                continue
            column = values[step]
            number_N, bad_N = parsing.numbers(frame[column], self.marks, f"{sieve.file}, column {column}")
            raw = frame[column]
            if self.watch is not None:
                self.watch.odd(raw, bad_N, sieve.file, sieve.rows_N)
            sieve.refuse(bad_N, column, raw, parsing.reason(self.marks, raw))
            series[f"t{step:03d}"] = number_N
            blank_N &= np.isnan(number_N)
        sieve.refuse(blank_N, "", np.full(len(frame), "no values", dtype=object), "empty series")
        return series


def read_text(column: "pd.Series[Any]", name: str, sieve: Sieve, what: str = "text") -> np.ndarray:
    """The texts (N,) as they stand; a row without one is set aside."""
    import pandas as pd

    text_N = column.astype("str") if not isinstance(column.dtype, pd.StringDtype) else column
    gone_N = column.isna().to_numpy() | (text_N.str.strip() == "").to_numpy(dtype=bool, na_value=True)
    sieve.refuse(gone_N, name, column, f"empty {what}")
    return np.asarray(text_N, dtype=object)


def part_of_file(name: str) -> str | None:
    """The part that a file's name tells, such as of ``ECG200_TRAIN.ts``; None where it tells none.

    >>> part_of_file("GunPoint_TEST.csv"), part_of_file("train.tsv.gz"), part_of_file("testimony.csv")
    ('test', 'train', None)
    """
    stem = name.lower().split(".")[0]
    tokens = stem.replace("-", "_").replace(" ", "_").split("_")
    named = [USUAL_PARTS[token] for token in tokens if token in USUAL_PARTS]
    return named[-1] if named and named[-1] in PARTS else None
