"""What a dataset or a problem expects of its data, as plain data; ``stages.validate`` has it judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Expectation:
    """One expectation of Great Expectations, by its snake-case type.

    ``severity`` says what a failure does: ``critical`` stops the pipeline, ``warning`` goes to the report. With
    ``refuse_rows`` a failing row is set aside with ``reason`` instead, and the expectation itself is met by the rest;
    the share of rows set aside is bounded by ``data.max_rejected_share``.

    >>> Expectation("expect_column_values_to_not_be_null", {"column": "text"}, reason="empty text", refuse_rows=True)
    Expectation(type='expect_column_values_to_not_be_null', kwargs={'column': 'text'}, severity='critical', ...)
    """

    type: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "critical"
    reason: str = ""
    refuse_rows: bool = False
