"""Raw files from each source, by one code path, and what is written beside them."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from file_server import FileServer, serve
from small_samples import NAMES, small, write

from unroll.core import store
from unroll.core.config import DataConfig
from unroll.core.errors import DataError
from unroll.datasets import tweets
from unroll.datasets.common.base import Dataset, RemoteFile
from unroll.stages.ingest import download
from unroll.stages.ingest import ingest as ingestion

FILE = "Airlines.csv"


def ingest(dataset: Dataset[Any], config: DataConfig, source: str, root: Path) -> Path:
    folder = root / "raw"
    with store.atomic_folder(folder) as fresh:
        ingestion.fetch(dataset, config, source, fresh, root)
        ingestion.read(dataset, config, source, fresh, root)
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_and_the_same_files_in_a_folder_give_the_same_table(name: str, tmp_path: Path) -> None:
    dataset, config = small(name)
    made = ingest(dataset, config, "sample", tmp_path / "made")
    for path in made.iterdir():
        if path.name not in ("table.parquet", "rejected.csv", "manifest.json"):
            (tmp_path / "disk" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "disk" / name / path.name).write_bytes(path.read_bytes())
    read = ingest(dataset, config, str(tmp_path / "disk"), tmp_path / "read")
    assert sorted(path.name for path in read.iterdir()) == sorted(path.name for path in made.iterdir())
    assert (read / "table.parquet").read_bytes() == (made / "table.parquet").read_bytes()
    assert (read / "rejected.csv").read_text() == "file,row,column,value,reason,key\n"


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_tells_the_files_and_no_place(name: str, tmp_path: Path) -> None:
    dataset, config = small(name)
    folder = ingest(dataset, config, "sample", tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["source"] == ("generated" if name == "addition" else "sample")
    assert set(manifest["files"]) == ({file.name for file in dataset.files(config)} or {"addition.csv"})
    for file, facts in manifest["files"].items():
        assert facts == {"sha256": sha256(folder / file), "bytes": (folder / file).stat().st_size}
    assert str(tmp_path) not in (folder / "manifest.json").read_text()


def test_rejected_rows_are_listed(tmp_path: Path) -> None:
    dataset, config = write("tweets", tmp_path / "disk")
    path = tmp_path / "disk" / FILE
    path.write_text(path.read_text(encoding="utf-8") + 'cross,"a\nb"' + "," * 10 + "\n", encoding="utf-8")
    lines = path.read_text(encoding="utf-8").count("\n")
    folder = ingest(dataset, config, "disk", tmp_path)
    assert (folder / "rejected.csv").read_text() == (
        "file,row,column,value,reason,key\n"
        f'{FILE},{lines - 1},twsentiment,cross,"unknown label; expected negative, neutral, positive",\n'
    )


@pytest.mark.parametrize("place", ["disk/tweets", "disk"])
def test_a_relative_folder_is_looked_for_from_the_project(place: str, tmp_path: Path) -> None:
    dataset, config = write("tweets", tmp_path / place)
    folder = ingest(dataset, config, "disk", tmp_path)
    assert (folder / FILE).read_bytes() == (tmp_path / place / FILE).read_bytes()
    assert json.loads((folder / "manifest.json").read_text())["source"] == "folder"


def test_a_folder_or_file_that_is_missing_is_named(tmp_path: Path) -> None:
    dataset, config = small("tweets")
    with pytest.raises(DataError, match=r"source 'smaple': .*/smaple is not a folder; expected sample, lab or"):
        ingest(dataset, config, "smaple", tmp_path)
    (tmp_path / "disk").mkdir()
    with pytest.raises(DataError, match=r"disk/tweets/Airlines.csv: missing, and .*/disk/Airlines.csv too; expected"):
        ingest(dataset, config, "disk", tmp_path)
    assert not (tmp_path / "raw").exists()


def test_a_file_that_is_too_large_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, config = write("tweets", tmp_path / "disk")
    monkeypatch.setattr(ingestion, "MAX_BYTES", 100)
    with pytest.raises(DataError, match=r"disk/Airlines.csv: [\d,]+ bytes; expected at most 100"):
        ingest(dataset, config, "disk", tmp_path)


class Published(tweets.Tweets):
    """The tweets, published by a server of our own."""

    def __init__(self, *published: RemoteFile) -> None:
        self.published = published

    def files(self, config: tweets.TweetsConfig) -> Sequence[RemoteFile]:
        return self.published


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FileServer, Published]]:
    monkeypatch.delenv(download.MIRROR, raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    write("tweets", tmp_path / "public")
    path = tmp_path / "public" / FILE
    with serve({f"/{FILE}": path.read_bytes()}) as server:
        yield server, Published(RemoteFile(FILE, f"{server.url}/{FILE}", f"sha256:{sha256(path)}", "none"))


def test_lab_files_are_downloaded_once_and_kept_outside_the_outputs(
    public: tuple[FileServer, Published], tmp_path: Path
) -> None:
    server, dataset = public
    server.break_after = [10_000]
    for _ in range(2):
        folder = ingest(dataset, small("tweets")[1], "lab", tmp_path)
    assert (folder / FILE).read_bytes() == server.files[f"/{FILE}"]
    assert json.loads((folder / "manifest.json").read_text())["source"] == "lab"
    assert len(server.paths) == 2  # the broken attempt and the one that went on
    assert (tmp_path / ".unroll/downloads" / FILE).is_file()


def test_a_wrong_download_leaves_what_was_there(public: tuple[FileServer, Published], tmp_path: Path) -> None:
    _, dataset = public
    config = small("tweets")[1]
    folder = ingest(dataset, config, "sample", tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wrong = Published(replace(dataset.published[0], hash="git-blob:" + "0" * 40))
    with pytest.raises(DataError, match=r"Airlines.csv: hash git-blob:[0-9a-f]{40}; expected git-blob:0{40}"):
        ingest(wrong, config, "lab", tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list((tmp_path / ".unroll/downloads").glob("Airlines*"))


@pytest.mark.parametrize("source", ["sample", "lab"])
def test_only_a_folder_can_change_by_itself(source: str, tmp_path: Path) -> None:
    dataset, config = small("tweets")
    assert ingestion.source_fingerprint(dataset, config, source, tmp_path) is None
    assert ingestion.source_fingerprint(*small("addition"), "disk", tmp_path) is None


def test_a_folder_is_known_by_the_hashes_of_its_files(tmp_path: Path) -> None:
    dataset, config = write("household_power", tmp_path / "disk")
    found = ingestion.source_fingerprint(dataset, config, "disk", tmp_path)
    assert found == {path.name: sha256(path) for path in (tmp_path / "disk").iterdir()}
