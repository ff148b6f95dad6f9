"""Where MLflow's runs and models are kept, and a client of it.

Everything here is small before MLflow itself is imported, which takes a second: each function does that when it must.
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
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from unroll.core.errors import TrackingError, UnrollError

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
_PROBE_S = 3.0
_TIMEOUT_S = 30.0
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what fails is raised, and told in one line
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def uri(root: Path) -> str:
    """The tracking store: ``MLFLOW_TRACKING_URI``, or ``mlflow.db`` in the project.

    A relative SQLite path is meant from the project's root, wherever the command was started.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if given and not given.startswith("sqlite:///"):
        return given
    return f"sqlite:///{(root.resolve() / (given.removeprefix('sqlite:///') or 'mlflow.db')).as_posix()}"


def database(root: Path) -> Path | None:
    """The SQLite file of the tracking store; None where it is none."""
    where = uri(root)
    return Path(where.removeprefix("sqlite:///")) if where.startswith("sqlite:///") else None


def initialise(root: Path) -> None:
    """Create the SQLite store, or bring it up to the installed MLflow; does nothing where that has been done.

    MLflow's migration is neither safe in several processes at once nor when it is killed: so one process works, on a
    copy that takes the store's place when it is whole. ``user_version`` in the file says for which MLflow it is made.
    """
    from filelock import FileLock

    path, wanted = database(root), _schema_version()
    if path is None or _user_version(path) >= wanted:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=120):
            if _user_version(path) < wanted:
                _migrate(path, wanted)
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(f"{path}: no tracking store can be made: {error}") from None


def _migrate(path: Path, wanted: int) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        copy = Path(folder) / path.name
        if path.is_file():
            with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy)) as new:
                old.backup(new)
        _set_environment(_TIMEOUT_S)
        from mlflow import MlflowClient, db

        with refusals(f"sqlite:///{path}"):
            cast(Callable[[str], None], db.upgrade.callback)(f"sqlite:///{copy}")  # "mlflow db upgrade"
            MlflowClient(f"sqlite:///{copy}").search_experiments(max_results=1)  # makes the default experiment
        # A store that MLflow itself has made and brought up to date stays in its place: somebody may have it open.
        is_current = path.is_file() and _revision(path) == _revision(copy)
        with closing(sqlite3.connect(path if is_current else copy)) as new:
            new.execute(f"PRAGMA user_version = {wanted}")
        if not is_current:
            copy.replace(path)


def _revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone())


def _schema_version() -> int:
    major, minor, patch = (int(re.match(r"\d+", part)[0]) for part in version("mlflow").split(".")[:3])  # type: ignore[index]
    return (major * 1000 + minor) * 1000 + patch


def _user_version(path: Path) -> int:
    if not path.is_file():
        return -1
    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: {error}; expected MLflow's SQLite store") from None


def client(root: Path, timeout_s: float = _TIMEOUT_S) -> "MlflowClient":
    """A client of the tracking store and its registry; raises TrackingError at once if the server is away."""
    _set_environment(timeout_s)
    _require_reachable(uri(root))
    initialise(root)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri(root))


def patiently(root: Path, call: "Callable[[MlflowClient], T]") -> T:
    """``call`` with a client; again, from the start, while another process holds SQLite's lock.

    Within it the store is MLflow's default too: some of what a client does asks that one.
    """
    for wait_s in (0.25, 0.5, 1.0, 2.0, 4.0, None):
        try:
            with refusals(uri(root)):
                found = client(root)
                with as_default(root):
                    return call(found)
        except TrackingError as error:
            if wait_s is None or "database is locked" not in str(error):
                raise
            time.sleep(wait_s)
    raise AssertionError("unreachable")


def download(root: Path, where: str, folder: Path) -> None:
    """Fetch one file of a run or model into ``folder``; raises TrackingError that names it where it is gone."""

    def fetch(_: "MlflowClient") -> None:
        from mlflow.artifacts import download_artifacts

        try:
            download_artifacts(artifact_uri=where, dst_path=str(folder), tracking_uri=uri(root))
        except OSError as error:
            raise TrackingError(f"{public(where)}: cannot be fetched: {error}") from None

    patiently(root, fetch)


@contextmanager
def as_default(root: Path) -> Iterator[None]:
    """Within it, what MLflow does without a client (such as load a model by name) goes to this store."""
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
    """Turn what MLflow raises into one line that names the store."""
    try:
        yield
    except UnrollError:
        raise
    except Exception as error:
        from mlflow.exceptions import MlflowException

        if not isinstance(error, MlflowException):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrackingError(f"{public(where)}: MLflow refused: {reason[:300]}") from error


def _set_environment(timeout_s: float) -> None:
    for name, value in {**_ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(int(timeout_s))}.items():
        os.environ.setdefault(name, value)


def require_usable(root: Path) -> None:
    """Raise TrackingError where the store is a server that is away, or a file that is no store; nothing is made."""
    path = database(root)
    if path is None:
        _require_reachable(uri(root))
    else:
        _user_version(path)


def _require_reachable(where: str) -> None:
    if not where.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{public(where).rstrip('/')}/health", timeout=_PROBE_S).close()  # noqa: S310
    except (urllib.error.HTTPError, http.client.HTTPException, ValueError):
        return  # it answers, or the address is one that only MLflow understands
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if not isinstance(reason, ssl.SSLError):
            raise TrackingError(
                f"{public(where)}: cannot be reached ({reason}); expected an MLflow server (MLFLOW_TRACKING_URI)"
            ) from None


def public(where: str) -> str:
    """The address without a password that may stand in it."""
    return re.sub(r"//[^/@]*@", "//", where)
