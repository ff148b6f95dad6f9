"""One module name means one thing in the whole house, but for the conventional files of a slice."""

from collections import defaultdict
from pathlib import Path

from projects import ROOT

CONVENTIONAL = {
    "__init__", "base", "baselines", "build", "common", "config", "figures", "inputs", "network", "picture",
    "prepare", "sample", "scores",
}  # fmt: skip
"""Files, or packages, that a problem, a dataset or a command of the workbench has of its own."""

KEPT = {"src/unroll/errors.py"}
"""An older name of a module, for models that import it where they are loaded."""


# At the root stands only what is called by name: the command, and names that models of older versions import.
def test_names_of_modules_repeat_only_where_a_convention_names_them() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "src/unroll").rglob("*.py")):
        name = path.parent.name if path.name == "__init__.py" else path.stem
        place = path.relative_to(ROOT).as_posix()
        if not is_stage_of_its_package(path) and place not in KEPT:
            places[name].append(place)
    assert {name: paths for name, paths in places.items() if len(paths) > 1 and name not in CONVENTIONAL} == {}


def is_stage_of_its_package(path: Path) -> bool:
    """Whether a module is the one that gives its package the name, such as stages/train/train.py; or a file of
    commands, which is called after what they are about."""
    return path.stem == path.parent.name or path.parent.name == "cli"
