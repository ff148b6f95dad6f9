"""``unroll new``, ``doctor``, ``compare``, ``diagnose …`` and ``embedding …``: what a person explores with."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unroll.cli.app import OneTask, TaskName, app, console, root, stoppable

if TYPE_CHECKING:
    from unroll.workbench.embedding.vectors import Embedding

diagnose = typer.Typer(no_args_is_help=True, help="Look into a task's network.")
app.add_typer(diagnose, name="diagnose")
embedding = typer.Typer(no_args_is_help=True, help="What the vectors of words or characters say.")
app.add_typer(embedding, name="embedding")
VectorsFile = Annotated[
    Path | None, typer.Option("--vectors", metavar="FILE", help="Vectors in GloVe's or word2vec's text; no task then")
]
First = Annotated[
    int, typer.Option(min=1, help="Vectors to read from the file, which has the most frequent words first")
]


@app.command()
def new(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of the new task", show_default=False)],
    files: Annotated[
        list[str], typer.Option("--from", metavar="FILE", help="A file, pattern or folder; again for more of them")
    ],
    problem: Annotated[
        str, typer.Option(help="The kind of problem, such as forecasting; any other word is answered with all of them")
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


@app.command()
def compare(
    task: TaskName,
    settings: Annotated[
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
    from unroll.workbench import compare

    progress = console(stderr=True)
    with stoppable(progress, "stopped; the runs that had ended are in MLflow"):
        failed = compare.main(root(), task, settings or [], seeds, jobs, output, baselines, progress, console())
    raise typer.Exit(1 if failed else 0)


@diagnose.command("gradients")
def diagnose_gradients(
    task: TaskName,
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

    gradients.main(root(), task, cells, trained, steps, output, console())


@embedding.command()
def neighbours(
    arguments: Annotated[list[str], typer.Argument(metavar="[TASK] WORD…", show_default=False)],
    count: Annotated[int, typer.Option("-k", min=1, help="Neighbours of each word")] = 10,
    vectors: VectorsFile = None,
    first: First = 200_000,
) -> None:
    """Show the words whose vectors are nearest, by cosine.

    Such as: unroll embedding neighbours tweets late thanks -k 5
    """
    from unroll.workbench.embedding.vectors import table

    source, words = _embedding(arguments, vectors, first, ("WORD…",))
    console().print(table(["word", "neighbour", "cosine"], source.neighbours(words, count)))


@embedding.command()
def analogy(
    arguments: Annotated[list[str], typer.Argument(metavar="[TASK] A B C", show_default=False)],
    count: Annotated[int, typer.Option("-k", min=1, help="Answers to show")] = 5,
    vectors: VectorsFile = None,
    first: First = 200_000,
) -> None:
    """Show what is to C as B is to A: the words nearest to B − A + C (Mikolov et al. 2013).

    Such as: unroll embedding analogy --vectors glove.6B.100d.txt.gz man king woman
    """
    from unroll.workbench.embedding.vectors import table

    source, (a, b, c) = _embedding(arguments, vectors, first, ("A", "B", "C"))
    console().print(table([f"{a} : {b} = {c} : ?", "cosine"], source.analogy(a, b, c, count)))


@embedding.command(name="map")
def draw_map(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[TASK]", show_default=False)] = None,
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
    from unroll.workbench.embedding.vectors import write_map

    source, _ = _embedding(arguments or [], vectors, words, ())
    if output is None:
        output = Path(f"{method}.png") if vectors else root() / f"reports/{source.source}/embedding/{method}.png"
    for path in write_map(source, words, method, output):
        typer.echo(path)


def _embedding(
    arguments: list[str], vectors: Path | None, first: int, expected: tuple[str, ...]
) -> "tuple[Embedding, list[str]]":
    """The vectors of the task named first, or of a file, and the other arguments."""
    from unroll.core.errors import ConfigError
    from unroll.stages.common.task import Task
    from unroll.workbench.embedding.vectors import Embedding

    names = [*([] if vectors else ["TASK"]), *expected]
    many = names[-1:] == ["WORD…"]
    if len(arguments) < len(names) or (len(arguments) > len(names) and not many):
        raise ConfigError(f"{' '.join(arguments) or 'nothing'} is given; expected {' '.join(names) or 'no word'}")
    if vectors:
        return Embedding.of_file(vectors, first), arguments
    return Embedding.of_task(Task.open(root(), arguments[0])), arguments[1:]
