"""The examples in docstrings of datasets and of core are run, in whichever module they stand."""

import doctest
import importlib

import pytest
from projects import ROOT

SOURCE = ROOT / "src"
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for room in ("core", "datasets", "stages/ingest", "stages/validate")
    for path in sorted((SOURCE / "unroll" / room).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
