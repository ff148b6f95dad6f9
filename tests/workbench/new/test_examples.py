"""The examples in docstrings of new, predict and doctor are run."""

import doctest
import importlib

import pytest

MODULES = (
    "proposal.blocks",
    "proposal.asked",
    "proposal.common",
    "proposal.gaps",
    "proposal.rhythm",
    "doctor.findings",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"unroll.{name}"))
    assert found.attempted
    assert found.failed == 0
