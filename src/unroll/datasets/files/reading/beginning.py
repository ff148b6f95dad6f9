"""The first part of a file, from which the rest is judged."""

from dataclasses import dataclass
from pathlib import Path

from unroll.datasets.files.reading.options import Reading
from unroll.datasets.files.reading.source import DAMAGE, kind_of, opened, raw

SAMPLE = 1 << 20
"""Bytes of a file that are looked at."""


@dataclass(frozen=True)
class Sample:
    """Unpacked bytes from the start of a file; ``kind`` is what its first packed bytes say."""

    name: str
    kind: str
    data: bytes
    whole: bool  # nothing comes after it

    def suffix(self) -> str:
        """The ending of the name, without that of a compression.

        >>> Sample("sales.CSV.gz", "gzip", b"", True).suffix()
        '.csv'
        """
        path = Path(self.name.lower())
        if path.suffix in (".gz", ".bz2", ".xz", ".zst", ".zip"):
            path = path.with_suffix("")
        return path.suffix


def take(path: Path, reading: Reading, name: str) -> Sample:
    """The first part of ``path``; longer where the first line is."""
    with raw(path, name) as file:
        kind = kind_of(file)
    if kind == "parquet" or (kind == "zip" and _holds_arrays(path)):
        return Sample(name, "npz" if kind == "zip" else kind, b"", whole=False)
    with opened(path, reading, name) as source:
        data = source.read(SAMPLE)
        while len(data) % SAMPLE == 0 and len(data) <= reading.max_line_bytes and not (b"\n" in data or b"\r" in data):
            more = source.read(SAMPLE)
            if not more:
                return Sample(name, kind, data, whole=True)
            data += more
        return Sample(name, kind, data, whole=not source.read(1))


def _holds_arrays(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGE:
        return path.suffix.lower() == ".npz"  # the reader says what is wrong with it
    return bool(names) and all(name.endswith(".npy") for name in names)
