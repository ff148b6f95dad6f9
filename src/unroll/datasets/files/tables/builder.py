"""What turns chunks of any kind into parts of a canonical table."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from unroll.datasets.common.base import Part

if TYPE_CHECKING:
    from unroll.datasets.files.reading import Chunk


class TableReader(ABC):
    """One block's files, chunk by chunk, in order. Subclasses are final."""

    @abstractmethod
    def columns(self) -> list[str]:
        """The columns of a file that are needed, beside the steps of a labelled series."""

    @abstractmethod
    def parts(self, chunk: "Chunk", part: str, values: Sequence[str]) -> Iterator[Part]:
        """The rows of a chunk that can be used, and those set aside.

        ``part`` of the split is what its file is of, "" where files are of none; ``values`` are the file's columns of
        steps.
        """

    def end(self) -> Iterator[Part]:
        """What was held back until every file was read; nothing by default."""
        yield from ()

    @abstractmethod
    def findings(self) -> dict[str, Any]:
        """What the rows were like, as JSON; raises DataError where they do not fit the block as a whole."""
