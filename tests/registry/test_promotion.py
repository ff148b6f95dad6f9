"""Champions by hand, against a real registry: rollback, two at once, a process killed halfway."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import contest
import pytest
from contest import NAME, Contest
from projects import ROOT
from typer.testing import CliRunner

from unroll.cli import app
from unroll.core import store
from unroll.core.errors import ConfigError, StoreError
from unroll.model import packaging
from unroll.registry import history, promotion, register, snapshot, versions
from unroll.stages.common.task import Task
from unroll.tracking import backend

pytestmark = pytest.mark.slow
PROMOTE = """
import os, signal, sys, pathlib
from mlflow import MlflowClient
from unroll.registry import promotion

where, task, number = sys.argv[1:]

def kill(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def after(name):
    call = getattr(MlflowClient, name)
    def called(*arguments, **named):
        call(*arguments, **named)
        kill()
    setattr(MlflowClient, name, called)

if where == "before":
    MlflowClient.set_registered_model_tag = kill
elif where == "between":
    MlflowClient.set_registered_model_alias = kill
elif where == "told":
    after("set_registered_model_tag")
elif where == "after":
    after("set_registered_model_alias")
promotion.promote(pathlib.Path.cwd(), task, int(number), "tried")
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """Three versions: of one row (champion at first), of two rows (champion now), and one as good as that."""
    made = contest.make(tmp_path_factory.mktemp("three") / "project")
    made.enter(1)
    made.enter(2)
    made.enter(2, note="again")
    assert made.aliases() == {"champion": 2, "challenger": 3}
    return made


@pytest.fixture
def project(three: Contest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contest:
    """A copy; the models' files stay where they were made."""
    root = tmp_path / "project"
    shutil.copytree(three.root, root, ignore=shutil.ignore_patterns("mlartifacts"))
    monkeypatch.chdir(root)
    return Contest(Task.open(root, NAME))


def told(project: Contest) -> list[tuple[str, int | None, int | None]]:
    found = history.events(snapshot.read(project.root, NAME))
    return [(event.kind, event.champion, event.before) for event in found]


def unroll(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def start(project: Contest, where: str, number: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROMOTE, where, NAME, str(number)],
        cwd=project.root, text=True, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip


def test_the_gate_has_told_what_it_did(project: Contest) -> None:
    assert told(project) == [("promoted", 1, None), ("promoted", 2, 1)]
    last = history.events(snapshot.read(project.root, NAME))[-1]
    version = snapshot.read(project.root, NAME).require(2)
    assert (last.hand, last.run_id, last.model_hash) == (False, version.run_id, version.model_hash)
    assert last.data == version.tags["unroll.data"]
    assert "; better than champion 1: r2 " in last.why


def test_one_command_goes_back_and_the_gate_does_not_undo_it(project: Contest) -> None:
    project.build(2)  # the project's model is the champion that will be left
    project.register()
    assert unroll("registry", "rollback", NAME, "--why", "wrong at night") == (
        f"{NAME}: version 1 is champion, before: version 2\n"
    )
    assert project.aliases()["champion"] == 1
    assert not register.is_published(project.root, NAME)
    verdict = project.register()
    assert (verdict.alias, verdict.champion) == ("challenger", 1)
    assert "; taken out of use: rolled back by " in verdict.reason
    assert "(wrong at night); unroll registry promote air_quality 2 puts it in use again" in verdict.reason
    assert project.aliases() == {"champion": 1, "challenger": 2}
    assert register.is_published(project.root, NAME)
    with pytest.raises(ConfigError, match=r"^air_quality: no champion before this one in the history; see: unroll reg"):
        promotion.rollback(project.root, NAME)
    assert project.aliases()["champion"] == 1
    promotion.promote(project.root, NAME, 2, "it was the sensor")
    assert project.register().alias == "champion"
    assert project.aliases() == {"champion": 2}
    assert [kind for kind, _, _ in told(project)] == ["promoted", "promoted", "rolled back", "promoted"]


def test_a_version_in_use_by_hand_stays_though_its_gate_is_not_passed(project: Contest) -> None:
    path = project.task.params.path
    path.write_text(path.read_text(encoding="utf-8").replace("threshold: 0.1", "threshold: 0.99"), encoding="utf-8")
    strict = Contest(Task.open(project.root, NAME))
    strict.build(2, note="again")
    assert strict.register().alias == "challenger"
    promotion.promote(project.root, NAME, 3, "needed today")
    verdict = strict.register()
    assert (verdict.passed, verdict.alias, verdict.version) == (False, "champion", 3)
    assert "in use all the same: promoted by " in verdict.reason
    assert "(needed today)" in verdict.reason
    assert strict.aliases()["champion"] == 3
    assert register.is_published(project.root, NAME)


def test_what_cannot_be_is_told_in_one_line(project: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    for call, message in (
        (lambda: promotion.promote(project.root, NAME, 9, "x"), r": there is no version 9; expected one of 1, 2, 3$"),
        (lambda: promotion.promote(project.root, NAME, 2, "x"), r"^air_quality: version 2 is champion already"),
        (lambda: promotion.promote(project.root, NAME, 3, " "), r"^--why: empty; expected the reason"),
        (lambda: promotion.promote(project.root, "nope", 1, "x"), r"^nope: no registered model; expected one of air_q"),
        (lambda: promotion.rollback(project.root, NAME, "x" * 2000), r"^--why: 2,000 characters; expected at most"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            call()
    assert told(project) == [("promoted", 1, None), ("promoted", 2, 1)]


def test_a_version_that_cannot_be_loaded_is_not_put_in_use(tmp_path: Path) -> None:
    made = contest.make(tmp_path / "project")
    made.enter(1)
    made.enter(1, note="again")
    for config in made.root.glob("mlartifacts/**/artifacts/air_quality/config.json"):
        if '"1again"' in config.read_text(encoding="utf-8"):
            config.unlink()
    with pytest.raises(StoreError, match=r"/air_quality: not there, or not whole; expected the files of air_q"):
        promotion.promote(made.root, NAME, 2, "x")
    assert made.aliases()["champion"] == 1


@pytest.mark.parametrize(
    ("where", "champion", "kinds"),
    [
        ("before", 2, ["promoted", "promoted"]),
        ("between", 2, ["promoted", "promoted", "promoted", "cut off"]),
        ("told", 2, ["promoted", "promoted", "promoted", "cut off"]),
        ("after", 3, ["promoted", "promoted", "promoted"]),
    ],
)
def test_a_promotion_that_is_killed_leaves_one_champion_and_the_next_command_heals(
    project: Contest, where: str, champion: int, kinds: list[str]
) -> None:
    process = start(project, where, 3)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert snapshot.read(project.root, NAME).aliases["champion"] == champion
    before = told(project)
    shown = unroll("registry", "history", NAME)
    assert ("cut off" in shown) is ("cut off" in kinds)
    assert ("noted by " in shown) is ("cut off" in kinds)
    assert told(project) == before, "who only looks writes nothing"
    assert project.aliases()["champion"] == champion
    other = 1 if champion == 3 else 3
    promotion.promote(project.root, NAME, other, "the next one goes well")
    assert [kind for kind, _, _ in told(project)] == [*kinds, "promoted"]
    assert project.aliases()["champion"] == other
    assert told(project)[-1] == ("promoted", other, champion)


def test_a_champion_that_something_else_has_set_is_shown_and_not_written_by_who_looks(
    project: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    project.client().set_registered_model_alias(NAME, "champion", "1")  # as the page of MLflow does it
    database = (project.root / "mlflow.db").read_bytes()
    listed, shown = unroll("registry", "list", NAME), unroll("registry", "history", NAME)
    (row,) = [line for line in listed.splitlines() if "│ 1 " in line]
    assert "champion" in row
    (row,) = [line for line in shown.splitlines() if "found" in line]
    assert [cell.strip() for cell in row.split("│")][2:6] == ["found", "1", "2", "not Unroll"]
    assert "the alias was not set by Unroll" in row
    assert (project.root / "mlflow.db").read_bytes() == database
    promotion.promote(project.root, NAME, 3, "on top of it")
    assert told(project)[-2:] == [("found", 1, 2), ("promoted", 3, 1)]
    found, promoted = history.events(snapshot.read(project.root, NAME))[-2:]
    assert (found.by, promoted.by != "") == ("", True)


def test_two_promotions_at_once_leave_one_consistent_state(project: Contest) -> None:
    both = [start(project, "never", number) for number in (1, 3)]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    *_, first, second = told(project)
    assert {first[1], second[1]} == {1, 3}
    assert (first[2], second[2]) == (2, first[1])  # the second one came upon the first one's champion
    assert snapshot.read(project.root, NAME).aliases["champion"] == second[1]
    current = snapshot.read(project.root, NAME)
    assert history.seen(current) == history.events(current)


def test_the_commands_show_versions_and_history(project: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = unroll("registry", "list")
    for number, alias in ((1, ""), (2, "champion"), (3, "challenger")):
        (row,) = [line for line in listed.splitlines() if f"│ {number} " in line]
        assert alias in row
    shown = unroll("registry", "history", NAME)
    assert "gate, run by " in shown
    failed = CliRunner().invoke(app, ["registry", "list", "nope"])
    assert isinstance(failed.exception, ConfigError)
    assert str(failed.exception) == "nope: no registered model; expected one of air_quality"


def test_reading_needs_no_mlflow(project: Contest) -> None:
    """As ``unroll repro`` does where nothing is to be done."""
    code = (
        "import sys, pathlib\n"
        "from unroll.registry import register, snapshot\n"
        f"assert register.is_published(pathlib.Path.cwd(), {NAME!r})\n"
        f"assert snapshot.read(pathlib.Path.cwd(), {NAME!r}).aliases['champion'] == 2\n"
        "assert not {'mlflow', 'torch'} & set(sys.modules)\n"
    )
    project.build(2)
    project.register()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, check=False
    )
    assert done.returncode == 0


def test_a_server_is_asked_through_its_client(project: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = snapshot.read(project.root, NAME)
    monkeypatch.setattr("unroll.tracking.backend.database", lambda root: None)
    asked = snapshot.read(project.root, NAME)
    assert (asked.aliases, asked.tags) == (direct.aliases, direct.tags)
    assert [(v.number, v.run_id, v.created_ms, v.tags) for v in asked.versions] == [
        (v.number, v.run_id, v.created_ms, v.tags) for v in direct.versions
    ]
    assert snapshot.names(project.root) == [NAME]
    assert snapshot.read(project.root, "nope").versions == ()
    promotion.promote(project.root, NAME, 3, "through the client")
    assert (project.root / ".unroll/registry.lock").exists()
    assert project.aliases()["champion"] == 3


def test_gate_json_tells_who_is_in_use(project: Contest) -> None:
    written = store.read_json(project.task.layout.reports / "gate.json")
    assert (written["version"], written["alias"], written["champion"]) == (3, "challenger", 2)


def test_a_store_that_is_busy_at_the_last_moment_does_not_take_a_rollback_further(
    project: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    promotion.promote(project.root, NAME, 3, "tried")
    call, left = MlflowClient.set_registered_model_alias, ["once"]

    def busy(*arguments: Any, **named: Any) -> None:
        call(*arguments, **named)
        if left:
            raise backend.BusyError(left.pop())

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", busy)
    assert promotion.rollback(project.root, NAME).champion == 2
    assert project.aliases()["champion"] == 2
    assert told(project)[-2:] == [("promoted", 3, 2), ("rolled back", 2, 3)]


def test_a_rollback_passes_over_the_same_model_served_by_other_code(
    project: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.build(2)
    monkeypatch.setattr(packaging, "code_hash", lambda problem: "other")
    project.register()
    newest = project.aliases()["champion"]
    assert newest > 3
    assert promotion.rollback(project.root, NAME).champion == 1


def test_a_rollback_takes_older_code_where_no_other_model_was_in_use(
    project: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion.rollback(project.root, NAME)
    project.build(1)
    monkeypatch.setattr(packaging, "code_hash", lambda problem: "other")
    project.register()
    newest = project.aliases()["champion"]
    assert newest > 3
    assert promotion.rollback(project.root, NAME, "slower than before").champion == 1
    assert told(project)[-1] == ("rolled back", 1, newest)
    with pytest.raises(
        ConfigError, match=r"no champion before this one in the history; see: .*promote air_quality VER"
    ):
        promotion.rollback(project.root, NAME)


def test_a_champion_that_cannot_be_loaded_gives_way_to_the_one_right_before_it(
    project: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.build(2)
    monkeypatch.setattr(packaging, "code_hash", lambda problem: "other")
    project.register()
    champion = snapshot.read(project.root, NAME).champion
    assert champion is not None
    weights = versions.registered(project.root, champion).folder / "weights.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1])
    assert promotion.rollback(project.root, NAME).champion == 2
    weights.write_bytes(kept)


def test_what_the_gate_withdrew_is_told_with_its_run_and_a_rollback_takes_the_model_before(project: Contest) -> None:
    path = project.task.params.path
    path.write_text(path.read_text(encoding="utf-8").replace("threshold: 0.1", "threshold: 0.99"), encoding="utf-8")
    second = snapshot.read(project.root, NAME).require(2)
    project.build(2)
    Contest(Task.open(project.root, NAME)).register()
    event = history.events(snapshot.read(project.root, NAME))[-1]
    assert (event.kind, event.champion, event.before) == ("withdrawn", None, 2)
    assert (event.run_id, event.data) == (second.run_id, second.tags["unroll.data"])
    assert promotion.rollback(project.root, NAME).champion == 1
