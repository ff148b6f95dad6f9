"""The page at ``/`` and that of the interface at ``/docs``: files of this package, read once, served from memory."""

import hashlib
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import Response

from unroll.serving.http.faults import RequestError

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PROBED = ["GET", "HEAD"]
"""Methods of pages that monitors and proxies probe."""


def add(app: FastAPI) -> None:
    """Serve the pages and what they load."""
    contents = {each.name: each.read_bytes() for each in files("unroll.serving.http").joinpath("page").iterdir()}
    tags = {name: f'"{hashlib.sha256(content).hexdigest()[:20]}"' for name, content in contents.items()}

    def file(name: str, request: Request) -> Response:
        if name not in contents:
            raise RequestError("not_found", f"/page/{name[:60]}: no such file; expected what the page at / loads")
        headers = {"ETag": tags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(None, 304, headers)
        return Response(contents[name], 200, headers, _KINDS[name[name.rindex(".") :]])

    @app.api_route("/", methods=PROBED)
    async def page(request: Request) -> Response:
        """Try each model in the browser."""
        return file("index.html", request)

    @app.api_route("/docs", methods=PROBED)
    async def docs(request: Request) -> Response:
        """The interface, readable."""
        return file("docs.html", request)

    @app.api_route("/page/{name}", methods=PROBED)
    async def part(name: str, request: Request) -> Response:
        """What the pages load."""
        return file(name, request)
