"""``unroll new`` and ``doctor``: a new task on the user's own files, and what is wrong with the tasks there are."""

import sys
from typing import Annotated

import typer

from unroll.cli.app import OneTask, app, console, root


@app.command()
def new(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the new task", show_default=False)],
    files: Annotated[
        list[str], typer.Option("--from", metavar="FILE", help="A file, pattern or folder; again for more of them")
    ],
    problem: Annotated[
        str,
        typer.Option(help="The kind of problem, such as forecasting; any other word is answered with all of them"),
    ],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="The label, of a classification")] = None,
    text: Annotated[str | None, typer.Option(metavar="COLUMN", help="The text")] = None,
    source: Annotated[str | None, typer.Option(metavar="COLUMN", help="The source, of pairs of texts")] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="The time, of a series")] = None,
    site: Annotated[str | None, typer.Option(metavar="COLUMN", help="The name of each of several series")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="BLOCK.KEY=VALUE", help="A key of the block; again for more")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Append the block without asking")] = False,
) -> None:
    """Look at your own files and propose a task on them: a block for params.yaml, shown before it is written.

    Such as: unroll new pollution --from beijing.csv --problem forecasting --target pm2.5
    """
    from unroll.workbench import new as proposal

    keys = proposal.parse(settings or [])
    request = proposal.Request(problem, tuple(files), target, label, text, source, time, site, keys)
    proposal.main(root(), task, request, yes, sys.stdout)


@app.command()
def doctor(task: OneTask = None) -> None:
    """Look for what is wrong: parameters, files, environment, device, stages; and say what to do about it."""
    from unroll.workbench import doctor

    raise typer.Exit(1 if doctor.main(root(), task, console()) else 0)
