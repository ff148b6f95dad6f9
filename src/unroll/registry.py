"""The models in MLflow's registry: which version there is of each task, and which of them may be used.

A model that passes its gate carries the alias ``champion``; one that does not is registered all the same, as
``challenger``, with the reason.
"""

import operator
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unroll import publication, serving, store, tracking
from unroll.config import GateConfig, Params
from unroll.errors import ConfigError, TrackingError
from unroll.problems.base import Prepared
from unroll.store import Layout
from unroll.tasks import Task

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_CARRIER = """
    SELECT version FROM model_versions JOIN registered_model_aliases USING (workspace, name, version)
    JOIN model_version_tags model USING (workspace, name, version)
    JOIN model_version_tags code USING (workspace, name, version)
    WHERE name = ? AND alias = ? AND current_stage != 'Deleted_Internal'
    AND model.key = 'unroll.model_hash' AND model.value = ? AND code.key = 'unroll.code_hash' AND code.value = ?
"""


@dataclass(frozen=True)
class Verdict:
    """Whether a model passed its gate, and why."""

    passed: bool
    reason: str
    metric: str
    value: float | None
    threshold: float
    direction: Literal["higher", "lower"]
    baselines: Mapping[str, float | None]
    version: int | None = None
    """Of the registered model, once there is one."""

    @property
    def alias(self) -> Literal["champion", "challenger"]:
        """The alias that the model may carry."""
        return "champion" if self.passed else "challenger"


def judge(metrics: Mapping[str, Any], gate: GateConfig) -> Verdict:
    """Hold the test metrics of ``metrics.json`` against the gate.

    The metric must reach the threshold (equal is enough) and beat each baseline (equal is not); one that is undefined
    (null) does neither. Raises ConfigError where the gate names a metric or a baseline that is not there.
    """
    value = _metric(metrics["test"], "gate.metric", gate.metric)
    baselines = {}
    for name in gate.baselines:
        if name not in metrics["baselines"]:
            there = ", ".join(metrics["baselines"]) or "none"
            raise ConfigError(f"gate.baselines: {name!r} is not in metrics.json; expected one of: {there}")
        baselines[name] = _metric(metrics["baselines"][name], f"gate.metric: baseline {name}", gate.metric)
    higher = gate.direction == "higher"
    reaches, beats = (operator.ge, operator.gt) if higher else (operator.le, operator.lt)
    sign = "≥" if higher else "≤"
    shown = f"{gate.metric} {_short(value)}"
    faults, merits = [], []
    if value is not None and reaches(value, gate.threshold):
        merits.append(f"{shown} {sign} {_short(gate.threshold)}")
    else:
        faults.append(f"{shown}, {sign} {_short(gate.threshold)} is asked")
    for name, other in baselines.items():
        if value is not None and other is not None and beats(value, other):
            merits.append(f"better than {name} {_short(other)}")
        else:
            faults.append(f"{shown} does not beat {name} {_short(other)}")
    reason = "; ".join(faults or merits)
    return Verdict(not faults, reason, gate.metric, value, gate.threshold, gate.direction, baselines)


def _short(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _metric(values: Mapping[str, Any], key: str, name: str) -> float | None:
    there = [k for k, v in values.items() if isinstance(v, int | float | None) and not k.endswith(("_low", "_high"))]
    if name not in there:
        raise ConfigError(f"{key}: {name!r} is not in metrics.json; expected one of: {', '.join(there) or 'none'}")
    return None if values[name] is None else float(values[name])


def register(task: Task, run_id: str) -> Verdict:
    """Make sure that the registry has the task's model, and give it the alias that it has earned.

    A version of the same model, served by the same code, is used again. Writes ``gate.json`` beside the metrics.
    """
    gate, layout, verdict = task.gate_config(), task.layout, _verdict(task)
    verdict = tracking.patiently(layout.root, lambda client: _register(client, layout, run_id, gate, verdict))
    store.write_json(layout.reports / "gate.json", _record(verdict, tracking.model_hash(layout.model)))
    return verdict


def _verdict(task: Task) -> Verdict:
    """On the task's files as they are now."""
    try:
        return judge(store.read_json(task.layout.reports / "metrics.json"), task.gate_config())
    except ConfigError as error:
        raise ConfigError(f"{task.params.path}: tasks.{task.name}.{error}") from None


def _record(verdict: Verdict, model_hash: str) -> dict[str, Any]:
    """What ``gate.json`` holds."""
    return asdict(verdict) | {"alias": verdict.alias, "model_hash": model_hash}


def _register(client: "MlflowClient", layout: Layout, run_id: str, gate: GateConfig, verdict: Verdict) -> Verdict:
    from mlflow.entities import RunTag

    run = client.get_run(run_id)
    judged = {"unroll.verdict": "passed" if verdict.passed else "refused", "unroll.reason": verdict.reason}
    judged |= tracking.flatten({"gate": gate.model_dump(mode="json")})
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in judged.items()])
    tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")} | judged
    tags["unroll.run_id"] = run_id
    if commit := run.data.tags.get("mlflow.source.git.commit"):
        tags["unroll.git_commit"] = commit
    tags["unroll.code_hash"] = serving.code_hash()
    found = find_version(client, layout.task, tags["unroll.model_hash"], tags["unroll.code_hash"])
    if found is None:
        model_id = log_model(client, layout, run_id, str(run.info.experiment_id))
        found = _create_version(client, layout.task, model_id, run_id, tags)
    number = int(found.version)
    for key, value in tags.items():
        if found.tags.get(key) != value:
            client.set_model_version_tag(layout.task, str(number), key, value)
    _set_alias(client, layout.task, number, verdict)
    return replace(verdict, version=number)


def find_version(client: "MlflowClient", task: str, model_hash: str, code_hash: str) -> "ModelVersion | None":
    """The newest version of the registered model ``task`` that is that model, served by that code."""
    found = client.search_model_versions(
        f"name = '{task}' AND tags.`unroll.model_hash` = '{model_hash}' AND tags.`unroll.code_hash` = '{code_hash}'"
    )
    return max(found, key=lambda version: int(version.version), default=None)


def log_model(client: "MlflowClient", layout: Layout, run_id: str, experiment_id: str) -> str:
    """Keep the model with its run, as code and data; its id. It must answer from there as it does from here."""
    import mlflow
    import torch
    from mlflow.models import Model
    from pandas.testing import assert_frame_equal

    torch.set_num_threads(1)  # a few rows: on a busy machine, more threads wait for each other for seconds
    predictor = serving.Predictor.load(layout.model)
    example = predictor.example(Prepared.load(layout.prepared))
    answer = predictor.predict(example)
    model_id = str(client.create_logged_model(experiment_id, name=layout.task, source_run_id=run_id).model_id)
    info = Model.log(
        artifact_path=None,
        name=layout.task,
        flavor=mlflow.pyfunc,
        run_id=run_id,
        model_id=model_id,
        python_model=str(serving.SCRIPT),
        artifacts=serving.artifacts(layout),
        code_paths=[str(serving.SCRIPT.parent)],
        pip_requirements=serving.requirements(),
        signature=serving.signature(example, answer, predictor.optional_inputs),
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


def _set_alias(client: "MlflowClient", task: str, number: int, verdict: Verdict) -> None:
    """Give the version its alias and take the other one from it."""
    aliases = {alias: int(version) for alias, version in client.get_registered_model(task).aliases.items()}
    for alias in ("champion", "challenger"):
        if alias == verdict.alias and aliases.get(alias) != number:
            client.set_registered_model_alias(task, alias, str(number))
        elif alias != verdict.alias and aliases.get(alias) == number:
            client.delete_registered_model_alias(task, alias)


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
    """Whether ``gate.json`` tells of the task's present model, and the registry has it, with that alias.

    Both may be those of another model or gate, as after ``git checkout`` and ``dvc checkout``. A gate that cannot be
    judged is not published: ``register`` tells why.
    """
    opened = Task.open(root, task)
    path, model_hash = opened.layout.reports / "gate.json", tracking.model_hash(opened.layout.model)
    if not path.is_file():
        return False
    told = store.read_json(path)
    try:
        verdict = replace(_verdict(opened), version=told.get("version"))
    except ConfigError:
        return False
    return bool(told == _record(verdict, model_hash) and _carrier(root, task, model_hash, verdict) == verdict.version)


def _carrier(root: Path, task: str, model_hash: str, verdict: Verdict) -> int | None:
    """The version that carries the verdict's alias, if it is that model, served by the present code.

    An SQLite store is asked directly: a thousandth of the time that it takes to import MLflow.
    """
    code_hash, path = serving.code_hash(), tracking.database(root)
    if path is None:
        return tracking.patiently(root, lambda client: _ask(client, task, model_hash, code_hash, verdict))
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as connection:
            row = connection.execute(_CARRIER, (task, verdict.alias, model_hash, code_hash)).fetchone()
            return None if row is None else int(row[0])
    except sqlite3.OperationalError as error:
        if "no such" in str(error):  # a store without tables, or of another MLflow: it will be brought up to date
            return None
        raise TrackingError(f"{path}: {error}") from None
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: {error}; expected MLflow's SQLite store") from None


def _ask(client: "MlflowClient", task: str, model_hash: str, code_hash: str, verdict: Verdict) -> int | None:
    found = find_version(client, task, model_hash, code_hash)
    aliases = client.get_registered_model(task).aliases if found else {}
    return int(found.version) if found and aliases.get(verdict.alias) == found.version else None
