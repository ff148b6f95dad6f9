"""Facts and expectations of a block's table. Shapes: N rows, T steps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.expectation import Expectation
from unroll.datasets.common.suite import between, schema, text_facts
from unroll.datasets.files.config import FilesConfig, identifier
from unroll.datasets.files.labels import alike
from unroll.datasets.files.tables.series_builder import named

if TYPE_CHECKING:
    import pandas as pd

SHARE = "expect_column_mean_to_be_between"
DISTINCT = "expect_column_unique_value_count_to_be_between"
FEW_OF_LABEL = 5
MANY_REPEATS = 0.1


def series_facts(table: "pd.DataFrame") -> "pd.DataFrame":
    """``step_s`` since the row before of the same site."""
    import pandas as pd

    seconds = table["time"].dt.tz_convert(None).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    if "site" not in table:
        return pd.DataFrame({"step_s": np.diff(seconds, prepend=np.nan)}, index=table.index)
    steps = pd.Series(seconds, index=table.index).groupby(table["site"], sort=False).diff()
    return pd.DataFrame({"step_s": steps})


def series(config: FilesConfig, findings: Mapping[str, Any]) -> list[Expectation]:
    """Time goes on by one step, numbers are there, within their bounds, and vary."""
    names = list(named(config).values())
    words = [identifier(name) for name in (*(config.categories or ()), *(config.static or ()))]
    types = {"time": "datetime64[us, UTC]"} | ({"site": "str"} if config.site else {})
    types |= dict.fromkeys(names, "float32") | dict.fromkeys(words, "str")
    step_s = findings.get("step_s")
    suite = [
        *schema(types, min_rows=2),
        between("step_s", 1, None, "time stands still or goes back"),
    ]
    if step_s:
        suite.append(between("step_s", step_s, step_s, f"a gap in time, or another step than {step_s} s", "warning"))
    given = {_canonical(name, config): bounds for name, bounds in config.ranges.items()}
    for name in names:
        suite += _number(name, config.max_missing_share)
        if name in given:
            low, high = given[name]
            suite.append(between(name, low, high, "beyond the bounds of data.ranges", refuse_rows=True))
        elif learned := findings.get("ranges", {}).get(name):
            low, high = learned
            suite.append(between(name, low, high, "far from the first part of the data", "warning"))
    return suite


def _canonical(name: str, config: FilesConfig) -> str:
    """A column of the block's ranges, which may be named as in the file or as in the table."""
    return named(config).get(name, name)


def _number(name: str, most_missing: float) -> list[Expectation]:
    there = "expect_column_proportion_of_non_null_values_to_be_between"
    return [
        Expectation(there, {"column": name, "min_value": 1 - most_missing}, reason="too many missing values"),
        Expectation(there, {"column": name, "min_value": 0.99}, "warning", "missing values"),
        Expectation(DISTINCT, {"column": name, "min_value": 2}, "warning", "constant series"),
    ]


def label_facts(table: "pd.DataFrame") -> "pd.DataFrame":
    """How many rows a label has; whether train has the label, where the source has a split."""
    import pandas as pd

    label = table["label"]
    facts = {"rows_of_label": label.map(label.value_counts()).astype("int64")}
    if "split" in table:
        facts["label_in_train"] = label.isin(label[table["split"] == "train"].unique())
    return pd.DataFrame(facts, index=table.index)


def _labels(config: FilesConfig, findings: Mapping[str, Any]) -> list[Expectation]:
    suite = [
        Expectation(DISTINCT, {"column": "label", "min_value": 2}, reason="one class only"),
        between("rows_of_label", FEW_OF_LABEL, None, "a label is rare", "warning"),
    ]
    if twins := [label for group in alike(findings.get("labels", {})) for label in group]:
        reason = "labels that differ only in their case are different ones (data.label_map makes them one)"
        unlike = {"column": "label", "value_set": twins}
        suite.append(Expectation("expect_column_values_to_not_be_in_set", unlike, "warning", reason))
    if config.labels:
        allowed = {"column": "label", "value_set": list(config.labels)}
        suite.append(Expectation("expect_column_distinct_values_to_contain_set", allowed, reason="a label is missing"))
        suite.append(Expectation("expect_column_values_to_be_in_set", allowed, reason="unknown label"))
    if "parts" in findings:
        in_train = {"column": "label_in_train", "value_set": [True]}
        suite.append(
            Expectation("expect_column_values_to_be_in_set", in_train, reason="a label that train does not have")
        )
        parts = {"column": "split", "value_set": ["train", "test"]}
        suite.append(Expectation("expect_column_distinct_values_to_contain_set", parts, reason="a part has no rows"))
    return suite


def labelled_text_facts(table: "pd.DataFrame") -> "pd.DataFrame":
    """Lengths, odd characters, repeats, texts under two labels, labels."""
    import pandas as pd

    facts = text_facts(table["text"])
    repeated = table[table["text"].duplicated(keep=False)]
    labels = repeated.groupby("text")["label"].nunique()
    facts["two_labels"] = table["text"].isin(labels.index[labels > 1])
    return pd.concat([facts, label_facts(table)], axis=1)


def labelled_text(config: FilesConfig, findings: Mapping[str, Any]) -> list[Expectation]:
    """Two labels at least, texts that are there and not garbled, few of them twice."""
    return [
        *schema({"text": "str", "label": "str"} | _more(config, findings), min_rows=4),
        between("characters", 1, None, "empty text"),
        *_labels(config, findings),
        between("odd_characters", None, 0, "control characters or lost ones", "warning"),
        Expectation(SHARE, {"column": "repeats", "max_value": MANY_REPEATS}, "warning", "share of repeated texts"),
        Expectation(SHARE, {"column": "two_labels", "max_value": 0.01}, "warning", "texts under two labels"),
    ]


def labelled_series_facts(table: "pd.DataFrame") -> "pd.DataFrame":
    """Values of each row and missing ones between them, spread, repeats, labels."""
    import pandas as pd

    steps = [name for name in table.columns if name[0] == "t" and name[1:].isdigit()]
    values_NT = table[steps].to_numpy(dtype=np.float32)
    there_NT = np.isfinite(values_NT)
    length_N = there_NT.shape[1] - there_NT[:, ::-1].argmax(axis=1)
    length_N[~there_NT.any(axis=1)] = 0
    hashes = pd.util.hash_pandas_object(table[steps], index=False)
    facts: dict[str, Any] = {
        "values": there_NT.sum(axis=1),
        "missing_inside": length_N - there_NT.sum(axis=1),
        "spread": np.fmax.reduce(values_NT, axis=1) - np.fmin.reduce(values_NT, axis=1),
        "repeats": hashes.duplicated().to_numpy(),
    }
    if "split" in table:
        test = (table["split"] == "test").to_numpy()
        facts["test_row_in_train"] = test & hashes.isin(hashes[~test]).to_numpy()
    return pd.concat([pd.DataFrame(facts, index=table.index), label_facts(table)], axis=1)


def labelled_series(config: FilesConfig, findings: Mapping[str, Any]) -> list[Expectation]:
    """Two labels at least, series that vary and have no holes, few of them twice."""
    never = {"max_value": 0}
    types = (
        {"label": "str"}
        | dict.fromkeys([f"t{step:03d}" for step in range(int(findings["steps"]))], "float32")
        | _more(config, findings)
    )
    suite = [
        *schema(types, min_rows=4),
        *_labels(config, findings),
        between("values", 2, None, "a series of less than two values", refuse_rows=True),
        between("missing_inside", None, 0, "missing values within a series", "warning"),
        between("spread", 1e-12, None, "constant series", "warning"),
        Expectation(SHARE, {"column": "repeats", "max_value": MANY_REPEATS}, "warning", "share of repeated rows"),
    ]
    if "parts" in findings:
        suite.append(Expectation(SHARE, {"column": "test_row_in_train", **never}, "warning", "test rows also in train"))
    return suite


def text() -> list[Expectation]:
    """Lines that are there and not garbled."""
    return [
        *schema({"text": "str"}, min_rows=1),
        Expectation(SHARE, {"column": "characters", "min_value": 1e-9}, reason="no text"),
        between("odd_characters", None, 0, "control characters or lost ones", "warning"),
    ]


def pairs_facts(table: "pd.DataFrame") -> "pd.DataFrame":
    """Whether a pair repeats an earlier one, and whether its source has another target, too."""
    import pandas as pd

    answers = table.groupby("source")["target"].nunique()
    return pd.DataFrame(
        {
            "repeats": table.duplicated(["source", "target"]),
            "two_targets": table["source"].isin(answers.index[answers > 1]),
            "odd_characters": text_facts(table["source"])["odd_characters"]
            + text_facts(table["target"])["odd_characters"],
        },
        index=table.index,
    )


def pairs(config: FilesConfig, findings: Mapping[str, Any]) -> list[Expectation]:
    """Pairs that are there and not garbled, few of them twice, few sources with two targets."""
    return [
        *schema({"source": "str", "target": "str"} | _more(config, findings), min_rows=3),
        between("odd_characters", None, 0, "control characters or lost ones", "warning"),
        Expectation(SHARE, {"column": "repeats", "max_value": MANY_REPEATS}, "warning", "share of repeated pairs"),
        Expectation(SHARE, {"column": "two_targets", "max_value": 0.1}, "warning", "share of sources with two targets"),
    ]


def _more(config: FilesConfig, findings: Mapping[str, Any]) -> dict[str, str]:
    """Columns beside those of the table."""
    return ({"split": "str"} if "parts" in findings else {}) | ({"group": "str"} if config.group else {})
