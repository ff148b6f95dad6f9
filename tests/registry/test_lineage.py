"""From a model back to its data and from the data to the model, on a real run: DVC, git and MLflow's SQLite."""

import json
import shutil
from pathlib import Path

import pytest
from projects import change_params, copy_project, read_yaml, run, run_cli, write_yaml

from unroll.core import store
from unroll.core.errors import ConfigError
from unroll.registry import lineage, snapshot
from unroll.tracking import backend, runs

TASK = "addition"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small task, run, committed, and run again with another network."""
    root = tmp_path_factory.mktemp("lineage") / "project"
    copy_project(root)
    values = read_yaml(root / "params.yaml")
    write_yaml(root / "params.yaml", {"source": "sample", "tasks": {TASK: values["tasks"][TASK]}})
    dvc = read_yaml(root / "dvc.yaml")
    write_yaml(root / "dvc.yaml", {"stages": dvc["stages"]})
    git(root, "config", "user.email", "a@example.org")
    git(root, "config", "user.name", "A")
    change_params(root, {f"tasks.{TASK}.gate.threshold": 0.0, f"tasks.{TASK}.gate.baselines": []})
    git(root, "add", ".")
    git(root, "commit", "-qm", "before")
    repro(root)
    git(root, "add", ".")
    git(root, "commit", "-qm", "first model")
    shutil.copy(root / "dvc.lock", root.parent / "first.lock")
    change_params(root, {f"tasks.{TASK}.train.seed": 77})
    repro(root)
    return root


def git(root: Path, *arguments: str) -> str:
    done = run(root, "git", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def repro(root: Path) -> None:
    done = run_cli(root, "repro")
    assert done.returncode == 0, done.stdout + done.stderr


def outs(path: Path) -> dict[str, str]:
    """Outputs and hashes, as a reader of YAML sees them."""
    stages = read_yaml(path)["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


@pytest.mark.slow
def test_from_a_version_to_its_run_commit_lock_and_data(project: Path) -> None:
    first = lineage.of_version(project, TASK, 1)
    second = lineage.of_version(project, TASK, 2)
    assert first.outs == outs(project.parent / "first.lock")
    assert second.outs == outs(project / "dvc.lock")
    assert first.outs[f"models/{TASK}"] != second.outs[f"models/{TASK}"]
    assert first.outs[f"data/prepared/{TASK}"] == second.outs[f"data/prepared/{TASK}"]
    assert (first.here, second.here) == (False, True)
    assert second.version.model_hash == runs.model_hash(project / "models" / TASK)
    before, after = git(project, "log", "--format=%H", "--reverse").split()
    assert (first.commit, first.dirty) == (before, False)
    assert (second.commit, second.dirty) == (after, True)
    assert (first.locked_in, second.locked_in) == (after, "dvc.lock")
    assert first.stage in read_yaml(project / "dvc.lock")["stages"]
    manifest = store.read_json(project / f"data/raw/{TASK}/manifest.json")
    assert manifest["files"]
    assert first.version.tags["unroll.data"] == second.version.tags["unroll.data"]
    from mlflow import MlflowClient

    client = MlflowClient(backend.uri(project))
    for origin in (first, second):
        tags = client.get_run(origin.version.run_id).data.tags
        assert tags["unroll.model_hash"] == origin.version.model_hash
        assert tags["unroll.dvc_md5"] == origin.outs[f"models/{TASK}"]
        (used,) = client.get_run(origin.version.run_id).inputs.dataset_inputs
        assert used.dataset.digest == origin.version.tags["unroll.data"]


@pytest.mark.slow
def test_from_an_output_to_the_versions(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    lock, first = outs(project / "dvc.lock"), outs(project.parent / "first.lock")

    def found(output: str) -> list[int]:
        return [version.number for version in lineage.of_output(project, output)[1]]

    assert found(f"models/{TASK}") == [2]
    assert found(f"models/{TASK}/weights.safetensors") == [2]
    assert found(first[f"models/{TASK}"]) == [1]
    assert found(f"data/validated/{TASK}") == [1, 2]
    assert found(lock[f"data/raw/{TASK}"]) == [1, 2]
    assert found(str(project / f"data/prepared/{TASK}")) == [1, 2]
    assert found(snapshot.read(project, TASK).require(1).model_hash) == [1]
    assert found("0" * 32) == []
    with pytest.raises(ConfigError, match=r"^--output README\.md: neither a hash nor an output in dvc\.lock; expected"):
        lineage.of_output(project, "README.md")
    with pytest.raises(ConfigError, match=r"^--output /etc/passwd: outside of the project "):
        lineage.of_output(project, "/etc/passwd")


@pytest.mark.slow
def test_the_command_prints_it_both_ways(project: Path) -> None:
    shown = run_cli(project, "trace", TASK, "--version", "1")
    assert shown.returncode == 0, shown.stderr
    for value in outs(project.parent / "first.lock").values():
        assert value in shown.stdout
    assert f"train@{TASK}, in commit " in shown.stdout
    back = run_cli(project, "trace", "--output", f"models/{TASK}")
    assert f"│ {TASK} │ 2 " in back.stdout
    wrong = run_cli(project, "trace")
    assert (wrong.returncode, wrong.stderr) == (
        1, "unroll: trace: expected TASK, with --version or without, or --output alone\n",
    )  # fmt: skip


@pytest.mark.slow
def test_the_second_run_was_a_challenge_and_a_third_does_nothing(project: Path) -> None:
    gate = json.loads((project / f"reports/{TASK}/gate.json").read_text(encoding="utf-8"))
    assert gate["version"] == 2
    assert gate["challenge"]["champion"] == 1
    assert gate["challenge"]["outcome"] in ("better", "not better")
    assert gate["challenge"]["rows"] == json.loads((project / f"reports/{TASK}/metrics.json").read_text())["examples"]
    again = run_cli(project, "repro")
    assert "nothing to do: every stage is up to date" in again.stdout
    assert again.stderr == ""


def test_a_version_without_tags_is_unknown_not_an_error() -> None:
    bare = snapshot.Version(TASK, 1, "", 0, {"unroll.dvc_outs": "{"})
    assert lineage.outs(bare) == {}
    assert lineage.outs(snapshot.Version(TASK, 1, "", 0, {})) == {}
