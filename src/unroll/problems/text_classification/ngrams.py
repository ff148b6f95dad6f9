"""Bags of hashed n-grams, computed where they are needed from the bytes of texts: nothing of them is stored.

Shapes: T bytes, N texts, G n-grams, S spaces.
"""

import numpy as np

SPACE = 32
_BASE = 0x9E3779B97F4A7C15  # odd: it has an inverse modulo 2**64
_MIX = np.uint64(0xD6E8FEB86659FD93)


def hashed(
    texts: list[bytes], characters: tuple[int, ...], words: tuple[int, ...], buckets: int
) -> tuple[np.ndarray, np.ndarray]:
    """Buckets (G,) of all n-grams, text by text, and where each text's n-grams begin (N,).

    ``texts`` are UTF-8, their words separated by single spaces. Word n-grams have ``words`` words, character n-grams
    ``characters`` bytes of one word and the space before or behind it: whole words count once, as word n-grams.
    """
    bytes_T = np.frombuffer(b"".join(b" " + text + b" " for text in texts), dtype=np.uint8)
    begins_N = np.cumsum([0, *(len(text) + 2 for text in texts)])[:-1]
    low_G, high_G = spans(bytes_T, characters, words)
    text_G = np.searchsorted(begins_N, low_G, side="right") - 1
    order_G = np.argsort(text_G, kind="stable")
    bucket_G = (_hashes(bytes_T, low_G, high_G)[order_G] % np.uint64(buckets)).astype(np.int64)
    return bucket_G, np.searchsorted(text_G[order_G], np.arange(len(texts)))


def spans(bytes_T: np.ndarray, characters: tuple[int, ...], words: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """First byte (G,) and end (G,) of each n-gram; two spaces one after the other part two texts."""
    space_T = bytes_T == SPACE
    before = np.concatenate([[0], np.cumsum(space_T)])
    lows, highs = [], []
    for length in characters:
        low = np.arange(max(len(bytes_T) - length + 1, 0))
        inner = before[low + length - 1] - before[low + 1]
        low = low[(inner == 0) & ~(space_T[low] & space_T[low + length - 1])]
        lows.append(low)
        highs.append(low + length)
    space_S = np.flatnonzero(space_T)
    empty = np.concatenate([[0], np.cumsum(np.diff(space_S) == 1)])
    for length in words:
        first = np.arange(max(len(space_S) - length, 0))
        first = first[empty[first + length] == empty[first]]
        lows.append(space_S[first])
        highs.append(space_S[first + length] + 1)
    return np.concatenate(lows), np.concatenate(highs)


def _hashes(bytes_T: np.ndarray, low_G: np.ndarray, high_G: np.ndarray) -> np.ndarray:
    """Polynomial hash of each span modulo 2**64, from sums over prefixes (Karp & Rabin 1987), then mixed."""
    powers_T = np.cumprod(np.full(len(bytes_T), _BASE, dtype=np.uint64))
    inverse_T = np.cumprod(np.full(len(bytes_T), pow(_BASE, -1, 1 << 64), dtype=np.uint64))
    prefix = np.concatenate([np.zeros(1, np.uint64), np.cumsum((bytes_T + np.uint64(1)) * powers_T)])
    hash_G = (prefix[high_G] - prefix[low_G]) * inverse_T[low_G]
    hash_G = (hash_G ^ (hash_G >> np.uint64(32))) * _MIX
    mixed: np.ndarray = hash_G ^ (hash_G >> np.uint64(32))
    return mixed
