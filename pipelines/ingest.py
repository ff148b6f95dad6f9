"""Ingest: bring a task's raw files here, and read them into its canonical table."""

from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def ingest(task: "Task") -> None:
    """Write ``data/raw/<task>/``: the raw files, the table of their rows, and the rows that could not be read.

    The user's own files stay where they lie.
    """
    from unroll.core import store
    from unroll.stages.ingest import ingest as ingestion

    dataset, config = task.dataset()
    source = task.source(config)
    with store.atomic_folder(task.layout.raw) as folder:
        ingestion.fetch(dataset, config, source, folder, task.layout.root, task.name)
        ingestion.read(dataset, config, source, folder, task.layout.root, task.name)


if __name__ == "__main__":
    main(ingest)
