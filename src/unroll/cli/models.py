"""``unroll predict``, ``generate``, ``add`` and ``serve``: the models in use."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from unroll.cli.app import TaskName, app, root

Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="champion, challenger, a version or a folder; default: the champion, else what was trained here last",
        show_default=False,
    ),
]


@app.command()
def predict(
    task: TaskName,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="File of raw input; -: standard input", show_default=False)
    ],
    model: Model = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .csv, .jsonl, .parquet or .txt; default: standard output")
    ] = None,
    form: Annotated[
        Literal["csv", "jsonl", "parquet", "text"] | None,
        typer.Option("--format", help="Default: as FILE ends; on standard output as INPUT if jsonl or text, else csv"),
    ] = None,
) -> None:
    """Answer raw input with a task's model. A task on your own files takes files like those.

    Such as: unroll predict pollution last_days.csv --output forecast.csv
    """
    from unroll.serving import predict as prediction

    with _piped():
        prediction.main(root(), prediction.Request(task, source, model, output, form), sys.stdout)


@app.command()
def generate(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of a language model's task", show_default=False)],
    seed_text: Annotated[str, typer.Option(help="The text to continue", show_default=False)],
    length: Annotated[int, typer.Option(help="Characters, or words of a model of words")] = 400,
    temperature: Annotated[float, typer.Option(help="Low: tame, high: wild; 0: always the most probable one")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Draw among so many of the most probable ones; 0: all")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw among the fewest with this share of the probability")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: recent tokens are drawn less often")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed draws the same text")] = 0,
    model: Model = None,
) -> None:
    """Continue a text as a trained language model would, shown as it is drawn.

    Such as: unroll generate poetry --seed-text "the rose" --temperature 0.6
    """
    from unroll.serving import generate as generation

    options = {
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    with _piped():
        generation.main(root(), task, seed_text, options, sys.stdout, model)


@app.command(context_settings={"ignore_unknown_options": True})
def add(
    numbers: Annotated[
        list[str], typer.Argument(metavar="A B…", help="Two numbers a sum, or sums such as 12+345", show_default=False)
    ],
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Default: the task that adds", show_default=False)
    ] = None,
    model: Model = None,
) -> None:
    """Ask the network that has learned to add, and say whether it is right.

    Such as: unroll add 123 456
    """
    from unroll.serving import add as adding

    with _piped():
        adding.main(root(), numbers, task, model, sys.stdout)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine alone")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one")] = 8000,
    task: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="Serve this task; again for more. Default: all")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processors of one network's pass")] = 1,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everyone in who reaches an address that other machines can reach")
    ] = False,
) -> None:
    """Answer over HTTP with every task's champion, from one process, with a page to try them at /.

    A newly promoted champion is loaded while the server runs. With UNROLL_TOKEN set, requests must carry it.
    Such as: unroll serve --port 8000
    """
    from unroll.serving import http

    http.main(root(), task or [], http.Address.allowed(host, port, no_token), threads, sys.stdout)


@contextmanager
def _piped() -> Iterator[None]:
    """A reader that has read enough, and a person who stops the command, are not faults."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:  # what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
