"""``unroll embedding …``: what the vectors that a network learned, or those of a file, say of words and characters.

Shapes: N names, D width, 2 the plane.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unroll.core import store
from unroll.core.errors import ConfigError, DataError
from unroll.features import word_vectors
from unroll.model.trained import Trained
from unroll.problems.common.base import Prepared
from unroll.problems.common.capabilities import SymbolVectors
from unroll.stages.common.task import Task
from unroll.workbench.embedding import similarity
from unroll.workbench.embedding.similarity import Method

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

SUGGESTED = 5
MAP_SEED = 1


@dataclass(frozen=True)
class Embedding:
    """Named vectors, the most frequent names first; ``groups`` holds what each name goes with, or nothing at all."""

    source: str
    names: list[str]
    vectors_ND: np.ndarray
    groups: list[str]

    @classmethod
    def of_task(cls, task: Task) -> "Embedding":
        """What the trained network of a task has learned, or begun with.

        Groups are those of the prepared data, as long as the network was trained on these.
        Raises ConfigError for a problem whose networks have no embedding, StoreError where nothing is trained yet.
        """
        embedding = task.problem().embedding
        if embedding is None:
            tasks = (Task.open(task.layout.root, name) for name in task.params.tasks())
            having = [each.name for each in tasks if each.problem().embedding]
            raise ConfigError(
                f"{task.name}: a network of the problem {task.params.value(task.name, 'prepare.problem')} has no "
                f"embedding; expected a task whose network has one: {', '.join(having) or 'none here'}"
            )
        trained = Trained.load(task.layout.model)
        symbols = embedding.symbols(trained.meta)
        vectors_ND = trained.model.get_submodule("embedding").get_parameter("weight").detach().numpy()
        groups = _groups(task, embedding, trained) or [""] * len(symbols)
        named = [row for row, name in enumerate(symbols) if name]
        return cls(
            task.name,
            [symbols[row] for row in named],
            vectors_ND[named],
            [groups[row] for row in named] if any(groups) else [],
        )

    @classmethod
    def of_file(cls, path: Path, first: int) -> "Embedding":
        """The ``first`` vectors of a file; raises DataError that names the line of a fault."""
        words, vectors_ND = word_vectors.read(path, first=first)
        return cls(path.name, words, vectors_ND, [])

    def row(self, name: str) -> int:
        """The number of a name, as it is or as it is shown; raises ConfigError that suggests names like it."""
        for row, known in enumerate(self.names):
            if name in (known, shown(known)):
                return row
        lower = {known.lower(): known for known in reversed(self.names)}
        near = [lower[one] for one in difflib.get_close_matches(name.lower(), lower, n=SUGGESTED, cutoff=0.5)]
        hint = f"the nearest are {', '.join(map(shown, near))}" if near else f"such as {shown(self.names[0])}"
        raise ConfigError(f"{name!r} is not among the {len(self.names):,} names in {self.source}; {hint}")

    def neighbours(self, names: Sequence[str], count: int) -> list[tuple[str, str, float]]:
        """For each of ``names`` the ``count`` nearest others with their cosine, the nearest first."""
        rows = [self.row(name) for name in names]
        units_ND = similarity.unit(self.vectors_ND)
        nearest = []
        for row in rows:
            self._require_direction(units_ND[row], f"the vector of {shown(self.names[row])}")
            near = zip(*similarity.nearest(units_ND, units_ND[row], count, {row}), strict=True)
            nearest += [(self.names[row], self.names[other], float(cosine)) for other, cosine in near]
        return nearest

    def analogy(self, a: str, b: str, c: str, count: int) -> list[tuple[str, float]]:
        """The ``count`` names that are to ``c`` what ``b`` is to ``a``, the best first, with their cosine."""
        a_row, b_row, c_row = (self.row(name) for name in (a, b, c))
        units_ND = similarity.unit(self.vectors_ND)
        what = f"{shown(b)} − {shown(a)} + {shown(c)}"
        self._require_direction(units_ND[b_row] - units_ND[a_row] + units_ND[c_row], what)
        near = zip(*similarity.analogy(units_ND, a_row, b_row, c_row, count), strict=True)
        return [(self.names[row], float(cosine)) for row, cosine in near]

    def map(self, count: int, method: Method) -> "pd.DataFrame":
        """A place for each of the ``count`` most frequent names: columns name, x, y, and group where there are groups.

        Raises ConfigError for fewer than three names.
        """
        import pandas as pd

        vectors_ND = self.vectors_ND[:count]
        if len(vectors_ND) < 3:
            raise ConfigError(f"{self.source}: {len(vectors_ND)} names; expected at least 3 for a map")
        frame = pd.DataFrame(similarity.plane(vectors_ND, method, MAP_SEED), columns=["x", "y"])
        frame.insert(0, "name", [shown(name) for name in self.names[:count]])
        return frame.assign(group=self.groups[:count]) if self.groups else frame

    def _require_direction(self, vector_D: np.ndarray, what: str) -> None:
        if not np.linalg.norm(vector_D) > 1e-9:
            raise DataError(f"{self.source}: {what} is all zeros; expected one that has neighbours")


def shown(name: str) -> str:
    r"""A name as it can be read and typed: blanks and signs that do not print in quotes.

    >>> shown("late"), shown("\n"), shown(" ")
    ('late', "'\\n'", "' '")
    """
    return name if name.isprintable() and name == name.strip() else repr(name)


def table(heads: Sequence[str], rows: Sequence[Sequence[str | float]]) -> "Table":
    """Rows of names and a cosine to print; what repeats the row above is left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    view = Table(box=box.SIMPLE_HEAD)
    for head in heads:
        view.add_column(head, justify="right" if head == "cosine" else "left")
    last: str | float = ""
    for first, *others in rows:
        cells = ["" if first == last and others[:-1] else first, *others]
        view.add_row(*(Text(f"{one:.3f}" if isinstance(one, float) else shown(one) if one else "") for one in cells))
        last = first
    return view


def write_map(embedding: Embedding, words: int, method: Method, path: Path) -> list[Path]:
    """Draw the map to ``path``, a PNG, with a table of the same name beside it; the files written."""
    from unroll.workbench.embedding import picture

    if path.suffix != ".png":
        raise ConfigError(f"--output: {path} is not allowed; expected a file that ends in .png")
    frame = embedding.map(words, method)
    title = f"{embedding.source}: {len(frame)} vectors in a plane ({'PCA' if method == 'pca' else 't-SNE'})"
    store.write_csv(path.with_suffix(".csv"), frame)
    picture.write(frame, title, path)
    return [path, path.with_suffix(".csv")]


def _groups(task: Task, embedding: SymbolVectors, trained: Trained) -> Sequence[str]:
    """What the names go with in the data that the network was trained on; nothing where these are no longer there."""
    if not (task.layout.prepared / "meta.json").is_file():
        return []
    prepared = Prepared.load(task.layout.prepared)
    return embedding.groups(prepared) if prepared.meta == trained.meta else []
