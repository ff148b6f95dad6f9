"""Packages of datasets and of problems stand by themselves, new ones too."""

import grimp
import pytest

from unroll import datasets, problems

GRAPH = grimp.build_graph("unroll", exclude_type_checking_imports=True, cache_dir=None)
SLICES = {"datasets": datasets, "problems": problems}
SHARED = {"datasets": ("common",), "problems": ("common", "windows")}
"""Packages that the others of their room may import."""


def imports(package: str) -> set[tuple[str, str]]:
    """What the modules of a package import of the two rooms, as (room, package)."""
    modules = {package, *GRAPH.find_descendants(package)}
    names = {name for module in modules for name in GRAPH.find_modules_directly_imported_by(module)}
    parts = [name.split(".")[1:3] for name in names if name not in modules]
    return {(room, package) for room, package in (part for part in parts if len(part) == 2) if room in SLICES}


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, each in SLICES.items() for name in each.names()])
def test_a_dataset_or_problem_imports_only_what_its_room_shares(room: str, name: str) -> None:
    assert imports(f"unroll.{room}.{name}") <= {(room, shared) for shared in SHARED[room]}


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, names in SHARED.items() for name in names])
def test_what_is_shared_knows_no_single_dataset_or_problem(room: str, name: str) -> None:
    assert imports(f"unroll.{room}.{name}") <= {(room, shared) for shared in SHARED[room]}
