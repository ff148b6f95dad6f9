"""Cleaning and tokenising of texts, and texts as one array."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.features import tokenization


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(tokenization).failed == 0


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("@Air_Line @x hi", "<name> <name> hi"),
        ("mail a@b.org", "mail a@b.org"),
        ("see https://t.co/AB?c=1, now", "see <link> now"),
        ("WWW.x.org/1 up", "<link> up"),
        ("3,141.5 at 10:30 on flight UA12", "<number> at <number> on flight ua<number>"),
        ("Noooo!!!!", "noo!!"),
        ("don’t &lt;3 it", "don't <<number> it"),
        (" \t a \n b ", "a b"),
        ("ＦＵＬＬ ﬁne", "full fine"),
        ("", ""),
    ],
)
def test_cleaning(raw: str, cleaned: str) -> None:
    assert tokenization.clean(raw) == cleaned


@given(st.text())
def test_clean_text_has_single_spaces_and_no_capitals(raw: str) -> None:
    cleaned = tokenization.clean(raw)
    assert cleaned == " ".join(cleaned.split()) == cleaned.lower()


@pytest.mark.parametrize(
    ("cleaned", "tokens"),
    [
        ("<name> it's <number>!! <link>", ["<name>", "it's", "<number>", "!!", "<link>"]),
        ("so good :) 😀👍 <3", ["so", "good", ":)", "😀", "👍"]),
        ("well-known, (a/b) \"c\" 'd' & e.", ["well", "known", "a", "b", "c", "d", "e"]),
        ("$ € naïve über", ["$", "€", "naïve", "über"]),
        ("... -- ,", []),
    ],
)
def test_tokens(cleaned: str, tokens: list[str]) -> None:
    assert tokenization.tokens(cleaned) == [token for token in tokens if token]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=12), st.data())
def test_packed_texts_come_back(texts: list[str], data: st.DataObject) -> None:
    flat = tokenization.pack_texts(texts)
    assert len(flat.ids_C) == sum(len(one.encode()) for one in texts)
    index = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=20)) if texts else []
    assert [one.decode() for one in tokenization.unpack(flat, np.array(index, dtype=int))] == [texts[i] for i in index]


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert tokenization.unpack(tokenization.pack_texts(["a\ud83d"]), np.array([0])) == [b"a?"]


def test_packed_numbers_keep_their_type_and_bounds() -> None:
    flat = tokenization.pack([[1, 70_000], [], [3]], np.int32)
    assert (flat.ids_C.dtype, flat.ids_C.tolist(), flat.offsets.tolist()) == (np.int32, [1, 70_000, 3], [0, 2, 2, 3])
