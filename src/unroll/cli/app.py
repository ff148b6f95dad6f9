"""The application that every group of commands joins, and what the commands share."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Sequence data through a reproducible pipeline that keeps the best recurrent model in use.",
)
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Name of the task", show_default=False)]
OneTask = Annotated[str | None, typer.Argument(metavar="[TASK]", help="One task; none: all", show_default=False)]
Tasks = Annotated[
    list[str] | None, typer.Argument(metavar="[TASK]…", help="Names of tasks; none: all", show_default=False)
]


def root() -> Path:
    """The project around the working folder."""
    from unroll.core.layout import project_root

    return project_root()


def console(*, stderr: bool = False, markup: bool = True) -> "Console":
    """A console that leaves tables enough room where no window sets the width, such as in CI."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=markup, highlight=markup)
    if not made.is_terminal:
        made.width = 160
    return made


@contextmanager
def stoppable(progress: "Console", message: str) -> Iterator[None]:
    """Within it Ctrl-C and SIGTERM end the command with ``message`` and exit code 130."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        progress.print(message)
        raise typer.Exit(130) from None
