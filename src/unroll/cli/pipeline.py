"""``unroll repro``, ``results``, ``publish``, ``check``, ``schema`` and ``ui``: the pipeline and its results."""

import sys
from typing import Annotated, Literal

import typer

from unroll.cli.app import Tasks, app, console, root, stoppable


@app.command()
def repro(
    tasks: Tasks = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Tasks at a time; default: processors / threads")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, changed or not")] = False,
    until: Annotated[
        Literal["ingest", "validate", "prepare", "train", "evaluate", "register"],
        typer.Option(help="The last stage; before register nothing is registered, published or put in use"),
    ] = "register",
) -> None:
    """Bring tasks up to date: run what changed, publish what is new, show the results."""
    from unroll.pipeline import repro as reproduction

    progress = console(stderr=True)
    with stoppable(progress, "stopped; the same command goes on from here"):
        failed = reproduction.main(root(), tasks or [], jobs, force, progress, console(), until)
    raise typer.Exit(1 if failed else 0)


@app.command()
def check() -> None:
    """Check params.yaml whole, for all tasks."""
    from unroll.pipeline import check

    params = check.check(root())
    typer.echo(f"params.yaml: {len(params.tasks())} tasks, all keys and values allowed")


@app.command(name="schema")
def print_schema() -> None:
    """Print the JSON Schema of params.yaml, for editors."""
    import json

    from unroll.pipeline import check

    typer.echo(json.dumps(check.json_schema(), indent=2, ensure_ascii=False))


@app.command()
def results(markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table")] = False) -> None:
    """Show the results of all tasks beside their baselines."""
    from unroll.pipeline import results as table

    if markdown:
        typer.echo(table.markdown(root()))
    else:
        table.show(root(), console())


@app.command()
def publish(tasks: Tasks = None) -> None:
    """Fill the tracking store from the files of tasks that are up to date but not in it."""
    from unroll.pipeline import repro as reproduction

    for line in reproduction.publish(root(), tasks or []):
        typer.echo(line)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine alone")] = "127.0.0.1",
) -> None:
    """Open MLflow's pages on this machine: experiments, runs, models."""
    import os

    from unroll.stages.common.entry import NO_TELEMETRY
    from unroll.tracking import backend

    project = root()
    backend.initialise(project)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    os.environ.update(NO_TELEMETRY)
    os.execv(command[0], [*command, "--backend-store-uri", backend.uri(project)])  # noqa: S606
