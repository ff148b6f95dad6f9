"""A model served by other code, decisions of persons for it, and what is left where a verdict is stopped halfway."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import contest
import pytest
from contest import NAME, Contest
from mlflow.exceptions import MlflowException
from projects import ROOT

from unroll.core import store
from unroll.core.errors import ConfigError
from unroll.model import packaging
from unroll.registry import history, promotion, register, snapshot
from unroll.tracking import backend

STOPPED = """
import os, signal, sys, pathlib
from mlflow import MlflowClient
from unroll.registry import register

where = sys.argv[1]
call = MlflowClient.set_registered_model_alias

def stop(*arguments, **named):
    if where == "after":
        call(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

MlflowClient.set_registered_model_alias = stop
register.publish_all(pathlib.Path.cwd(), [sys.argv[2]])
"""


@pytest.fixture
def made(tmp_path: Path) -> Contest:
    """A project whose champion, version 1, serves the model that lies in it."""
    found = contest.make(tmp_path / "project")
    assert found.enter(2).alias == "champion"
    return found


def use_code(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(packaging, "code_hash", lambda problem: name * 64)


def evaluated_as(made: Contest, r2: float) -> None:
    """What the stage evaluate leaves when the present code makes that of the model."""
    path = made.task.layout.reports / "metrics.json"
    found = store.read_json(path)
    store.write_json(path, found | {"test": found["test"] | {"r2": r2}})


def r2(made: Contest) -> float:
    return float(store.read_json(made.task.layout.reports / "metrics.json")["test"]["r2"])


def told(made: Contest) -> list[tuple[str, int | None, bool]]:
    found = history.events(snapshot.read(made.root, NAME))
    return [(event.kind, event.champion, event.hand) for event in found]


def test_code_that_does_as_well_by_the_model_takes_over(made: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    use_code(monkeypatch, "b")
    evaluated_as(made, r2(made) * 1.0005)  # another processor rounds otherwise
    verdict = made.register()
    assert (verdict.alias, verdict.version, verdict.champion) == ("champion", 2, 2)
    assert verdict.reason.endswith("; the model of version 1 served by other code, with the same score")
    assert made.aliases() == {"champion": 2}
    assert register.is_published(made.root, NAME)
    assert made.register() == verdict  # told again, it is the same


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_code_that_does_otherwise_by_the_model_stays_challenger(
    made: Contest, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """The run of the model is told the new score, too: what the champion has scored stands on its version."""
    before = r2(made)
    use_code(monkeypatch, "b")
    evaluated_as(made, before * factor)
    verdict = made.register()
    assert (verdict.passed, verdict.alias, verdict.version, verdict.champion) == (False, "challenger", 2, 1)
    assert verdict.reason == (
        f"version 1, the same model served by other code, stays in use: r2 is {before * factor:.4g} with the present "
        f"code and {before:.4g} with the code of that one, on the same test rows; "
        f"unroll registry promote {NAME} 2 puts this one in its place"
    )
    assert made.aliases() == {"champion": 1, "challenger": 2}
    assert register.is_published(made.root, NAME)
    tags = made.client().get_model_version(NAME, "2").tags
    assert (tags["unroll.verdict"], tags["unroll.reason"]) == ("refused", verdict.reason)
    promotion.promote(made.root, NAME, 2, "the evaluation was mended")
    assert made.register().alias == "champion"
    assert made.aliases() == {"champion": 2}


def test_code_under_which_the_model_falls_does_not_take_the_champion_away(
    made: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_code(monkeypatch, "b")
    evaluated_as(made, -3.0)
    assert made.register().alias == "challenger"
    assert made.aliases() == {"champion": 1, "challenger": 2}
    assert [kind for kind, _, _ in told(made)] == ["promoted"]


def test_a_gate_that_was_raised_takes_the_model_out_whatever_code_serves_it(
    made: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made.task.params.path
    path.write_text(path.read_text(encoding="utf-8").replace("threshold: 0.1", "threshold: 0.99"), encoding="utf-8")
    use_code(monkeypatch, "b")
    verdict = register.publish_all(made.root, [NAME])[NAME]
    assert (verdict.alias, verdict.champion) == ("challenger", None)
    assert made.aliases() == {"challenger": 2}
    assert told(made)[-1] == ("withdrawn", None, False)
    with pytest.raises(ConfigError, match=r"^air_quality: no champion is in use, and no other model was before it in"):
        promotion.rollback(made.root, NAME)


@pytest.mark.parametrize("tag", ["unroll.score.r2", "unroll.rows.r2"])
def test_a_champion_whose_score_on_these_rows_is_not_known_stays(
    made: Contest, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    made.client().delete_model_version_tag(NAME, "1", tag)
    use_code(monkeypatch, "b")
    verdict = made.register()
    assert (verdict.alias, made.aliases()) == ("challenger", {"champion": 1, "challenger": 2})
    assert "with the present code and unknown with the code of that one, on the same test rows; " in verdict.reason


def test_a_person_who_went_back_to_the_code_before_is_not_overruled(
    made: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_code(monkeypatch, "b")
    assert made.register().champion == 2
    promotion.promote(made.root, NAME, 1, "b is slow")
    assert not register.is_published(made.root, NAME)
    verdict = register.publish_all(made.root, [NAME])[NAME]
    assert (verdict.alias, verdict.version, verdict.champion) == ("challenger", 2, 1)
    assert "; version 1, the same model served by other code, stays in use: promoted by " in verdict.reason
    assert verdict.reason.endswith(f"(b is slow); unroll registry promote {NAME} 2 puts this one in its place")
    assert made.aliases() == {"champion": 1, "challenger": 2}
    assert register.is_published(made.root, NAME)
    use_code(monkeypatch, "c")
    assert made.register().alias == "challenger"
    assert made.aliases() == {"champion": 1, "challenger": 3}
    promotion.promote(made.root, NAME, 3, "c is not")
    assert made.register().alias == "champion"
    assert made.aliases() == {"champion": 3}


def test_a_model_put_in_use_by_hand_goes_on_with_new_code_and_stays_by_hand(
    made: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.enter(1)
    promotion.promote(made.root, NAME, 2, "fewer rows")
    path = made.task.params.path
    path.write_text(path.read_text(encoding="utf-8").replace("threshold: 0.1", "threshold: 0.99"), encoding="utf-8")
    for name, version in (("b", 3), ("c", 4)):
        use_code(monkeypatch, name)
        verdict = register.publish_all(made.root, [NAME])[NAME]
        assert (verdict.passed, verdict.alias, verdict.champion) == (False, "champion", version)
        assert "; in use all the same: promoted by " in verdict.reason
        assert told(made)[-1] == ("promoted", version, False)  # that was the gate's doing
    assert made.aliases()["champion"] == 4
    assert register.publish_all(made.root, [NAME])[NAME].alias == "champion"


@pytest.mark.parametrize("where", ["between", "after"])
def test_a_verdict_that_is_stopped_halfway_comes_right(made: Contest, where: str) -> None:
    """Killed when the version had its tags and not its alias, or its alias and nothing after it."""
    made.build(1)
    assert made.register().alias == "challenger"
    promotion.promote(made.root, NAME, 2, "tried")
    made.build(2, note="again")
    code = [sys.executable, "-c", STOPPED, where, NAME]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(code, cwd=made.root, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert made.aliases()["champion"] == (2 if where == "between" else 3)
    assert not register.is_published(made.root, NAME)
    verdict = register.publish_all(made.root, [NAME])[NAME]
    assert (verdict.alias, verdict.version, verdict.champion) == ("champion", 3, 3)
    assert "; better than champion 2: r2 " in verdict.reason
    tags = made.client().get_model_version(NAME, "3").tags
    assert (tags["unroll.verdict"], tags["unroll.reason"]) == ("passed", verdict.reason)
    assert (tags["challenge.outcome"], tags["challenge.champion"]) == ("better", "2")
    assert made.aliases()["champion"] == 3
    assert register.is_published(made.root, NAME)
    kinds = [kind for kind, _, _ in told(made)]
    assert kinds[-1 if where == "after" else -3 :] == (
        ["promoted"] if where == "after" else ["promoted", "cut off", "promoted"]
    )


def test_a_verdict_that_came_too_late_leaves_no_tags(made: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    made.enter(1)
    seen: list[str] = []
    change = register.history.heal

    def heal(*arguments: Any) -> snapshot.Snapshot:
        found = change(*arguments)
        if not seen:  # between the challenge and the lock another version came into use
            made.client().set_registered_model_alias(NAME, "champion", "2")
            found = change(*arguments)
        seen.append(dict(made.client().get_model_version(NAME, "3").tags).get("unroll.verdict", "none"))
        return found

    made.build(2, note="again")
    monkeypatch.setattr(register.history, "heal", heal)
    verdict = made.register()
    assert verdict.challenge is not None
    assert (verdict.alias, verdict.challenge.champion) == ("champion", 2)
    assert seen == ["none", "none"]


@pytest.mark.parametrize("gone", [False, True])
def test_a_champion_whose_run_was_deleted_is_still_met(made: Contest, gone: bool) -> None:
    """Deleted as the page of MLflow does it, and for good, as ``mlflow gc`` does."""
    run_id = snapshot.read(made.root, NAME).require(1).run_id
    made.client().delete_run(run_id)
    if gone:
        uri = backend.uri(made.root)
        command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--run-ids", run_id]
        subprocess.run(command, check=True, cwd=made.root, env={**os.environ, "MLFLOW_TRACKING_URI": uri})
        with pytest.raises(MlflowException, match=run_id):
            made.client().get_run(run_id)
    worse = made.enter(1)
    assert (worse.passed, worse.alias, made.aliases()["champion"]) == (False, "challenger", 1)
    assert worse.reason.startswith("not better than champion 1: r2 ")
    made.build(2)
    assert made.register().alias == "champion"
    assert made.aliases()["champion"] == 1
