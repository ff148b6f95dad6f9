"""Strings as flat arrays against str.index and plain loops."""

import numpy as np
import pytest

from unroll.features import strings
from unroll.features.strings import UNKNOWN

TEXTS = ["12+3", "9", "", "é🙂+é", "3+21"]


def test_the_alphabet_holds_each_character_once_in_order() -> None:
    assert strings.alphabet(TEXTS) == "".join(sorted(set("".join(TEXTS))))
    assert strings.alphabet([]) == ""


@pytest.mark.parametrize("known", ["+123", "+1239é🙂", "9", ""])
def test_every_character_is_its_place_in_the_alphabet_or_unknown(known: str) -> None:
    flat = strings.encode(TEXTS, known)
    for row, text in enumerate(TEXTS):
        ids = flat.ids_C[flat.offsets[row] : flat.offsets[row + 1]]
        assert ids.tolist() == [known.index(c) if c in known else UNKNOWN for c in text]
    assert flat.ids_C.dtype == np.int16


def test_what_was_encoded_is_read_back_and_unknown_characters_show() -> None:
    index = np.array([4, 0, 2, 3])
    flat = strings.encode(TEXTS, strings.alphabet(TEXTS))
    assert strings.decode(flat, index, strings.alphabet(TEXTS)) == [TEXTS[row] for row in index]
    assert strings.decode(strings.encode(["1x2"], "12"), np.array([0]), "12") == ["1\N{REPLACEMENT CHARACTER}2"]


def test_a_padded_batch_is_as_wide_as_its_longest_string() -> None:
    flat = strings.encode(TEXTS, strings.alphabet(TEXTS))
    ids_BT, lengths_B = flat.padded(np.array([1, 2, 4]))
    assert lengths_B.tolist() == [1, 0, 4]
    assert ids_BT.shape == (3, 4)
    for ids, length, row in zip(ids_BT, lengths_B, [1, 2, 4], strict=True):
        assert ids[:length].tolist() == flat.ids_C[flat.offsets[row] : flat.offsets[row + 1]].tolist()
        assert (ids[length:] == UNKNOWN).all()


def test_the_characters_of_chosen_strings_are_those_and_no_others() -> None:
    flat = strings.encode(TEXTS, strings.alphabet(TEXTS))
    expected = strings.encode([TEXTS[0] + TEXTS[3]], strings.alphabet(TEXTS)).ids_C
    np.testing.assert_array_equal(flat.characters(np.array([3, 0])), expected)
