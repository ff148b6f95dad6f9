"""``unroll …``: the commands. Each imports what it needs when it runs, so that help and errors come at once."""

import sys

from unroll.cli import ci, explore, models, pipeline, registry  # noqa: F401 - each adds its commands
from unroll.cli.app import app
from unroll.core.errors import UnrollError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the command ``unroll``: an UnrollError is one line on standard error and exit code 1."""
    try:
        app()
    except UnrollError as error:
        sys.stderr.write(f"unroll: {error}\n")
        sys.exit(1)
    except OSError as error:  # a full disk or an unwritable folder is for the user to fix, not a bug of ours
        sys.stderr.write(f"unroll: {error.filename or 'file'}: {error.strerror or error}\n")
        sys.exit(1)
