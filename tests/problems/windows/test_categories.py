"""Words as codes and as inputs: what train does not have, and no word at all, add nothing."""

import numpy as np
import pandas as pd
import pytest

from unroll.core.errors import DataError
from unroll.problems.windows import categories


def test_codes_are_those_of_the_words_in_order() -> None:
    codes, words = categories.encode(pd.Series(["SE", None, "NW", "cv", "NW"], dtype="str"), "wind")
    assert words == ["NW", "SE", "cv"]
    assert codes.tolist() == [2, 0, 1, 3, 1]


def test_a_column_read_as_codes_gives_the_same() -> None:
    told = pd.Series(["SE", None, "NW", "cv", "NW"], dtype="str")
    coded = pd.Series(pd.Categorical(told, categories=["cv", "SE", "NW", "unused"]))
    codes, words = categories.encode(coded, "wind")
    assert words == ["NW", "SE", "cv", "unused"]
    assert codes.tolist() == [2, 0, 1, 3, 1]


def test_only_words_of_train_are_known() -> None:
    codes = np.array([[1], [3], [0], [2], [3]], dtype=np.int16)
    assert categories.keep_known(codes, slice(0, 3), ["a", "b", "c"]) == ["a", "c"]
    assert codes.ravel().tolist() == [1, 2, 0, 0, 2]


def test_raw_words_get_the_codes_of_train() -> None:
    assert categories.look_up(pd.Series(["c", "b", None, " a ", np.nan]), ["a", "c"]).tolist() == [2, 0, 0, 1, 0]


def test_inputs_are_one_for_the_word_and_zeros_for_none() -> None:
    found = categories.expand(np.array([[1, 0], [2, 1], [0, 0]]), [["a", "b"], ["x"]])
    assert found.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert categories.width([["a", "b"], ["x"]]) == 3


def test_texts_are_no_category() -> None:
    with pytest.raises(DataError, match=r"^column note: 1,500 distinct words; expected a category, of at most 1,000$"):
        categories.encode(pd.Series([f"note {row}" for row in range(1500)], dtype="str"), "note")
