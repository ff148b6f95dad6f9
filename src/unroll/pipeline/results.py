"""The table at the end of ``unroll repro``: every task with what it reached."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core import store
from unroll.core.layout import Layout
from unroll.core.params import Params
from unroll.display.wording import number, words
from unroll.stages.common import timings
from unroll.stages.evaluate.model_card import Metrics, with_interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(root: Path, output: "Console", names: Sequence[str] = ()) -> None:
    """The table of results, and where to look next.

    With ``names``, tasks that are not among them appear only if they have results.
    """
    tasks = Params(root / "params.yaml").tasks()
    shown = [task for task in tasks if not names or task in names or _metrics(Layout(root, task)).is_file()]
    output.print(results_table(root, shown))
    output.print(
        "next: reports/<task>/model_card.md (one a task), make ui (runs, models), dvc metrics show (numbers)",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def markdown(root: Path) -> str:
    """The table of all tasks as Markdown, such as for the summary of a CI job."""
    table = results_table(root, Params(root / "params.yaml").tasks())
    rows = zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)
    heads = [str(column.header) for column in table.columns]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])


def results_table(root: Path, tasks: Sequence[str]) -> "Table":
    """One row a task: its headline metric, the best baseline, what the gate said, and what its stages took."""
    from rich.table import Table

    table = Table(title="Results on the test part", title_justify="left", title_style="bold", caption_justify="left")
    table.caption = "seconds: of the stages that ran here, each as it ran last"
    table.add_column("task", style="bold", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    table.add_column("network [95 %]", no_wrap=True)
    table.add_column("best baseline", no_wrap=True)
    table.add_column("registry", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    for task in tasks:
        layout = Layout(root, task)
        seconds = sum(timings.read(layout).values())
        table.add_row(task, *_measured(layout), _gate(layout), f"{seconds:.0f}" if seconds else "–")
    return table


def _metrics(layout: Layout) -> Path:
    return layout.reports / "metrics.json"


def _measured(layout: Layout) -> tuple[str, str, str]:
    path = _metrics(layout)
    if not path.is_file():
        return "–", "not evaluated", "–"
    metrics = store.read_json(path)
    headline = metrics["headline"]
    return words(headline), with_interval(metrics["test"], headline), _best_baseline(metrics)


def _best_baseline(metrics: Metrics) -> str:
    """The baseline over which the model's advantage is smallest."""
    headline = metrics["headline"]
    advantages = {name: value[headline] for name, value in metrics["advantage"].items() if value[headline] is not None}
    if not advantages:
        return "–"
    best = min(advantages, key=lambda name: advantages[name])
    return f"{words(best)} {number(metrics['baselines'][best][headline])}"


def _gate(layout: Layout) -> str:
    path = layout.reports / "gate.json"
    if not path.is_file():
        return "not judged" if _metrics(layout).is_file() else "–"
    gate = store.read_json(path)
    challenge = gate.get("challenge") or gate.get("duel")  # as earlier versions wrote it
    if not gate["passed"]:
        return f"{gate['alias']}: {gate['reason']}"
    return (
        f"{gate['alias']}: by {number(challenge['difference'])} over version {challenge['champion']}"
        if challenge
        else gate["alias"]
    )
