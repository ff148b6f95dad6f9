import json
import re
import time
from pathlib import Path
from typing import Any

import contest
import pytest
from mlflow import MlflowClient
from trained_project import METRICS, NAME, make, write_model

from unroll.core import store
from unroll.core.config import GateConfig
from unroll.core.errors import ConfigError, TrackingError
from unroll.model import packaging
from unroll.registry import challenge, history, promotion, publication, snapshot
from unroll.registry import register as registry
from unroll.registry.gate import Outcome, judge
from unroll.stages.common.task import Task
from unroll.tracking import backend, runs


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return make(tmp_path / "project")


def client(task: Task) -> MlflowClient:
    return MlflowClient(backend.uri(task.layout.root))


def register(task: Task) -> registry.Verdict:
    return registry.register(task, publication.publish(task))


def aliases(task: Task) -> dict[str, str]:
    return {alias: str(version) for alias, version in client(task).get_registered_model(NAME).aliases.items()}


def gate(**changes: Any) -> GateConfig:
    values = {"metric": "r2", "direction": "higher", "threshold": 0.75, "baselines": ["persistence"]}
    return GateConfig.model_validate(values | changes)


def set_gate(task: Task, old: str, new: str) -> Task:
    path = task.params.path
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return Task.open(task.layout.root, NAME)


def metrics(value: float, baseline: float, name: str = "r2") -> dict[str, Any]:
    return {"test": {name: value, f"{name}_low": 0.0}, "baselines": {"persistence": {name: baseline}}}


@pytest.mark.parametrize(
    ("value", "baseline", "direction", "threshold", "passed", "reason"),
    [
        (0.80, 0.70, "higher", 0.75, True, "r2 0.8 ≥ 0.75; better than persistence 0.7"),
        (0.75, 0.70, "higher", 0.75, True, "r2 0.75 ≥ 0.75; better than persistence 0.7"),
        (0.74, 0.70, "higher", 0.75, False, "r2 0.74, expected ≥ 0.75"),
        (0.80, 0.80, "higher", 0.75, False, "r2 0.8 does not beat persistence 0.8"),
        (0.70, 0.90, "higher", 0.75, False, "r2 0.7, expected ≥ 0.75; r2 0.7 does not beat persistence 0.9"),
        (2.50, 2.90, "lower", 3.00, True, "r2 2.5 ≤ 3; better than persistence 2.9"),
        (3.00, 3.10, "lower", 3.00, True, "r2 3 ≤ 3; better than persistence 3.1"),
        (3.10, 3.20, "lower", 3.00, False, "r2 3.1, expected ≤ 3"),
        (2.50, 2.50, "lower", 3.00, False, "r2 2.5 does not beat persistence 2.5"),
    ],
)
def test_the_gate(value: float, baseline: float, direction: str, threshold: float, passed: bool, reason: str) -> None:
    verdict = judge(metrics(value, baseline), gate(direction=direction, threshold=threshold))
    assert (verdict.passed, verdict.reason) == (passed, reason)
    met = {condition.kind: condition.met for condition in verdict.conditions()}
    assert met == {"threshold": "expected" not in reason, "baseline": "does not beat" not in reason}


def test_an_undefined_metric_is_refused() -> None:
    verdict = judge({"test": {"r2": None}, "baselines": {"persistence": {"r2": 0.7}}}, gate())
    assert (verdict.passed, verdict.value) == (False, None)
    assert verdict.reason == "r2 undefined, expected ≥ 0.75; r2 undefined does not beat persistence 0.7"
    verdict = judge({"test": {"r2": 0.8}, "baselines": {"persistence": {"r2": None}}}, gate())
    assert (verdict.passed, verdict.reason) == (False, "r2 0.8 does not beat persistence undefined")


def test_a_gate_without_baselines_asks_for_the_threshold_alone() -> None:
    assert judge({"test": {"r2": 0.8}, "baselines": {}}, gate(baselines=[])).passed


def test_a_gate_on_unknown_names_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"^gate\.metric: 'r3' is not in metrics\.json; expected one of: r2$"):
        judge(metrics(0.8, 0.7), gate(metric="r3"))
    with pytest.raises(ConfigError, match=r"^gate\.baselines: 'naive' is not .*; expected one of: persistence$"):
        judge(metrics(0.8, 0.7), gate(baselines=["naive"]))
    with pytest.raises(ConfigError, match=r"^gate\.metric: baseline persistence: 'r2' is not .*: rmse$"):
        judge({"test": {"r2": 1}, "baselines": {"persistence": {"rmse": 1}}}, gate())


def test_an_unknown_name_is_told_with_file_and_key_and_nothing_is_registered(task: Task) -> None:
    task = set_gate(task, "metric: r2", "metric: r3")
    with pytest.raises(ConfigError, match=rf"params\.yaml: tasks\.{NAME}\.gate\.metric: 'r3' .* r2, rmse$"):
        register(task)
    assert client(task).search_registered_models() == []


def test_a_model_that_passes_is_champion(task: Task) -> None:
    verdict = register(task)
    assert (verdict.passed, verdict.version) == (True, 1)
    assert aliases(task) == {"champion": "1"}
    version = client(task).get_model_version_by_alias(NAME, "champion")
    assert version.tags["unroll.model_hash"] == runs.model_hash(task.layout.model)
    assert version.tags["unroll.verdict"] == "passed"
    assert version.tags["gate.threshold"] == "0.75"
    assert version.run_id == version.tags["unroll.run_id"]
    assert client(task).get_run(version.run_id).data.tags["unroll.reason"] == verdict.reason
    assert json.loads((task.layout.reports / "gate.json").read_text(encoding="utf-8")) == {
        "passed": True, "outcome": "no champion before", "failed": [], "reason": verdict.reason,
        "metric": "r2", "value": 0.8, "threshold": 0.75,
        "direction": "higher", "margin": 0.0, "confidence": 0.95, "challenge": None, "version": 1, "champion": 1,
        "baselines": {"persistence": 0.7, "seasonal_naive": 0.2}, "alias": "champion",
        "model_hash": runs.model_hash(task.layout.model),
    }  # fmt: skip


def test_a_model_that_fails_is_registered_with_the_reason(task: Task) -> None:
    store.write_json(task.layout.reports / "metrics.json", METRICS | {"test": {"r2": 0.6}})
    verdict = register(task)
    assert not verdict.passed
    assert aliases(task) == {"challenger": "1"}
    tags = client(task).get_model_version(NAME, "1").tags
    assert tags["unroll.verdict"] == "refused"
    assert tags["unroll.reason"] == "r2 0.6, expected ≥ 0.75; r2 0.6 does not beat persistence 0.7"


def test_registering_twice_makes_one_version_and_one_logged_model(task: Task) -> None:
    first = register(task)
    run_id = publication.publish(task)
    kept = client(task).get_model_version(NAME, "1")
    assert registry.register(task, run_id) == first
    assert len(client(task).search_model_versions(f"name = '{NAME}'")) == 1
    assert len(client(task).get_run(run_id).outputs.model_outputs) == 1
    assert client(task).get_model_version(NAME, "1").last_updated_timestamp == kept.last_updated_timestamp


def test_a_gate_that_rises_takes_the_alias_away_and_one_that_falls_gives_it_back(task: Task) -> None:
    register(task)
    register(set_gate(task, "threshold: 0.75", "threshold: 0.95"))
    assert aliases(task) == {"challenger": "1"}
    assert client(task).get_model_version(NAME, "1").tags["gate.threshold"] == "0.95"
    register(set_gate(task, "threshold: 0.95", "threshold: 0.5"))
    assert aliases(task) == {"champion": "1"}
    assert len(client(task).search_model_versions()) == 1


def test_a_worse_model_leaves_the_champion_where_it_is(task: Task) -> None:
    register(task)
    write_model(task, 2)
    store.write_json(task.layout.reports / "metrics.json", METRICS | {"test": {"r2": 0.6}})
    assert register(task).version == 2
    assert aliases(task) == {"champion": "1", "challenger": "2"}


def test_the_registry_is_asked_without_mlflow_and_at_once(task: Task) -> None:
    root = task.layout.root
    assert not registry.is_published(root, NAME)
    assert registry.unpublished(root) == [NAME]
    register(task)
    started = time.monotonic()
    assert registry.is_published(root, NAME)
    assert time.monotonic() - started < 0.05
    assert registry.unpublished(root) == []
    write_model(task, 2)
    assert not registry.is_published(root, NAME)


def test_a_model_that_comes_back_is_judged_against_the_champion_there_is_now(tmp_path: Path) -> None:
    """As after ``git checkout`` and ``dvc checkout``: the registry has the model, but tells of another one."""
    made = contest.make(tmp_path / "project")
    assert made.enter(1).alias == "champion"
    made.build(2)
    assert not registry.is_published(made.root, NAME)
    assert made.register().alias == "champion"
    assert registry.is_published(made.root, NAME)
    made.build(1)
    assert registry.unpublished(made.root) == [NAME]
    (verdict,) = registry.publish_all(made.root, [NAME]).values()
    assert (verdict.version, verdict.alias, verdict.champion) == (1, "challenger", 2)
    assert verdict.reason.startswith("not better than champion 2: r2 ")
    assert made.aliases() == {"champion": 2, "challenger": 1}
    assert registry.is_published(made.root, NAME)
    assert len(made.client().search_model_versions()) == 2


def test_a_model_is_judged_anew_when_another_one_was_promoted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contest.make(tmp_path / "project")
    made.enter(1)
    made.enter(1, note="again")
    seen, fight = [], challenge.run

    def slow(layout: Any, champion: int, *rest: Any) -> challenge.Challenge:
        seen.append(champion)
        if len(seen) == 1:
            promotion.promote(made.root, NAME, 2, "while the other one is judged")
        return fight(layout, champion, *rest)

    monkeypatch.setattr(challenge, "run", slow)
    verdict = made.enter(2)
    assert seen == [1, 2]
    assert verdict.challenge is not None
    assert (verdict.passed, verdict.challenge.champion, made.aliases()) == (True, 2, {"champion": 3})


@pytest.mark.parametrize("moved", [False, True])
def test_a_registration_reads_the_registry_before_the_challenge_and_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    """Not a third time, even where the history lacks what has happened."""
    made = contest.make(tmp_path / "project")
    made.enter(1)
    made.enter(1, note="again")
    if moved:
        made.client().set_registered_model_alias(NAME, "champion", "2")
    made.build(2)
    read, reads = snapshot.read, []

    def count(root: Path, task: str) -> snapshot.Snapshot:
        reads.append(task)
        return read(root, task)

    monkeypatch.setattr(snapshot, "read", count)
    verdict = made.register()
    assert len(reads) == 2
    assert (verdict.outcome, made.aliases()["champion"]) == (Outcome.WON, 3)
    kinds = [event.kind for event in history.events(read(made.root, NAME))]
    assert kinds == (["promoted", "found", "promoted"] if moved else ["promoted", "promoted"])


def written_by_an_earlier_version(made: contest.Contest, number: str) -> None:
    """Its challenge is in tags ``duel.*`` without the gate's terms, and its outcome in no tag."""
    store_client = made.client()
    for key, value in store_client.get_model_version(NAME, number).tags.items():
        name = key.removeprefix("challenge.")
        if key == "unroll.outcome" or name != key:
            store_client.delete_model_version_tag(NAME, number, key)
        if name != key and name not in challenge.TERMS:
            store_client.set_model_version_tag(NAME, number, f"duel.{name}", value)


@pytest.mark.parametrize("old", [False, True])
def test_a_win_is_forgotten_when_the_metric_of_the_gate_changes(tmp_path: Path, old: bool) -> None:
    made = contest.make(tmp_path / "project")
    made.enter(1)
    won = made.enter(2)
    if old:
        written_by_an_earlier_version(made, "2")
    again = made.register()
    assert (again.outcome, again.reason) == (Outcome.WON, won.reason)
    if old:
        written_by_an_earlier_version(made, "2")
    path = made.task.params.path
    text = path.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.strip().startswith("gate:")]
    other = "    gate: {metric: mae, direction: lower, threshold: 100, baselines: []}"
    path.write_text(text.replace(line, other), encoding="utf-8")
    (stays,) = registry.publish_all(made.root, [NAME]).values()
    assert (stays.outcome, stays.challenge, made.aliases()) == (Outcome.STAYS, None, {"champion": 2})
    assert re.fullmatch(r"mae [\d.]+ ≤ 100", stays.reason)
    tags = made.client().get_model_version(NAME, "2").tags
    assert (tags["gate.metric"], tags["challenge.metric"]) == ("mae", "r2")
    assert registry.is_published(made.root, NAME)


def test_a_champion_whose_files_are_gone_or_damaged_stays_and_is_tried_again(tmp_path: Path) -> None:
    made = contest.make(tmp_path / "project")
    made.enter(1)
    (weights,) = made.root.glob("mlartifacts/**/artifacts/air_quality/weights.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused = made.enter(2)
    assert (refused.passed, made.aliases()) == (False, {"champion": 1, "challenger": 2})
    told = (
        r"^champion 1 cannot be loaded: /.*/artifacts/air_quality: its hash is \w{12}…; expected \w{12}…, as air_qual"
    )
    assert re.search(told, refused.reason), refused.reason
    assert refused.reason.endswith(
        "nothing is promoted, unroll registry promote or rollback puts a version in use by hand"
    )
    weights.unlink()
    assert "cannot be loaded" in made.register().reason
    assert not registry.is_published(made.root, NAME)  # it may come back
    weights.write_bytes(content)
    assert made.register().alias == "champion"
    assert made.aliases() == {"champion": 2}
    assert registry.is_published(made.root, NAME)


def test_a_verdict_of_another_gate_or_without_its_alias_is_not_published(task: Task) -> None:
    root, path = task.layout.root, task.layout.reports / "gate.json"
    register(task)
    set_gate(task, "threshold: 0.75", "threshold: 0.95")
    assert not registry.is_published(root, NAME)
    set_gate(task, "threshold: 0.95", "threshold: 0.75")
    assert registry.is_published(root, NAME)
    client(task).delete_registered_model_alias(NAME, "champion")
    assert not registry.is_published(root, NAME)
    client(task).set_registered_model_alias(NAME, "champion", "1")
    assert registry.is_published(root, NAME)
    path.unlink()
    assert not registry.is_published(root, NAME)


def test_other_code_that_serves_the_same_model_makes_a_version(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    root = task.layout.root
    register(task)
    monkeypatch.setattr(packaging, "code_hash", lambda problem: "c" * 64)
    assert not registry.is_published(root, NAME)
    assert register(task).version == 2
    assert register(task).version == 2
    assert aliases(task) == {"champion": "2"}
    assert client(task).get_model_version(NAME, "2").tags["unroll.code_hash"] == "c" * 64
    assert registry.is_published(root, NAME)


def test_a_store_that_is_no_sqlite_file_is_asked_through_its_client(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = task.layout.root
    register(task)
    monkeypatch.setattr(backend, "database", lambda root: None)
    assert registry.is_published(root, NAME)
    client(task).delete_registered_model_alias(NAME, "champion")
    assert not registry.is_published(root, NAME)
    client(task).delete_registered_model(NAME)
    assert not registry.is_published(root, NAME)


def test_a_version_that_was_deleted_is_made_again(task: Task) -> None:
    register(task)
    client(task).delete_model_version(NAME, "1")
    assert not registry.is_published(task.layout.root, NAME)
    assert register(task).version == 2
    assert aliases(task) == {"champion": "2"}


def test_a_store_that_is_missing_empty_or_damaged(task: Task, tmp_path: Path) -> None:
    root, path = task.layout.root, task.layout.root / "mlflow.db"
    register(task)
    path.unlink()
    assert not registry.is_published(root, NAME)
    path.touch()
    assert not registry.is_published(root, NAME)
    path.write_text("no database, but long enough to be read as one" * 100, encoding="utf-8")
    with pytest.raises(TrackingError, match=r"mlflow\.db: file is not a database; expected MLflow's SQLite store"):
        registry.is_published(root, NAME)


def test_a_task_without_model_or_evaluation_is_not_waiting(task: Task) -> None:
    (task.layout.reports / "metrics.json").unlink()
    assert registry.unpublished(task.layout.root) == []


def test_a_new_store_is_filled_from_files(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = task.layout.root
    register(task)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/new.db")
    assert registry.unpublished(root) == [NAME]
    (verdict,) = registry.publish_all(root, [NAME]).values()
    assert (verdict.passed, verdict.version) == (True, 1)
    assert registry.unpublished(root) == []
    assert aliases(task) == {"champion": "1"}
