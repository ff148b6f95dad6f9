"""Prepare: turn a task's validated table into the arrays its network learns from."""

from typing import TYPE_CHECKING

from unroll.stages.common.entry import main

if TYPE_CHECKING:
    from unroll.stages.common.task import Task


def prepare(task: "Task") -> None:
    """Write ``data/prepared/<task>/`` and check it: no leak between splits, no window across a gap."""
    from unroll.core import store
    from unroll.problems.common.base import Prepared
    from unroll.stages.validate import validate

    preparation, config = task.problem().preparation, task.prepare_config()
    with store.atomic_folder(task.layout.prepared) as folder:
        path = task.layout.validated / "table.parquet"
        table = store.read_table(path, preparation.columns(config), preparation.coded(config))
        store.write_json(folder / "meta.json", preparation.prepare(table, config, folder))
        validate.validate_prepared(preparation.check(Prepared.load(folder), config), task.layout)


if __name__ == "__main__":
    main(prepare)
