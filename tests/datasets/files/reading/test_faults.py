"""Everything that can be wrong with a file ends in one line that names it, the row, and what was expected."""

import bz2
import gzip
import io
import lzma
import os
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, chunks, columns, sniff, source, utf8

ROWS = "a,b\n" + "".join(f"{row},x{row}\n" for row in range(2000))


def fault(path: Path, **told) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as error:
        for _ in chunks(path, Reading(**told)):
            pass
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("call", [sniff, columns, lambda path, reading: list(chunks(path, reading))])
def test_what_is_no_file(call, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in (
        ("no.csv", "no.csv: missing; expected a file at "),
        ("link.csv", "link.csv: missing; expected a file at "),
        ("folder.csv", "folder.csv: a folder; expected a file"),
        ("pipe.csv", "pipe.csv: not a regular file; expected a file"),
        ("empty.csv", "empty.csv: empty; expected data in it"),
        ("nul\0.csv", "nul\0.csv: cannot be read: embedded null byte"),
        ("x" * 300 + ".csv", "x" * 300 + ".csv: cannot be read: File name too long"),
    ):
        with pytest.raises(DataError) as error:
            call(tmp_path / name, Reading())
        assert str(error.value).startswith(message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(put) -> None:  # type: ignore[no-untyped-def]
    path = put(ROWS)
    path.chmod(0)
    assert fault(path) == "a.csv: cannot be read: Permission denied"


def test_a_refusal_to_open(put, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    path = put(ROWS)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert fault(path) == "a.csv: cannot be read: Permission denied"


@pytest.mark.parametrize("content", ["\n\n\n", "  \n", "\ufeff", "\r"])
def test_a_file_without_a_row(content, put) -> None:  # type: ignore[no-untyped-def]
    assert fault(put(content)) == "a.csv: no row in it; expected a table"


@pytest.mark.parametrize("block", [10, 1 << 22])
def test_a_wrong_encoding_names_byte_and_row(block, put, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(utf8, "BLOCK", block)
    data = b'a,b\r\n1,"two\nlines"\r2,caf\xe9\n3,x\n'
    assert fault(put(data), encoding="utf-8") == (
        "a.csv row 4: byte 0xe9 is not UTF-8; expected UTF-8 text; "
        "set encoding for another one, such as cp1252 or latin-1"
    )
    assert (
        fault(put(b"a,b\n1,\x81\n"), encoding="cp1252") == "a.csv row 2: byte 0x81 is not cp1252; expected cp1252 text"
    )
    wide = "a,b\n1,2\n".encode("utf-16") + b"\x00\xd8" + "x\n".encode("utf-16-le")
    assert fault(put(wide), encoding="utf-16") == "a.csv row 3: byte 0x00 is not utf-16; expected utf-16 text"
    assert fault(put("a,b\n1,2\n".encode("utf-16") + b"x"), encoding="utf-16").startswith(
        "a.csv row 3: byte 0x78 is not utf-16"
    )
    assert fault(put("a,b\n1,\u00e9".encode()[:-1]), encoding="utf-8").startswith("a.csv row 2: byte 0xc3 is not UTF-8")


def test_a_wrong_byte_far_behind_the_first_part(put) -> None:  # type: ignore[no-untyped-def]
    data = ("a,b\n" + "1,2\n" * 2_000_000).encode() + b"\x93,2\n"
    assert fault(put(data)).startswith("a.csv row 2000002: byte 0x93 is not UTF-8; expected UTF-8 text; set encoding")


@pytest.mark.parametrize("block", [10, 1 << 22])
def test_a_nul_byte(block, put, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(utf8, "BLOCK", block)
    message = "a.csv row 4: a NUL byte; expected text (of another encoding, such as utf-16, say which)"
    assert fault(put(b'a,b\n1,"x\ny"\n3,\0\n')) == message
    assert fault(put(b"a,b\r1,2\r3,4\r\0" + b"5,6\r" * 100)) == message
    assert fault(put(b"caf\xe9,b\n1,2\n3,\xb0\n4,\0\n" + b"5,6\n" * 100)) == message


def test_a_line_that_does_not_end(put) -> None:  # type: ignore[no-untyped-def]
    path = put("a,b\n1,2\n3," + "x" * 100_000_000)
    message = 'a.csv row 3: longer than 16,777,216 bytes; expected its end before; is a quote " left open?'
    assert fault(path) == message
    assert fault(put(gzip.compress(path.read_bytes()), "a.csv.gz")) == message.replace("a.csv", "a.csv.gz")
    assert fault(put("x" * 1000), max_line_bytes=100).startswith("a.csv row 1: longer than 100 bytes; expected its end")
    assert fault(put("a,b\n1,2\n3,4\n" + "5" * 90 + ",6\n7," + "8" * 200 + "\n9,0\n"), max_line_bytes=100).startswith(
        "a.csv row 5: longer than 100 bytes"
    )


def test_a_quote_that_stays_open_for_long(put) -> None:  # type: ignore[no-untyped-def]
    path = put('a,b\n1,2\n3,"open\n' + "4,5\n" * 3_000_000)
    assert fault(path, max_line_bytes=1 << 20).startswith("a.csv row 3: longer than 1,048,576 bytes; expected its end")
    assert fault(path) == 'a.csv row 3: a quote " is never closed; expected its end'


@pytest.mark.parametrize(
    ("compress", "kind"), [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")]
)
def test_a_truncated_or_damaged_archive(compress, kind, put) -> None:  # type: ignore[no-untyped-def]
    data = compress(ROWS.encode())
    expected = f"a.csv: damaged or cut off ({kind}): "
    assert fault(put(data[:-5])).startswith(expected)
    assert fault(put(data[: len(data) // 2])).startswith(expected)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    assert fault(put(bytes(flipped))).startswith(expected)


def test_a_tar_archive(put) -> None:  # type: ignore[no-untyped-def]
    import tarfile

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    assert fault(put(data.getvalue())) == "a.csv: a tar archive; expected a single file, packed or not"


def test_a_truncated_zstd(pack, put) -> None:  # type: ignore[no-untyped-def]
    data = pack(ROWS.encode(), "zst")
    assert fault(put(data[: len(data) // 2])).startswith("a.csv: damaged or cut off (zstd): ")


def zipped(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def test_a_zip_that_holds_other_than_one_file(put, everything) -> None:  # type: ignore[no-untyped-def]
    assert fault(put(zipped(u=b"a", v=b"b"))) == "a.csv: 2 files in the zip (u, v); expected one"
    assert fault(put(zipped())) == "a.csv: 0 files in the zip (nothing); expected one"
    one = zipped(**{"folder/": b"", "folder/a.csv": b"a,b\n1,2\n", "__MACOSX/a.csv": b"x"})
    assert everything(put(one))[1] == [["1", "2"]]
    locked = bytearray(zipped(u=b"a,b\n1,2\n"))
    for at in (locked.find(b"PK\x03\x04") + 6, locked.find(b"PK\x01\x02") + 8):
        locked[at] |= 1
    assert "encrypted" in fault(put(bytes(locked)))


def test_a_bomb(put, pack, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(source, "RATIO_FROM", 1 << 20)
    line = b"1," + b"0" * 1000 + b"\n"
    bomb = line * 30_000
    for data in (bz2.compress(bomb), zipped(bomb=bomb), lzma.compress(bomb), gzip.compress(bomb, 1), pack(bomb, "zst")):
        told = re.fullmatch(
            r"a.csv: ([\d,]+) bytes of it unpack to ([\d,]+); expected at most 150 times as much: if it is not made to "
            r"fill a machine, unpack it, or say in data.max_bytes how much it may hold",
            fault(put(data)),
        )
        assert told
        packed, unpacked = (int(number.replace(",", "")) for number in told.groups())
        assert 150 * packed < unpacked < len(bomb) // 2  # long before its end
        assert sum(len(chunk.frame) for chunk in chunks(put(data), Reading(header=False, max_bytes=1 << 30))) == 30_000
    assert fault(put(gzip.compress(b"a,b\n" + b"1,2\n" * 100)), max_bytes=300) == (
        "a.csv: more than 300 bytes unpacked; expected at most max_bytes"
    )
    monkeypatch.undo()
    small = list(chunks(put(bz2.compress(bomb)), Reading(header=False)))  # harms no machine
    assert sum(len(chunk.frame) for chunk in small) == 30_000


def test_tables_that_are_nearly_empty_are_no_bombs(put, pack, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(source, "RATIO_FROM", 1 << 18)
    draw = random.Random(1)
    rows = [
        f"{2000 + year}-01-{day:02d} {hour:02d}:{minute:02d}:00,"
        + ",".join(f"{draw.gauss(0, 9):.1f}" if draw.random() < 0.005 else "NA" for _ in range(60))
        for year in range(5)
        for day in range(1, 4)
        for hour in range(24)
        for minute in range(60)
    ]
    data = ("\n".join(rows) + "\n").encode()
    for packed in (gzip.compress(data), bz2.compress(data), lzma.compress(data), pack(data, "zst")):
        assert sum(len(chunk.frame) for chunk in chunks(put(packed), Reading(header=False))) == len(rows)


def test_a_file_that_changes_while_it_is_read(put) -> None:  # type: ignore[no-untyped-def]
    content = "a,b\n" + "1,2\n" * 5000
    path = put(content)
    for change in (
        lambda: path.write_text("a,b\n3,4\n"),
        lambda: os.utime(path, ns=(1, 1)),
        lambda: put(content, "b.csv").replace(path),
    ):
        put(content)
        found = chunks(path, Reading(), rows=10)
        next(found)
        change()
        with pytest.raises(
            DataError, match=r"^a.csv: changed while it was read \([\d,]+ bytes, then [\d,]+\); expected it to stay"
        ):
            list(found)
        assert found.sha256 is None
    found = chunks(put(content), Reading(), rows=10)
    next(found)
    path.unlink()
    with pytest.raises(DataError, match=r"^a.csv: gone while it was read; expected it to stay$"):
        list(found)


@pytest.mark.parametrize("name", ["a.parquet", "a.npz"])
def test_a_file_of_columns_that_changes_while_it_is_read(name, put, tmp_path) -> None:  # type: ignore[no-untyped-def]
    import numpy as np
    import pandas as pd

    path = tmp_path / name
    if name == "a.npz":
        np.savez(path, a=np.arange(200_000))
    else:
        pd.DataFrame({"a": np.arange(200_000)}).to_parquet(path)
    found = chunks(path, Reading(), rows=50_000)
    next(found)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=rf"^{name}: changed while it was read"):
        list(found)


MEASURE = """
import resource, sys
from pathlib import Path
import numpy, pandas, pyarrow.csv, pyarrow.parquet
from unroll.core.errors import DataError
from unroll.datasets.files.reading import Reading, chunks
limit = 1 << 29
def peak_kb():  # ru_maxrss would count the process, too, from which this one is forked
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak_kb()
try:
    for chunk in chunks(Path(sys.argv[1]), Reading()):
        pass
except DataError as error:
    print(error)
print((peak_kb() - before) // 1024)
"""


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bz2.compress(b"\n" * (1 << 27)), "no row in it"),
        (lambda: lzma.compress(b"x" * (1 << 26), preset=0), "longer than 16,777,216 bytes"),
        (lambda: gzip.compress(b'a,b\n1,"' + b"\n" * (1 << 26), 1), "longer than 16,777,216 bytes"),
        (lambda: gzip.compress(b"a,b\n" + b",\n" * (1 << 24), 1), ""),
        (lambda: gzip.compress(b"a,b\n" + b"1\n" * (1 << 22), 1), ""),
        (lambda: gzip.compress(b"a," * (1 << 22), 1), "100,001 columns or more; expected at most 100,000"),
        (lambda: gzip.compress(b"@univariate true\n@data\n" + b"1\n" * (1 << 18) + b"1," * 99_999 + b"1\n", 1), ""),
    ],
)
def test_memory_stays_bounded(make, says, put) -> None:  # type: ignore[no-untyped-def]
    path = put(make())
    out = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    *messages, megabytes = out.stdout.splitlines()
    assert says in "".join(messages)
    assert int(megabytes) < 500


def test_blank_lines_alone_are_told_at_once(put) -> None:  # type: ignore[no-untyped-def]
    path = put(b"\n" * 5000, "a.dat")  # a pattern that tries all ways to divide them would not end
    with pytest.raises(DataError, match=r"a\.dat: no row in it"):
        list(chunks(path, Reading()))
