"""Which files a path stands for."""

import pytest

from unroll.core.errors import DataError
from unroll.datasets.files.reading import locate


@pytest.fixture
def root(tmp_path):  # type: ignore[no-untyped-def]
    for name in (
        "b.csv",
        "a.csv",
        "c.txt",
        "more/y.csv.gz",
        "more/x.csv",
        "more/.hidden.csv",
        "more/README.md",
        "odd/[1].csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\n1\n")
    return tmp_path


def names(found, root) -> list[str]:  # type: ignore[no-untyped-def]
    return [path.relative_to(root).as_posix() for path in found]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("a.csv", ["a.csv"]),
        (["b.csv", "a.csv"], ["b.csv", "a.csv"]),
        ("*.csv", ["a.csv", "b.csv"]),
        ("more", ["more/x.csv", "more/y.csv.gz"]),
        ("more/", ["more/x.csv", "more/y.csv.gz"]),
        ("**/x.csv", ["more/x.csv"]),
        (["*.csv", "a.csv"], ["a.csv", "b.csv"]),
        ("odd/[1].csv", ["odd/[1].csv"]),
    ],
)
def test_files_lists_patterns_and_folders(paths, expected, root) -> None:  # type: ignore[no-untyped-def]
    assert names(locate(paths, root), root) == expected


def test_absolute_paths_and_the_home_folder(root, tmp_path_factory, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    other = tmp_path_factory.mktemp("project")
    assert names(locate(str(root / "*.csv"), other), root) == ["a.csv", "b.csv"]
    monkeypatch.setenv("HOME", str(root))
    assert names(locate("~/a.csv", other), root) == ["a.csv"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("a.cvs", "path 'a.cvs': missing; expected a file, folder or pattern from {root}; near names: a.csv, b.csv"),
        (
            "no/a.csv",
            "path 'no/a.csv': missing; expected a file, folder or pattern from {root}; there is no folder {root}/no",
        ),
        ("*.npz", "path '*.npz': no file matches it below {root}; expected at least one"),
        ([], "path: no file in the list; expected at least one"),
        ("empty", "path 'empty': no data file in the folder; expected such as .arff, .csv, "),
        ("mixed", "path 'mixed': files of several kinds (.csv, .ts); expected one, as mixed/*.csv"),
        ("nul\0", r"path 'nul\x00': missing; expected a file, folder or pattern from {root}"),
        ("x" * 300, "path '" + "x" * 300 + "': "),
    ],
)
def test_what_is_not_there(paths, message, root) -> None:  # type: ignore[no-untyped-def]
    for name in ("empty", "mixed"):
        (root / name).mkdir()
    for name in ("mixed/a.csv", "mixed/b.ts"):
        (root / name).touch()
    with pytest.raises(DataError) as error:
        locate(paths, root)
    assert str(error.value).startswith(message.replace("{root}", str(root)))


def test_a_link_to_nothing_is_missing(root) -> None:  # type: ignore[no-untyped-def]
    (root / "link.csv").symlink_to(root / "nowhere")
    with pytest.raises(DataError, match=r"^path 'link.csv': missing; expected"):
        locate("link.csv", root)


def test_folders_within_a_folder_without_data_are_told(root) -> None:  # type: ignore[no-untyped-def]
    for name in ("train", "test"):
        (root / "parts" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"the pattern 'parts/\*/\*' takes the files of its folders \(test, train\)$"):
        locate("parts", root)
