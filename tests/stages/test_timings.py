"""Notes of seconds: merged, kept out of failed stages, and never in the way when damaged."""

import json
from pathlib import Path

import pytest

from unroll.core.layout import Layout
from unroll.stages.common import timings


def test_each_stage_adds_its_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path, "points")
    clock = iter([10.0, 12.5, 100.0, 100.25, 200.0, 201.0])
    monkeypatch.setattr(timings.time, "monotonic", lambda: next(clock))
    for stage in ("train", "evaluate", "train"):
        with timings.measure(layout, stage):
            pass
    path = tmp_path / ".unroll" / "points" / "timings.json"
    assert json.loads(path.read_text()) == {"train": 1.0, "evaluate": 0.25}
    assert timings.read(layout) == {"train": 1.0, "evaluate": 0.25}


def test_a_stage_that_fails_is_not_noted(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "points")
    with pytest.raises(RuntimeError), timings.measure(layout, "train"):
        raise RuntimeError
    assert timings.read(layout) == {}
    assert not layout.state.exists()


@pytest.mark.parametrize("content", ["", "[1]", '{"train": "long"}'])
def test_a_damaged_note_counts_as_none(tmp_path: Path, content: str) -> None:
    layout = Layout(tmp_path, "points")
    layout.state.mkdir(parents=True)
    (layout.state / "timings.json").write_text(content)
    assert timings.read(layout) == {}
    with timings.measure(layout, "evaluate"):
        pass
    assert list(timings.read(layout)) == ["evaluate"]
