"""dvc.yaml lists for each stage what it reads and imports: no more and no less than what it really does."""

import ast
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from projects import ROOT, SMALL, STAGES, TASKS, read_yaml, run

from unroll import datasets, problems
from unroll.stages.fingerprint import LIBRARIES

FINGERPRINT = "data/fingerprints/${key}.json"
DATA = ("data/", "models/", "reports/")
SHOWN = {"src/unroll/display/progress.py", "src/unroll/tracking"}
"""Imported by stages before the last, and no deps of them: what shows progress, or sends it to the tracking store.

That no output can differ by it is tested in test_end_to_end: networks and scores come out the same without progress and
without a store.
"""
MAX_LINES = 90
"""Lines of dvc.yaml that name a place in src."""


class Stage(NamedTuple):
    """One entry of dvc.yaml with its names filled in."""

    deps: set[str]
    params: set[str]
    outs: set[str]


class Trace(NamedTuple):
    """What one run of a stage did."""

    modules: set[str]
    params: set[str]
    opened: set[str]


def stage_of(name: str, task: str, dataset: str | None = None, problem: str | None = None) -> Stage:
    """A stage of a task of params.yaml, or of one like it with another dataset or problem."""
    entry = read_yaml(ROOT / "dvc.yaml")["stages"][name]["do"]
    block = read_yaml(ROOT / "params.yaml")["tasks"][task]

    def fill(items: list[Any]) -> set[str]:
        names = [next(iter(item)) if isinstance(item, dict) else item for item in items]
        names = [name for name in names if name != FINGERPRINT]
        return {
            text.replace("${key}", task)
            .replace("${item.data.dataset}", dataset or block["data"]["dataset"])
            .replace("${item.prepare.problem}", problem or block["prepare"]["problem"])
            for text in names
        }

    outs = [item for part in ("outs", "metrics", "plots") for item in entry.get(part, [])]
    return Stage(fill(entry["deps"]), fill(entry["params"]), fill(outs))


def trace_of(folder: Path, stage: str, task: str) -> Trace:
    trace = json.loads((folder / f"{stage}@{task}.json").read_text(encoding="utf-8"))
    return Trace(*(set(trace[key]) for key in Trace._fields))


def widest(keys: set[str]) -> set[str]:
    """The keys without those that lie inside another one."""
    return {key for key in keys if not any(key.startswith(f"{other}.") for other in keys)}


def within(path: str, places: set[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_packages_that_the_stage_imports(reproduced: Path, stage: str) -> None:
    to_add, listed, needed = set(), set(), set()
    for task in TASKS:
        here = {dep for dep in stage_of(stage, task).deps if dep.startswith("src/")}
        imported = trace_of(reproduced / "trace", stage, task).modules
        known = here if stage == "register" else here | SHOWN
        to_add |= {path for path in imported if not within(path, known) and not is_docstring(ROOT / path)}
        listed |= here
        needed |= imported
    needed |= reachable(needed)  # what another value of a parameter would import
    to_remove = {dep for dep in listed if not any(within(path, {dep}) for path in needed)}
    assert (sorted(to_add), sorted(to_remove)) == ([], []), f"dvc.yaml, stages.{stage}.do.deps: add, remove"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "prepare"])  # which builds no network
def test_what_another_parameter_would_import_is_a_dep(stage: str) -> None:
    tasks = [("addition", name, None) for name in datasets.names()]
    for entry in (stage_of(stage, *task) for task in [*tasks, *(("addition", None, n) for n in problems.names())]):
        here = {dep for dep in entry.deps if dep.startswith("src/")}
        own = {path for path in modules_of(here) if not within(path, {"src/unroll/stages", "src/unroll/registry"})}
        missing = {path for path in reachable(own) if not within(path, here | SHOWN) and not is_docstring(ROOT / path)}
        assert sorted(path for path in missing if not loaded_by_name(path)) == []


def loaded_by_name(path: str) -> bool:
    """Whether a module belongs to a dataset that Task.dataset loads; that a stage does so shows in its trace."""
    return within(path, {"src/unroll/datasets"})


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_keys_that_the_stage_reads(reproduced: Path, stage: str) -> None:
    for task in TASKS:
        read = widest(trace_of(reproduced / "trace", stage, task).params)
        assert stage_of(stage, task).params == read, f"dvc.yaml, stages.{stage}.do.params for {task}"


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_files_that_the_stage_opens_are_deps_or_its_own(reproduced: Path, stage: str) -> None:
    for task in TASKS:
        entry = stage_of(stage, task)
        own = entry.outs | {f"reports/{task}/gate.json"}
        parents = {str(Path(out).parent) for out in own}
        opened = {path for path in trace_of(reproduced / "trace", stage, task).opened if path.startswith(DATA)}
        beside = {path for path in opened for parent in parents if path == parent or path.startswith(f"{parent}/.")}
        strange = {path for path in opened - beside if not within(path, entry.deps | own)}
        assert strange == set(), f"dvc.yaml, stages.{stage}.do.deps for {task} lacks what it opens"


@pytest.mark.slow
def test_every_data_dependency_is_an_output_of_an_earlier_stage(reproduced: Path) -> None:
    for task in TASKS:
        made: set[str] = set()
        for name in STAGES:
            entry = stage_of(name, task)
            assert {dep for dep in entry.deps if dep.startswith(DATA) and not within(dep, made)} == set()
            assert f"pipelines/{name}.py" in entry.deps
            assert all((reproduced / "project" / out).exists() for out in entry.outs)
            made |= entry.outs


def test_small_parameters_are_of_tasks_of_the_project() -> None:
    assert set(SMALL) <= set(TASKS)


def test_register_has_no_outputs_that_the_run_cache_could_restore() -> None:
    assert stage_of("register", "addition").outs == set()


def test_few_lines_name_what_the_stages_stand_on() -> None:
    entries = read_yaml(ROOT / "dvc.yaml")["stages"].values()
    assert sum(dep.startswith("src/") for entry in entries for dep in entry["do"].get("deps", ())) <= MAX_LINES


UNUSED = {
    "ingest": {"safetensors", "torch"},
    "validate": {"safetensors", "torch"},
    "prepare": {"safetensors", "torch", "scikit-learn", "statsmodels"},  # no network or baseline is built
    "train": {"pandas", "pyarrow"},
    "evaluate": {"pyarrow", "safetensors"},
}
"""Libraries that a stage's packages import, and that make nothing of its outputs."""


@pytest.mark.parametrize("stage", UNUSED)  # register has no output
def test_the_version_of_a_library_that_makes_an_output_is_a_parameter(stage: str) -> None:
    params = read_yaml(ROOT / "dvc.yaml")["stages"][stage]["do"]["params"]
    (keys,) = (item[FINGERPRINT] for item in params if isinstance(item, dict))
    names = {library.replace("-", "_").replace("scikit_learn", "sklearn"): library for library in LIBRARIES}
    places = {dep for task in TASKS for dep in stage_of(stage, task).deps if dep.startswith("src/")}
    imported = {names[name] for path in modules_of(places) for name in outer_imports(path) if name in names}
    assert {key for key in keys if key.startswith("libraries.")} == {f"libraries.{n}" for n in imported - UNUSED[stage]}


EVERY = tuple(TASKS)
LEARN = ("prepare", "train", "evaluate", "register")


def tasks_on(block: str, key: str, value: str) -> tuple[str, ...]:
    return tuple(name for name, task in TASKS.items() if task[block][key] == value)


STALE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cli": ((), ()),
    "workbench": ((), ()),
    "workbench/doctor": ((), ()),
    "serving": ((), ()),
    "pipeline": ((), ()),
    "display/progress.py": ((), ()),
    "display/wording.py": (("evaluate",), EVERY),
    "tracking": (("register",), EVERY),
    "registry": (("register",), EVERY),
    "model": (("evaluate", "register"), EVERY),
    "stages/ingest": (("ingest",), EVERY),
    "stages/validate": (("validate", "prepare"), EVERY),
    "stages/train": (("train",), EVERY),
    "stages/evaluate": (("evaluate",), EVERY),
    "stages/evaluate/model_card.py": (("evaluate",), EVERY),
    "stages/common": (STAGES, EVERY),
    "stages/fingerprint.py": ((), ()),
    "nn": (("train", "evaluate", "register"), EVERY),
    "nn/cells.py": (("train", "evaluate", "register"), EVERY),
    "features": (LEARN, EVERY),
    "problems/common": (LEARN, EVERY),
    "problems/windows": (LEARN, EVERY),
    **{f"problems/{name}": (LEARN, tasks_on("prepare", "problem", name)) for name in problems.names()},
    "datasets/common": (("ingest", "validate", "prepare", "register"), EVERY),
    **{
        f"datasets/{name}": (("ingest", "validate", "register"), tasks_on("data", "dataset", name))
        for name in datasets.names()
    },
    "core": (STAGES, EVERY),
    "core/config.py": (STAGES, EVERY),
}
"""The stages, and the tasks, that a changed line in a package makes stale."""


def places() -> set[str]:
    """Every package, or the packages within it where their rows differ."""
    wide = {"datasets", "problems", "stages", "display"}
    packages = {path.parent for path in (ROOT / "src/unroll").glob("*/__init__.py")}
    parts = {part for path in packages if path.name in wide for part in path.iterdir() if part.name[0] != "_"}
    every = {path for path in packages if path.name not in wide} | parts
    return {path.relative_to(ROOT / "src/unroll").as_posix() for path in every}


def test_the_table_of_stale_stages_has_a_row_for_each_package() -> None:
    assert places() - set(STALE) == set()
    assert [place for place in STALE if not (ROOT / "src/unroll" / place).exists()] == []


@pytest.mark.parametrize("place", STALE)
def test_a_line_in_a_package_makes_stale_what_stands_on_it(place: str) -> None:
    stages, tasks = STALE[place]
    path = f"src/unroll/{place}"
    stale = {
        (stage, task)
        for stage in STAGES
        for task in TASKS
        if any(within(path, {dep}) or within(dep, {path}) for dep in stage_of(stage, task).deps)
    }
    assert stale == {(stage, task) for stage in stages for task in tasks}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["display/progress.py", "problems/language_model/__init__.py", "nn/cells.py"])
def test_dvc_sees_it_so(reproduced: Path, place: str) -> None:
    project = reproduced / "project"
    changed = project / "src/unroll" / place
    before = changed.read_bytes()
    changed.write_bytes(before + b"# another line\n")
    status = json.loads(run(project, sys.executable, "-m", "dvc", "status", "--json").stdout)
    changed.write_bytes(before)
    stages, tasks = next(row for path, row in STALE.items() if within(place, {path}))
    fingerprints = {f"fingerprint@{task}" for task in TASKS}
    assert set(status) - fingerprints == {f"{stage}@{task}" for stage in stages for task in tasks}


def is_docstring(path: Path) -> bool:
    """Whether a module holds nothing but its docstring, so that no stage can depend on what is in it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def modules_of(places: set[str]) -> set[str]:
    """The modules that these files and folders are."""
    paths = {ROOT / place for place in places}
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])}
    return {file.relative_to(ROOT).as_posix() for file in files}


def reachable(modules: set[str]) -> set[str]:
    """These modules and all of ours that they import, at the top or within a function, directly or not."""
    known, waiting = set(), {path for path in modules if path.endswith(".py")}
    while waiting:
        known |= waiting
        waiting = set().union(*map(imported_by, waiting)) - known
    return known


@cache
def outer_imports(path: str) -> frozenset[str]:
    """The first names of all that a module imports."""
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return frozenset(name.partition(".")[0] for name in names)


@cache
def imported_by(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(file for name in names_imported(tree) if (file := file_of(name)))


def names_imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield from names_imported(child)


def file_of(name: str) -> str | None:
    place = "src/" + name.replace(".", "/")
    return next((file for file in (f"{place}.py", f"{place}/__init__.py") if (ROOT / file).is_file()), None)
