"""Every command of docs/using-models.md runs, and its tables know every option."""

import re
from pathlib import Path

import pytest
import typer.main
from projects import ROOT, own_code, run

from unroll import cli
from unroll.serving.predict.raw_input import CHUNK

TEXT = (ROOT / "docs" / "using-models.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```bash\n(.*?)^```$", TEXT, re.M | re.S) for line in block.splitlines()]


def test_every_option_is_one_of_the_commands() -> None:
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    names = ("predict", "generate", "add")
    options = {option for name in names for parameter in commands[name].params for option in parameter.opts}
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT.partition("## MLflow's server")[0]))
    assert told <= options
    assert {option for option in options if option.startswith("--")} <= told | {"--help"}


def test_the_number_of_rows_is_that_of_the_code() -> None:
    assert f"{CHUNK:,} rows at a time" in TEXT


@pytest.mark.slow
def test_the_commands_run_one_after_the_other(reproduced: Path) -> None:
    project = reproduced / "project"
    assert len(COMMANDS) == 4
    said = []
    for command in COMMANDS:
        done = run(project, "bash", "-c", command, **own_code(project))
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        said.append(done.stdout)
    assert said[0].startswith("label,probability_")
    assert (project / "moods.parquet").is_file()
    assert [line.startswith('{"label":') for line in said[3].splitlines()] == [True, True]
    for name in ("new.csv", "moods.parquet"):
        (project / name).unlink()


def test_the_readme_leads_here() -> None:
    assert "(docs/using-models.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
