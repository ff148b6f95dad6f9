"""``unroll serve`` on the command line."""

import sys
from typing import Annotated

import typer

from unroll.cli.app import app, root


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
