"""``unroll ci …``: what continuous integration calls; each runs on any machine, without a service."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unroll.cli.app import Tasks, app, root

group = typer.Typer(no_args_is_help=True, help="What continuous integration calls, on any machine.")
app.add_typer(group, name="ci")
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, show_default=False)]


@group.command()
def plan(
    tasks: Tasks = None, as_json: Annotated[bool, typer.Option("--json", help="Names of tasks, for a matrix")] = False
) -> None:
    """Say which tasks the code, parameters and files as they are make stale, and from which stage on; needs no data."""
    from unroll.pipeline.ci import affected

    stale = affected.plan(root(), tasks or [])
    if as_json:
        typer.echo(json.dumps(list(stale)))
        return
    for task, stages in stale.items():
        typer.echo(f"{task}: {', '.join(stages)}")
    if not stale:
        typer.echo("nothing to do: no stage is stale")


@group.command(name="merge-lock")
def merge_lock(base: File, ours: File, theirs: File) -> None:
    """Merge dvc.lock of two branches into OURS, stage by stage; a stage that both changed loses its entry and runs."""
    from unroll.pipeline.ci import merge_lock as merging

    for name in merging.merge(base, ours, theirs):
        typer.echo(f"{name}: changed on both sides, so its entry is dropped: unroll repro runs it", err=True)
