"""The code in the key of a checkpoint: all that may change what is learned, not what shows or publishes it."""

import sys
from pathlib import Path

import pytest

from unroll.core import store
from unroll.display import progress
from unroll.nn import recurrent
from unroll.stages.train import loop
from unroll.stages.train.train import code_hash
from unroll.tracking import live, runs


@pytest.mark.parametrize(
    ("module", "other_training"),
    [(progress, False), (live, False), (runs, False), (store, True), (recurrent, True), (loop, True)],
)
def test_a_training_goes_on_unless_code_that_may_change_it_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: object, other_training: bool
) -> None:
    before = code_hash()
    name = getattr(module, "__name__", "")
    path = tmp_path / "changed.py"
    path.write_text(Path(str(sys.modules[name].__file__)).read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[name], "__file__", str(path))
    assert (code_hash() != before) is other_training
