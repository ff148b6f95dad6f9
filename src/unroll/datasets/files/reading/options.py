"""How bytes become cells: the keys of a ``data`` block that the readers obey."""

from typing import Literal

from pydantic import Field, field_validator

from unroll.core.config import Config, PositiveInt

Format = Literal["csv", "ucr", "ts", "arff", "jsonl", "text", "parquet", "npz"]
SPACES = " "
"""The delimiter that stands for any run of spaces and tabs."""


class Reading(Config):
    """What is known about a file; the rest (null) is inferred from its first part.

    >>> Reading(delimiter=";", decimal=",").header is None
    True
    """

    format: Format | None = Field(
        None,
        description="csv: any table of text; ucr: a label and the values of one series a row, without a header; "
        "ts, arff, jsonl (an object a line), parquet, npz; text: a line a row",
    )
    delimiter: str | None = Field(None, description="One character; a space stands for any run of spaces and tabs")
    encoding: str | None = Field(None, description="Such as utf-8, cp1252, latin-1 or utf-16")
    decimal: Literal[".", ","] | None = Field(None, description="The decimal mark")
    quote: str | None = Field(None, description="The character that encloses cells; empty: none does")
    header: bool | None = Field(None, description="Whether the first row names the columns")
    skip_rows: int = Field(0, ge=0, le=1_000_000, description="Lines before the header")
    comment: str | None = Field(None, description="A character: lines that begin with it are left out")
    label_place: Literal["first", "last"] | None = Field(None, description="Where the label stands in a row of ucr")
    max_bytes: PositiveInt | None = Field(
        None, description="The most that a file may hold, unpacked; null: 64 GiB, and not 150 times what is packed"
    )
    max_line_bytes: int = Field(1 << 24, ge=64, le=1 << 30, description="The longest line, or record of several")

    @field_validator("delimiter", "comment")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and not _is_sign(value):
            raise ValueError(f"{value!r} is not allowed; expected one ASCII character, no line end")
        return value

    @field_validator("quote")
    @classmethod
    def _one_character_or_none(cls, value: str | None) -> str | None:
        if value and not _is_sign(value):
            raise ValueError(f"{value!r} is not allowed; expected one ASCII character, or none at all")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is not None and not _is_encoding(value):
            raise ValueError(f"unknown encoding {value!r}; expected such as utf-8, cp1252, latin-1 or utf-16")
        return value


def _is_sign(value: str) -> bool:
    return len(value) == 1 and value.isascii() and value not in "\r\n\0"


def _is_encoding(name: str) -> bool:
    """Whether Python knows it as an encoding of text in which a line end is a line end."""
    import codecs

    try:
        written = "a\n".encode(name)  # only those of text
        return (
            codecs.getincrementaldecoder(name)().decode(written) == "a\n" and "escape" not in codecs.lookup(name).name
        )
    except (LookupError, UnicodeError, ValueError, TypeError):
        return False
