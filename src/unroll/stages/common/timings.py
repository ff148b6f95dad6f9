"""How long each stage of a task took: a note beside the outputs, never one of them (outputs are the same each time)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout


@contextmanager
def measure(layout: Layout, stage: str) -> Iterator[None]:
    """Note the seconds of the block under ``stage`` in ``.unroll/<task>/timings.json``, if it ends well.

    The notes of other stages stay. Stages of one task run one after another, so nobody else writes meanwhile.
    """
    started = time.monotonic()
    yield
    seconds = read(layout) | {stage: round(time.monotonic() - started, 3)}
    store.write_json(_path(layout), seconds)


def read(layout: Layout) -> dict[str, float]:
    """Seconds by stage as last measured; empty where nothing was, or where the note is damaged (it is only a note)."""
    try:
        found = store.read_json(_path(layout))
    except StoreError:
        return {}
    return {str(k): float(v) for k, v in found.items() if isinstance(v, int | float)} if isinstance(found, dict) else {}


def _path(layout: Layout) -> Path:
    return layout.state / "timings.json"
