"""How long each stage of a task took: a note beside the outputs, which must come out the same each time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout


@contextmanager
def measure(layout: Layout, stage: str) -> Iterator[None]:
    """Note the seconds of the block under ``stage`` in ``.unroll/<task>/timings.json``, unless it fails.

    The notes of other stages stay. Stages of one task run one after another, so no other process writes meanwhile.
    """
    started = time.monotonic()
    yield
    seconds = read(layout) | {stage: round(time.monotonic() - started, 3)}
    store.write_json(_path(layout), seconds)


def read(layout: Layout) -> dict[str, float]:
    """Seconds by stage as last measured; a note that is missing or damaged counts as empty."""
    try:
        note = store.read_json(_path(layout))
    except StoreError:
        return {}
    return {str(k): float(v) for k, v in note.items() if isinstance(v, int | float)} if isinstance(note, dict) else {}


def _path(layout: Layout) -> Path:
    return layout.state / "timings.json"
