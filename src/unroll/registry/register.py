"""The models in MLflow's registry: a version for each model of a task, and which of them is in use.

A model that passes its gate carries the alias ``champion``; one that does not is registered too, as ``challenger``,
with the reason. Every change of the champion is in the history, those made by hand too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.core import store
from unroll.core.errors import ConfigError, StoreError, TrackingError
from unroll.core.layout import Layout
from unroll.core.params import Params
from unroll.model import packaging
from unroll.model.predictor import Predictor
from unroll.model.trained import READER_TAG, reader_hash
from unroll.problems.common.base import Prepared
from unroll.registry import challenge, gate, history, publication, snapshot, versions
from unroll.registry.challenge import Challenge
from unroll.registry.gate import Judgement, Outcome, Verdict
from unroll.registry.snapshot import Snapshot, Version
from unroll.stages.common.task import Task
from unroll.tracking import backend, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROUNDS = 5
"""How often a model challenges anew because another one was promoted meanwhile."""
VERDICT_TAGS = ("unroll.verdict", "unroll.reason")
"""On the version and on its run."""


def register(task: Task, run_id: str) -> Verdict:
    """Make sure that the registry has the task's model, and give it the alias that it has earned.

    A version of the same model, served by the same code, is used again. Writes ``gate.json`` beside the metrics.
    """
    judgement = _judge(task)
    verdict = backend.patiently(task.layout.root, lambda client: _register(client, task, run_id, judgement))
    record = verdict.record() | {"model_hash": runs.model_hash(task.layout.model)}
    store.write_json(task.layout.reports / "gate.json", record)
    return verdict


def _judge(task: Task) -> Judgement:
    """The task's files as they are now, against threshold and baselines."""
    metrics, config = store.read_json(task.layout.reports / "metrics.json"), task.gate_config()
    try:
        return gate.judge(metrics, config)
    except ConfigError as error:
        raise ConfigError(error.message, file=task.params.path, key=f"tasks.{task.name}.{error.key}") from None


def _register(client: "MlflowClient", task: Task, run_id: str, judgement: Judgement) -> Verdict:
    """Challenge without the lock, for that takes long; decide and write under it, if the opponent is still the same."""
    root = task.layout.root
    current = snapshot.read(root, task.name)
    version = _version(client, task, run_id, judgement, current)
    for _ in range(ROUNDS):
        opponent = gate.challenged(current, version, judgement)
        result = _challenge(task, opponent, judgement) if opponent else None
        with history.locked(root):
            current = history.heal(client, root, task.name)
            if current.find(version.number) is None:  # a store that does not show it would not show a champion either
                raise TrackingError(
                    f"{task.name}: version {version.number} is registered and not found; nothing is promoted"
                )
            still = gate.challenged(current, version, judgement)
            if (still and still.number) == (opponent and opponent.number):
                verdict = gate.decide(current, version, judgement, result)
                _write(client, current, version, verdict)
                return verdict
    raise TrackingError(
        f"{task.name}: the champion changed {ROUNDS} times while version {version.number} challenged it; expected it "
        "to stay (run: unroll repro)"
    )


def _challenge(task: Task, champion: Version, judgement: Judgement) -> Challenge:
    try:
        folder = versions.registered(task.layout.root, champion).folder
    except (StoreError, TrackingError) as error:
        return challenge.undecided(champion.number, challenge.Outcome.NOT_LOADED, task.gate_config(), str(error))
    recorded = champion.evaluation(judgement.metric)
    return challenge.run(task.layout, champion.number, folder, task.gate_config(), recorded)


def _write(client: "MlflowClient", current: Snapshot, version: Version, verdict: Verdict) -> None:
    """Give the version its tags and its alias. The caller holds the lock.

    The tags come first: a process that is stopped between them and the alias decides again, and writes the same ones.
    """
    _tag(client, version, verdict)
    if verdict.outcome is Outcome.WITHDRAWN:
        history.change(client, current, "withdrawn", None, verdict.reason, hand=False)
    elif verdict.champion != (current.champion and current.champion.number):
        history.change(client, current, "promoted", version, verdict.reason, hand=False)
    history.set_challenger(client, current, version, is_one=not verdict.outcome.in_use)


def _tag(client: "MlflowClient", version: Version, verdict: Verdict) -> None:
    """Write the verdict in words onto the run and the version, and its fields onto the version."""
    from mlflow.entities import RunTag

    words = dict(zip(VERDICT_TAGS, ("passed" if verdict.passed else "refused", verdict.reason), strict=True))
    client.log_batch(version.run_id, tags=[RunTag(key, value) for key, value in words.items()])
    result = verdict.challenge.tags() if verdict.challenge else {}
    failed = json.dumps([asdict(condition) for condition in verdict.failed()], ensure_ascii=False)
    tags = words | result | {"unroll.outcome": str(verdict.outcome), "unroll.failed": failed}
    if verdict.same_as is not None:
        tags["unroll.same_model_as"] = str(verdict.same_as)
    _set_tags(client, version, tags)
    for key in version.tags:
        if key.startswith(challenge.TAGS) and not result and not verdict.outcome.in_use:  # of an earlier verdict
            client.delete_model_version_tag(version.task, str(version.number), key)


def _set_tags(client: "MlflowClient", version: Version, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if version.tags.get(key) != value:
            client.set_model_version_tag(version.task, str(version.number), key, value)


def _version(client: "MlflowClient", task: Task, run_id: str, judgement: Judgement, current: Snapshot) -> Version:
    """The version of the task's model, served by the present code, with tags that lead to all it comes from."""
    run, layout, identity = client.get_run(run_id), task.layout, _identity(task.layout)
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    tags = {key: value for key, value in tags.items() if key not in VERDICT_TAGS}
    tags |= runs.flatten({"gate": task.gate_config().model_dump(mode="json")})
    tags |= publication.lineage(layout) | {"unroll.run_id": run_id}
    tags |= {key: value for key, value in identity.items() if value}
    if commit := run.data.tags.get("mlflow.source.git.commit"):
        tags["unroll.git_commit"] = commit
    tags[f"unroll.rows.{judgement.metric}"] = challenge.rows_of(layout, judgement.metric)
    if judgement.value is not None:  # what this code makes of the model, kept even if the run is deleted
        tags[f"unroll.score.{judgement.metric}"] = repr(judgement.value)
    known = [version for version in current.versions if _is(version, identity)]
    if known:
        if earlier := Challenge.of_tags(known[-1].tags):  # what it was about, before tags of the gate are overwritten
            tags = earlier.tags() | tags
        _set_tags(client, known[-1], tags)
        return known[-1]._replace(run_id=run_id, tags={**known[-1].tags, **tags})
    model_id = log_model(client, layout, run_id, str(run.info.experiment_id))
    return Version(layout.task, _create_version(client, layout.task, model_id, run_id, tags), run_id, 0, tags)


def _identity(layout: Layout) -> dict[str, str]:
    """Tags of a version that say how it answers: the model, the code that runs it, and how the user's files are read.

    The last is empty where the task comes with the project.
    """
    block = packaging.reader(layout)
    read = "" if block is None else reader_hash(block)
    code = packaging.code_hash(challenge.problem_of(layout.model))
    return {"unroll.model_hash": runs.model_hash(layout.model), "unroll.code_hash": code, READER_TAG: read}


def _is(version: Version, identity: Mapping[str, str]) -> bool:
    return all(version.tags.get(key, "") == value for key, value in identity.items())


def log_model(client: "MlflowClient", layout: Layout, run_id: str, experiment_id: str) -> str:
    """Keep the model with its run, as code and data; its id. Loaded from there, it must give the same answers."""
    import mlflow
    import torch
    from mlflow.models import Model
    from pandas.testing import assert_frame_equal

    torch.set_num_threads(1)  # a few rows: on a busy machine, more threads wait for each other for seconds
    predictor = Predictor.load(layout.model)
    example = predictor.example(Prepared.load(layout.prepared))
    answer = predictor.predict(example)
    model_id = str(client.create_logged_model(experiment_id, name=layout.task, source_run_id=run_id).model_id)
    info = Model.log(
        artifact_path=None,
        name=layout.task,
        flavor=mlflow.pyfunc,
        run_id=run_id,
        model_id=model_id,
        python_model=str(packaging.SCRIPT),
        artifacts=packaging.artifacts(layout),
        code_paths=[str(packaging.PACKAGE)],
        pip_requirements=packaging.requirements(),
        signature=packaging.signature(example, answer, predictor.optional_inputs),
        input_example=example,
    )
    served = mlflow.pyfunc.load_model(info.model_uri).predict(example)
    try:
        assert_frame_equal(served, answer)
    except AssertionError as error:
        reason = " ".join(str(error).split())
        raise TrackingError(f"{layout.model}: the logged model answers otherwise than this one: {reason}") from None
    return model_id


def _create_version(client: "MlflowClient", task: str, model_id: str, run_id: str, tags: Mapping[str, str]) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(task)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"models:/{model_id}"
    return int(client.create_model_version(task, source, run_id=run_id, tags=dict(tags), model_id=model_id).version)


def publish(task: Task) -> Verdict:
    """Bring MLflow up to date with the task's files: its run, then its model."""
    return register(task, publication.publish(task))


def publish_all(root: Path, names: Sequence[str]) -> dict[str, Verdict]:
    """As ``publish``, for the named tasks."""
    return {name: publish(Task.open(root, name)) for name in names}


def unpublished(root: Path) -> list[str]:
    """Tasks whose model has been trained and evaluated, and is not published as it is now."""
    layouts = [Layout(root, name) for name in Params(root / "params.yaml").tasks()]
    ready = [x.task for x in layouts if (x.model / "config.json").is_file() and (x.reports / "metrics.json").is_file()]
    return [task for task in ready if not is_published(root, task)]


def is_published(root: Path, task: str) -> bool:
    """Whether ``gate.json`` is about the task's present model and gate, and the registry agrees with it.

    It may be about another model or gate, as after ``git checkout`` and ``dvc checkout``; another champion may be in
    use, as after a rollback; and a champion that could not be loaded may be back. If the gate cannot be judged, it is
    not published: ``register`` says why.
    """
    opened = Task.open(root, task)
    path, model_hash = opened.layout.reports / "gate.json", runs.model_hash(opened.layout.model)
    if not path.is_file():
        return False
    record = store.read_json(path)
    try:
        needed = asdict(_judge(opened)) | {"model_hash": model_hash}
    except ConfigError:
        return False
    if not isinstance(record, dict) or any(key not in record or record[key] != needed[key] for key in needed):
        return False
    if (record.get("challenge") or {}).get("outcome") == challenge.Outcome.NOT_LOADED:
        return False
    current = snapshot.read(root, task)
    version, champion = current.find(record.get("version")), current.champion
    return (
        version is not None
        and _is(version, _identity(opened.layout))
        and current.aliases.get(record.get("alias", "")) == version.number
        and (champion and champion.number) == record.get("champion")
    )
