"""Downloads from a server on this machine: cut off and gone on with, refused, wrong, mirrored."""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from file_server import FileServer, serve

from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.datasets.common.base import RemoteFile
from unroll.stages.ingest import download

CONTENT = np.random.default_rng(1).bytes(300_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    monkeypatch.delenv(download.MIRROR, raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve({"/public/data.bin": CONTENT}) as running:
        yield running


def pinned(server: FileServer, sha256: str = SHA256) -> RemoteFile:
    return RemoteFile("data.bin", f"{server.url}/public/data.bin", sha256, "none")


def kept_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_fetched_once_and_kept(server: FileServer, tmp_path: Path) -> None:
    for _ in range(2):
        assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None]
    assert kept_files(tmp_path) == ["data.bin"]


def test_a_broken_download_goes_on_where_it_broke_off(server: FileServer, tmp_path: Path) -> None:
    server.break_after = [100_000, 50_000]
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.ranges[1:] if asked]
    assert server.ranges[0] is None
    assert len(starts) == 2
    assert 100_000 - download.PIECE < starts[0] <= 100_000
    assert 50_000 - download.PIECE < starts[1] - starts[0] <= 50_000


def test_a_later_call_goes_on_with_what_an_earlier_one_left(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.break_after = [200_000]
    with pytest.raises(
        DataError, match=r"data.bin: not downloaded in 1 attempts \([\d,]+ bytes are kept, run it again"
    ):
        download.get(pinned(server), "toy", tmp_path)
    (partial,) = kept_files(tmp_path)
    size = (tmp_path / partial).stat().st_size
    assert partial.endswith(".part")
    assert 0 < size <= 200_000
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={size}-"]
    assert kept_files(tmp_path) == ["data.bin"]


@pytest.mark.parametrize(("mode", "shown"), [("plain", True), ("quiet", False), ("", False)])
def test_progress_is_told_in_lines_where_they_are_asked_for(
    mode: str,
    shown: bool,
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(download.PROGRESS, mode)
    monkeypatch.setattr(download, "SHOWN_EVERY_S", 0.0)
    server.break_after = [100_000]
    download.get(pinned(server), "toy", tmp_path, "air")
    said = capsys.readouterr().err.splitlines()
    if not shown:
        assert said == []
        return
    retries = [line for line in said if "attempt" in line]
    assert len(retries) == 1
    assert retries[0].startswith("ingest air: data.bin attempt 2 of 5 in 0 s: ")
    told = [re.fullmatch(r"ingest air: data\.bin (\d+) %, [\d.]+ MB/s", line) for line in said if line not in retries]
    parts = [int(match[1]) for match in told if match]
    assert len(parts) == len(told) == len(said) - 1
    assert parts == sorted(parts)
    assert parts[-1] == 100


def test_lines_of_progress_are_a_second_apart(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(download.PROGRESS, "plain")
    monkeypatch.setattr(download, "SHOWN_EVERY_S", 3600.0)
    download.get(pinned(server), "toy", tmp_path)
    assert re.fullmatch(r"ingest toy: data\.bin 3 %, [\d.]+ MB/s\n", capsys.readouterr().err)


def test_a_server_that_knows_no_ranges_sends_the_whole_again(server: FileServer, tmp_path: Path) -> None:
    server.knows_ranges, server.break_after = False, [100_000]
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT


def test_a_server_that_is_busy_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.refuse = [503, 429, 500]
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    assert len(server.paths) == 4


def test_a_whole_file_that_was_not_yet_checked_is_not_fetched_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"data.bin.{SHA256[-12:]}.part").write_bytes(CONTENT)
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_damaged_part_is_thrown_away_and_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"data.bin.{SHA256[-12:]}.part").write_bytes(b"x" * 1000)
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_a_damaged_copy_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT[:-1])
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_refused_and_nothing_stays(server: FileServer, tmp_path: Path) -> None:
    wrong = "sha256:" + "0" * 64
    with pytest.raises(DataError, match=f"data.bin: hash {SHA256}; expected {wrong}: it is not the published file"):
        download.get(pinned(server, wrong), "toy", tmp_path)
    assert kept_files(tmp_path) == []
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "not there; expected data.bin"), (401, "refused: 401 Unauthorized; expected the file")],
)
def test_a_refusal_is_not_repeated(status: int, message: str, server: FileServer, tmp_path: Path) -> None:
    server.refuse = [status]
    with pytest.raises(DataError, match=message):
        download.get(pinned(server), "toy", tmp_path)
    assert len(server.paths) == 1


def test_more_bytes_than_a_raw_file_may_have_are_not_taken(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="more than 1,000 bytes; expected at most that"):
        download.get(pinned(server), "toy", tmp_path)
    assert kept_files(tmp_path) == []


def test_no_network_is_one_line(tmp_path: Path) -> None:
    file = RemoteFile("data.bin", "http://127.0.0.1:9/data.bin", SHA256, "none")
    with pytest.raises(
        DataError, match=r"^http://127.0.0.1:9/data.bin: not downloaded in 5 attempts \(0 bytes"
    ) as error:
        download.get(file, "toy", tmp_path)
    assert "\n" not in str(error.value)


def test_two_at_a_time_share_one_download(server: FileServer, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        Thread(target=lambda: found.append(download.get(pinned(server), "toy", tmp_path).read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert len(server.paths) == 1


def test_a_place_that_cannot_be_written_is_named(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/downloads: cannot be written"):
        download.get(pinned(server), "toy", tmp_path / "file" / "downloads")


def test_a_blob_hash_is_that_of_git(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(CONTENT)
    known = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True).stdout.strip()
    assert download.digest(path, "git-blob:") == f"git-blob:{known}"
    assert download.digest(path, "sha256:") == SHA256


@pytest.mark.parametrize("place", ["/mirror/toy/data.bin", "/mirror/data.bin"])
def test_a_mirror_has_the_file_in_either_place(
    place: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {place: CONTENT}
    monkeypatch.setenv(download.MIRROR, f"{server.url}/mirror/")
    assert download.get(pinned(server), "toy", tmp_path).read_bytes() == CONTENT
    assert server.paths[-1] == place


def test_a_mirror_without_the_file_says_where_it_was_looked_for(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(download.MIRROR, f"{server.url}/mirror")
    with pytest.raises(DataError, match=r"/mirror/toy/data.bin and http://.*/mirror/data.bin: not there"):
        download.get(pinned(server), "toy", tmp_path)


def test_a_folder_can_be_the_mirror_and_is_verified_too(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(download.MIRROR, str(tmp_path / "mirror"))
    with pytest.raises(DataError, match=r"mirror/toy/data.bin: missing; expected the file there or beside it"):
        download.get(pinned(server), "toy", tmp_path / "cache")
    (tmp_path / "mirror").mkdir()
    copy = tmp_path / "mirror" / "data.bin"
    copy.write_bytes(CONTENT)
    assert download.get(pinned(server), "toy", tmp_path / "cache").read_bytes() == CONTENT
    copy.write_bytes(CONTENT[1:])
    with pytest.raises(DataError, match=r"mirror/data.bin: hash sha256:.*; expected sha256:.*not the published file"):
        download.get(pinned(server), "toy", tmp_path / "cache")
    assert server.paths == []


def test_a_mirror_of_another_kind_is_refused(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(download.MIRROR, "ftp://example.org")
    with pytest.raises(ConfigError, match=r"UNROLL_MIRROR: 'ftp://example.org' is not allowed; expected a URL of http"):
        download.get(pinned(server), "toy", tmp_path)
