"""A comparison as tables: for the terminal, as Markdown, and every run and epoch as rows of numbers."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from unroll.display.wording import measure, words
from unroll.workbench.compare.grid import shown
from unroll.workbench.compare.jobs import SPLITS
from unroll.workbench.compare.summary import (
    BEST,
    Comparison,
    Row,
    Run,
    best_baseline,
    mean,
    own_baselines,
    precise,
    shared_baselines,
)

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from unroll.problems.common.base import Split


def heads(comparison: Comparison) -> list[str]:
    """The heads of the table."""
    measured = words(comparison.headline)
    keys = [sweep.key for sweep in comparison.grid.varied] or ["network"]
    if own_baselines(comparison):
        others = [f"best baseline {split}" for split in SPLITS]
    else:
        others = [f"{measure(name, comparison.target)} test" for name in comparison.others]
    return ["", *keys, f"{measured} validation", f"{measured} test", *others, "parameters", "seconds", "epochs"]


def lines(comparison: Comparison) -> Iterator[list[str]]:
    """The rows of the table, in their order, then the baselines where all points share them."""
    wide = len(heads(comparison))
    for row in comparison.ranked:
        mark = BEST if comparison.best is not None and row.point == comparison.best.point else ""
        names = [shown(row.point.values[key]) for key in row.point.varied] or [row.point.label]
        yield [mark, *names, *(_results(comparison, row) or [_missing(row), *[""] * (wide - 2 - len(names))])]
    for name, by_split in shared_baselines(comparison).items():
        measured = [(split, comparison.headline) for split in SPLITS] + [("test", name) for name in comparison.others]
        cells = [precise(by_split.get(split, {}).get(metric, math.nan)) for split, metric in measured]
        keys = [words(name), *[""] * (max(len(comparison.grid.varied), 1) - 1)]
        yield ["", *keys, *cells, "", "", ""]


def _results(comparison: Comparison, row: Row) -> list[str]:
    """What stands in a row after its name; nothing where no run ended well."""
    if not row.trained:
        return []
    scores = [_spread(row, split, comparison.headline) for split in SPLITS]
    missing = len(comparison.grid.seeds) - len(row.trained)
    if missing:
        scores[0] += f" ({missing} of {len(comparison.grid.seeds)} {_missing(row)})"
    if own_baselines(comparison):
        best = [best_baseline(comparison, row, split) for split in SPLITS]
        others = [f"{words(name)} {precise(value)}" for name, value in best]
    else:
        others = [precise(row.mean("test", name)) for name in comparison.others]
    return [*scores, *others, *_costs(row)]


def _missing(row: Row) -> str:
    return "failed" if row.reason else "not run"


def table(comparison: Comparison) -> "Table":
    """For the terminal: one row a point, the best one in bold; baselines below."""
    from rich.table import Table
    from rich.text import Text

    view = Table(
        title=f"{comparison.grid.task.name}: {comparison.grid.title} compared", title_justify="left",
        title_style="bold", caption=Text("\n".join(comparison.notes())), caption_justify="left",
    )  # fmt: skip
    keys = max(len(comparison.grid.varied), 1)
    for number_, head in enumerate(heads(comparison)):
        view.add_column(head, justify="left" if number_ <= keys else "right", no_wrap=number_ in (keys + 1, keys + 2))
    points, best = len(comparison.grid.points), comparison.best
    for place, cells in enumerate(lines(comparison)):
        style = "dim" if place >= points else "bold" if place == 0 and best is not None else ""
        view.add_row(*map(Text, cells), style=style, end_section=place == points - 1)
    return view


def markdown(comparison: Comparison) -> str:
    """The same table as Markdown, with what must be known of it."""
    rows = [heads(comparison), ["---"] * len(heads(comparison)), *lines(comparison)]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    notes = "\n".join(f"- {note}" for note in comparison.notes())
    return f"# {comparison.grid.task.name}: {comparison.grid.title} compared\n\n{text}\n\n{notes}\n"


def frame(comparison: Comparison) -> "pd.DataFrame":
    """Every run as a row, with all numbers in full."""
    import pandas as pd

    every = [name for run in comparison.runs if run.trained for name in run.trained.scores["validation"]]
    names = dict.fromkeys([comparison.headline, *every])  # more than the table shows, such as one a horizon
    rows = []
    for run in comparison.runs:
        row: dict[str, Any] = {**_cells(run), "status": "finished" if run.trained else "failed", "reason": run.reason}
        trained = run.trained
        for split in SPLITS:
            for name in names:
                row[f"{split}_{name}"] = trained.scores[split].get(name, math.nan) if trained else math.nan
        row |= {
            "parameters": trained.parameters if trained else None,
            "epochs": len(trained.epochs) if trained else None,
            "best_epoch": trained.best_epoch if trained else None,
            "seconds": round(trained.seconds, 3) if trained else None,
            "device": trained.device if trained else "",
        }
        rows.append(row)
    whole = dict.fromkeys(("parameters", "epochs", "best_epoch"), "Int64")
    return pd.DataFrame(rows).astype(whole).sort_values(["_point", "seed"]).drop(columns="_point")


def history_frame(comparison: Comparison) -> "pd.DataFrame":
    """Every epoch of every run as a row."""
    import pandas as pd

    rows = [
        {**_cells(run), "epoch": epoch, **values}
        for run in comparison.runs
        if run.trained
        for epoch, values in run.trained.epochs.items()
    ]
    epochs = pd.DataFrame(rows)
    return epochs.sort_values(["_point", "seed", "epoch"]).drop(columns="_point") if rows else epochs


def _cells(run: Run) -> dict[str, Any]:
    return {
        "_point": run.point.number,
        **{key: shown(value) for key, value in run.point.values.items()},
        "seed": run.seed,
    }


def _spread(row: Row, split: "Split", metric: str) -> str:
    """A mean with its deviation, in the same number of decimals."""
    text = precise(row.mean(split, metric))
    spread = row.deviation(split, metric)
    if not math.isfinite(spread):
        return text
    decimals = len(text.partition(".")[2])
    least = 10.0**-decimals
    return (
        f"{text} ± {spread:.{decimals}f}" if spread == 0 or spread >= least / 2 else f"{text} ± <{least:.{decimals}f}"
    )


def _costs(row: Row) -> list[str]:
    """Parameters, seconds and epochs, as cells."""
    counts = sorted({trained.parameters for trained in row.trained})
    epochs = sorted({len(trained.epochs) for trained in row.trained})
    seconds = mean([trained.seconds for trained in row.trained])
    return [
        "–".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1]))),
        f"{seconds:.{1 if seconds < 100 else 0}f}",
        "–".join(str(count) for count in dict.fromkeys((epochs[0], epochs[-1]))),
    ]
