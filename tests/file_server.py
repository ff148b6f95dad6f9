"""A small file server that understands ranges and can be told to misbehave."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class FileServer:
    """What it serves, by path, and how; ``ranges`` are those asked for, in order, None for a whole file."""

    files: dict[str, bytes]
    url: str = ""
    break_after: list[int] = field(default_factory=list)  # bytes of each of the next answers, then the line is cut
    refuse: list[int] = field(default_factory=list)  # status codes of the next answers
    knows_ranges: bool = True
    paths: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.paths.append(request.path)
        self.ranges.append(request.headers.get("Range"))
        content = self.files.get(request.path)
        if self.refuse or content is None:
            request.send_error(self.refuse.pop(0) if self.refuse else 404)
            return
        start = 0
        if self.ranges[-1] and self.knows_ranges:
            start = int(self.ranges[-1].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        size = self.break_after.pop(0) if self.break_after else len(content)
        request.wfile.write(content[start : start + size])


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[FileServer]:
    """A server of ``files`` on this machine, for as long as the block runs."""
    server = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        http.shutdown()
        thread.join()
