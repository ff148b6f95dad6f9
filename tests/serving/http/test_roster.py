"""A new champion takes the old one's place when it is loaded, verified and tried, and not before."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from serving.http.made import Registry, model
from unroll.core import store
from unroll.core.errors import TrackingError
from unroll.serving.http import body
from unroll.serving.http.faults import RequestError
from unroll.serving.http.limits import Limits
from unroll.serving.http.measures import Measures
from unroll.serving.http.roster import RETRY_S, Roster
from unroll.tracking import backend

TASK, PROBLEM = "pairs", "sequence_to_sequence"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("models")
    return [model(root, PROBLEM, seed) for seed in (0, 1)]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = Registry()
    found.install(monkeypatch)
    return found


@pytest.fixture
def roster(tmp_path: Path, registry: Registry) -> Iterator[Roster]:
    """Of one task; nothing polls but the test."""
    found = Roster(tmp_path, [TASK], Limits(), Measures([TASK]), threads=1)
    yield found
    found.close()


def state(roster: Roster) -> dict[str, object]:
    return dict(roster.state()["tasks"][TASK])


def measured(roster: Roster, name: str) -> float | None:
    return roster.measures.registry.get_sample_value(name, {"task": TASK})


def answer(roster: Roster) -> list[str]:
    served = roster.served(TASK)
    asked = body.read(served.example, served.inputs)
    return list(roster.submit(served, asked).result(30)["answer"])


def test_it_is_not_ready_before_the_champion_is_loaded(roster: Roster, registry: Registry, folders: list[Path]) -> None:
    assert roster.state() == {"ready": False, "tasks": {TASK: {"state": "loading", "version": None}}}
    with pytest.raises(RequestError, match="its champion is being loaded") as caught:
        roster.served(TASK)
    assert caught.value.status == 503
    registry.promote(TASK, 1, folders[0])
    roster.poll()
    assert roster.state() == {"ready": True, "tasks": {TASK: {"state": "ready", "version": 1}}}
    assert roster.served(TASK).version == 1
    assert measured(roster, "unroll_model_version") == 1


def test_a_task_without_a_champion_is_no_reason_to_wait(roster: Roster) -> None:
    roster.poll()
    assert roster.state() == {"ready": True, "tasks": {TASK: {"state": "none", "version": None}}}
    with pytest.raises(RequestError, match="pairs: no champion yet") as caught:
        roster.served(TASK)
    assert (caught.value.status, caught.value.kind) == (404, "no_champion")
    with pytest.raises(RequestError, match="'other': no such task; expected one of pairs"):
        roster.served("other")


def test_a_new_champion_takes_over(roster: Roster, registry: Registry, folders: list[Path]) -> None:
    registry.promote(TASK, 1, folders[0])
    roster.poll()
    old, before = roster.served(TASK), answer(roster)
    registry.promote(TASK, 2, folders[1])
    roster.poll()
    assert (roster.served(TASK).version, state(roster)["state"]) == (2, "ready")
    assert answer(roster) != before
    asked = body.read(old.example, old.inputs)
    assert list(roster.submit(old, asked).result(30)["answer"]) == before  # a request that came before it goes on
    registry.promote(TASK, 1, folders[0])  # and back
    roster.poll()
    assert answer(roster) == before


def broken(tmp_path: Path, folder: Path, what: str) -> Path:
    """A copy of the model that cannot serve."""
    copy = tmp_path / "broken" / "artifacts" / TASK
    tensors, _ = store.read_tensors(folder / "weights.safetensors")
    if what == "undefined":
        tensors = {name: torch.full_like(tensor, float("nan")) for name, tensor in tensors.items()}
    store.write_tensors(copy / "weights.safetensors", tensors)
    (copy / "config.json").write_bytes((folder / "config.json").read_bytes())
    if what == "cut":
        whole = (copy / "weights.safetensors").read_bytes()
        (copy / "weights.safetensors").write_bytes(whole[: len(whole) // 2])
    if what == "no json":
        (copy / "config.json").write_text("{")
    return copy


@pytest.mark.parametrize(
    ("what", "reason"),
    [("cut", "weights.safetensors"), ("no json", "config.json"), ("undefined", "version 2: tensor ")],
)
def test_the_old_one_goes_on_where_the_new_one_is_broken(
    roster: Roster,
    registry: Registry,
    folders: list[Path],
    tmp_path: Path,
    what: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry.promote(TASK, 1, folders[0])
    roster.poll()
    before = answer(roster)
    registry.promote(TASK, 2, broken(tmp_path, folders[1], what))
    with caplog.at_level(logging.ERROR, "unroll.serving.http"):
        roster.poll()
    told = state(roster)
    assert (told["state"], told["version"], told["champion"]) == ("stale", 1, 2)
    assert reason in str(told["reason"])
    assert roster.state()["ready"]
    assert "version 2 is the champion but cannot be used" in caplog.text
    assert "version 1 keeps answering" in caplog.text
    assert measured(roster, "unroll_model_load_failures_total") == 1
    assert measured(roster, "unroll_model_version") == 1
    assert answer(roster) == before


def test_one_that_failed_is_tried_again_later_and_not_each_second(
    roster: Roster, registry: Registry, folders: list[Path], tmp_path: Path
) -> None:
    registry.promote(TASK, 1, broken(tmp_path, folders[0], "cut"))
    roster.poll(lambda: 100.0)
    assert not roster.state()["ready"]
    with pytest.raises(RequestError, match=r"weights\.safetensors") as caught:
        roster.served(TASK)
    assert caught.value.headers["Retry-After"] == "5"
    registry.folders[TASK, 1] = folders[0]  # mended
    roster.poll(lambda: 100.0 + RETRY_S - 1)
    assert state(roster)["state"] == "failed"
    roster.poll(lambda: 100.0 + RETRY_S)
    assert state(roster) == {"state": "ready", "version": 1}


def test_what_is_no_champion_any_more_answers_no_more(roster: Roster, registry: Registry, folders: list[Path]) -> None:
    registry.promote(TASK, 1, folders[0])
    roster.poll()
    del registry.versions[TASK]
    roster.poll()
    with pytest.raises(RequestError, match="no champion yet"):
        roster.served(TASK)
    assert measured(roster, "unroll_model_version") == 0


def test_models_go_on_while_the_registry_cannot_be_read(
    roster: Roster, registry: Registry, folders: list[Path]
) -> None:
    registry.promote(TASK, 1, folders[0])
    roster.poll()
    registry.unreadable = TrackingError("mlflow.db: file is not a database")
    roster.poll()
    told = roster.state()
    assert (told["ready"], told["registry"]) == (True, "mlflow.db: file is not a database")
    assert answer(roster)
    registry.unreadable = None
    roster.poll()
    assert "registry" not in roster.state()


def test_models_go_on_where_the_store_is_moved_away(roster: Roster, registry: Registry, folders: list[Path]) -> None:
    path = backend.database(roster.root)
    assert path is not None
    path.touch()
    registry.promote(TASK, 1, folders[0])
    roster.poll()
    path.unlink()
    registry.versions.clear()
    roster.poll()
    assert roster.state()["registry"] == "mlflow.db: no longer there"
    assert answer(roster)


@pytest.mark.parametrize("content", [None, "{", '{"columns": ["source"], "data": [[5]]}', '{"columns": 1, "data": []}'])
def test_an_example_is_made_up_where_none_fits(
    roster: Roster, registry: Registry, folders: list[Path], tmp_path: Path, content: str | None
) -> None:
    """As for the files of a tracking server, which come without one."""
    copy = broken(tmp_path, folders[0], "nothing")
    if content is not None:
        (copy.parent.parent / "input_example.json").write_text(content)
    registry.promote(TASK, 1, copy)
    roster.poll()
    (row,) = roster.served(TASK).example
    meta = json.loads((copy / "config.json").read_text())["meta"]
    assert row == {"source": meta["source_characters"][0]}
    assert answer(roster)
