"""The models in MLflow's registry: a version for each model of a task, and which of them is in use.

A model that passes its gate carries the alias ``champion``; one that does not is registered all the same, as
``challenger``, with the reason. Every change of the champion stands in the history, those made by hand too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.errors import ConfigError, TrackingError
from unroll.core.layout import Layout
from unroll.core.params import Params
from unroll.model import packaging
from unroll.model.predictor import Predictor
from unroll.model.trained import READER_TAG, reader_hash
from unroll.problems.common.base import Prepared
from unroll.registry import challenge, decision, history, promotion, publication, snapshot
from unroll.registry.gate import Verdict, judge
from unroll.registry.snapshot import Version
from unroll.stages.common.task import Task
from unroll.tracking import backend, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Verdict", "is_published", "judge", "publish_all", "register", "unpublished"]

ROUNDS = 5
"""How often a model is judged anew because another one was promoted meanwhile."""


def register(task: Task, run_id: str) -> Verdict:
    """Make sure that the registry has the task's model, and give it the alias that it has earned.

    A version of the same model, served by the same code, is used again. Writes ``gate.json`` beside the metrics.
    """
    floor = _floor(task)
    verdict = backend.patiently(task.layout.root, lambda client: _register(client, task, run_id, floor))
    store.write_json(task.layout.reports / "gate.json", _record(verdict, runs.model_hash(task.layout.model)))
    return verdict


def _floor(task: Task) -> Verdict:
    """On the task's files as they are now, before any champion."""
    try:
        return judge(store.read_json(task.layout.reports / "metrics.json"), task.gate_config())
    except ConfigError as error:
        raise ConfigError(f"{task.params.path}: tasks.{task.name}.{error}") from None


def _record(verdict: Verdict, model_hash: str) -> dict[str, Any]:
    """What ``gate.json`` holds."""
    return asdict(verdict) | {"model_hash": model_hash}


def _register(client: "MlflowClient", task: Task, run_id: str, floor: Verdict) -> Verdict:
    version = _version(client, task, run_id, floor)
    for _ in range(ROUNDS):
        with history.locked(task.layout.root):
            registered = history.heal(client, task.layout.root, task.name)
        if registered.find(version.number) is None:  # whoever does not see it would not see a champion either
            raise TrackingError(
                f"{task.name}: version {version.number} is registered and not found; nothing is promoted"
            )
        verdict = decision.decide(task, floor, version, registered)
        try:
            return _settle(client, task, version, verdict, registered.champion)
        except history.Moved:
            continue
    raise TrackingError(
        f"{task.name}: the champion changed {ROUNDS} times while version {version.number} was judged; expected it to "
        "stay (run: unroll repro)"
    )


def _settle(
    client: "MlflowClient", task: Task, version: Version, verdict: Verdict, champion: Version | None
) -> Verdict:
    """Give the version its tags and its alias; raises ``Moved`` if the champion is another one than was judged by.

    The tags come first: whoever is stopped between them and the alias is judged again, and writes the same ones.
    """
    judged_by = champion.number if champion else None
    with history.locked(task.layout.root):
        registered = history.heal(client, task.layout.root, task.name)
        if (registered.champion and registered.champion.number) != judged_by:
            raise history.Moved
        _tag(client, version, verdict)
        if verdict.champion is None and judged_by is not None:
            history.change(client, registered, "withdrawn", None, verdict.reason, hand=False)
        elif verdict.champion != judged_by:
            history.change(client, registered, "promoted", version, verdict.reason, hand=False)
        promotion.set_challenger(client, registered, version, is_one=verdict.alias == "challenger")
    return verdict


def _tag(client: "MlflowClient", version: Version, verdict: Verdict) -> None:
    """Write the verdict, and the numbers of the duel, onto the run and onto the version."""
    from mlflow.entities import RunTag

    judged = {"unroll.verdict": "passed" if verdict.passed else "refused", "unroll.reason": verdict.reason}
    client.log_batch(version.run_id, tags=[RunTag(key, value) for key, value in judged.items()])
    numbers = asdict(verdict.duel) if verdict.duel else {}
    tags = judged | runs.flatten({"duel": {key: value for key, value in numbers.items() if key != "reason"}})
    for key, value in tags.items():
        if version.tags.get(key) != value:
            client.set_model_version_tag(version.task, str(version.number), key, value)
    for key in version.tags:
        if key.startswith("duel.") and not numbers and verdict.alias == "challenger":  # of an earlier verdict
            client.delete_model_version_tag(version.task, str(version.number), key)


def _version(client: "MlflowClient", task: Task, run_id: str, floor: Verdict) -> Version:
    """The version of the task's model, served by the present code, with tags that lead to all it comes from."""
    run, layout = client.get_run(run_id), task.layout
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
    tags = {key: value for key, value in tags.items() if key not in ("unroll.verdict", "unroll.reason")}
    tags |= runs.flatten({"gate": task.gate_config().model_dump(mode="json")})
    tags |= publication.lineage(layout) | {"unroll.run_id": run_id}
    tags |= {key: value for key, value in _identity(layout).items() if value}
    if commit := run.data.tags.get("mlflow.source.git.commit"):
        tags["unroll.git_commit"] = commit
    tags[f"unroll.rows.{floor.metric}"] = challenge.fingerprint(challenge.asked(layout, floor.metric))
    if floor.value is not None:  # beside the rows: what this code has made of this model, whatever becomes of the run
        tags[f"unroll.score.{floor.metric}"] = repr(floor.value)
    found = find_version(client, layout)
    if found is None:
        model_id = log_model(client, layout, run_id, str(run.info.experiment_id))
        found = _create_version(client, layout.task, model_id, run_id, tags)
    for key, value in tags.items():
        if found.tags.get(key) != value:
            client.set_model_version_tag(layout.task, str(found.version), key, value)
    return Version(layout.task, int(found.version), run_id, 0, {**found.tags, **tags})


def find_version(client: "MlflowClient", layout: Layout) -> "ModelVersion | None":
    """The newest version that is the task's model and answers as it would now."""
    wanted = _identity(layout)
    asked = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in wanted.items() if value)
    found = client.search_model_versions(f"name = '{layout.task}' AND {asked}")
    alike = (version for version in found if all(version.tags.get(key, "") == wanted[key] for key in wanted))
    return max(alike, key=lambda version: int(version.version), default=None)


def _identity(layout: Layout) -> dict[str, str]:
    """Tags of a version that say how it answers: the model, the code that runs it, and how a file of its own is read.

    The last is empty where the task comes with the project.
    """
    block = packaging.reader(layout)
    read = "" if block is None else reader_hash(block)
    return {"unroll.model_hash": runs.model_hash(layout.model), "unroll.code_hash": packaging.code_hash(),
            READER_TAG: read}  # fmt: skip


def log_model(client: "MlflowClient", layout: Layout, run_id: str, experiment_id: str) -> str:
    """Keep the model with its run, as code and data; its id. It must answer from there as it does from here."""
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


def _create_version(
    client: "MlflowClient", task: str, model_id: str, run_id: str, tags: Mapping[str, str]
) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(task)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(task, f"models:/{model_id}", run_id=run_id, tags=dict(tags), model_id=model_id)


def publish_all(root: Path, names: Sequence[str]) -> dict[str, Verdict]:
    """Publish and register the models of the named tasks as they lie in the project."""
    tasks = [Task.open(root, name) for name in names]
    return {task.name: register(task, publication.publish(task)) for task in tasks}


def unpublished(root: Path) -> list[str]:
    """Tasks whose model has been trained and evaluated, and is not published as it is now."""
    layouts = [Layout(root, name) for name in Params(root / "params.yaml").tasks()]
    ready = [x.task for x in layouts if (x.model / "config.json").is_file() and (x.reports / "metrics.json").is_file()]
    return [task for task in ready if not is_published(root, task)]


def is_published(root: Path, task: str) -> bool:
    """Whether ``gate.json`` tells of the task's present model and gate, and the registry agrees with it.

    Both may be those of another model or gate, as after ``git checkout`` and ``dvc checkout``; another champion may be
    in use, as after a rollback; and a champion that could not be loaded may be back. A gate that cannot be judged is
    not published: ``register`` tells why.
    """
    opened = Task.open(root, task)
    path, model_hash = opened.layout.reports / "gate.json", runs.model_hash(opened.layout.model)
    if not path.is_file():
        return False
    told = store.read_json(path)
    try:
        asks = _floor(opened).asks()
    except ConfigError:
        return False
    if not isinstance(told, dict) or told.get("model_hash") != model_hash or not _holds(told, asks):
        return False
    if (told.get("duel") or {}).get("outcome") == "not loaded":
        return False
    registered = snapshot.read(root, task)
    version, champion = registered.find(told.get("version")), registered.champion
    return (
        version is not None
        and all(version.tags.get(key, "") == value for key, value in _identity(opened.layout).items())
        and registered.aliases.get(told.get("alias", "")) == version.number
        and (champion and champion.number) == told.get("champion")
    )


def _holds(told: Mapping[str, Any], asks: Mapping[str, Any]) -> bool:
    return all(key in told and told[key] == value for key, value in asks.items())
