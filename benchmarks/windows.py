"""Windows as indices into one memory map, beside the usual way: every window copied out, torch's DataLoader.

Each way runs in a process of its own, in turn; the figures are seconds for one shuffled epoch of batches and the peak
memory above what the imports take. Run: python benchmarks/windows.py [ROWS]
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAG, FEATURES, BATCH, REPEATS = 24, 8, 500, 3


def ours(rows: int, folder: Path) -> float:
    """Batches as the forecasting problem makes them."""
    import numpy as np
    import torch

    from unroll.problems.windows.starts import Windows

    values = np.load(folder / "values.npy", mmap_mode="r")
    windows = Windows(np.array([[0, rows - LAG]]))
    started = time.monotonic()
    order = np.random.default_rng(1).permutation(len(windows))
    for low in range(0, len(order), BATCH):
        rows_BL = windows.starts(order[low : low + BATCH])[:, None] + np.arange(LAG)
        torch.from_numpy(values[rows_BL])
    return time.monotonic() - started


def peer(rows: int, folder: Path) -> float:
    """Materialised windows in a TensorDataset."""
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    values = np.load(folder / "values.npy")
    started = time.monotonic()
    windows = np.lib.stride_tricks.sliding_window_view(values, LAG, axis=0)[: rows - LAG]
    data = TensorDataset(torch.from_numpy(np.ascontiguousarray(windows.transpose(0, 2, 1))))
    for (_batch,) in DataLoader(data, batch_size=BATCH, shuffle=True):
        pass
    return time.monotonic() - started


def main() -> None:
    """Print both ways side by side."""
    import numpy as np

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "values.npy", np.random.default_rng(0).standard_normal((rows, FEATURES), dtype=np.float32))
        print(
            f"{rows:,} rows x {FEATURES}, lag {LAG}, batches of {BATCH}; raw array {rows * FEATURES * 4 / 1e6:.0f} MB"
        )
        found: dict[str, list[tuple[float, float]]] = {"ours": [], "peer": []}
        for _ in range(REPEATS):
            for way in found:
                out = subprocess.run([sys.executable, __file__, way, str(rows), name], capture_output=True, check=True)
                seconds, megabytes = map(float, out.stdout.split())
                found[way].append((seconds, megabytes))
        for way, figures in found.items():
            seconds, megabytes = np.median(figures, axis=0)
            print(f"{way:5} {seconds:6.2f} s   {megabytes:7.0f} MB above the imports")


def one(way: str, rows: int, folder: Path) -> None:
    """One measured run, in its own process."""
    import torch.utils.data

    from unroll.problems.windows import starts as windows  # noqa: F401

    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {"ours": ours, "peer": peer}[way](rows, folder)
    print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        one(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
