"""``unroll predict``: answers of a task's trained model to a file of raw input, written as a table."""

from pathlib import Path
from typing import TextIO

from unroll.errors import ConfigError
from unroll.prediction import answers, own_files, questions
from unroll.prediction.questions import Questions
from unroll.serving import Predictor
from unroll.store import Layout
from unroll.tasks import Task

__all__ = ["main", "model_folder", "predict", "read"]


def main(root: Path, name: str, source: Path, model: Path | None, output: Path | None, out: TextIO) -> None:
    """Answer the file ``source`` and write the answers to ``output``, or as CSV to ``out``.

    Raises DataError that names file, row and column of a faulty input, StoreError for a model that is not there.
    """
    answers.require_known(output)
    task = Task.open(root, name)
    predictor = load(task, model_folder(task.layout, model))
    answers.write(read(task, predictor, source).answered(predictor.predict), output, out)


def model_folder(layout: Layout, given: Path | None) -> Path:
    """Where the model lies that answers: the folder given, else what was trained here last."""
    return given if given is not None else layout.model


def load(task: Task, folder: Path) -> Predictor:
    """The model; raises ConfigError for one of another problem than the task's."""
    predictor = Predictor.load(folder)
    asked, found = task.params.value(task.name, "prepare.problem"), predictor.trained.config["problem"]
    if found != asked:
        raise ConfigError(
            f"{folder}: a model of problem {found!r}; expected one of {asked!r}, the problem of {task.name}"
        )
    return predictor


def read(task: Task, predictor: Predictor, source: Path) -> Questions:
    """The file as the problem's ``predict`` takes it; a task on files of one's own reads it as it read its own."""
    dataset, _ = task.dataset()
    if dataset.in_place:
        return own_files.read(task, predictor, source)
    return questions.read(predictor, source)
