"""One public file, pinned by its hash: gone on with where a download broke off, tried again, verified, and kept.

What is kept lies in the project's own cache folder, outside every output, so that a stage that runs again asks the
network for nothing.
"""

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.datasets.common.base import MAX_BYTES, RemoteFile

if TYPE_CHECKING:
    import requests

MIRROR = "UNROLL_MIRROR"
"""Environment variable: base URL or folder to take the files from, at <mirror>/<dataset>/<file> or <mirror>/<file>."""
PROGRESS = "UNROLL_PROGRESS"
"""Environment variable: plain for lines of progress, quiet for none, anything else for a bar on a terminal."""
SHOWN_EVERY_S = 1.0
ATTEMPTS = 5
PAUSE_S = 1.0
"""Before the second attempt; twice as long before each further one."""
TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two pieces of an answer."""
PIECE = 1 << 13
"""Bytes taken at a time, and at most lost when the line breaks."""
ABSENT = (403, 404, 410)
"""How servers say that there is no such file."""
WHOLE = 416
"""Nothing is left to send: the hash tells whether what is here is the whole file."""
BUSY = (408, 425, 429)
"""Refusals that may pass, like a server's own faults (5xx)."""


def get(file: RemoteFile, dataset: str, downloads: Path, task: str = "") -> Path:
    """The path of a verified copy of ``file``, downloaded into the folder ``downloads`` if it is not there yet.

    ``task`` (the dataset, if empty) is named in the lines of progress that UNROLL_PROGRESS=plain asks for.

    Raises DataError if the file cannot be had or is another one, StoreError if ``downloads`` cannot be written.
    """
    mirror = os.environ.get(MIRROR, "")
    if mirror and "://" not in mirror:
        return _from_folder(file, dataset, Path(mirror).expanduser())
    if mirror and not mirror.startswith(("http://", "https://")):
        raise ConfigError(f"{MIRROR}: {mirror!r} is not allowed; expected a URL of http or https, or a folder")
    base = mirror.rstrip("/")
    urls = [f"{base}/{dataset}/{file.name}", f"{base}/{file.name}"] if mirror else [file.url]
    kept = downloads / file.name
    with _locked(downloads, file.name):
        if not (kept.is_file() and digest(kept, file.hash) == file.hash):
            partial = downloads / f"{file.name}.{file.hash[-12:]}.part"
            _download(file, urls, partial, f"ingest {task or dataset}: {file.name}")
            partial.replace(kept)
    return kept


def digest(path: Path, like: str) -> str:
    """The hash of a file, in the form of ``like``: sha256:… or git-blob:…"""
    if like.startswith("sha256:"):
        return f"sha256:{store.sha256(path)}"
    blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as handle:
        while piece := handle.read(PIECE):
            blob.update(piece)
    return f"git-blob:{blob.hexdigest()}"


def _from_folder(file: RemoteFile, dataset: str, folder: Path) -> Path:
    for path in (folder / dataset / file.name, folder / file.name):
        if path.is_file():
            _verify(path, file, str(path))
            return path
    raise DataError(f"{folder / dataset / file.name}: missing; expected the file there or beside it ({MIRROR})")


def _verify(path: Path, file: RemoteFile, name: str) -> None:
    actual = digest(path, file.hash)
    if actual != file.hash:
        raise DataError(f"hash {actual}; expected {file.hash}: it is not the published file", file=name)


@contextmanager
def _locked(downloads: Path, name: str) -> Iterator[None]:
    """Two tasks may want the same file at the same time: the second one waits and finds it there."""
    from filelock import FileLock

    try:
        downloads.mkdir(parents=True, exist_ok=True)
        lock = FileLock(downloads / f".{name}.lock")
        lock.acquire()
    except OSError as error:
        raise StoreError(f"{downloads}: cannot be written: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


def _download(file: RemoteFile, urls: Sequence[str], partial: Path, title: str) -> None:
    """Fill ``partial`` from the first of ``urls`` that has the file; what a broken attempt brought is kept."""
    import requests

    fault, waiting = "", list(urls)
    for attempt in range(ATTEMPTS):
        if attempt:
            pause_s = PAUSE_S * 2 ** (attempt - 1)
            _say(f"{title} attempt {attempt + 1} of {ATTEMPTS} in {pause_s:g} s: {fault}")
            time.sleep(pause_s)
        resumed = partial.exists()
        try:
            while not _transfer(waiting[0], partial, title):
                if len(waiting) == 1:
                    raise DataError(f"{' and '.join(urls)}: not there; expected {file.name} (a mirror: {MIRROR})")
                waiting.pop(0)
        except requests.RequestException as error:
            fault = " ".join(str(error).split())
            continue
        except OSError as error:
            raise StoreError(f"{partial}: cannot be written: {error.strerror or error}") from None
        try:
            _verify(partial, file, waiting[0])
        except DataError as error:
            partial.unlink()
            if not resumed:
                raise
            fault = str(error)  # perhaps the part from before was no good: once more from the start
        else:
            return
    size = partial.stat().st_size if partial.exists() else 0
    raise DataError(
        f"{waiting[0]}: not downloaded in {ATTEMPTS} attempts ({size:,} bytes are kept, run it again to go on): {fault}"
    )


def _transfer(url: str, partial: Path, title: str) -> bool:
    """Fetch what ``partial`` lacks; False if the server has no such file."""
    import requests

    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
        if answer.status_code in ABSENT:
            return False
        if answer.status_code == WHOLE and have:
            return True
        if 400 <= answer.status_code < 500 and answer.status_code not in BUSY:
            raise DataError(f"{url}: refused: {answer.status_code} {answer.reason}; expected the file")
        answer.raise_for_status()
        resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        done = have if resumed else 0
        with partial.open("ab" if resumed else "wb") as handle, _shown(title, answer, done) as advance:
            for piece in answer.iter_content(PIECE):
                handle.write(piece)
                advance(len(piece))
                done += len(piece)
                if done > MAX_BYTES:
                    break
    if done > MAX_BYTES:
        partial.unlink()
        raise DataError(f"{url}: more than {MAX_BYTES:,} bytes; expected at most that")
    return True


@contextmanager
def _shown(title: str, answer: "requests.Response", done: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, or lines where they are asked for; yields the function that reports new bytes."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdigit() else None
    if os.environ.get(PROGRESS) in ("plain", "quiet"):
        yield _lines(title, total, done)
        return
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        line = bar.add_task(title.rpartition(" ")[2], total=total, completed=done)
        yield lambda size: bar.advance(line, size)


def _lines(title: str, total: int | None, done: int) -> Callable[[int], None]:
    """What writes a line of progress at the first bytes and about once a second from then on."""
    here, shown, started = done, -math.inf, time.monotonic()

    def advance(size: int) -> None:
        nonlocal here, shown
        here += size
        now = time.monotonic()
        if now - shown >= SHOWN_EVERY_S:
            shown = now
            part = f"{100 * here / total:.0f} %" if total else f"{here / 1e6:.1f} MB"
            _say(f"{title} {part}, {(here - done) / max(now - started, 1e-3) / 1e6:.1f} MB/s")

    return advance


def _say(line: str) -> None:
    if os.environ.get(PROGRESS) == "plain":
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
