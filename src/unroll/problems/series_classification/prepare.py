"""Labelled series as arrays: how they are parted, filled in, scaled and told into words, and what must hold of them.

Shapes: N series, T steps.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core import store
from unroll.core.errors import DataError
from unroll.core.expectation import Expectation
from unroll.features import scaling, splits
from unroll.problems.common import classification
from unroll.problems.common.base import SPLITS, Meta, Prepared, Split
from unroll.problems.common.preparation import Check, Preparation, Questions
from unroll.problems.series_classification import lengths, symbolic_words
from unroll.problems.series_classification.config import SeriesClassificationModel, SeriesClassificationPrepare

if TYPE_CHECKING:
    import pandas as pd

_STEP = re.compile(r"t\d+$")


class SeriesPreparation(Preparation[SeriesClassificationPrepare, SeriesClassificationModel]):
    """Series of one variable, scaled, and the words of their stretches."""

    def prepare(
        self, table: "pd.DataFrame", config: SeriesClassificationPrepare, folder: Path, fitted: Meta | None = None
    ) -> dict[str, Any]:
        """Arrays: ``values`` (N, T) scaled, ``labels`` (N,), and the row numbers of each split."""
        steps = sorted((c for c in table.columns if _STEP.match(c)), key=lambda c: int(c[1:]))
        if not steps:
            raise DataError(f"no column t000, t001, … in the table; there are {', '.join(map(str, table.columns))}")
        whole_NT, lengths_N, good_N = lengths.read(table[steps].to_numpy(dtype=np.float32), config.missing)
        table, left_out = table[good_N], int((~good_N).sum())
        names = classification.classes(table["label"].tolist(), fitted)
        labels = table["label"].map({name: number for number, name in enumerate(names)}).to_numpy(dtype=np.int16)
        values = store.create_array(folder / "values.npy", (len(table), len(steps)), np.float32)
        values[:] = whole_NT[good_N]
        groups = splits.group_rows(values)
        rows = _split(table, labels, groups, config, folder)
        classification.require_known(labels, rows, names)
        lengths_N = lengths_N[good_N]
        equal = bool((lengths_N == len(steps)).all())
        if fitted:
            _require_steps(fitted, len(steps), equal)
        scaler = fitted["scaler"] if fitted else scaling.fit(values[rows["train"]].reshape(-1, 1), slice(None))
        values[:] = scaling.apply(values[..., None], scaler)[..., 0]
        if not equal:
            values[np.arange(len(steps)) >= lengths_N[:, None]] = 0.0
            store.write_array(folder / "lengths.npy", lengths_N.astype(np.int32))
        values.flush()
        own_N = None if equal else lengths_N[rows["train"]]
        letters = config.word_windows, config.word_length, config.word_letters
        words = fitted["words"] if fitted else symbolic_words.fit(values[rows["train"]], *letters, own_N)
        store.write_array(folder / "labels.npy", labels)
        for split, index in rows.items():
            store.write_array(folder / f"{split}.npy", index.astype(np.int32))
        shared = np.isin(groups[rows["test"]], groups[rows["train"]])
        return {
            "classes": names,
            "steps": len(steps),
            "scaler": scaler,
            "words": words,
            "examples": {split: len(index) for split, index in rows.items()},
            "test_rows_also_in_train": int(shared.sum()),
            **({} if equal and "shortest" not in (fitted or {}) else {"shortest": int(lengths_N.min())}),
            **({"missing": config.missing} if config.missing != "drop" else {}),
            **({"series_left_out": left_out} if left_out else {}),
        }

    def check(self, prepared: Prepared, config: SeriesClassificationPrepare) -> Check:  # noqa: ARG002
        """Each series once in one split; no series of validation stands in train; every class in train."""
        import pandas as pd

        groups = splits.group_rows(prepared.arrays["values"])
        if "groups" in prepared.arrays:
            groups = splits.together(groups, np.asarray(prepared.arrays["groups"]))
        labels = np.array(prepared.meta["classes"])[prepared.arrays["labels"]]
        in_train = np.isin(groups, groups[prepared.arrays["train"]])
        parts = [
            pd.DataFrame(
                {
                    "row": np.asarray(index),
                    "split": split,
                    "label": labels[index],
                    "validation_in_train": in_train[index] if split == "validation" else False,
                    "test_in_train": in_train[index] if split == "test" else False,
                }
            )
            for split in SPLITS
            for index in [prepared.arrays[split]]
        ]
        never = {"value_set": [False]}
        return Check(
            pd.concat(parts, ignore_index=True),
            [
                Expectation("expect_column_values_to_be_unique", {"column": "row"}, reason="a series in two splits"),
                Expectation(
                    "expect_column_values_to_be_in_set",
                    {"column": "validation_in_train", **never},
                    reason="an equal series stands in validation and in train",
                ),
                Expectation(
                    "expect_column_values_to_be_in_set",
                    {"column": "test_in_train", **never},
                    severity="warning",
                    reason="an equal series stands in the source's test and train parts",
                ),
                Expectation(
                    "expect_column_distinct_values_to_equal_set",
                    {"column": "split", "value_set": list(SPLITS)},
                    reason="each split has series",
                ),
            ],
        )

    def questions(self, prepared: Prepared, split: Split, metric: str) -> Questions:  # noqa: ARG002
        """The label of each series; those left out for a missing value are not counted among the rows."""
        questions = classification.questions(prepared, split)
        return replace(questions, about={**questions.about, "series_left_out": prepared.meta.get("series_left_out", 0)})


def _split(
    table: "pd.DataFrame",
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    config: SeriesClassificationPrepare,
    folder: Path,
) -> dict[str, np.ndarray]:
    """Row numbers of each split. The source's own test part stays as it is, even where train has equal series."""
    rng = np.random.default_rng(config.seed)
    if config.split == "source":
        if "split" not in table:
            raise DataError(
                "split source: the table has no column split; expected the source's own split (data.split), or "
                "prepare.split stratified"
            )
        parts_N = table["split"].to_numpy(dtype=object)
        return splits.by_source(parts_N, labels_N, groups_N, config.validation_share, rng, "series")
    if config.grouped:
        if "group" not in table:
            raise DataError("grouped: the table has no column group; expected data.group to name one")
        given_N = np.unique(table["group"].to_numpy(dtype=str), return_inverse=True)[1]
        store.write_array(folder / "groups.npy", given_N.astype(np.int32))
        groups_N = splits.together(groups_N, given_N)
    return splits.split(config.split, labels_N, groups_N, config.validation_share, config.test_share, rng)


def _require_steps(fitted: Meta, steps: int, equal: bool) -> None:
    """Raise DataError for series that a trained model cannot read."""
    if steps != fitted["steps"]:
        raise DataError(f"{steps} steps in the table; expected {fitted['steps']}, as the model has learned")
    if not equal and "shortest" not in fitted:
        raise DataError(f"series of several lengths; expected {steps} steps in each, as the model has learned")


def steps(prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """The steps of some series."""
    if "lengths" in prepared.arrays:
        return np.asarray(prepared.arrays["lengths"])[rows].astype(np.int64)
    return np.full(len(rows), prepared.meta["steps"])
