"""Small tables of each of the five kinds, generated, and a small task for every problem."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

import unroll
from unroll import problems
from unroll.core import store
from unroll.core.params import Params
from unroll.problems.common.base import Prepared, Problem
from unroll.stages.common.task import Task

WORDS = [
    "late",
    "great",
    "gate",
    "crew",
    "thanks",
    "lost",
    "bag",
    "flight",
    "never",
    "again",
    "love",
    "the",
    "a",
    "my",
    "your",
    "seat",
    "meal",
    "was",
    "is",
    "not",
]


def series(rows: int = 400, sites: tuple[str, ...] = ("north", "south"), seed: int = 0) -> pd.DataFrame:
    """Hours from 2020-01-01: a daily wave with noise that remembers, two variables a site, some values missing."""
    rng = np.random.default_rng(seed)
    time = pd.date_range("2020-01-01", periods=rows, freq="h", tz="UTC").as_unit("us")
    parts = []
    for number, site in enumerate(sites):
        noise = np.zeros(rows)
        for t in range(1, rows):
            noise[t] = 0.8 * noise[t - 1] + rng.normal()
        wave = 3 * np.sin(2 * np.pi * np.arange(rows) / 24 + number)
        part = pd.DataFrame({"time": time})
        if site:
            part["site"] = pd.array([site] * rows, dtype="str")
        part["a_ug_m3"] = (20 + wave + noise).astype(np.float32)
        part["b_ug_m3"] = (5 - 0.5 * wave + rng.normal(size=rows)).astype(np.float32)
        part.loc[part.index.isin([60 + number, 200]), "b_ug_m3"] = np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def labelled_series(rows: int = 90, steps: int = 12, seed: int = 0) -> pd.DataFrame:
    """Three classes: a rise, a fall, a hump; two series stand there twice. The last third is test."""
    rng = np.random.default_rng(seed)
    names = np.array(["1", "2", "10"])
    number = rng.integers(0, 3, rows)
    shapes = np.stack([np.linspace(-1, 1, steps), np.linspace(1, -1, steps), np.sin(np.linspace(0, np.pi, steps))])
    values = (shapes[number] + 0.3 * rng.normal(size=(rows, steps))).astype(np.float32)
    values[[1, 3]], number[[1, 3]] = values[[0, 2]], number[[0, 2]]
    table = pd.DataFrame(values, columns=[f"t{step:03d}" for step in range(steps)])
    table.insert(0, "label", pd.array(names[number], dtype="str"))
    table["split"] = pd.array(np.where(np.arange(rows) < rows * 2 // 3, "train", "test"), dtype="str")
    return table


def labelled_text(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Texts whose label is told by a word; a few texts stand there twice."""
    rng = np.random.default_rng(seed)
    signs = {"negative": "lost", "neutral": "gate", "positive": "love"}
    labels = rng.choice(list(signs), rows)
    texts = [" ".join([*rng.choice(WORDS, int(rng.integers(2, 9))), signs[label]]) for label in labels]
    texts[1], labels[1] = texts[0], labels[0]
    texts[-1], labels[-1] = texts[0], labels[0]
    return pd.DataFrame({"text": pd.array(texts, dtype="str"), "label": pd.array(labels, dtype="str")})


def text(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """Lines of four to seven words."""
    rng = np.random.default_rng(seed)
    lines = [" ".join(rng.choice(WORDS, int(rng.integers(4, 8)))) for _ in range(rows)]
    return pd.DataFrame({"text": pd.array(lines, dtype="str")})


def pairs(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Sums of numbers of up to two digits, each question once."""
    rng = np.random.default_rng(seed)
    numbers = [divmod(int(code), 100) for code in rng.choice(10_000, 2 * rows, replace=False)]
    found = list({frozenset(pair): pair for pair in numbers}.values())[:rows]
    source, target = [f"{a}+{b}" for a, b in found], [str(a + b) for a, b in found]
    return pd.DataFrame({"source": pd.array(source, dtype="str"), "target": pd.array(target, dtype="str")})


@dataclass(frozen=True)
class Case:
    """A table, and the blocks ``prepare`` and ``model`` of a task small enough for a test."""

    table: Callable[[], pd.DataFrame]
    prepare: dict[str, Any]
    model: dict[str, Any]

    def open(self, **changed: Any) -> "tuple[Problem[Any, Any], Any, Any]":
        """The problem and its two blocks, with keys of ``prepare`` changed."""
        problem = problems.load(self.prepare["problem"])
        prepare = problem.Prepare.model_validate({**self.prepare, **changed})
        return problem, prepare, problem.Model.model_validate(self.model)

    def run(self, folder: Path, table: pd.DataFrame | None = None, **changed: Any) -> Prepared:
        """What ``prepare`` makes of the table in ``folder``."""
        problem, config, _ = self.open(**changed)
        folder.mkdir(parents=True, exist_ok=True)
        meta = problem.preparation.prepare(self.table() if table is None else table, config, folder)
        store.write_json(folder / "meta.json", meta)
        return Prepared.load(folder)


CASES = {
    "forecasting": Case(
        series,
        {
            "problem": "forecasting",
            "target": "a_ug_m3",
            "target_site": "south",
            "sites": "all",
            "variables": "all",
            "calendar": ["hour", "weekday"],
            "lag": 6,
            "horizon": 2,
            "stride": 1,
            "season": 24,
            "validation_from": "2020-01-11",
            "test_from": "2020-01-14",
        },
        {"cell": "gru", "hidden": 5, "layers": 1, "dropout": 0.0},
    ),
    "rise_or_fall": Case(
        series,
        {
            "problem": "rise_or_fall",
            "target": "a_ug_m3",
            "target_site": "south",
            "sites": "all",
            "variables": "all",
            "calendar": ["hour"],
            "lag": 6,
            "horizon": 3,
            "stride": 1,
            "validation_from": "2020-01-11",
            "test_from": "2020-01-14",
        },
        {"cell": "gru", "hidden": 5, "layers": 1, "dropout": 0.0, "linear": 2},
    ),
    "series_classification": Case(
        labelled_series,
        {
            "problem": "series_classification",
            "validation_share": 0.25,
            "seed": 1,
            "word_windows": [0.4, 0.7],
            "word_length": 3,
            "word_letters": 3,
        },
        {
            "cell": "lstm",
            "hidden": 4,
            "layers": 1,
            "bidirectional": True,
            "dropout": 0.1,
            "pooling": ["last", "mean", "max"],
            "difference": True,
            "bag_dropout": 0.1,
            "bag_scale": 1.0,
        },
    ),
    "text_classification": Case(
        labelled_text,
        {
            "problem": "text_classification",
            "split": "stratified",
            "validation_share": 0.15,
            "test_share": 0.2,
            "seed": 1,
            "vocabulary": 20,
            "min_count": 2,
            "max_tokens": 6,
            "max_unknown_share": 0.5,
            "hashed_buckets": 64,
            "character_ngrams": [2, 3],
            "word_ngrams": [1],
        },
        {
            "embedding": 4,
            "cell": "gru",
            "hidden": 4,
            "layers": 1,
            "bidirectional": True,
            "pooling": ["last", "mean", "max"],
            "dropout": 0.1,
            "bag_dropout": 0.1,
            "bag_scale": 1.0,
        },
    ),
    "language_model": Case(
        text,
        {
            "problem": "language_model",
            "lower_case": True,
            "validation_share": 0.1,
            "test_share": 0.1,
            "min_count": 2,
            "max_unknown_share": 0.1,
            "bptt": 16,
        },
        {
            "embedding": 4,
            "embedding_dropout": 0.1,
            "direct_order": 3,
            "direct_buckets": 64,
            "direct_min_count": 1,
            "direct_dropout": 0.1,
            "cell": "lstm",
            "hidden": 6,
            "layers": 1,
            "dropout": 0.1,
        },
    ),
    "sequence_to_sequence": Case(
        pairs,
        {
            "problem": "sequence_to_sequence",
            "validation_share": 0.15,
            "test_share": 0.2,
            "seed": 1,
            "reverse_source": True,
            "max_unknown_share": 0.0,
        },
        {
            "cell": "lstm",
            "hidden": 6,
            "layers": 1,
            "dropout": 0.0,
            "architecture": "attention",
            "attention": "additive",
            "bidirectional_encoder": True,
            "teacher_forcing": {"start": 1.0, "end": 0.8, "schedule": "linear"},
            "beam_width": 2,
            "length_penalty": 0.5,
        },
    ),
}


ROOT = Path(unroll.__file__).parents[2]
"""The project whose code is tested: this one, or a copy with a problem of its own."""


def case(name: str) -> Case:
    """The small task of a problem: the one above, else its first task of params.yaml, on its sample."""
    if name in CASES:
        return CASES[name]
    params = Params(ROOT / "params.yaml")
    tasks = [task for task in params.tasks() if params.value(task, "prepare.problem") == name]
    assert tasks, f"problem {name}: expected a task in params.yaml that shows what it does"
    task = Task.open(ROOT, tasks[0])
    return Case(lambda: _sample(task), task.prepare_config().model_dump(), task.model_config().model_dump())


def _sample(task: Task) -> pd.DataFrame:
    dataset, config = task.dataset()
    with TemporaryDirectory() as folder:
        dataset.sample(Path(folder), config, np.random.default_rng(config.seed))
        path = Path(folder) / "table.parquet"
        store.write_table(path, dataset.table(Path(folder), config).table)
        return store.read_table(path, None, task.problem().preparation.coded(task.prepare_config()))
