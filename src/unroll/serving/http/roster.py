"""Which model answers for each task: the registry's champion, replaced while the server runs when it changes.

A new champion is loaded beside the old one, held against its hash, and must answer a trial; only then does it take the
old one's place. One that fails is logged, and tried again later.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.errors import StoreError, UnrollError
from unroll.core.params import Params
from unroll.model.predictor import Predictor
from unroll.problems.common.inputs import Inputs
from unroll.registry import snapshot, versions
from unroll.serving.http import body, replies
from unroll.serving.http.batcher import Batcher
from unroll.serving.http.body import Records
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits
from unroll.serving.http.measures import Measures
from unroll.tracking import backend

if TYPE_CHECKING:
    import pandas as pd

LOG = logging.getLogger("unroll.serving.http")
POLL_S = 1.0
RETRY_S = 30.0
"""After how long a champion that could not be loaded is tried again."""
EXAMPLE = "input_example.json"
MOST_EXAMPLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Served:
    """A champion that answers."""

    task: str
    version: int
    model_hash: str
    problem: str
    predictor: Predictor
    inputs: Inputs
    example: list[dict[str, Any]]
    """Records that it takes: registered with the model, or made up where there were none."""

    @classmethod
    def load(cls, root: Path, task: str, limits: Limits) -> "Served":
        """The champion, verified and tried; raises UnrollError for one that cannot serve."""
        located = versions.locate(root, task, versions.CHAMPION)
        if located.version is None:
            raise StoreError(f"{located.folder}: no registered version; expected the champion of {task}")
        predictor = Predictor.load(located.folder)
        trained = predictor.trained
        inputs = trained.problem.answering.inputs(trained.meta, limits.cell_characters)
        example = _example(located.folder.parent.parent / EXAMPLE, inputs) or trained.problem.answering.made_up(
            trained.meta
        )
        served = cls(
            task, located.version, located.model_hash, str(trained.config["problem"]), predictor, inputs, example
        )
        served.require_answer()
        return served

    def require_answer(self) -> None:
        """Ask the model its example; raises DataError or StoreError where it has no sound answer."""
        named = f"{self.task} version {self.version}"
        for name, tensor in self.predictor.trained.model.state_dict().items():
            if not bool(tensor.isfinite().all()):
                raise StoreError(f"{named}: tensor {name!r} holds values that are not numbers; expected finite weights")
        frame = body.read(self.example, self.inputs).frame()
        answer = replies.rows(self.predictor.predict(frame))
        if not answer or None in answer[0].values():  # null stands for a number that is not finite
            raise StoreError(f"{named}: no sound answer to its example: {answer[:1]!r:.200}")


def _example(path: Path, inputs: Inputs) -> list[dict[str, Any]] | None:
    """The example that was registered beside the model, if it is there and fits."""
    try:
        if path.stat().st_size > MOST_EXAMPLE_BYTES:
            return None
        example: Any = store.read_json(path)
        rows = [dict(zip(example["columns"], row, strict=True)) for row in example["data"]]
        body.read(rows, inputs)
    except (OSError, UnrollError, KeyError, TypeError, ValueError):
        return None
    return rows


@dataclass
class Slot:
    """The state of one task."""

    batcher: Batcher
    current: Served | None = None
    champion: int | None = None
    """The version that the registry names."""
    failed: tuple[int, str] | None = None
    """A champion that could not be loaded, and why."""
    retry_at: float = field(default=0.0, repr=False)


def names(root: Path, tasks: Iterable[str]) -> list[str]:
    """The tasks, each once, or all of the project where there are none; raises ConfigError for an unknown one."""
    params, chosen = Params(root / "params.yaml"), list(dict.fromkeys(tasks))
    params.require_tasks(chosen)
    return chosen or params.tasks()


class Roster:
    """The models of all tasks, kept up to date by a thread of its own."""

    def __init__(self, root: Path, tasks: Iterable[str], limits: Limits, measures: Measures, threads: int) -> None:
        self.root, self.limits, self.measures = root, limits, measures
        self.slots: Mapping[str, Slot] = {task: Slot(self._batcher(task, threads)) for task in tasks}
        self._ended = threading.Event()
        self._unreadable: str | None = None
        self._seen = False  # the registry's file, if it has one
        self._polled = False
        self._thread = threading.Thread(target=self._watch, name="unroll-champions", daemon=True)

    def _batcher(self, task: str, threads: int) -> Batcher:
        return Batcher(task, self.limits, threads, lambda many, rows: self.measures.batch(task, many, rows))

    def start(self) -> None:
        """Load what there is, then look for new champions each second."""
        self._thread.start()

    def close(self) -> None:
        """Answer the waiting requests, then end all threads."""
        self._ended.set()
        for slot in self.slots.values():
            slot.batcher.close()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def served(self, task: str) -> Served:
        """The model that answers for a task; raises RequestError where there is none."""
        slot = self.slots.get(task)
        if slot is None:
            raise RequestError("not_found", f"{task!r:.60}: no such task; expected one of {', '.join(self.slots)}")
        if slot.current is not None:
            return slot.current
        if self._polled and slot.champion is None and self._unreadable is None:
            raise RequestError(
                "no_champion", f"{task}: no champion yet; expected a model that its gate has let through"
            )
        raise RequestError("not_ready", f"{task}: {slot.failed[1] if slot.failed else 'its champion is being loaded'}")

    def submit(self, served: Served, rows: Records) -> "Future[pd.DataFrame]":
        """The answer of ``served``, later; raises RequestError where too many requests wait."""
        return self.slots[served.task].batcher.submit(rows, served.predictor)

    def state(self) -> dict[str, Any]:
        """``ready`` where every champion is loaded, or an older one answers for it; and what is wrong, if anything."""
        tasks = {task: self.state_of(task) for task in self.slots}
        states = [each["state"] for each in tasks.values()]
        ready = self._polled and self._unreadable is None and "loading" not in states and "failed" not in states
        ready = ready or (self._polled and all(slot.current for slot in self.slots.values()))
        registry = {"registry": self._unreadable} if self._unreadable else {}
        return {"ready": ready, "tasks": tasks, **registry}

    def state_of(self, task: str) -> dict[str, Any]:
        """Of one task: ready, stale (an older model answers), loading, failed, or none where there is no champion."""
        slot = self.slots[task]
        version, champion = slot.current.version if slot.current else None, slot.champion
        if slot.failed:
            champion, reason = slot.failed
            name = "stale" if slot.current else "failed"
            return {"state": name, "version": version, "champion": champion, "reason": reason}
        if champion is None:
            return {"state": "none" if self._polled else "loading", "version": version}
        if version != champion:
            return {"state": "stale" if version else "loading", "version": version, "champion": champion}
        return {"state": "ready", "version": version}

    def _watch(self) -> None:
        import torch

        torch.set_num_threads(1)
        while not self._ended.is_set():
            self.poll()
            self._ended.wait(POLL_S)

    def poll(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the champions from the registry, and load those that are new."""
        try:
            champions = snapshot.champions(self.root)
        except UnrollError as error:
            self._note_unreadable(str(error))
            return
        except Exception:
            LOG.exception("the registry cannot be read")
            self._note_unreadable("the registry cannot be read; the server's log has the reason")
            return
        path = backend.database(self.root)
        there = path is not None and path.is_file()
        if path is not None and not there and self._seen:
            self._note_unreadable(f"{path.name}: no longer there")  # which does not mean that there is no champion
            return
        self._seen = there
        self._unreadable = None
        for task, slot in self.slots.items():
            slot.champion = champions.get(task)
        self._polled = True
        for task, slot in self.slots.items():
            if self._ended.is_set():
                return
            self._follow(task, slot, clock)

    def _follow(self, task: str, slot: Slot, clock: Callable[[], float]) -> None:
        champion = slot.champion
        if champion == (slot.current.version if slot.current else None):
            slot.failed = None
            return
        if champion is None:
            LOG.warning("%s: no longer a champion; the previous one is unloaded", task)
            slot.current, slot.failed = None, None
            self.measures.version(task, None)
            return
        if slot.failed and slot.failed[0] == champion and clock() < slot.retry_at:
            return
        try:
            served = Served.load(self.root, task, self.limits)
        except UnrollError as error:
            self._note_failed(task, slot, champion, str(error), clock)
        except Exception as error:
            LOG.exception("%s: version %s cannot be loaded", task, champion)
            self._note_failed(task, slot, champion, f"{type(error).__name__} while it was loaded", clock)
        else:
            slot.current, slot.failed = served, None
            self.measures.version(task, served.version)
            LOG.info("%s: version %s answers (%s…)", task, served.version, served.model_hash[:12])

    def _note_failed(self, task: str, slot: Slot, version: int, reason: str, clock: Callable[[], float]) -> None:
        slot.failed, slot.retry_at = (version, reason), clock() + RETRY_S
        self.measures.failed(task)
        fallback = f"; version {slot.current.version} keeps answering" if slot.current else ""
        LOG.error("%s: version %s is the champion but cannot be used: %s%s", task, version, reason, fallback)

    def _note_unreadable(self, reason: str) -> None:
        if reason != self._unreadable:
            LOG.error("new champions cannot be looked up: %s", reason)
        self._unreadable = reason
