"""Projects to run in tests: a copy of this one with small data, and a toy whose stages are one-line shell commands."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

STAGES = ("ingest", "validate", "prepare", "train", "evaluate", "register")
ROOT = Path(__file__).resolve().parent.parent
SMALL: dict[str, dict[str, dict[str, Any]]] = {
    "air_quality": {
        "data": {"sample_hours": 2400},
        "prepare": {"validation_from": "2012-03-01", "test_from": "2012-03-20"},
        "model": {"hidden": 8},
        "train": {"epochs": 2, "batch_size": 128},
    },
    "household_power": {
        "data": {"sample_rows": 350},
        "model": {"hidden": 8, "layers": 1},
        "train": {"epochs": 2, "batch_size": 64},
    },
    "tweets": {
        "data": {"sample_rows": 600},
        "prepare": {"vocabulary": 500, "hashed_buckets": 500},
        "model": {"hidden": 8, "embedding": 8},
        "train": {"epochs": 2},
    },
    "poetry": {
        "data": {"sample_characters": 30000},
        "model": {"hidden": 16, "embedding": 8},
        "train": {"epochs": 2, "threads": 1},
    },
    "addition": {
        "data": {"digits": 2, "count": 2000},
        "model": {"hidden": 16},
        "train": {"epochs": 2, "threads": 1},
    },
}
"""What makes each task of the project's own params.yaml take about a second; any other task runs as it is."""


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


TASKS: dict[str, Any] = read_yaml(ROOT / "params.yaml")["tasks"]
"""The tasks of params.yaml with their blocks."""


def write_yaml(path: Path, value: Any) -> None:
    with path.open("w", encoding="utf-8") as handle:
        YAML().dump(value, handle)


def change_params(root: Path, changes: dict[str, Any]) -> None:
    """Set dotted keys of ``params.yaml``."""
    values = read_yaml(root / "params.yaml")
    for key, value in changes.items():
        *parents, last = key.split(".")
        block = values
        for parent in parents:
            block = block[parent]
        block[last] = value
    write_yaml(root / "params.yaml", values)


def run(root: Path, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in ``root`` with some more environment variables."""
    return subprocess.run(
        command, cwd=root, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=900
    )


def run_cli(root: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``unroll`` with the code of the project at ``root``."""
    return run(root, sys.executable, "-m", "unroll", *arguments, **{**own_code(root), **environment})


def own_code(root: Path) -> dict[str, str]:
    """The environment in which Python takes the code of the project at ``root``, and can be traced."""
    return {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(ROOT / "tests" / "trace")])}


def copy_project(target: Path) -> None:
    """The tracked and the new files of this project, as a project of its own with the smaller parameters."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file() and name != "dvc.lock" and not name.startswith(("tests/", "docs/")):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    changes = {
        f"tasks.{task}.{block}.{key}": value
        for task, blocks in SMALL.items()
        for block, values in blocks.items()
        for key, value in values.items()
    }
    change_params(target, {"source": "sample", **changes})
    init_git(target)


def write_toy(root: Path, tasks: int, commands: dict[str, str] | None = None) -> list[str]:
    """A project whose six stages copy one small file on; ``commands`` replaces a stage's command. The task names."""
    stages: dict[str, Any] = {}
    before = "seed.txt"
    for stage in STAGES:
        out = f"data/{stage}/${{key}}.txt"
        target = out if stage != "register" else "/dev/null"
        default = f"cat {before} > {target} && echo ${{item.value}} >> {target}"
        block: dict[str, Any] = {
            "cmd": (commands or {}).get(stage, "{default}").replace("{default}", default),
            "deps": [before],
            "params": ["tasks.${key}"],
        }
        if stage != "register":
            block["outs"] = [out]
            (root / "data" / stage).mkdir(parents=True, exist_ok=True)
        stages[stage] = {"foreach": "${tasks}", "do": block}
        before = out
    names = [f"task{number}" for number in range(tasks)]
    (root / "seed.txt").write_text("seed\n", encoding="utf-8")
    write_yaml(root / "dvc.yaml", {"stages": stages})
    write_yaml(root / "params.yaml", {"tasks": {name: {"value": number} for number, name in enumerate(names)}})
    return names


def init_git(root: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
