"""``unroll registry …`` and ``unroll trace``: the models there are, which is in use, why, and what each comes from."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from unroll.cli.app import OneTask, TaskName, app, console, root

if TYPE_CHECKING:
    from rich.table import Table

    from unroll.registry.history import Event
    from unroll.registry.snapshot import Version

group = typer.Typer(no_args_is_help=True, help="The registered models: which there are, which is in use, and why.")
app.add_typer(group, name="registry")
SHORT = 10
"""Characters of a hash that are shown in a table."""


@group.command(name="list")
def show(task: OneTask = None) -> None:
    """List the registered models, with what their gate said."""
    from unroll.registry import snapshot

    project = root()
    table = _table("task", "version", "alias", "registered", "run", "commit", "verdict")
    for current in map(partial(snapshot.require, project), snapshot.names(project) if task is None else [task]):
        for version in reversed(current.versions):
            aliases = ", ".join(current.aliases_of(version))
            table.add_row(current.task, str(version.number), aliases, _when(version), *_origin(version))
    console(markup=False).print(table if table.rows else "no registered models (run: unroll repro)")


@group.command()
def history(task: TaskName) -> None:
    """Show every change of a task's champion: when, what, who and why. Nothing is written."""
    from unroll.registry import history as changes
    from unroll.registry import snapshot

    table = _table("when (UTC)", "what", "version", "before", "by", "run", "commit", "data", "why")
    for event in changes.seen(snapshot.require(root(), task)):
        table.add_row(event.at.replace("T", " ")[:19], *_cells(event))
    console(markup=False).print(table if table.rows else f"{task}: no model has been in use")


@group.command()
def promote(
    task: TaskName,
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Its number", show_default=False)],
    why: Annotated[str, typer.Option("--why", help="The reason, which goes into the history", show_default=False)],
) -> None:
    """Put a version in use, whatever its gate said. The gate does not take it out again, nor bring back the other.

    Such as: unroll registry promote tweets 3 --why "better on the tweets of this week"
    """
    from unroll.registry import promotion

    _say(task, promotion.promote(root(), task, version, why))


@group.command()
def rollback(task: TaskName, why: Annotated[str, typer.Option("--why", help="The reason")] = "") -> None:
    """Go back to the champion before; again, to the one before that. The gate does not bring back the one left."""
    from unroll.registry import promotion

    _say(task, promotion.rollback(root(), task, why))


@app.command()
def trace(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="Name of the task", show_default=False)] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Its number; default: the champion")] = None,
    output: Annotated[
        str | None, typer.Option(metavar="PATH|HASH", help="An output of DVC: which models came from it?")
    ] = None,
) -> None:
    """Trace a model back to its run, commit and data; or, with --output, an output of DVC to the models it led to.

    Such as: unroll trace tweets --version 2, or unroll trace --output data/validated/tweets
    """
    from unroll.core.errors import ConfigError

    if (task is None) == (output is None) or (version is not None and task is None):
        raise ConfigError("trace: expected TASK, with --version or without, or --output alone")
    if output is not None:
        _trace_output(output)
    elif task is not None:
        _trace_version(task, version)


def _trace_version(task: str, number: int | None) -> None:
    from unroll.registry import lineage

    origin = lineage.of_version(root(), task, number)
    tags = origin.version.tags
    table = _table("of", "is", title=f"{task}, version {origin.version.number}")
    rows = [
        ("alias", ", ".join(origin.aliases) or "none"),
        ("verdict", tags.get("unroll.reason", "")),
        ("model (SHA-256)", origin.version.model_hash + (", as it lies in models/" if origin.here else "")),
        ("run", origin.version.run_id),
        ("trained at commit", origin.commit + (", with changes that were not committed" if origin.dirty else "")),
        ("dvc.lock", f"{origin.stage}, in {_place(origin.locked_in)}"),
        ("raw data", tags.get("unroll.data", "")),
        *((path, md5) for path, md5 in sorted(origin.outs.items())),
    ]
    for name, value in rows:
        table.add_row(name, value or "unknown")
    console(markup=False).print(table)


def _place(locked_in: str) -> str:
    if not locked_in:
        return "no commit that is here"
    return "the file as it is" if locked_in == "dvc.lock" else f"commit {locked_in}"


def _trace_output(output: str) -> None:
    from unroll.registry import lineage

    digest, versions = lineage.of_output(root(), output)
    table = _table("task", "version", "registered", "run", "commit", "verdict", title=f"Models that came from {digest}")
    for version in versions:
        table.add_row(version.task, str(version.number), _when(version), *_origin(version))
    console(markup=False).print(table if versions else f"{digest}: no registered model came from it")


def _say(task: str, event: "Event") -> None:
    before = f", before: version {event.before}" if event.before else ""
    typer.echo(f"{task}: version {event.champion} is champion{before}")


def _cells(event: "Event") -> Sequence[str]:
    numbers = ("–" if number is None else str(number) for number in (event.champion, event.before))
    by = event.by if event.hand else f"gate, run by {event.by}"
    by = {"found": "not Unroll", "cut off": f"noted by {event.by}"}.get(event.kind, by)
    return event.kind, *numbers, by, event.run_id[:SHORT], event.commit[:SHORT], event.data[:SHORT], event.why


def _origin(version: "Version") -> Iterable[str]:
    tags = version.tags
    return version.run_id[:SHORT], tags.get("unroll.git_commit", "")[:SHORT], tags.get("unroll.reason", "")


def _when(version: "Version") -> str:
    return f"{datetime.fromtimestamp(version.created_ms / 1000, UTC):%Y-%m-%d %H:%M}"


def _table(*heads: str, title: str | None = None) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for head in heads[:-1]:
        table.add_column(head, no_wrap=True)
    table.add_column(heads[-1], overflow="fold")  # sentences
    return table
