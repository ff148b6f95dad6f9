"""Lines, and what a character is in them."""

import doctest
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unroll.core.errors import DataError
from unroll.problems.language_model import verse


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(verse).failed == 0


def test_lines_are_joined_in_order() -> None:
    assert verse.join(["A b", "", "C"], lower_case=True) == "a b\n\nc"
    assert verse.join(["A b", "", "C"], lower_case=False) == "A b\n\nC"


@pytest.mark.parametrize("text", ["no line end", "half\nhalf", "a\n \n\nb", ""])
def test_a_text_without_a_whole_line_is_its_own_first_line(text: str) -> None:
    assert verse.first_line(text) == text


def test_kinds_of_characters() -> None:
    found = verse.kinds([*"aé 1", "\n", verse.LOST, "'"])
    assert found.tolist() == ["letter", "letter", "space", "mark", "line break", "unknown", "mark"]


def test_places_count_letters_from_the_start_of_the_word() -> None:
    text = "it's a longestwordever, é\nx"
    expected, place = [], 0
    for character in text:
        place = place + 1 if character.isalpha() else 0
        expected.append(min(place, verse.LAST_PLACE))
    assert verse.places(text).tolist() == expected
    assert verse.places("").tolist() == []


def test_options_of_a_request() -> None:
    assert verse.options(pd.DataFrame({"text": ["a"]}), 0) == verse.Options(200, 0.6, 0, 0, 1.0, 1.0)
    frame = pd.DataFrame({"length": [5, 7.0], "temperature": ["0.5", 0], "seed": [1, np.int64(3)]})
    frame = frame.assign(top_k=[3, "40"], top_p=[0.9, 1], repetition_penalty=[1, 1.5])
    found = [verse.options(frame, row) for row in (0, 1)]
    assert found == [(5, 0.5, 1, 3, 0.9, 1.0), (7, 0.0, 3, 40, 1.0, 1.5)]
    assert [type(value) for value in found[1]] == [int, float, int, int, float, float]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_an_option_that_a_row_lacks_is_the_default(missing: Any) -> None:
    frame = pd.DataFrame({name: pd.Series([1, missing], dtype=object) for name in verse.DEFAULTS})
    assert verse.options(frame, 0) == verse.Options(1, 1.0, 1, 1, 1.0, 1.0)
    assert verse.options(frame, 1) == verse.Options()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("length", 0, "input: row 2, column length: 0; expected a whole number from 1 to 10000"),
        ("length", 2.5, "input: row 2, column length: 2.5; expected a whole number from 1 to 10000"),
        ("temperature", "hot", "input: row 2, column temperature: 'hot'; expected a number from 0.0 to 10.0"),
        ("top_k", -1, "input: row 2, column top_k: -1; expected a whole number from 0 to 1000000000"),
        ("top_p", 0, "input: row 2, column top_p: 0; expected a number from 0.001 to 1.0"),
        (
            "repetition_penalty",
            0.5,
            "input: row 2, column repetition_penalty: 0.5; expected a number from 1.0 to 100.0",
        ),
        ("seed", -1, "input: row 2, column seed: -1; expected a whole number from 0 to 9007199254740992"),
    ],
)
def test_what_no_option_may_be(column: str, value: Any, expected: str) -> None:
    frame = pd.DataFrame({column: pd.Series([1, value], dtype=object)})
    with pytest.raises(DataError) as error:
        verse.options(frame, 1)
    assert str(error.value) == expected
