"""How fast files of one's own become a canonical table, and in how much memory: rows a second, peak of the process.

    python benchmarks/files.py --rows 10000000            # a CSV of a time and seven columns of numbers
    python benchmarks/files.py --rows 1000000 --kind texts
    python benchmarks/files.py --rows 10000000 --file /tmp/big.csv   # keeps the file, and takes it again

The file is made first, by another process, so that its memory does not count. pandas reads the same file beside it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PIECE = 1 << 19
COLUMNS = 7


def write(path: Path, rows: int, kind: str) -> None:
    """A large CSV, piece by piece."""
    import pyarrow as pa
    from pyarrow import csv

    rng = np.random.default_rng(0)
    options = csv.WriteOptions(include_header=True)
    with path.open("wb") as handle:
        for low in range(0, rows, PIECE):
            count = min(PIECE, rows - low)
            table = _numbers(low, count, rng) if kind == "series" else _texts(count, rng)
            csv.write_csv(pa.table(table), handle, options)
            options = csv.WriteOptions(include_header=False)


def _numbers(low: int, count: int, rng: np.random.Generator) -> "dict[str, object]":
    import pyarrow.compute as pc

    start = np.datetime64("2000-01-01T00:00", "s")
    times = start + 60 * np.arange(low, low + count).astype("timedelta64[s]")
    table: dict[str, object] = {"time": pc.strftime(times, format="%Y-%m-%d %H:%M:%S")}
    for column in range(COLUMNS):
        table[f"sensor {column}"] = np.round(rng.normal(20 + column, 5, count), 2)
    return table


def _texts(count: int, rng: np.random.Generator) -> "dict[str, object]":
    words = np.array(["late", "great", "gate", "crew", "thanks", "lost", "bag", "flight", "never", "again", "seat"])
    drawn = words[rng.integers(0, len(words), (count, 12))]
    return {"label": rng.choice(["bad", "good"], count), "text": [" ".join(row) for row in drawn]}


def measure(path: Path, kind: str) -> None:
    """Ingest the file as the stage does; prints what it took."""
    import pyarrow.parquet as pq

    from unroll.datasets.files import DATASET, FilesConfig
    from unroll.stages.ingest import ingest

    table = {"table": "series"} if kind == "series" else {"text": "text", "label": "label"}
    config = FilesConfig.model_validate({"dataset": "files", "path": str(path), **table})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        started = time.perf_counter()
        ingest.read(DATASET, config, "files", folder, folder)
        _tell("unroll, CSV to Parquet", started, pq.read_metadata(folder / "table.parquet").num_rows)


def compare(path: Path) -> None:
    """The same file by pandas alone, as numbers in memory."""
    import pandas as pd

    started = time.perf_counter()
    _tell("pandas.read_csv, in memory", started, len(pd.read_csv(path)))


def _peak_kb() -> int:
    """The most memory that this program held; where the kernel does not tell, that of its parent counts, too."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _tell(what: str, started: float, rows: int) -> None:
    seconds = time.perf_counter() - started
    peak_mb = _peak_kb() / 1024
    print(f"{what}: {rows:,} rows in {seconds:.1f} s, {rows / seconds:,.0f} rows/s, peak {peak_mb:,.0f} MB")


def main() -> None:
    """Each part in a process of its own: a peak never falls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=["series", "texts"], default="series")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--part", choices=["write", "unroll", "pandas"])
    given = parser.parse_args()
    if given.part == "write":
        write(given.file, given.rows, given.kind)
    elif given.part == "unroll":
        measure(given.file, given.kind)
    elif given.part == "pandas":
        compare(given.file)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            path = given.file or Path(scratch) / "big.csv"
            for part in ["write"] * (not path.exists()) + ["unroll", "pandas"]:
                options = ["--rows", str(given.rows), "--kind", given.kind, "--file", str(path), "--part", part]
                subprocess.run([sys.executable, __file__, *options], check=True)
                if part == "write":
                    print(f"{path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
