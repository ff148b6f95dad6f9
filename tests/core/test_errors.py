import pickle

import pytest

from unroll.core.errors import ConfigError, DataError, MissingColumnError, TableError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DataError("a.csv: empty; expected data in it"), "a.csv: empty; expected data in it"),
        (DataError("empty; expected data in it", file="a.csv"), "a.csv: empty; expected data in it"),
        (DataError("a NUL byte; expected text", file="a.csv", row=7), "a.csv row 7: a NUL byte; expected text"),
        (DataError("'x' is no number", file="a.csv", row=7, column="co"), "a.csv row 7, column co: 'x' is no number"),
        (DataError("'x' is no number", row=7, column="co"), "row 7, column co: 'x' is no number"),
        (MissingColumnError("no column 'co'", file="a.csv", column="co", available=("no2",)), "a.csv: no column 'co'"),
        (TableError("no rows; expected at least one"), "input: no rows; expected at least one"),
        (TableError("'' is empty", row=0, column="text", table="pairs"), "pairs: row 0, column text: '' is empty"),
        (ConfigError("unknown key", file="params.yaml", key="tasks.a"), "params.yaml: tasks.a: unknown key"),
        (ConfigError("nothing to compare"), "nothing to compare"),
    ],
)
def test_the_text_is_made_from_the_fields_and_both_cross_processes(error: Exception, text: str) -> None:
    assert str(error) == text
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), text, vars(error))
