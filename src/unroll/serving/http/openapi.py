"""The interface described for programs: OpenAPI 3.1 with a schema and an example for each task that is served."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from unroll.serving.http.faults import STATUS
from unroll.serving.http.roster import Served

ERROR = {"$ref": "#/components/schemas/Error"}


def document(served: Sequence[Served]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {
        "/v1": _get("All tasks: which model answers, what it takes, an example"),
        "/healthz": _get("The process lives"),
        "/readyz": _get("Every champion is loaded, or an older model answers for it", {"503": "Not yet"}),
        "/metrics": _get("Counters for Prometheus", kind="text/plain"),
    }
    for each in served:
        paths[f"/v1/{each.task}/predict"] = {"post": _predict(each)}
        if each.predictor.trained.problem.generation is not None:
            paths[f"/v1/{each.task}/generate"] = {"post": _generate(each)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Unroll",
            "version": version("unroll"),
            "description": "The champions of a project. Each row of `records` is one row of raw input; "
            "errors name the row and the field. With a token set, send `Authorization: Bearer …`.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _error(), **{each.task: each.inputs.row_schema() for each in served}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _predict(served: Served) -> dict[str, Any]:
    row = {"$ref": f"#/components/schemas/{served.task}"}
    records = {"type": "array", "minItems": 1, "items": row}
    body = {"type": "object", "required": ["records"], "properties": {"records": records}}
    reply = {
        "type": "object",
        "properties": {
            "task": {"const": served.task},
            "version": {"type": "integer"},
            "answers": {"type": "array", "items": {"type": "object"}},
        },
    }
    return {
        "operationId": f"predict_{served.task}",
        "summary": f"{served.task}: {served.problem.replace('_', ' ')}, version {served.version}",
        "requestBody": _body(body, {"records": served.example}),
        "responses": {"200": _content("Answers, in order", reply), **_faults()},
    }


def _generate(served: Served) -> dict[str, Any]:
    row = {"$ref": f"#/components/schemas/{served.task}"}
    line = {
        "oneOf": [
            {"type": "object", "properties": {"version": {"type": "integer"}, "unknown": {"type": "array"}}},
            {"type": "object", "properties": {"piece": {"type": "string"}}},
            {"type": "object", "properties": {"done": {"const": True}}},
        ]
    }
    lines = "A JSON object a line: version, then pieces as they are drawn, then done"
    return {
        "operationId": f"generate_{served.task}",
        "summary": f"{served.task}: a text sent as it is drawn",
        "requestBody": _body(row, served.example[0]),
        "responses": {"200": _content(lines, line, "application/x-ndjson"), **_faults()},
    }


def _get(summary: str, others: dict[str, str] | None = None, kind: str = "application/json") -> dict[str, Any]:
    responses = {"200": _content("As asked", {"type": "string" if kind == "text/plain" else "object"}, kind)}
    responses |= {status: _content(about, {"type": "object"}) for status, about in (others or {}).items()}
    return {"get": {"summary": summary, "responses": responses}}


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _content(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _faults() -> dict[str, Any]:
    """Each status with the types of error that it stands for."""
    kinds: dict[int, list[str]] = {}
    for kind, status in STATUS.items():
        kinds.setdefault(status, []).append(kind)
    return {str(status): _content(f"Error of type {' or '.join(names)}", ERROR) for status, names in kinds.items()}


def _error() -> dict[str, Any]:
    inside = {
        "type": {"enum": sorted(STATUS)},
        "message": {"type": "string"},
        "field": {"type": "string", "description": "The column or key at fault"},
        "row": {"type": "integer", "minimum": 1, "description": "The row at fault, from 1"},
    }
    error = {"type": "object", "required": ["type", "message"], "properties": inside}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}
