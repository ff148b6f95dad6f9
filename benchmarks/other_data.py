"""How ``unroll new`` does, as it proposes, on sets that no default was chosen on.

    python benchmarks/other_data.py [--text FILE]

Three classic sets are drawn by their published definitions, in UCR's format and sizes: cylinder–bell–funnel (Saito
1994), control charts (Alcock & Manolopoulos 1999), two patterns (Geurts 2002). Beside the network stand the strongest
baseline of the pipeline and the nearest neighbour under dynamic time warping (Sakoe & Chiba 1978), with a window of a
tenth, computed here. A text, if given, becomes a language model beside the pipeline's own n-grams. It prints Markdown.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pipeline import copy_project

Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def main() -> None:
    """Run each set, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, help="a plain text, for a language model of characters")
    text = parser.parse_args().text
    print("| set | metric | network [95 %] | best baseline | 1-NN DTW | training, s |\n|---|---|---|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copy_project(root, None)
        for name, draw, train, test in (("cbf", cbf, 30, 900), ("charts", charts, 300, 300), ("two", two, 1000, 4000)):
            rng = np.random.default_rng(7)
            parts = {part: draw(size, rng) for part, size in (("TRAIN", train), ("TEST", test))}
            for part, (series_NT, labels_N) in parts.items():
                rows = np.column_stack([labels_N, standardised(series_NT)])
                np.savetxt(
                    root / f"{name}_{part}.tsv", rows, fmt=["%d"] + ["%.6f"] * series_NT.shape[1], delimiter="\t"
                )
            run(root, name, f"{name}_*.tsv", "series_classification")
            print(row(root, name, "accuracy", f"{nearest(*parts['TRAIN'], *parts['TEST']):.3f}"), flush=True)
        if text:
            run(root, "text", str(text.resolve()), "language_model")
            print(row(root, "text", "bits_per_character", "–"), flush=True)


def cbf(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A plateau, a rise or a fall of random place and length, in noise; 128 values."""
    labels_N, t = np.arange(count) % 3, np.arange(1, 129)
    found = []
    for label in labels_N:
        start = rng.integers(16, 33)
        end = start + rng.integers(32, 97)
        slope = (np.ones(128), (t - start) / (end - start), (end - t) / (end - start))[label]
        found.append((6 + rng.normal()) * slope * ((t >= start) & (t <= end)) + rng.normal(size=128))
    return np.array(found), labels_N + 1


def charts(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Level, cycle, trend up or down, shift up or down; 60 values."""
    labels_N, t = np.arange(count) % 6, np.arange(1, 61)
    found = []
    for label in labels_N:
        cycle = rng.uniform(10, 15) * np.sin(2 * np.pi * t / rng.uniform(10, 15))
        trend, shift = rng.uniform(0.2, 0.5) * t, rng.uniform(7.5, 20) * (t >= rng.integers(20, 41))
        found.append(30 + 2 * rng.uniform(-3, 3, 60) + (0 * t, cycle, trend, -trend, shift, -shift)[label])
    return np.array(found), labels_N + 1


def two(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two steps, each up or down, of random places and lengths, in noise; 128 values."""
    labels_N = np.arange(count) % 4
    found = []
    for label in labels_N:
        series, (first, second) = rng.normal(size=128), rng.integers(8, 33, 2)
        one = rng.integers(0, 128 - first - second - 8)
        other = rng.integers(one + first + 4, 128 - second)
        for start, length, sign in ((one, first, 1 - label // 2 * 2), (other, second, 1 - label % 2 * 2)):
            half = length // 2
            series[start : start + half], series[start + half : start + length] = -5 * sign, 5 * sign
        found.append(series)
    return np.array(found), labels_N + 1


def standardised(series_NT: np.ndarray) -> np.ndarray:
    """Each series with mean 0 and deviation 1, as UCR's are."""
    return (series_NT - series_NT.mean(1, keepdims=True)) / series_NT.std(1, keepdims=True)


def nearest(train_NT: np.ndarray, train_N: np.ndarray, test_MT: np.ndarray, test_M: np.ndarray) -> float:
    """Accuracy of the label of the nearest series under dynamic time warping."""
    train_NT, test_MT = (standardised(x).astype(np.float32) for x in (train_NT, test_MT))
    length = train_NT.shape[1]
    width, right = max(1, length // 10), 0
    for batch in np.array_split(np.arange(len(test_MT)), max(1, len(test_MT) * len(train_NT) // 100_000)):
        cost_KMN = np.full((length + 1, len(batch), len(train_NT)), np.inf, dtype=np.float32)
        cost_KMN[0] = 0
        for i in range(length):
            before_KMN, cost_KMN = cost_KMN, np.full_like(cost_KMN, np.inf)
            for j in range(max(0, i - width), min(length, i + width + 1)):
                step_MN = (test_MT[batch, i, None] - train_NT[None, :, j]) ** 2
                np.minimum(np.minimum(before_KMN[j], before_KMN[j + 1]), cost_KMN[j], out=cost_KMN[j + 1])
                cost_KMN[j + 1] += step_MN
        right += int((train_N[cost_KMN[length].argmin(1)] == test_M[batch]).sum())
    return right / len(test_M)


def run(root: Path, name: str, files: str, problem: str) -> None:
    """``unroll new`` as it proposes, and all stages."""
    for arguments in (["new", name, "--from", files, "--problem", problem, "--yes"], ["repro", name]):
        done = subprocess.run([sys.executable, "-m", "unroll", *arguments], cwd=root, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"unroll {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def row(root: Path, name: str, metric: str, dtw: str) -> str:
    """One line of the table."""
    found = json.loads((root / f"reports/{name}/metrics.json").read_text(encoding="utf-8"))
    seconds = json.loads((root / f".unroll/{name}/timings.json").read_text(encoding="utf-8"))["train"]
    test, best = found["test"], max if metric == "accuracy" else min
    baseline = best(found["baselines"], key=lambda key: found["baselines"][key][metric])
    interval = f"{test[metric]:.3f} [{test[metric + '_low']:.3f}, {test[metric + '_high']:.3f}]"
    return (
        f"| {name} | {metric.replace('_', ' ')} | {interval} | {baseline.replace('_', ' ')} "
        f"{found['baselines'][baseline][metric]:.3f} | {dtw} | {seconds:.0f} |"
    )


if __name__ == "__main__":
    main()
