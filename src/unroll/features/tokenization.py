"""Raw text to a clean one, a clean one to tokens, and many texts as one array of bytes."""

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from unroll.features.strings import Flat

LINK, NAME, NUMBER = "<link>", "<name>", "<number>"
_LINK = re.compile(r"https?://\S+|www\.\S+")
_NAME = re.compile(r"(?<!\w)@\w+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_REPEATED = re.compile(r"(.)\1{2,}", re.DOTALL)
_EMOTICON = r"[:;=]-?[()dp/]"
_OTHER_SIGN = r"[^\w\s.,\"'&#*()/\\:;<>=+_~-]"  # emoji, currency
_TOKEN = re.compile(rf"<(?:link|name|number)>|[^\W\d_]+(?:'[^\W\d_]+)*|[!?]+|{_EMOTICON}|{_OTHER_SIGN}")


def clean(text: str) -> str:
    """Lower case, with links, @names and numbers as one token each, and single spaces.

    A character that stands three times or more in a row stands twice.

    >>> clean("@united  SOOOOO late, 3 hours!!! http://t.co/x1 &amp; no plane")
    '<name> soo late, <number> hours!! <link> & no plane'
    """
    text = unicodedata.normalize("NFKC", html.unescape(text)).replace("’", "'").lower()
    text = _NAME.sub(NAME, _LINK.sub(LINK, text))
    return " ".join(_REPEATED.sub(r"\1\1", _NUMBER.sub(NUMBER, text)).split())


def tokens(cleaned: str) -> list[str]:
    """Words, runs of ! and ?, emoticons and emoji of a clean text; other marks are dropped.

    >>> tokens(clean("Don't be late #flight 12 :) ?!"))
    ["don't", 'be', 'late', 'flight', '<number>', ':)', '?!']
    """
    return _TOKEN.findall(cleaned)


def pack(rows: Iterable[Sequence[int] | bytes], dtype: "np.typing.DTypeLike") -> Flat:
    """Rows of numbers, or of bytes, one after the other."""
    arrays = [np.frombuffer(row, np.uint8) if isinstance(row, bytes) else np.array(row, dtype) for row in rows]
    offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return Flat(np.concatenate([np.empty(0, dtype), *arrays]).astype(dtype), offsets)


def pack_texts(texts: Iterable[str]) -> Flat:
    """The UTF-8 bytes of many texts; half a surrogate pair, which has none, becomes a question mark."""
    return pack((text.encode("utf-8", "replace") for text in texts), np.uint8)


def unpack(flat: Flat, index: np.ndarray) -> list[bytes]:
    """The bytes of the texts ``index``.

    >>> unpack(pack_texts(["one", "two"]), np.array([1, 0]))
    [b'two', b'one']
    """
    bounds = zip(flat.offsets[index].tolist(), flat.offsets[np.asarray(index) + 1].tolist(), strict=True)
    return [flat.ids_C[low:high].tobytes() for low, high in bounds]
