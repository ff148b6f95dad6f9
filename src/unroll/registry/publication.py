"""A trained and evaluated model as a run of MLflow, made from files alone.

So a run can be made again at any time: after a restore from DVC's cache, or for a new tracking store.
"""

import csv
import hashlib
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.stages.common import timings
from unroll.stages.common.task import Task
from unroll.tracking import backend, dvc_lock, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

REPORT_FILES = ("metrics.json", "model_card.md", "prepared.json", "validation.json")
_DIGEST_LENGTH = 32  # MLflow takes at most 36 characters for a dataset's digest
_NOTE_LENGTH = 5000
_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_.-]")


@dataclass(frozen=True)
class Publication:
    """What MLflow is to know of one model. ``digest`` is over all reports: with the same one, nothing is to be done."""

    model_hash: str
    fingerprint: str
    digest: str
    params: Mapping[str, str]
    epochs: Mapping[int, Mapping[str, float]]
    metrics: Mapping[str, float]
    note: str
    dvc_md5: str
    dataset: str
    files: Mapping[Path, str]
    """Files to keep with the run, each with the folder it goes to."""


def read(task: Task) -> Publication:
    """Gather what the stages have written; raises StoreError that names a missing file."""
    layout = task.layout
    config = store.read_json(layout.model / "config.json")
    blocks, files = {name: config[name] for name in ("prepare", "model", "train")}, _files(layout)
    _, data = task.dataset()
    source = store.read_json(layout.raw / "manifest.json")["source"]
    epochs, card = _epochs(layout.model / "history.csv"), layout.reports / "model_card.md"
    return Publication(
        model_hash=runs.model_hash(layout.model),
        fingerprint=config["fingerprint"],
        digest=_digest([layout.model / "history.csv", *files]),
        params=runs.flatten({"data": data.model_dump(mode="json") | {"source": source}, **blocks}),
        epochs=epochs,
        metrics=_metrics(layout, config),
        note=_note(card) if card in files else "",
        dvc_md5=dvc_md5(layout),
        dataset=data.dataset,
        files=files,
    )


def publish(task: Task) -> str:
    """Make or complete the task's run in MLflow; its id. A second call adds nothing.

    The run is known by the model's hash; if there is none, the live run of the training is completed.
    """
    publication = read(task)
    return backend.patiently(task.layout.root, lambda client: _publish(client, task.layout, publication))


def _publish(client: "MlflowClient", layout: Layout, publication: Publication) -> str:
    from mlflow.entities import Metric, RunTag

    experiment_id = runs.experiment(client, layout.root, layout.task)
    run = _find(client, experiment_id, publication)
    if run is None:
        run = runs.create_run(client, experiment_id, layout.root, layout.task, publication.fingerprint)
    run_id, now_ms = str(run.info.run_id), int(time.time() * 1000)
    if run.data.tags.get("unroll.published") == publication.digest and run.info.status == "FINISHED":
        return run_id
    runs.log_params(client, run, publication.params)
    runs.log_steps(client, run, publication.epochs, now_ms)
    changed = {key: value for key, value in publication.metrics.items() if run.data.metrics.get(key) != value}
    runs.log_metrics(client, run_id, [Metric(key, value, now_ms, 0) for key, value in changed.items()])
    client.log_inputs(run_id, [_dataset_input(layout, publication.dataset)])
    for path, folder in publication.files.items():
        client.log_artifact(run_id, str(path), folder or None)
    tags = {
        "mlflow.note.content": publication.note,
        "unroll.dvc_md5": publication.dvc_md5,
        "unroll.model_hash": publication.model_hash,
        "unroll.published": publication.digest,
    }
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items() if value])
    if run.info.status != "FINISHED":
        client.set_terminated(run_id, "FINISHED")
    return run_id


def _find(client: "MlflowClient", experiment_id: str, publication: Publication) -> "Run | None":
    for run in runs.find_runs(client, experiment_id, "unroll.model_hash", publication.model_hash):
        return run
    trained = runs.find_runs(client, experiment_id, "unroll.fingerprint", publication.fingerprint)
    return next((run for run in trained if "unroll.model_hash" not in run.data.tags), None)


def _dataset_input(layout: Layout, name: str) -> "DatasetInput":
    """The dataset as MLflow keeps it: names and numbers, no rows."""
    import pyarrow.parquet as pq
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types import ColSpec, DataType, Schema

    kinds = {"float": DataType.float, "double": DataType.double, "int64": DataType.long, "int32": DataType.integer}
    manifest, path = store.read_json(layout.raw / "manifest.json"), layout.validated / "table.parquet"
    schema, rows = None, 0
    if path.is_file():
        columns = [(field.name, str(field.type)) for field in pq.read_schema(path)]
        specs = [
            ColSpec(DataType.datetime if kind.startswith("timestamp") else kinds.get(kind, DataType.string), column)
            for column, kind in columns
        ]
        schema, rows = json.dumps({"mlflow_colspec": Schema([*specs]).to_dict()}), pq.read_metadata(path).num_rows
    source, profile = json.dumps({"uri": manifest["source"]}), json.dumps({"num_rows": rows})
    dataset = Dataset(name, _raw_digest(manifest), "local", source, schema, profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def dvc_md5(layout: Layout) -> str:
    """The hash of ``models/<task>`` in ``dvc.lock``, by which DVC finds that very model again.

    Empty if it is missing, or if it is of another model, as when the stages were run by hand.
    """
    place = layout.model.relative_to(layout.root).as_posix()
    locked = next((outs[place] for outs in dvc_lock.outs(layout.root).values() if place in outs), "")
    return locked if locked == dvc_lock.of_folder(layout.model) else ""


def lineage(layout: Layout) -> dict[str, str]:
    """Tags that lead from a model to what it comes from: the raw files' hash, and each output with its hash in DVC."""
    manifest = store.read_json(layout.raw / "manifest.json")
    of_task = (outs for stage, outs in dvc_lock.outs(layout.root).items() if stage.endswith(f"@{layout.task}"))
    model = layout.model.relative_to(layout.root).as_posix()
    hashes = {path: md5 for outs in of_task for path, md5 in outs.items() if md5 and path != model}
    hashes |= {model: md5} if (md5 := dvc_md5(layout)) else {}
    tags = {"unroll.dvc_outs": json.dumps(hashes, sort_keys=True)} if hashes else {}
    return {"unroll.data": _raw_digest(manifest), **tags}


def numbers(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """The finite numbers directly in ``values``, under names that MLflow allows.

    >>> numbers({"r2": 0.5, "by site": {}, "é": 1, "ok": True}, "test/")
    {'test/r2': 0.5, 'test/_': 1.0}
    """
    return {
        prefix + _NOT_ALLOWED.sub("_", key): float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _files(layout: Layout) -> dict[Path, str]:
    reports = {path: "" for name in REPORT_FILES if (path := layout.reports / name).is_file()}
    figures = (layout.reports.glob(pattern) for pattern in ("figures/*", "tables/*", "learning_curves.csv"))
    return reports | {path: "figures" for paths in figures for path in sorted(paths)}


def _note(card: Path) -> str:
    """The model card as the run's description, without pictures: MLflow shows those under the artifacts."""
    lines = card.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("!["))[:_NOTE_LENGTH]


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {store.sha256(path)}\n".encode())
    return digest.hexdigest()


def _epochs(path: Path) -> dict[int, dict[str, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(handle)]
        return {int(row.pop("epoch")): numbers(row, "") for row in rows}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path}: no history: {error!r}; expected a column epoch and columns of numbers") from None


def _metrics(layout: Layout, config: Mapping[str, Any]) -> dict[str, float]:
    report = store.read_json(layout.reports / "metrics.json")
    metrics = numbers(report["test"], "test/") | numbers(report.get("validation", {}), "validation/")
    for name, values in report.get("baselines", {}).items():
        values = {key: value for key, value in values.items() if not key.endswith(("_low", "_high"))}
        metrics |= numbers(values, f"baseline/{_NOT_ALLOWED.sub('_', name)}/")
    metrics |= numbers({key: config.get(key) for key in ("epochs", "best_epoch", "parameters")}, "model/")
    for file, prefix in (("validation.json", "data/"), ("prepared.json", "prepared/")):
        path = layout.reports / file
        metrics |= numbers(store.read_json(path), prefix) if path.is_file() else {}
    return metrics | numbers(timings.read(layout), "seconds/")


def _raw_digest(manifest: Mapping[str, Any]) -> str:
    """Of the names and bytes of the raw files."""
    files = json.dumps(manifest["files"], sort_keys=True).encode()
    return hashlib.sha256(files).hexdigest()[:_DIGEST_LENGTH]
