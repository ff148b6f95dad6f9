"""Where MLflow keeps runs and models, and a client for it.

MLflow takes a second to import, so each function imports it only when it needs it.
"""

import http.client
import os
import re
import sqlite3
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from unroll.core.errors import StoreError, TrackingError, UnrollError
from unroll.tracking import mlflow_tables

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
_PROBE_S = 3.0
_TIMEOUT_S = 30.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # failures are raised and reported in one line
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class BusyError(TrackingError):
    """Another process holds the lock of the SQLite store."""


def uri(root: Path) -> str:
    """The tracking store: ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` in the project.

    A relative SQLite path is resolved from the project's root, wherever the command was started.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if given and not given.startswith("sqlite:///"):
        return given
    return f"sqlite:///{(root.resolve() / (given.removeprefix('sqlite:///') or 'mlflow.db')).as_posix()}"


def database(root: Path) -> Path | None:
    """The SQLite file of the tracking store; None for a server."""
    where = uri(root)
    return Path(where.removeprefix("sqlite:///")) if where.startswith("sqlite:///") else None


def initialise(root: Path) -> None:
    """Create the SQLite store, or upgrade it to the installed MLflow; does nothing where that has been done.

    MLflow's migration is safe neither in several processes at once nor when it is killed, so one process works on a
    copy that replaces the store when it is complete. ``user_version`` in the file says which MLflow it was made for.
    """
    from filelock import FileLock

    path, needed = database(root), _installed()
    if path is None or mlflow_tables.user_version(path) >= needed:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=120):
            if mlflow_tables.user_version(path) < needed:
                _migrate(path, needed)
    except (OSError, sqlite3.Error) as error:
        kind = BusyError if _is_busy(error) else TrackingError
        raise kind(f"{path}: no tracking store can be made: {error}") from None


def _migrate(path: Path, needed: int) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        copy = Path(folder) / path.name
        if path.is_file():
            mlflow_tables.copy(path, copy)
        _set_environment(_TIMEOUT_S)
        from mlflow import MlflowClient, db

        with refusals(f"sqlite:///{path}"):
            cast(Callable[[str], None], db.upgrade.callback)(f"sqlite:///{copy}")  # "mlflow db upgrade"
            MlflowClient(f"sqlite:///{copy}").search_experiments(max_results=1)  # makes the default experiment
        # A store that MLflow itself made and upgraded stays in its place: another process may have it open.
        is_current = path.is_file() and mlflow_tables.revision(path) == mlflow_tables.revision(copy)
        mlflow_tables.set_user_version(path if is_current else copy, needed)
        if not is_current:
            copy.replace(path)


def _installed() -> int:
    """The installed MLflow's version as one number."""
    major, minor, patch = (int(re.match(r"\d+", part)[0]) for part in version("mlflow").split(".")[:3])  # type: ignore[index]
    return (major * 1000 + minor) * 1000 + patch


def client(root: Path, timeout_s: float = _TIMEOUT_S) -> "MlflowClient":
    """A client for the tracking store and its registry; raises TrackingError at once if the server is away."""
    _set_environment(timeout_s)
    _require_reachable(uri(root))
    initialise(root)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri(root))


def patiently(root: Path, call: "Callable[[MlflowClient], T]") -> T:
    """``call`` with a client; repeated from the start while another process holds SQLite's lock.

    Meanwhile the store is MLflow's default too: some methods of a client ask the default one.
    """
    for wait_s in (0.25, 0.5, 1.0, 2.0, 4.0, None):
        try:
            with refusals(uri(root)):
                connected = client(root)
                with as_default(root):
                    return call(connected)
        except BusyError:
            if wait_s is None:
                raise
            time.sleep(wait_s)
    raise AssertionError("unreachable")


def download(root: Path, where: str, folder: Path) -> None:
    """Fetch a file or a folder of a run or model into ``folder``; raises StoreError that names it if it is gone."""

    def fetch(_: "MlflowClient") -> None:
        from mlflow.artifacts import download_artifacts

        try:
            download_artifacts(artifact_uri=where, dst_path=str(folder), tracking_uri=uri(root))
        except OSError as error:
            raise StoreError(f"{public(where)}: cannot be fetched: {error}") from None

    patiently(root, fetch)


@contextmanager
def as_default(root: Path) -> Iterator[None]:
    """Make this store MLflow's default, for what it does without a client (such as loading a model by name)."""
    import mlflow

    given = os.environ.get("MLFLOW_TRACKING_URI")
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None  # type: ignore[no-untyped-call]
    mlflow.set_tracking_uri(uri(root))
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # which MLflow sets as well
        if given is not None:
            os.environ["MLFLOW_TRACKING_URI"] = given


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Turn MLflow's exceptions into one line that names the store: BusyError while SQLite is locked, TrackingError."""
    try:
        yield
    except UnrollError:
        raise
    except Exception as error:
        from mlflow.exceptions import MlflowException

        if not isinstance(error, MlflowException):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        kind = BusyError if _is_busy(error) else TrackingError
        raise kind(f"{public(where)}: MLflow refused: {reason[:300]}") from error


def _is_busy(error: BaseException | None) -> bool:
    """Whether a locked SQLite file is the cause, here or on a server."""
    while error is not None:
        if isinstance(error, sqlite3.Error):
            code: int = getattr(error, "sqlite_errorcode", 0)  # missing where Python itself raised it
            return code & 0xFF in _BUSY
        if error.__cause__ is None and getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE":
            return True  # a server's reply
        error = error.__cause__
    return False


def _set_environment(timeout_s: float) -> None:
    for name, value in {**_ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(int(timeout_s))}.items():
        os.environ.setdefault(name, value)


def require_usable(root: Path) -> None:
    """Raise TrackingError if the server is away or the file is not a store; nothing is created."""
    path = database(root)
    if path is None:
        _require_reachable(uri(root))
    else:
        mlflow_tables.user_version(path)


def _require_reachable(where: str) -> None:
    if not where.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{public(where).rstrip('/')}/health", timeout=_PROBE_S).close()  # noqa: S310
    except (urllib.error.HTTPError, http.client.HTTPException, ValueError):
        return  # it answers, or only MLflow understands the address
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if not isinstance(reason, ssl.SSLError):
            raise TrackingError(
                f"{public(where)}: cannot be reached ({reason}); expected an MLflow server (MLFLOW_TRACKING_URI)"
            ) from None


def public(where: str) -> str:
    """The address without a password in it."""
    return re.sub(r"//[^/@]*@", "//", where)
