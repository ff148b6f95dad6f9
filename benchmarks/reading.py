"""A CSV read in chunks as text, beside pandas' own reader in chunks; and beside it again with every number parsed.

Each way runs in a process of its own, in turn; the figures are seconds, rows a second and the peak memory of the whole
process. The file is generated: a time, a site between quotes, six numbers. Run: python benchmarks/reading.py [ROWS]
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, REPEATS, PART = 10_000_000, 3, 500_000


def ours(path: Path) -> int:
    """Chunks as ``dataset: files`` takes them: cells as text, the row of each, the hash of the file."""
    from unroll.datasets.files.reading import Reading, chunks

    return sum(len(chunk.frame) for chunk in chunks(path, Reading()))


def peer_text(path: Path) -> int:
    """The same cells as text, neither rows nor hash."""
    import pandas as pd

    return sum(len(part) for part in pd.read_csv(path, chunksize=1 << 18, dtype=str))


def peer(path: Path) -> int:
    """Numbers as numbers."""
    import pandas as pd

    return sum(len(part) for part in pd.read_csv(path, chunksize=1 << 18))


WAYS = {"ours": ours, "pandas, text": peer_text, "pandas, numbers": peer}


def generate(path: Path, rows: int) -> None:
    """Write the file part by part."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    rng, start = np.random.default_rng(0), np.datetime64("1990-01-01T00:00:00", "s")
    with path.open("wb") as file:
        file.write(b"time,site,pm10,no2,o3,temperature,wind,rain\n")
        for low in range(0, rows, PART):
            count = min(PART, rows - low)
            columns = {"time": start + np.arange(low, low + count) * 60, "site": rng.choice(["a1", "b2", "c3"], count)}
            columns |= {f"x{place}": rng.normal(20, 5, count).round(3) for place in range(6)}
            csv.write_csv(pa.table(columns), file, csv.WriteOptions(include_header=False))


def main() -> None:
    """Print all ways side by side."""
    import numpy as np

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.csv"
        generate(path, rows)
        print(f"{rows:,} rows x 8 columns, {path.stat().st_size / 1e6:,.0f} MB")
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(REPEATS):
            for way in found:
                command = [sys.executable, __file__, way, str(rows), str(path)]
                seconds, megabytes = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
                found[way].append((seconds, megabytes))
    for way, figures in found.items():
        seconds, megabytes = np.median(figures, axis=0)
        print(f"{way:16} {seconds:7.2f} s   {rows / seconds:12,.0f} rows a second   {megabytes:6.0f} MB at the peak")


def one(way: str, rows: int, path: Path) -> None:
    """One measured run, in its own process."""
    import pandas  # noqa: F401 - its import is no part of the figure
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    started = time.monotonic()
    if WAYS[way](path) != rows:
        raise SystemExit(f"{way}: not all rows were read")
    print(time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        one(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
