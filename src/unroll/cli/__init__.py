"""``unroll …``: the commands. Each imports what it needs when it runs, so that help and errors come at once."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from unroll.cli import models, registry
from unroll.cli import serve as server_command
from unroll.core.errors import UnrollError

if TYPE_CHECKING:
    from rich.console import Console

    from unroll.workbench.embedding.vectors import Embedding

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Sequence data through a reproducible pipeline that keeps the best recurrent model in use.",
)
diagnose = typer.Typer(no_args_is_help=True, help="Look into a task's network.")
app.add_typer(diagnose, name="diagnose")
app.add_typer(registry.app, name="registry")
app.command()(registry.trace)
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
    from unroll.pipeline import repro as reproduction

    signal.signal(signal.SIGTERM, _interrupt)
    progress = _console(stderr=True)
    try:
        failed = reproduction.main(_root(), tasks or [], jobs, force, progress, _console())
    except KeyboardInterrupt:
        progress.print("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def new(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the new task", show_default=False)],
    files: Annotated[
        list[str], typer.Option("--from", metavar="FILE", help="A file, pattern or folder; again for more of them")
    ],
    problem: Annotated[
        str,
        typer.Option(help="forecasting, rise_or_fall, series_classification, text_classification, language_model, …"),
    ],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="What is forecast, told or answered")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="The label, of a classification")] = None,
    text: Annotated[str | None, typer.Option(metavar="COLUMN", help="The text")] = None,
    source: Annotated[str | None, typer.Option(metavar="COLUMN", help="The source, of pairs of texts")] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="The time, of a series")] = None,
    site: Annotated[str | None, typer.Option(metavar="COLUMN", help="What tells several series apart")] = None,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="BLOCK.KEY=VALUE", help="A key of the block; again for more")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Append the block without asking")] = False,
) -> None:
    """Look at files of one's own and propose a task on them: a block for params.yaml, shown before it is written.

    Such as: unroll new pollution --from beijing.csv --problem forecasting --target pm2.5
    """
    from unroll.workbench import new as proposal

    settings = proposal.parse(given or [])
    wanted = proposal.Asked(problem, tuple(files), target, label, text, source, time, site, settings)
    proposal.main(_root(), task, wanted, yes, sys.stdout)


@app.command()
def check() -> None:
    """Check params.yaml whole, for all tasks."""
    from unroll.pipeline import check as schema

    params = schema.check(_root())
    typer.echo(f"params.yaml: {len(params.tasks())} tasks, all keys and values allowed")


@app.command()
def doctor(
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="One task; none: all", show_default=False)
    ] = None,
) -> None:
    """Look for what is wrong: parameters, files, environment, device, stages; and say what to do about it."""
    from unroll.workbench import doctor as looking

    raise typer.Exit(1 if looking.main(_root(), task, _console()) else 0)


@app.command(name="schema")
def print_schema() -> None:
    """Print the JSON Schema of params.yaml, for editors."""
    import json

    from unroll.pipeline import check as schema

    typer.echo(json.dumps(schema.json_schema(), indent=2, ensure_ascii=False))


@app.command()
def results(markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table")] = False) -> None:
    """Show the results of all tasks beside their baselines."""
    from unroll.pipeline import results as table

    if markdown:
        typer.echo(table.markdown(_root()))
    else:
        table.show(_root(), _console())


@app.command()
def compare(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the task", show_default=False)],
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=V1,V2,…", help="A key below the task and its values; again for more keys"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each combination: the task's own and those after it")] = 1,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: processors / threads")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for picture and tables; default: reports/TASK/compare/…")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Compute the baselines on the same data, too")] = True,
) -> None:
    """Train a task with other values, several seeds each: a table, a picture, nested runs in MLflow.

    Such as: unroll compare air_quality --set model.cell=rnn,lstm,gru --seeds 3
    """
    from unroll.workbench import compare as comparison

    signal.signal(signal.SIGTERM, _interrupt)
    progress = _console(stderr=True)
    try:
        failed = comparison.main(_root(), task, given or [], seeds, jobs, output, baselines, progress, _console())
    except KeyboardInterrupt:
        progress.print("stopped; the runs that had ended are in MLflow")
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)


@diagnose.command("gradients")
def diagnose_gradients(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the task", show_default=False)],
    cells: Annotated[str, typer.Option(help="Cells between commas")] = "rnn,lstm,gru",
    trained: Annotated[bool, typer.Option("--trained", help="The task's trained network, too")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training with and without clipping")] = 50,
    output: Annotated[
        Path | None,
        typer.Option(help="The picture; tables go beside it. Default: reports/TASK/diagnosis/gradients.png"),
    ] = None,
) -> None:
    """Training through time made visible: gradients that vanish or explode, and what clipping does.

    Such as: unroll diagnose gradients poetry --cells rnn,lstm
    """
    from unroll.workbench import gradients

    gradients.main(_root(), task, cells, trained, steps, output, _console())


embedding_app = typer.Typer(no_args_is_help=True, help="What the vectors of words or characters say.")
app.add_typer(embedding_app, name="embedding")
VectorsFile = Annotated[
    Path | None, typer.Option("--vectors", metavar="FILE", help="Vectors in GloVe's or word2vec's text; no task then")
]
First = Annotated[int, typer.Option(min=1, help="Vectors that are read of the file: they stand by frequency")]


@embedding_app.command()
def neighbours(
    given: Annotated[list[str], typer.Argument(metavar="[TASK] WORD…", show_default=False)],
    count: Annotated[int, typer.Option("-k", min=1, help="Neighbours of each word")] = 10,
    vectors: VectorsFile = None,
    first: First = 200_000,
) -> None:
    """Show the words whose vectors are nearest, by cosine.

    Such as: unroll embedding neighbours tweets late thanks -k 5
    """
    from unroll.workbench.embedding.vectors import table

    found, words = _embedding(given, vectors, first, ("WORD…",))
    _console().print(table(["word", "neighbour", "cosine"], found.neighbours(words, count)))


@embedding_app.command()
def analogy(
    given: Annotated[list[str], typer.Argument(metavar="[TASK] A B C", show_default=False)],
    count: Annotated[int, typer.Option("-k", min=1, help="Answers to show")] = 5,
    vectors: VectorsFile = None,
    first: First = 200_000,
) -> None:
    """Show what is to C as B is to A: the words nearest to B − A + C (Mikolov et al. 2013).

    Such as: unroll embedding analogy --vectors glove.6B.100d.txt.gz man king woman
    """
    from unroll.workbench.embedding.vectors import table

    found, (a, b, c) = _embedding(given, vectors, first, ("A", "B", "C"))
    _console().print(table([f"{a} : {b} = {c} : ?", "cosine"], found.analogy(a, b, c, count)))


@embedding_app.command(name="map")
def draw_map(
    given: Annotated[list[str] | None, typer.Argument(metavar="[TASK]", show_default=False)] = None,
    words: Annotated[int, typer.Option(min=3, help="The most frequent ones")] = 300,
    method: Annotated[
        Literal["tsne", "pca"], typer.Option(help="tsne: near ones side by side; pca: the widest directions")
    ] = "tsne",
    output: Annotated[Path | None, typer.Option(help="A .png; default: reports/TASK/embedding/METHOD.png")] = None,
    vectors: VectorsFile = None,
) -> None:
    """Draw the vectors of the most frequent words in a plane, with a table beside the picture.

    Such as: unroll embedding map tweets --words 200
    """
    from unroll.workbench.embedding import vectors as embedding

    found, _ = _embedding(given or [], vectors, words, ())
    if output is None:
        output = Path(f"{method}.png") if vectors else _root() / f"reports/{found.source}/embedding/{method}.png"
    for path in embedding.write_map(found, words, method, output):
        typer.echo(path)


def _embedding(
    given: list[str], vectors: Path | None, first: int, wanted: tuple[str, ...]
) -> "tuple[Embedding, list[str]]":
    """The vectors of the task named first, or of a file, and the other arguments."""
    from unroll.core.errors import ConfigError
    from unroll.stages.common.task import Task
    from unroll.workbench.embedding.vectors import Embedding

    heads = [*([] if vectors else ["TASK"]), *wanted]
    more = heads[-1:] == ["WORD…"]
    if len(given) < len(heads) or (len(given) > len(heads) and not more):
        raise ConfigError(f"{' '.join(given) or 'nothing'} is given; expected {' '.join(heads) or 'no word'}")
    if vectors:
        return Embedding.of_file(vectors, first), given
    return Embedding.of_task(Task.open(_root(), given[0])), given[1:]


models.add_to(app)


@app.command()
def publish(tasks: Tasks = None) -> None:
    """Fill the tracking store from the files of tasks that are up to date but not in it."""
    from unroll.pipeline import repro as reproduction

    for line in reproduction.publish(_root(), tasks or []):
        typer.echo(line)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine alone")] = "127.0.0.1",
) -> None:
    """Open MLflow's pages on this machine: experiments, runs, models."""
    import os

    from unroll.stages.common.entry import NO_TELEMETRY
    from unroll.tracking import runs

    root = _root()
    runs.initialise(root)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", host, "--port", str(port)]
    os.environ.update(NO_TELEMETRY)
    os.execv(command[0], [*command, "--backend-store-uri", runs.uri(root)])  # noqa: S606


app.command()(server_command.serve)


def _console(*, stderr: bool = False) -> "Console":
    """Where nobody's window sets the width, such as in CI, tables get room enough."""
    from rich.console import Console

    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 160
    return console


def _root() -> Path:
    from unroll.core.layout import project_root

    return project_root()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
