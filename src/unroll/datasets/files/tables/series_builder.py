"""Chunks of rows with a time to the canonical table of a series. Shapes: N rows of a chunk, K of them kept."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll.core.errors import ConfigError, DataError
from unroll.datasets.common.base import Part
from unroll.datasets.files.columns import clock, parsing, times
from unroll.datasets.files.columns.parsing import Marks
from unroll.datasets.files.columns.watch import Watch
from unroll.datasets.files.config import FilesConfig, TimeColumns, identifier, seconds
from unroll.datasets.files.tables.builder import TableReader
from unroll.datasets.files.tables.extremes import Extremes
from unroll.datasets.files.tables.order import SECOND_US, Order
from unroll.datasets.files.tables.resample import Resampler
from unroll.datasets.files.tables.sifting import Sieve

if TYPE_CHECKING:
    import pandas as pd

    from unroll.datasets.files.reading import Chunk

PIECE = 1 << 17


class SeriesReader(TableReader):
    """One block's files, chunk by chunk; ``parts`` gives what is ready, ``end`` the rest."""

    def __init__(self, config: FilesConfig, marks: Marks, watch: Watch | None = None) -> None:
        self.config, self.marks, self.watch = config, marks, watch
        self.values = named(config)
        self.words = {name: identifier(name) for name in (*(config.categories or ()), *(config.static or ()))}
        self.order, self.blank = Order(), 0
        self._numbers_only = (list(self.values.values()), list(self.words.values()))
        self._resampler = Resampler(config.resample, *self._numbers_only) if config.resample else None
        self._unsorted: list[pd.DataFrame] = []
        self._counted: dict[str, int] = {}
        self._static: dict[tuple[str, str], tuple[str, str, int]] = {}
        self._extremes = Extremes()
        self._missing = np.zeros(len(self.values))
        self._files: dict[str, None] = {}
        self._formats: Counter[str] = Counter()

    def columns(self) -> list[str]:
        """The columns of a file that are needed."""
        time = list(times.columns(self.config.time)) if isinstance(self.config.time, TimeColumns) else []
        site = [self.config.site] if self.config.site else []
        return list(dict.fromkeys([*time, *site, *self.values, *self.words]))

    def parts(self, chunk: "Chunk", part: str, values: Sequence[str]) -> Iterator[Part]:
        """The rows of a chunk that can be used."""
        import pandas as pd

        sieve = Sieve.of(chunk)
        self._files.setdefault(chunk.file)
        frame = self._frame(chunk, sieve)
        if self.config.sort:
            self._unsorted.append(frame)
            yield Part(pd.DataFrame(), sieve.rejected)
        else:
            yield Part(self._finished(frame), sieve.rejected)

    def end(self) -> Iterator[Part]:
        """What was held back: rows to be sorted, and steps that were open."""
        import pandas as pd

        if self._unsorted:
            whole = pd.concat(self._unsorted, ignore_index=True)
            self._unsorted = []
            code_K = self.order.numbers(whole["site"].to_numpy())
            whole = whole.iloc[np.lexsort((whole["time"].to_numpy(), code_K))]
            for low in range(0, len(whole), PIECE):
                yield Part(self._finished(whole[low : low + PIECE]), [])
        if self._resampler is not None and (rest := self._resampler.end()) is not None:
            yield Part(self._checked(rest), [])

    def findings(self) -> dict[str, Any]:
        """What the rows were like: step, sites, ranges of the first part, missing shares, blank rows.

        Raises DataError where no column of numbers ever changes: there is nothing to forecast.
        """
        names, total = list(self.values.values()), max(self._extremes.rows, 1)
        self._require_change(list(self.values))
        findings: dict[str, Any] = {
            "step_s": seconds(self.config.step) if self.config.step else self.order.step_s(),
            "ranges": self._extremes.ranges(names),
            "missing_share": {
                name: round(float(count) / total, 6) for name, count in zip(names, self._missing, strict=True)
            },
        }
        if self.config.site:
            findings["sites"] = len(self.order.sites)
        if unread := self._unread_formats():
            findings["formats_not_there"] = unread
        if odd := self._wrong_formats(unread):
            findings["told"] = [f"time: no row is written as {', '.join(odd)}"]
        return findings | ({"blank_rows": self.blank} if self.blank else {})

    def _unread_formats(self) -> list[str]:
        """Formats of the time in which no row is written, though there are rows in another one."""
        time = self.config.time
        formats = time.formats if isinstance(time, TimeColumns) else ()
        return [form for form in formats if self._formats.total() and not self._formats[form]]

    def _wrong_formats(self, unread: Sequence[str]) -> list[str]:
        """Those among the formats in which no row is written that do not just stand by for another mark in a date."""
        ready = {other for form in self._formats if self._formats[form] for other in clock.siblings(form)}
        return [form for form in unread if form not in ready]

    def _require_change(self, columns: Sequence[str]) -> None:
        only = self._extremes.constant()
        if self._extremes.rows > 1 and len(only) == len(columns):
            shown = ", ".join(f"{name} {'nothing' if np.isnan(value) else f'{value:g}'}"
                             for name, value in zip(columns[:4], only.values(), strict=False))  # fmt: skip
            raise DataError(
                f"{', '.join(self._files)}: columns of numbers hold one value in all of {self._extremes.rows:,} rows "
                f"({shown}); expected one that changes"
            )

    def _frame(self, chunk: "Chunk", sieve: Sieve) -> "pd.DataFrame":
        """``time`` in microseconds, ``site``, the numbers and words, and where each row stood."""
        import pandas as pd

        frame, arrays = chunk.frame, {}
        bad: dict[str, np.ndarray] = {}
        for column, name in self.values.items():
            arrays[name], bad[column] = parsing.numbers(frame[column], self.marks, f"{chunk.file}, column {column}")
        for column, name in self.words.items():
            said = parsing.without(parsing.words(frame[column]), self.marks.words)
            arrays[name] = pd.array(said.to_pylist(), dtype="str")
            if self.watch is not None:
                self.watch.said(said, chunk.file, sieve.rows_N)
        if self.watch is not None:
            for column, bad_N in bad.items():
                self.watch.odd(frame[column], bad_N, chunk.file, sieve.rows_N)
            numbers = {column: arrays[name] for column, name in self.values.items()}
            self.watch.numbers(numbers, chunk.file, sieve.rows_N)
        site_N = self._sites(frame, sieve)
        us_N = self._times(frame, sieve, arrays, bad, site_N)
        for column in self.values:
            raw = frame[column]
            sieve.refuse(bad[column], column, raw, parsing.reason(self.marks, raw))
        kept = sieve.kept_N
        self._require_constant(chunk, site_N, arrays, kept)
        columns = {"time": us_N[kept], "site": site_N[kept], **{name: values[kept] for name, values in arrays.items()}}
        count = int(kept.sum())
        where = {"file": np.full(count, chunk.file, dtype=object), "row": sieve.rows_N[kept]}
        return pd.DataFrame({**columns, **where})

    def _sites(self, frame: "pd.DataFrame", sieve: Sieve) -> np.ndarray:
        if self.config.site is None:
            return np.full(len(frame), "", dtype=object)
        said = parsing.words(frame[self.config.site])
        sieve.refuse(
            said.is_null().to_numpy(zero_copy_only=False) & ~self._is_blank(frame),
            self.config.site, frame[self.config.site], "no site",
        )  # fmt: skip
        return np.asarray(said.fill_null("").to_pylist(), dtype=object)

    def _is_blank(self, frame: "pd.DataFrame") -> np.ndarray:
        """Rows without a word in any of the columns used."""
        blank_N = np.ones(len(frame), dtype=bool)
        for column in self.columns():
            if not blank_N.any():
                break
            blank_N &= parsing.words(frame[column]).is_null().to_numpy(zero_copy_only=False)
        return blank_N

    def _times(
        self,
        frame: "pd.DataFrame",
        sieve: Sieve,
        arrays: Mapping[str, Any],
        bad: Mapping[str, np.ndarray],
        site_N: np.ndarray,
    ) -> np.ndarray:
        time = self.config.time
        if not isinstance(time, TimeColumns):
            return self._numbered(site_N)
        us_N, empty_N = times.read(frame, time, self._formats)
        names = times.columns(time)
        if empty_N.any():
            self.blank += sieve.leave_out(empty_N & self._is_blank(frame))
            sieve.refuse(empty_N, "+".join(names), frame[names[0]], "no time")
        wrong_N = us_N == times.NONE
        if wrong_N.any():
            shown = times.joined(frame, names).to_pylist()
            if self.watch is not None:
                unread = [place for place in np.flatnonzero(wrong_N).tolist() if shown[place]]
                self.watch.unread([shown[place] for place in unread], sieve.file, sieve.rows_N[unread])
            expected = ", ".join(time.formats) or "a time"
            sieve.refuse(wrong_N, "+".join(names), np.array(shown, dtype=object), f"not a time; expected {expected}")
        return us_N

    def _numbered(self, site_N: np.ndarray) -> np.ndarray:
        """Times of rows that have none: a step after the one before, for each site by itself."""
        import pandas as pd

        config = self.config
        if config.step is None or config.start is None:
            raise ConfigError("data.step and data.start: missing; expected both, where rows have no time")
        place_N = pd.Series(site_N).groupby(site_N, sort=False).cumcount().to_numpy(copy=True)
        for site in pd.unique(site_N):
            own_N = site_N == site
            place_N[own_N] += self._counted.get(site, 0)
            self._counted[site] = self._counted.get(site, 0) + int(own_N.sum())
        us_N: np.ndarray = times.instant(config.start) + place_N * seconds(config.step) * SECOND_US
        return us_N

    def _require_constant(
        self, chunk: "Chunk", site_N: np.ndarray, arrays: Mapping[str, Any], kept_N: np.ndarray
    ) -> None:
        """Raise DataError where a static column changes within a site."""
        import pandas as pd

        for column in self.config.static or ():
            said = pd.DataFrame({"site": site_N, "value": arrays[identifier(column)], "row": chunk.rows_N})[kept_N]
            for row in said.drop_duplicates(["site", "value"]).itertuples():
                value = str(row.value)
                first = self._static.setdefault((column, row.site), (value, chunk.file, int(row.row)))
                if first[0] != value:
                    raise DataError(
                        f"{chunk.file} row {row.row}, column {column}: {value!r} after {first[0]!r} ({first[1]} row "
                        f"{first[2]}); expected one value a site (data.static)"
                    )

    def _finished(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        return self._checked(self._resampler.add(frame) if self._resampler is not None else frame)

    def _checked(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        code_K = self.order.numbers(frame["site"].to_numpy())
        self.order.check(*(frame["time"].to_numpy(), code_K, frame["file"].to_numpy(), frame["row"].to_numpy()))
        return self._table(frame)

    def _table(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The canonical rows; what they are like is remembered."""
        import pandas as pd

        values_KV = frame[list(self.values.values())].to_numpy(dtype=np.float32)
        self._missing += np.isnan(values_KV).sum(axis=0)
        self._extremes.add(values_KV)
        stamps = pd.DatetimeIndex(frame["time"].to_numpy().astype("datetime64[us]")).tz_localize("UTC")
        columns: dict[str, Any] = {"time": stamps}
        if self.config.site:
            columns["site"] = pd.array(frame["site"].to_numpy(), dtype="str")
        for name in (*self.values.values(), *self.words.values()):
            columns[name] = frame[name].array
        return pd.DataFrame(columns)


def named(config: FilesConfig) -> dict[str, str]:
    """The name in the table of each column of numbers; raises ConfigError where two of them have the same."""
    names: dict[str, str] = {}
    taken = {"time": "time", "site": "site"}
    for column in [*(config.values or ()), *(config.categories or ()), *(config.static or ())]:
        name = identifier(column, config.units)
        if name in taken:
            raise ConfigError(
                f"data.values: {column!r} and {taken[name]!r} have the same name {name!r} in the table; expected "
                "different ones (data.units adds a unit to a name)"
            )
        taken[name] = column
        if column in (config.values or ()):
            names[column] = name
    return names
