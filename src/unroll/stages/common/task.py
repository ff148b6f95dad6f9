"""A task: one block of ``params.yaml`` that joins a dataset and a problem. The only place where the two meet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from unroll.core.config import Config, DataConfig, GateConfig, PrepareConfig, TrainConfig
from unroll.core.errors import ConfigError
from unroll.core.layout import Layout
from unroll.core.params import Params

if TYPE_CHECKING:
    from unroll.datasets.common.base import Dataset
    from unroll.problems.common.base import Problem

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """One task of a project. Each method reads only the parameters that it names."""

    name: str
    params: Params
    layout: Layout

    @classmethod
    def open(cls, root: Path, name: str) -> "Task":
        """The task ``name`` of the project at ``root``; raises ConfigError where there is no such task."""
        params = Params(root / "params.yaml")
        params.require_tasks([name])
        return cls(name, params, Layout(root, name))

    def dataset(self) -> "tuple[Dataset[Any], DataConfig]":
        """The dataset and its ``data`` block."""
        from unroll import datasets

        dataset = self._named("data.dataset", datasets.load)
        return dataset, self.params.block(self.name, "data", dataset.Config)

    def problem(self) -> "Problem[Any, Any]":
        """The problem."""
        from unroll import problems

        return self._named("prepare.problem", problems.load)

    def prepare_config(self) -> PrepareConfig:
        """The ``prepare`` block, typed by the problem."""
        return self.params.block(self.name, "prepare", self.problem().Prepare)

    def model_config(self) -> Config:
        """The ``model`` block, typed by the problem."""
        return self.params.block(self.name, "model", self.problem().Model)

    def train_config(self) -> TrainConfig:
        """The ``train`` block."""
        return self.params.block(self.name, "train", TrainConfig)

    def gate_config(self) -> GateConfig:
        """The ``gate`` block."""
        return self.params.block(self.name, "gate", GateConfig)

    def source(self, data: DataConfig) -> str:
        """Where the raw files come from: the task's own source, or that of all tasks."""
        return data.source or self.params.source()

    def files(self) -> Mapping[str, Path]:
        """The files that prepare reads beside the table, by the name that params.yaml gives them."""
        return self.problem().preparation.files(self.prepare_config(), self.layout.root)

    def _named(self, key: str, load: Callable[[str], T]) -> T:
        name = self.params.value(self.name, key)
        try:
            return load(name)
        except ConfigError as error:
            raise ConfigError(error.message, file=self.params.path, key=f"tasks.{self.name}.{key}") from None
