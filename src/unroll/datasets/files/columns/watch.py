"""What a pass over all rows shows that a first look at some thousand could not. Shapes: N rows of a chunk."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.datasets.files.columns import parsing
from unroll.datasets.files.columns.ends import THINNER, Ends
from unroll.datasets.files.reading import missing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_TIMES = 2800
"""Times that could not be read, from all over the rows, that are kept at most."""


class Watch:
    """Looks on while files are read: numbers, words for missing values, and times that are spelt in another way.

    Its memory does not grow with the rows.
    """

    def __init__(self) -> None:
        self.ends = Ends()
        self.words: dict[str, str] = {}
        """Usual words for a missing value that the block does not have, with where each stands first."""
        self.times: list[str] = []
        """Times that could not be read, evenly from all of them."""
        self.first_time = ""
        """Where the first of them stands, and what it is."""
        self._unread, self._every = 0, 1

    def numbers(self, columns: Mapping[str, np.ndarray], file: str, rows_N: np.ndarray) -> None:
        """The numbers (N,) of each column of the table, of rows that may be set aside too."""
        if len(rows_N):
            self.ends.add(columns, file, rows_N)

    def odd(self, column: "pd.Series[Any]", bad_N: np.ndarray, file: str, rows_N: np.ndarray) -> None:
        """Cells of a column of numbers that are none."""
        if bad_N.any():
            self.said(parsing.words(column[bad_N]), file, rows_N[bad_N])

    def said(self, said: "pa.Array", file: str, rows_N: np.ndarray) -> None:
        """Cells that hold words."""
        import pyarrow as pa
        import pyarrow.compute as pc

        usual = pa.array(missing.WORDS, pa.large_string())
        at_N = pc.index_in(said, value_set=usual).to_numpy(zero_copy_only=False)
        for place in np.unique(at_N[at_N == at_N]).astype(int).tolist():
            self.words.setdefault(missing.WORDS[place], f"{file} row {rows_N[int(np.argmax(at_N == place))]}")

    def unread(self, shown: Sequence[str], file: str, rows_N: np.ndarray) -> None:
        """Times that no format reads."""
        if not self.first_time and len(shown):
            self.first_time = f"{file} row {rows_N[0]} {shown[0]!r}"
        self.times += shown[-self._unread % self._every :: self._every]
        self._unread += len(shown)
        while len(self.times) > MOST_TIMES:
            self.times, self._every = self.times[::THINNER], self._every * THINNER
