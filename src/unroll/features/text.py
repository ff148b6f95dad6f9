"""Raw text to a clean one, and clean text to tokens. Pure functions of one string."""

import html
import re
import unicodedata

LINK, NAME, NUMBER = "<link>", "<name>", "<number>"
_LINK = re.compile(r"https?://\S+|www\.\S+")
_NAME = re.compile(r"(?<!\w)@\w+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_REPEATED = re.compile(r"(.)\1{2,}", re.DOTALL)
_TOKEN = re.compile(
    r"<(?:link|name|number)>|[^\W\d_]+(?:'[^\W\d_]+)*|[!?]+|[:;=]-?[()dp/]|[^\w\s.,\"'&#*()/\\:;<>=+_~-]"
)


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
