"""The commands as a person starts them: quick help, one line for an error, no traceback."""

import json
import sys
from pathlib import Path

import pytest
from projects import ROOT, TASKS, change_params, run


def unroll(root: Path, *arguments: str) -> tuple[int, str, str]:
    done = run(root, sys.executable, "-m", "unroll", *arguments)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_help_lists_the_commands_without_importing_anything_heavy(root: Path) -> None:
    code, out, _ = unroll(root, "--help")
    assert code == 0
    assert all(
        f" {name} " in out for name in ("repro", "new", "check", "doctor", "predict", "results", "publish", "ui")
    )
    heavy = "import sys, unroll.cli; print(set(sys.modules) & {'numpy', 'pydantic', 'torch', 'mlflow', 'pandas'})"
    assert run(root, sys.executable, "-c", heavy).stdout == "set()\n"


def test_reproduction_imports_nothing_heavy_before_there_is_work() -> None:
    code = (
        "import sys, unroll.pipeline.repro\nprint(sorted(set(sys.modules) & {'torch', 'mlflow', 'pandas', 'sklearn'}))"
    )
    assert run(ROOT, sys.executable, "-c", code).stdout == "[]\n"


def test_check_says_that_all_is_well(root: Path) -> None:
    assert unroll(root, "check") == (0, f"params.yaml: {len(TASKS)} tasks, all keys and values allowed\n", "")


@pytest.mark.parametrize("command", [["check"], ["repro", "poetry"]])
def test_a_faulty_value_ends_in_one_line_and_exit_code_1(root: Path, command: list[str]) -> None:
    (root / ".dvc").mkdir()
    change_params(root, {"tasks.poetry.train.batch_size": "many"})
    code, out, error = unroll(root, *command)
    assert (code, out) == (1, "")
    path = root / "params.yaml"
    assert error == (
        f"unroll: {path}: tasks.poetry.train.batch_size: 'many' is not allowed; input should be a valid integer\n"
    )


def test_outside_a_project_the_command_says_what_is_missing(tmp_path: Path) -> None:
    code, _, error = unroll(tmp_path, "repro")
    assert code == 1
    assert (
        error == f"unroll: {tmp_path}: no params.yaml and dvc.yaml here or above; run this inside an Unroll project\n"
    )


def test_an_unknown_task_is_named_with_the_known_ones(root: Path) -> None:
    (root / ".dvc").mkdir()
    code, _, error = unroll(root, "repro", "sonnets")
    assert code == 1
    assert "tasks.sonnets: no such task; expected one of air_quality, " in error
    assert error.count("\n") == 1


def test_commands_work_in_a_folder_below_the_root(root: Path) -> None:
    (root / "below" / "deeper").mkdir(parents=True)
    assert unroll(root / "below" / "deeper", "check")[0] == 0


def test_schema_prints_json() -> None:
    code, out, _ = unroll(ROOT, "schema")
    assert code == 0
    assert json.loads(out)["required"] == ["source", "tasks"]


def test_results_of_a_project_without_any_are_a_table_all_the_same(root: Path) -> None:
    code, out, _ = unroll(root, "results", "--markdown")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("| task | metric | ")
    assert len(lines) == 2 + len(TASKS)
    assert all("not evaluated" in line for line in lines[2:])


def test_new_without_a_terminal_shows_the_block_and_writes_nothing(root: Path) -> None:
    hours = [f"2020-01-{1 + n // 24:02d} {n % 24:02d}:00,{n % 7}\n" for n in range(600)]
    (root / "hours.csv").write_text("when,load\n" + "".join(hours))
    before = (root / "params.yaml").read_bytes()
    code, out, error = unroll(root, "new", "load", "--from", "hours.csv", "--problem", "forecasting")
    assert code == 1
    assert out.startswith("  # hours.csv: 600 rows, 2020-01-01T00:00:00 to 2020-01-25T23:00:00, a row every 1h\n")
    assert error == (
        f"unroll: nothing written: there is no terminal to ask on; --yes appends this to {root / 'params.yaml'}\n"
    )
    assert (root / "params.yaml").read_bytes() == before
    code, shown, _ = unroll(root, "new", "load", "--from", "hours.csv", "--problem", "forecasting", "--yes")
    assert (code, shown) == (0, out)
    assert (root / "params.yaml").read_bytes() == before + f"\n{out}".encode()
    assert unroll(root, "check")[1] == f"params.yaml: {len(TASKS) + 1} tasks, all keys and values allowed\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["new", "poetry", "--from", "a.csv", "--problem", "forecasting"], "tasks.poetry: is there already"),
        (["new", "b", "--from", "a.csv", "--problem", "forecasting"], "path 'a.csv': missing; expected a file"),
        (["predict", "poetry", "a.csv"], "a.csv: missing; expected a file of raw input"),
        (["predict", "sonnets", "a.csv"], "tasks.sonnets: no such task"),
        (["doctor", "sonnets"], "tasks.sonnets: no such task"),
    ],
)
def test_what_new_predict_and_doctor_cannot_do_is_one_line(root: Path, arguments: list[str], told: str) -> None:
    code, _, error = unroll(root, *arguments)
    assert code == 1
    assert told in error
    assert error.count("\n") == 1
