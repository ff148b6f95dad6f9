"""Hashed n-grams against n-grams cut out of strings."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unroll.problems.text_classification import ngrams

TEXT = st.lists(st.text("abé<✈", min_size=1, max_size=6), max_size=6).map(lambda words: " ".join(words).encode())


def cut(text: bytes, characters: tuple[int, ...], words: tuple[int, ...]) -> list[bytes]:
    """Every n-gram of a text, by slicing: byte n-grams of each word and a space beside it, then runs of words."""
    found, parts = [], text.split()
    for part in parts:
        padded = b" " + part + b" "
        grams = [padded[at : at + n] for n in characters for at in range(len(padded) - n + 1)]
        found += [gram for gram in grams if gram != padded]
    found += [b" " + b" ".join(parts[at : at + n]) + b" " for n in words for at in range(len(parts) - n + 1)]
    return found


@given(st.lists(TEXT, min_size=1, max_size=5))
@settings(deadline=None)
def test_the_spans_are_the_ngrams_of_each_text(texts: list[bytes]) -> None:
    whole = b"".join(b" " + text + b" " for text in texts)
    low, high = ngrams.spans(np.frombuffer(whole, np.uint8), (2, 3, 5), (1, 2))
    found = Counter(whole[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True))
    assert found == Counter(gram for text in texts for gram in cut(text, (2, 3, 5), (1, 2)))


@given(st.lists(TEXT, min_size=1, max_size=5))
@settings(deadline=None)
def test_equal_ngrams_share_a_bucket_and_stay_with_their_text(texts: list[bytes]) -> None:
    buckets, starts = ngrams.hashed(texts, (2, 4), (1, 2), 1 << 40)
    ends = [*starts[1:].tolist(), len(buckets)]
    names: dict[int, bytes] = {}
    for text, low, high in zip(texts, starts.tolist(), ends, strict=True):
        grams = Counter(cut(text, (2, 4), (1, 2)))
        alone, _ = ngrams.hashed([text], (2, 4), (1, 2), 1 << 40)
        assert Counter(buckets[low:high].tolist()) == Counter(alone.tolist())
        assert sorted(Counter(alone.tolist()).values()) == sorted(grams.values())
        for gram in (gram for gram in grams if gram[:1] == gram[-1:] == b" "):  # whole words: alone they hash the same
            (bucket,) = ngrams.hashed([gram.strip()], (), (len(gram.split()),), 1 << 40)[0].tolist()
            assert names.setdefault(bucket, gram) == gram
            assert bucket in buckets[low:high]


def test_buckets_are_used_evenly() -> None:
    texts = [f"word{number}".encode() for number in range(20_000)]
    buckets, _ = ngrams.hashed(texts, (), (1,), 64)
    counts = np.bincount(buckets, minlength=64)
    assert len(buckets) == 20_000
    assert ((counts - 312.5) ** 2 / 312.5).sum() < 110  # chi-squared with 63 degrees of freedom: p < 0.001 above


@pytest.mark.parametrize("texts", [[], [b""], [b"", b"a", b""]])
def test_texts_without_ngrams(texts: list[bytes]) -> None:
    buckets, starts = ngrams.hashed(texts, (3,), (1,), 8)
    assert len(starts) == len(texts)
    assert len(buckets) == sum(text != b"" for text in texts)
