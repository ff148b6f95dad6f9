"""Files of the user's own, in any format, as chunks of rows: what the bytes say, and nothing of what they mean.

>>> from pathlib import Path; import tempfile
>>> path = Path(tempfile.mkdtemp()) / "air.csv"
>>> _ = path.write_text("hour;no2\\n1;40,5\\n2;NA\\n")
>>> sniff(path, Reading()).decimal
','
>>> [chunk.frame["no2"].tolist() for chunk in chunks(path, Reading())]
[['40,5', 'NA']]
"""

from unroll.datasets.files.reading.api import Chunk, Chunks, chunks, columns, left_out
from unroll.datasets.files.reading.delimited import Unread
from unroll.datasets.files.reading.locating import locate
from unroll.datasets.files.reading.options import Format, Reading
from unroll.datasets.files.reading.reader import NoCells, require_columns
from unroll.datasets.files.reading.sniffing import sniff

__all__ = [
    "Chunk",
    "Chunks",
    "Format",
    "NoCells",
    "Reading",
    "Unread",
    "chunks",
    "columns",
    "left_out",
    "locate",
    "require_columns",
    "sniff",
]
