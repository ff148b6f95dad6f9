"""A text as words and marks, and back."""

import doctest

import numpy as np
import pytest

from unroll.problems.language_model import verse, words

TEXT = """The rose (a red one), said “no” -- and
  o'er the well-known hills: why?!   she wept...

"Now," he cried; 12 of them."""


def back(text: str) -> str:
    tokens, counts = words.split(text)
    before, behind = words.tight(tokens, counts)
    return "".join(words.pieces(tokens, None, frozenset(before), frozenset(behind)))


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(words).failed == 0


def test_every_sign_that_is_no_blank_is_in_one_token() -> None:
    tokens, counts = words.split(TEXT)
    assert "".join(tokens) == TEXT.replace(" ", "")
    assert counts.sum() == len(TEXT)
    ends = np.cumsum(counts)
    for token, end, count in zip(tokens, ends, counts, strict=True):
        assert TEXT[end - count : end].strip(" ") == token
    assert [token for token in tokens if len(token) > 5] == ["well-known"]
    assert {"o'er", "--", "...", "?", "!", "\n", "“", "12"} <= set(tokens)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", []), (" \t ", []), ("\n\n", ["\n", "\n"]), ("a_b é_", ["a_b", "é_"]), ("''tis'", ["''", "tis", "'"])],
)
def test_odd_texts(text: str, expected: list[str]) -> None:
    tokens, counts = words.split(text)
    assert tokens == expected
    assert counts.sum() == (len(text) if tokens else 0)


def test_blanks_come_back_where_they_stood() -> None:
    text = "The sea, the sea (so blue): a wave. O wave!\n\nWhy, sea, (so cold) why?\nThe end; the end.\n"
    assert back(text) == text
    assert back("one — two—three—four—five") == "one—two—three—four—five"  # mostly without blanks


def test_a_piece_after_what_stood_before() -> None:
    tight = frozenset([","]), frozenset(["("])
    assert list(words.pieces(["a", ",", "(", "b", "\n", "c"], "x", *tight)) == [" a", ",", " (", "b", "\n", "c"]
    assert list(words.pieces(["a"], None, *tight)) == list(words.pieces(["a"], "(", *tight)) == ["a"]
    assert list(words.pieces([], "x", *tight)) == []


def test_kinds_and_places_of_words() -> None:
    tokens = ["the", ",", verse.LOST, "12", "\n", "--", "o'er"]
    assert words.kinds(tokens).tolist() == ["word", "mark", "unknown", "word", "line break", "mark", "word"]
    assert words.places(tokens).tolist() == [1, 0, 2, 3, 0, 0, 1]
    assert words.places(["x"] * 14).tolist() == [*range(1, 11), 10, 10, 10, 10]


def test_spelling_is_a_code_of_all_words() -> None:
    train = ["ab", "abc", "ab", "b"]
    # distinct: ab, abc, b; a 2, b 3, c 1, end 3: 9 signs, 4 kinds, one more for all others: 14
    bits = words.spelling(["ab", "c", "q"], train)
    expected = [np.log2(14 / 3) + np.log2(14 / 4) * 2, np.log2(14 / 2) + np.log2(14 / 4), np.log2(14) + np.log2(14 / 4)]
    np.testing.assert_allclose(bits, expected)
    chances = [2 ** -words.spelling([sign], train)[0] * 14 / 4 for sign in "abcq"]
    assert sum(chances) + 4 / 14 == pytest.approx(1)
