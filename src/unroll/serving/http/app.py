"""The routes: what each address answers. Requests are checked in ``guard`` and ``body``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from unroll.serving.http import body, openapi, pages, replies
from unroll.serving.http.body import Records
from unroll.serving.http.faults import STATUS, RequestError
from unroll.serving.http.guard import ALLOWED, App, Guard
from unroll.serving.http.limits import Limits
from unroll.serving.http.measures import Measures
from unroll.serving.http.pages import PROBED
from unroll.serving.http.roster import Roster, Served
from unroll.serving.http.streams import Streams

JSON = "application/json"
_KINDS = {404: "not_found", 405: "method_not_allowed"}


def build(roster: Roster, token: str | None, local: str | None) -> App:
    """The whole application around a roster, whose thread runs as long as the application does.

    ``token`` and ``local`` as in ``Guard``.
    """
    limits, measures = roster.limits, roster.measures
    streams = Streams(limits)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        roster.start()
        yield
        await asyncio.to_thread(roster.close)
        streams.close()

    app = FastAPI(
        title="Unroll", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=lifespan
    )
    app.add_exception_handler(HTTPException, _http_fault)
    app.add_exception_handler(RequestError, _fault)
    _add_state(app, roster, measures)
    _add_models(app, roster, streams, limits)
    pages.add(app)
    return Guard(app, limits, measures, token, local)


def _add_models(app: FastAPI, roster: Roster, streams: Streams, limits: Limits) -> None:
    """The addresses that answer from a model."""

    @app.get("/v1")
    async def tasks() -> Response:
        """All tasks: which model answers, what it takes, an example."""
        return _json({"tasks": [_described(task, roster, limits) for task in roster.slots]})

    @app.post("/v1/{task}/predict")
    async def predict(task: str, request: Request) -> Response:
        """Raw input in, answers out."""
        served = roster.served(task)
        rows = body.of_many(await body.receive(request, limits), served.inputs, limits)
        _require_short(served, rows, limits)
        answer = asyncio.wrap_future(roster.submit(served, rows))
        try:
            frame = await asyncio.wait_for(answer, limits.answer_s)
        except TimeoutError:
            raise RequestError("busy", f"no answer within {limits.answer_s:g} s; try again") from None
        answers = replies.rows(frame)
        if any(None in row.values() for row in answers):  # null stands for a number that is not finite
            raise RequestError("invalid", "records: the values lie where the model has no finite answer", "records")
        return _json({"task": task, "version": served.version, "answers": answers})

    @app.post("/v1/{task}/generate")
    async def generate(task: str, request: Request) -> Response:
        """A text, line by line as it is drawn."""
        served = roster.served(task)
        row = body.of_one(await body.receive(request, limits), served.inputs)
        return StreamingResponse(streams.start(served, row), media_type="application/x-ndjson")


def _add_state(app: FastAPI, roster: Roster, measures: Measures) -> None:
    """The addresses that describe the server itself."""

    @app.api_route("/healthz", methods=PROBED)
    async def healthz() -> Response:
        """The process lives."""
        return _json({"alive": True})

    @app.api_route("/readyz", methods=PROBED)
    async def readyz(request: Request) -> Response:
        """Every champion is loaded, or an older model answers for it; details only with the token."""
        state = roster.state()
        shown = state if request.scope[ALLOWED] else {"ready": state["ready"]}
        return _json(shown, 200 if state["ready"] else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus."""
        for task, slot in roster.slots.items():
            measures.waiting(task, len(slot.batcher))
        return Response(measures.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/openapi.json")
    async def document() -> Response:
        """All of it, with a schema and an example for each task."""
        return _json(openapi.document([slot.current for slot in roster.slots.values() if slot.current]))


def _described(task: str, roster: Roster, limits: Limits) -> dict[str, Any]:
    slot = roster.slots[task]
    if slot.current is None:
        return {"task": task, **roster.state_of(task)}
    served = slot.current
    return {
        "task": task,
        "state": roster.state_of(task)["state"],
        "problem": served.problem,
        "version": served.version,
        "model_hash": served.model_hash,
        "form": served.inputs.form,
        "inputs": served.inputs.row_schema(),
        "about": dict(served.inputs.about),
        "example": {"records": served.example},
        "limits": limits.public(),
    }


def _require_short(served: Served, rows: Records, limits: Limits) -> None:
    """Raise RequestError for more tokens than a client may wait for; ``generate`` sends them as they are drawn."""
    name = served.inputs.steps
    if not name:
        return
    default = served.inputs.columns[name].default or 0
    total = sum(rows.columns.get(name, [default] * rows.rows))
    if total > limits.tokens:
        message = f"{total:g} tokens in all; expected at most {limits.tokens} (POST /v1/{served.task}/generate streams)"
        raise RequestError("invalid", message, name)


def _json(value: Any, status: int = 200) -> Response:
    return Response(replies.encode(value), status, media_type=JSON)


async def _fault(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - it is registered for no other
    return Response(error.body(), error.status, error.headers, JSON)


async def _http_fault(_request: Request, error: Exception) -> Response:
    """The router's refusals: no such path, or another method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for no other
    kind = _KINDS.get(error.status_code, "bad_request")
    allowed = (error.headers or {}).get("Allow", "another method")
    expected = {"not_found": "expected a path of /openapi.json", "method_not_allowed": f"expected {allowed}"}
    fault = RequestError(kind, f"{error.detail}; {expected.get(kind, 'expected a request of /openapi.json')}")
    return Response(fault.body(), STATUS[kind], {**(error.headers or {}), **fault.headers}, JSON)
