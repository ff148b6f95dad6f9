"""The keys that say how a file is read."""

import pytest
from pydantic import ValidationError

from unroll.datasets.files.reading import Reading


@pytest.mark.parametrize(
    ("key", "value"),
    [("delimiter", ","), ("delimiter", "\t"), ("delimiter", " "), ("quote", ""), ("comment", "#")]
    + [
        ("encoding", name)
        for name in ("utf-8", "utf-8-sig", "UTF16", "latin-1", "cp1252", "shift_jis", "gb18030", "koi8-r", "cp037")
    ],
)
def test_allowed(key, value) -> None:  # type: ignore[no-untyped-def]
    assert getattr(Reading.model_validate({key: value}), key) == value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("delimiter", "", "'' is not allowed; expected one ASCII character, no line end"),
        ("delimiter", "::", "'::' is not allowed; expected one ASCII character, no line end"),
        ("delimiter", "\n", "is not allowed; expected one ASCII character, no line end"),
        ("delimiter", "\u00a7", "is not allowed; expected one ASCII character, no line end"),
        ("quote", "ab", "'ab' is not allowed; expected one ASCII character, or none at all"),
        ("encoding", "utf-9", "unknown encoding 'utf-9'; expected such as utf-8, cp1252, latin-1 or utf-16"),
        ("encoding", "hex", "unknown encoding 'hex'"),
        ("encoding", "rot13", "unknown encoding 'rot13'"),
        ("encoding", "idna", "unknown encoding 'idna'"),
        ("encoding", "unicode_escape", "unknown encoding 'unicode_escape'"),
        ("encoding", "undefined", "unknown encoding 'undefined'"),
        ("encoding", "nul\0", "unknown encoding"),
        ("decimal", ";", "Input should be '.' or ','"),
        ("format", "xls", "Input should be 'csv', 'ucr', 'ts', 'arff', 'jsonl', 'text', 'parquet' or 'npz'"),
        ("skip_rows", -1, "greater than or equal to 0"),
        ("header", 1, "valid boolean"),
        ("seperator", ",", "Extra inputs are not permitted"),
    ],
)
def test_refused(key, value, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError) as error:
        Reading.model_validate({key: value})
    assert message in str(error.value)
