"""The examples in docstrings of new and doctor are run."""

import doctest
import importlib

import pytest

MODULES = (
    "core.text",
    "workbench.doctor.findings",
    "workbench.new.blocks",
    "workbench.new.gaps",
    "workbench.new.parts",
    "workbench.new.request",
    "workbench.new.rhythm",
    "workbench.new.session",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"unroll.{name}"))
    assert results.attempted
    assert results.failed == 0
