"""``unroll …``: the commands. Each imports what it needs when it runs, so that help and errors come at once."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from unroll.errors import UnrollError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Sequence data through a reproducible pipeline that keeps the best recurrent model in use.",
)
Tasks = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]…", help="Names of tasks; none: all", show_default=False)
]


def main() -> None:
    """Entry point of the command ``unroll``: an UnrollError is one line on standard error and exit code 1."""
    try:
        app()
    except UnrollError as error:
        sys.stderr.write(f"unroll: {error}\n")
        sys.exit(1)
    except OSError as error:  # a full disk, an unwritable folder: the person's to mend, not a fault of ours
        sys.stderr.write(f"unroll: {error.filename or 'file'}: {error.strerror or error}\n")
        sys.exit(1)


@app.command()
def repro(
    tasks: Tasks = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Tasks at a time; default: processors / threads")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, changed or not")] = False,
) -> None:
    """Bring tasks up to date: run what changed, publish what is new, show the results."""
    from unroll import reproduction

    signal.signal(signal.SIGTERM, _interrupt)
    progress = _console(stderr=True)
    try:
        failed = reproduction.main(_root(), tasks or [], jobs, force, progress, _console())
    except KeyboardInterrupt:
        progress.print("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def check() -> None:
    """Check params.yaml whole, for all tasks."""
    from unroll import schema

    params = schema.check(_root())
    typer.echo(f"params.yaml: {len(params.tasks())} tasks, all keys and values allowed")


@app.command(name="schema")
def print_schema() -> None:
    """Print the JSON Schema of params.yaml, for editors."""
    import json

    from unroll import schema

    typer.echo(json.dumps(schema.json_schema(), indent=2, ensure_ascii=False))


@app.command()
def results(markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table")] = False) -> None:
    """Show the results of all tasks beside their baselines."""
    from unroll import reproduction

    if markdown:
        typer.echo(reproduction.results_markdown(_root()))
    else:
        reproduction.show_results(_root(), _console())


@app.command()
def publish(tasks: Tasks = None) -> None:
    """Fill the tracking store from the files of tasks that are up to date but not in it."""
    from unroll import reproduction

    for line in reproduction.publish(_root(), tasks or []):
        typer.echo(line)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine alone")] = "127.0.0.1",
) -> None:
    """Open MLflow's pages on this machine: experiments, runs, models."""
    import os

    from unroll import tracking
    from unroll.stage import NO_TELEMETRY

    root = _root()
    tracking.initialise(root)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    os.environ.update(NO_TELEMETRY)
    os.execv(command[0], [*command, "--backend-store-uri", tracking.uri(root)])  # noqa: S606


def _console(*, stderr: bool = False) -> "Console":
    """Where nobody's window sets the width, such as in CI, tables get room enough."""
    from rich.console import Console

    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 160
    return console


def _root() -> Path:
    from unroll import store

    return store.project_root()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
