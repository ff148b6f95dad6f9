"""The kinds of problem: one package each, found by its name in ``prepare.problem``."""

import importlib
from pathlib import Path
from typing import Any

from unroll.core.errors import ConfigError
from unroll.problems.common.base import Problem

SHARED = ("common", "windows")
"""Packages of what problems share."""


def load(name: str) -> Problem[Any, Any]:
    """The problem of the package ``unroll.problems.<name>``; raises ConfigError for a name that is none."""
    known = names()
    if name not in known:
        raise ConfigError(f"{name!r} is not allowed; expected one of {', '.join(known)}", key="prepare.problem")
    problem: Problem[Any, Any] = importlib.import_module(f"unroll.problems.{name}").PROBLEM
    return problem


def names() -> list[str]:
    """Names of all problems, found without importing them."""
    return sorted(
        p.parent.name for p in Path(__file__).parent.glob("[a-z]*/__init__.py") if p.parent.name not in SHARED
    )
