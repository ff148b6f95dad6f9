"""Files of word vectors: what is read of good ones, and what is said of faulty ones."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from unroll.core.errors import DataError
from unroll.features import word_vectors
from unroll.features.tokenization import clean, tokens

GLOVE = "the 0.5 -1 2e-1\nflight 1 2 3\nlate -4 5.25 6\n"


def write(folder: Path, content: str | bytes, name: str = "vectors.txt") -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        "3 3\n" + GLOVE,
        "\ufeff" + GLOVE,
        GLOVE.replace("\n", " \r\n"),
        GLOVE.replace(" ", "\t"),
        GLOVE.removesuffix("\n"),
    ],
)
def test_every_way_to_write_a_file_gives_the_same_vectors(content: str, name: str, tmp_path: Path) -> None:
    found = word_vectors.read(write(tmp_path, content, name))
    assert found.words == ["the", "flight", "late"]
    assert found.vectors_WD.dtype == np.float32
    np.testing.assert_array_equal(found.vectors_WD, np.float32([[0.5, -1, 0.2], [1, 2, 3], [-4, 5.25, 6]]))


def test_only_the_words_asked_for_are_kept_and_numpy_reads_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"w{number}é" for number in range(500)]
    values = rng.normal(size=(500, 20))
    path = write(tmp_path, "".join(f"{w} {' '.join(map(str, row))}\n" for w, row in zip(words, values, strict=True)))
    theirs = np.loadtxt(path, usecols=range(1, 21), encoding="utf-8", dtype=np.float32)
    chosen = rng.choice(500, 60, replace=False)
    found = word_vectors.read(path, only=[*(words[n] for n in chosen), "absent"])
    assert found.words == [words[n] for n in sorted(chosen)]
    np.testing.assert_array_equal(found.vectors_WD, theirs[np.sort(chosen)])
    assert word_vectors.read(path, first=7).words == words[:7]
    assert word_vectors.read(path, only=["absent"]).vectors_WD.shape == (0, 20)


def test_words_with_spaces_as_large_files_have_them(tmp_path: Path) -> None:
    found = word_vectors.read(write(tmp_path, GLOVE + ". . . 7 8 9\nat name@domain.com 1 1 1\n"))
    assert found.words[3:] == [". . .", "at name@domain.com"]
    assert found.vectors_WD[3].tolist() == [7, 8, 9]


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_the_first_word_may_have_spaces_in_it(name: str, tmp_path: Path) -> None:
    found = word_vectors.read(write(tmp_path, ". . . 7 8 9\n1 2 3 4\n" + GLOVE, name))
    assert found.words == [". . .", "1", "the", "flight", "late"]
    assert found.vectors_WD[:2].tolist() == [[7, 8, 9], [2, 3, 4]]
    alone = word_vectors.read(write(tmp_path, ". . . 1 2\n", name))
    assert (alone.words, alone.vectors_WD.tolist()) == ([". . ."], [[1, 2]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; expected lines: a word and its numbers"),
        ("0 2\n", "line 1: '0 2': no vectors of 2 numbers; expected at least one"),
        ("a 1 x\nb 3 4\n", "line 1: number 2 of 'a' is 'x'; expected a finite number"),
        (". . . 1 2\nb 3 4\nc 5\n", "line 3: 'c 5': a word and 1 numbers; expected a word and 2 numbers"),
        ("alone\n", "line 1: 'alone': a word and 0 numbers; expected a word and its numbers"),
        ("a 1 2\nb 3\n", "line 2: 'b 3': a word and 1 numbers; expected a word and 2 numbers"),
        ("a 1 2\nb 3 4 5\n", "line 2: 'b 3 4 5': a word and 3 numbers; expected a word and 2 numbers"),
        ("a 1 2\n\nb 3 4\n", "line 2: '': empty; expected a word and 2 numbers"),
        ("a 1 2\nb 3 x4\n", "line 2: number 2 of 'b' is 'x4'; expected a finite number"),
        ("a 1 2\nb nan 4\n", "line 2: number 1 of 'b' is 'nan'; expected a finite number"),
        ("a 1 2\nb 3 1e39\n", "line 2: number 2 of 'b' is '1e39'; expected a finite number"),
        ("a 1 2\nb 3 1_0\n", "line 2: number 2 of 'b' is '1_0'; expected a finite number"),
        ("a 1 2\nb 3 4\na 5 6\n", "line 3: 'a' again; expected each word once, and line 1 has it"),
        ("3 2\na 1 2\nb 3 4\n", "line 3: the last of 2 vectors; expected 3, as the first line says"),
        ("2 3\na 1 2\nb 3 4\n", "line 2: 'a 1 2': a word and 2 numbers; expected a word and 3 numbers"),
        (b"a 1 2\ncaf\xe9 3 4\n", r"line 2: word 'caf\\xe9'; expected UTF-8"),
        (b"a 1 2\n" + b"7" * (1 << 20) + b" 3 4\n", "line 2: longer than 1,048,576 bytes; expected a word and its"),
    ],
)
def test_a_faulty_file_is_named_with_its_line(content: str | bytes, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as error:
        word_vectors.read(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_faults_beside_the_words_asked_for_are_found_as_far_as_promised(tmp_path: Path) -> None:
    path = write(tmp_path, b"a 1 2\nb 3\n")
    with pytest.raises(DataError, match=r"line 2: .*; expected a word and 2 numbers"):
        word_vectors.read(path, only=["a"])
    with pytest.raises(DataError, match="expected UTF-8"):
        word_vectors.read(write(tmp_path, b"a 1 2\n\xff 3 4\n"), only=["a"])


def test_a_damaged_archive_and_a_missing_file(tmp_path: Path) -> None:
    whole = write(tmp_path, GLOVE * 50, "vectors.txt.gz").read_bytes()
    for raw in (whole[: len(whole) // 2], whole[:12] + b"\xff\x00\xff" + whole[15:], b"no gzip"):
        path = tmp_path / "damaged.txt.gz"
        path.write_bytes(raw)
        with pytest.raises(DataError, match=rf"^{path}: .*"):
            word_vectors.read(path, only=["x"])
    with pytest.raises(DataError, match=r"absent\.txt: not there; expected a file of lines"):
        word_vectors.read(tmp_path / "absent.txt")
    with pytest.raises(DataError, match=rf"^{tmp_path}: "):
        word_vectors.read(tmp_path)


def test_a_long_line_is_not_read_whole(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path, b"a 1\n" + b"b" * (40 << 20), "vectors.txt.gz")
    tracemalloc.start()
    with pytest.raises(DataError, match="longer than"):
        word_vectors.read(path)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


# ---- the vectors of a vocabulary


def test_words_without_a_vector_get_random_ones_of_like_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(scale=0.4, size=(100, 50)).astype(np.float32)
    lines = "".join(f"w{n} {' '.join(map(str, row))}\n" for n, row in enumerate(values))
    words = ["<unk>", *(f"w{n}" for n in range(90)), *(f"other{n}" for n in range(100))]
    path = write(tmp_path, lines)
    found = word_vectors.initial(path, words, np.random.default_rng(5))
    assert found.found_V.tolist() == [False] + [True] * 90 + [False] * 100
    np.testing.assert_array_equal(found.vectors_VD[found.found_V], values[:90])
    drawn = found.vectors_VD[~found.found_V]
    assert drawn.std() == pytest.approx(0.4, rel=0.05)
    assert abs(drawn.mean()) < 0.03
    again, other = (word_vectors.initial(path, words, np.random.default_rng(seed)) for seed in (5, 6))
    np.testing.assert_array_equal(again.vectors_VD, found.vectors_VD)
    assert (other.vectors_VD[~found.found_V] != drawn).all()


def test_marks_of_ours_take_the_vectors_of_gloves_marks(tmp_path: Path) -> None:
    path = write(tmp_path, "<user> 1 2\n<url> 3 4\n<number> 5 6\nflight 7 8\n")
    words = tokens(clean("@united Flight 12 http://t.co/x"))
    found = word_vectors.initial(path, words, np.random.default_rng(0))
    assert words == ["<name>", "flight", "<number>", "<link>"]
    assert found.vectors_VD.tolist() == [[1, 2], [7, 8], [5, 6], [3, 4]]


def test_a_file_without_any_of_the_words_is_the_wrong_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none of the 2 words asked for, such as 'b'; expected some"):
        word_vectors.initial(write(tmp_path, GLOVE), ["<unk>", "b"], np.random.default_rng(0))
