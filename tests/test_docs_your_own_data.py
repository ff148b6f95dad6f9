"""Everything that docs/your-own-data.md says to run runs, and its tables know every key."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from projects import ROOT, copy_project, own_code, read_yaml, run_cli
from ruamel.yaml import YAML

from unroll import problems
from unroll.core import store
from unroll.datasets.files import FilesConfig
from unroll.registry import register

PAGE = ROOT / "docs" / "your-own-data.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")[1:]}
EXAMPLES = {name: part for name, part in SECTIONS.items() if "```python" in part}
TASKS = {"Forecast an hourly series": "pollution", "Tell classes of series": "swings", "Tell classes of texts": "posts"}
ANSWERS = {"pollution": ("forecast.csv", 3 * 25), "swings": (None, 5), "posts": ("moods.jsonl", 2)}
"""Where each example's answers go, and how many there are."""


def blocks(section: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_there_are_three_examples() -> None:
    assert list(EXAMPLES) == list(TASKS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own") / "project"
    copy_project(root)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("example", TASKS)
def test_an_example_trains_is_registered_and_predicts(root: Path, example: str) -> None:
    section, task = EXAMPLES[example], TASKS[example]
    (root / "make.py").write_text("\n".join(blocks(section, "python")))
    subprocess.run([sys.executable, "make.py"], cwd=root, check=True)
    before = (root / "params.yaml").read_bytes()
    said = ""
    for command in [line for block in blocks(section, "bash") for line in block.splitlines()]:
        done = shell(root, command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        said = done.stdout
    assert (root / "params.yaml").read_bytes().startswith(before)
    shown, there = excerpt(section), read_yaml(root / "params.yaml")["tasks"][task]
    assert {name: {key: there[name][key] for key in keys} for name, keys in shown.items()} == shown
    assert store.read_json(root / f"reports/{task}/gate.json")["alias"] == "champion", said
    assert register.is_published(root, task)
    name, count = ANSWERS[task]
    assert len(answers(root / name)) == count if name else len(said.splitlines()) == count + 1
    assert run_cli(root, "doctor", task).returncode == 0


def shell(root: Path, command: str) -> "subprocess.CompletedProcess[str]":
    import os

    environment = {**os.environ, **own_code(root), "CI": "1"}
    command = re.sub(r"^unroll ", f"{sys.executable} -m unroll ", command)
    return subprocess.run(
        ["bash", "-c", command], cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=900
    )


def excerpt(section: str) -> Mapping[str, Any]:
    (block,) = blocks(section, "yaml")
    found: Mapping[str, Any] = YAML(typ="safe", pure=True).load(block)
    return found


def answers(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, lines=True)


def keys_of(table: str) -> set[str]:
    """The keys in the first column of a Markdown table."""
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def test_the_table_of_keys_has_every_key_of_the_block() -> None:
    data, prepare = SECTIONS["All keys of the block"].split("Keys of `prepare`")
    assert keys_of(data) == set(FilesConfig.model_fields)
    known = {key for name in problems.names() for key in problems.load(name).Prepare.model_fields}
    assert keys_of(prepare) <= known


def test_every_option_is_one_of_the_command() -> None:
    import typer.main

    from unroll import cli

    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    options = {option for name in ("new", "predict", "repro") for p in commands[name].params for option in p.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z]+", TEXT)) <= options


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    path, _, anchor = target.partition("#")
    assert (PAGE.parent / path).exists() if path else anchor
    if anchor:
        headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
        assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
