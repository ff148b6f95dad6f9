"""A real server over HTTP, with a model of every problem."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from projects import ROOT

from serving.http.made import PROBLEMS, Asked, Registry, expected, model, running
from unroll.core.errors import ConfigError, StoreError
from unroll.model.predictor import Predictor
from unroll.problems.language_model.inputs import continuation
from unroll.problems.language_model.tokens import Language
from unroll.problems.language_model.verse import Options
from unroll.serving import http as server
from unroll.serving.http.limits import Limits

LIMITS = Limits(body_bytes=200_000, receive_s=1.0, send_s=1.5, idle_s=2.0, streams=2, waiting=4, header_bytes=8_192)
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {problem: model(root, problem) for problem in PROBLEMS}


@pytest.fixture(scope="module")
def registry(folders: dict[str, Path]) -> Iterator[Registry]:
    """A task for each problem, of the same name."""
    found = Registry()
    for problem, folder in folders.items():
        found.promote(problem, 1, folder)
    with pytest.MonkeyPatch.context() as patch:
        found.install(patch)
        yield found


@pytest.fixture(scope="module")
def served(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with running(tmp_path_factory.mktemp("project"), PROBLEMS, LIMITS) as asked:
        yield asked


# ---- answers


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_answer_is_that_of_the_model(served: Asked, folders: dict[str, Path], problem: str) -> None:
    records = served.example(problem)
    answer = served.predict(problem, records)
    assert answer.status == 200, answer.body
    assert (answer.json["task"], answer.json["version"]) == (problem, 1)
    wanted = expected(folders[problem], records)
    assert len(answer.json["answers"]) == len(wanted)
    for told, row in zip(answer.json["answers"], wanted, strict=True):
        assert told == {k: pytest.approx(v, rel=1e-5) if isinstance(v, float) else v for k, v in row.items()}


def test_answers_together_are_those_of_each_alone(served: Asked) -> None:
    """Twelve clients at once, each with other rows; what was answered in one pass stands in the metrics."""
    task = "text_classification"
    words = [row["text"] for row in served.example(task)]
    asked = [[{"text": f"{words[number % len(words)]} {number}"}] * (1 + number % 3) for number in range(60)]
    alone = [served.predict(task, records).json["answers"] for records in asked[:12]]

    def patiently(records: list[dict[str, Any]]) -> Any:
        while (answer := served.predict(task, records)).status == 503:
            time.sleep(0.01)
        return answer.json["answers"]

    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(patiently, asked))
    for one, other in zip(alone, together, strict=False):
        assert [row["label"] for row in one] == [row["label"] for row in other]
        assert one == [{k: pytest.approx(v, rel=1e-4) if k != "label" else v for k, v in row.items()} for row in other]
    assert [len(each) for each in together] == [len(each) for each in asked]


def test_a_text_is_sent_as_it_is_drawn(served: Asked, folders: dict[str, Path]) -> None:
    given = {"text": "the late flight", "length": 40, "temperature": 0.7, "seed": 3}
    answer = served.ask("POST", "/v1/language_model/generate", given)
    assert answer.status == 200
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines[0] == {"version": 1, "unknown": []}
    assert lines[-1] == {"done": True}
    trained = Predictor.load(folders["language_model"]).trained
    language = Language.of(trained.meta)
    options = Options(length=40, temperature=0.7, seed=3)
    wanted = "".join(continuation(trained.model, language, given["text"], options))
    assert "".join(line["piece"] for line in lines[1:-1]) == wanted
    assert len(wanted) == 40


def test_texts_beyond_the_limit_wait_and_a_client_that_goes_frees_its_place(served: Asked) -> None:
    given = json.dumps({"text": "the", "length": 10_000}).encode()
    head = "POST /v1/language_model/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    raw = f"{head}Content-Length: {len(given)}\r\n\r\n".encode() + given
    open_ones = [socket.create_connection(("127.0.0.1", served.port), timeout=30) for _ in range(LIMITS.streams)]
    for each in open_ones:
        each.sendall(raw)
        assert each.recv(10) == b"HTTP/1.1 2"
    answer = served.ask("POST", "/v1/language_model/generate", {"text": "the", "length": 1})
    assert (answer.status, answer.error["type"], answer.headers["retry-after"]) == (503, "busy", "1")
    for each in open_ones:
        each.close()
    until = time.monotonic() + 30
    while (answer := served.ask("POST", "/v1/language_model/generate", {"text": "the", "length": 1})).status != 200:
        assert time.monotonic() < until, answer.body


def test_generate_is_for_language_models(served: Asked) -> None:
    records = served.example("text_classification")
    answer = served.ask("POST", "/v1/text_classification/generate", records[0])
    assert (answer.status, answer.error["type"]) == (404, "not_found")
    answer = served.ask("POST", "/v1/language_model/generate", {"text": "", "length": 5})
    assert (answer.status, answer.error["field"], answer.error["row"]) == (422, "text", 1)


def test_an_answer_does_not_wait_for_the_client_to_confirm_its_first_part(served: Asked) -> None:
    """Without TCP_NODELAY every answer on an open connection takes 40 ms more (Nagle's algorithm, delayed ACK)."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    took_s = []
    for _ in range(60):
        begun = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        took_s.append(time.perf_counter() - begun)
    connection.close()
    assert min(took_s[20:]) < 0.035


# ---- what describes it


def test_the_document_describes_each_task_and_its_example_fits(served: Asked) -> None:
    document = served.ask("GET", "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    for problem in PROBLEMS:
        body = document["paths"][f"/v1/{problem}/predict"]["post"]["requestBody"]["content"]["application/json"]
        schema = {**body["schema"], "components": document["components"]}
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(body["example"])
        with pytest.raises(Exception, match=r"is not of type|is a required property|Additional properties"):
            Draft202012Validator(schema).validate({"records": [{"nothing": 1}]})
        assert served.ask("POST", f"/v1/{problem}/predict", body["example"]).status == 200
    error = {**document["components"]["schemas"]["Error"]}
    Draft202012Validator(error).validate(served.ask("GET", "/nope").json)


def test_every_path_of_the_document_is_there(served: Asked) -> None:
    for path, verbs in served.ask("GET", "/openapi.json").json["paths"].items():
        for verb, told in verbs.items():
            example = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            assert served.ask(verb.upper(), path, example).status == 200, path


def test_metrics_are_what_prometheus_reads(served: Asked) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    served.predict("rise_or_fall", served.example("rise_or_fall"))
    served.predict("rise_or_fall", [])
    served.ask("POST", "/v1/not_a_task/predict", {})
    text = served.ask("GET", "/metrics").body.decode()
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    task = ("task", "rise_or_fall")
    assert found["unroll_requests_total", ("status", "200"), task] >= 1
    assert found["unroll_requests_total", ("status", "422"), task] >= 1
    assert found["unroll_requests_total", ("status", "404"), ("task", "-")] >= 1
    assert found["unroll_model_version", task] == 1
    assert found["unroll_batch_requests_count", task] >= 1
    assert found["unroll_request_seconds_count", task] >= 2
    assert "not_a_task" not in text  # whatever clients send makes no new series


def test_life_and_readiness(served: Asked) -> None:
    assert served.ask("GET", "/healthz").json == {"alive": True}
    told = served.ask("GET", "/readyz").json
    assert told["ready"]
    assert {each["state"] for each in told["tasks"].values()} == {"ready"}


@pytest.mark.parametrize("path", ["/", "/docs", "/page/app.js", "/healthz", "/readyz"])
def test_what_monitors_look_at_takes_head(served: Asked, path: str) -> None:
    whole, head = served.ask("GET", path), served.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.headers["content-length"] == str(len(whole.body))


# ---- what is refused


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_faulty_cell_is_named_by_row_and_field(served: Asked, problem: str) -> None:
    records = served.example(problem)
    column = next(name for name in records[0] if name not in ("time", "site"))
    records[0][column] = {"a": 1}
    answer = served.predict(problem, records)
    assert answer.status == 422, answer.body
    assert (answer.error["type"], answer.error["field"], answer.error["row"]) == ("invalid", column, 1)


def test_what_the_problem_refuses_is_told_with_its_place(served: Asked) -> None:
    records = served.example("forecasting")
    records[2]["time"] = "noon"
    answer = served.predict("forecasting", records)
    assert (answer.status, answer.error["field"], answer.error["row"]) == (422, "time", 3)
    assert answer.error["message"].endswith("'noon'; expected a time (ISO 8601, UTC)")
    answer = served.predict("forecasting", records[:1])
    assert answer.status == 422
    answer = served.predict("sequence_to_sequence", [{"source": "~"}])
    assert (answer.status, answer.error["field"], answer.error["row"]) == (422, "source", 1)


def test_paths_and_methods_that_are_not_there(served: Asked) -> None:
    answer = served.ask("GET", "/v2")
    assert (answer.status, answer.error["type"]) == (404, "not_found")
    answer = served.ask("POST", "/v1/nope/predict", {"records": []})
    assert answer.status == 404
    assert answer.error["message"] == f"'nope': no such task; expected one of {', '.join(PROBLEMS)}"
    answer = served.ask("GET", "/v1/forecasting/predict")
    assert (answer.status, answer.error["type"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


def test_another_kind_of_body_is_refused(served: Asked) -> None:
    """A form of another site's page can send text/plain and no JSON."""
    answer = served.ask("POST", "/v1/forecasting/predict", b"{}", Content_Type="text/plain")
    assert (answer.status, answer.error["type"]) == (415, "unsupported_media_type")


def test_a_body_that_is_too_large_is_refused_and_the_refusal_can_be_read(served: Asked) -> None:
    answer = served.ask("POST", "/v1/forecasting/predict", b" " * (LIMITS.body_bytes + 1))
    assert (answer.status, answer.error["type"]) == (413, "too_large")
    assert answer.error["message"] == "body: more than 200000 bytes; expected at most that"
    raw = b"POST /v1/forecasting/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert b" 413 " in exchange(served, raw + b"Content-Length: 99999999999999\r\n\r\n")


def test_too_many_tokens_are_refused_where_one_waits_for_them(served: Asked) -> None:
    records = [{"text": "a", "length": 1_500}, {"text": "b", "length": 501}]
    answer = served.predict("language_model", records)
    assert (answer.status, answer.error["field"]) == (422, "length")
    assert answer.error["message"].startswith("2001 tokens in all; expected at most 2000")


def test_headers_are_bounded(served: Asked) -> None:
    answer = served.ask("GET", "/healthz", **{f"X_{number}": "a" for number in range(80)})
    assert (answer.status, answer.error["type"]) == (431, "too_many_headers")
    answer = served.ask("GET", "/healthz", X="a" * 9_000)
    assert (answer.status, answer.error["type"]) == (431, "too_many_headers")
    without_end = exchange(served, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000)
    assert without_end.startswith(b"HTTP/1.1 400 ")


def test_what_is_no_http_is_refused_as_all_else(served: Asked) -> None:
    answer = exchange(served, b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "bad_request"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", ""]
)
def test_a_name_that_was_made_to_point_here_is_refused(served: Asked, host: str) -> None:
    """DNS rebinding: a page from elsewhere must not read the answers."""
    answer = served.ask("GET", "/v1", Host=host)
    assert (answer.status, answer.error["type"]) == (421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "127.3.2.1", "[::1]:8000", "LOCALHOST:1"])
def test_this_machines_own_names_are_taken(served: Asked, host: str) -> None:
    assert served.ask("GET", "/v1", Host=host).status == 200


def test_no_other_site_may_read_frame_or_load_anything(served: Asked) -> None:
    for path in ("/", "/v1", "/nope", "/page/app.js"):
        answer = served.ask("GET", path, Origin="https://evil.example")
        assert not [name for name in answer.headers if name.startswith("access-control")]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


def test_the_pages_files_and_no_others(served: Asked) -> None:
    page = served.ask("GET", "/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    tagged = served.ask("GET", "/page/app.js")
    assert served.ask("GET", "/page/app.js", If_None_Match=tagged.headers["etag"]).status == 304
    for path in ("/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page/", "/page/__init__.py"):
        assert served.ask("GET", path).status == 404, path


def exchange(served: Asked, raw: bytes, wait: float = 30) -> bytes:
    """What comes for these bytes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=wait) as connection:
        connection.sendall(raw)
        parts = []
        try:
            while part := connection.recv(1 << 16):
                parts.append(part)
        except ConnectionError:
            pass
        return b"".join(parts)


HEAD = b"POST /v1/forecasting/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"", b""),
        (b"GET /healthz HT", b""),
        (HEAD + b"Content-Length: 10\r\n\r\n{", b" 408 "),
        (b"POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", b" 404 "),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal", b" 200 "),
    ],
    ids=["nothing", "half a head", "half a body", "half a refused body", "half a second head"],
)
def test_slow_clients_are_not_waited_for_without_end(served: Asked, raw: bytes, wanted: bytes) -> None:
    begun = time.monotonic()
    answer = exchange(served, raw)
    assert wanted in answer
    assert 0.5 < time.monotonic() - begun < 15


def test_a_client_that_does_not_read_is_given_up(served: Asked) -> None:
    """Requests whose answers fill all buffers, and nobody takes them: some megabytes in the worst case."""
    raw = b"GET /page/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
    ended, pending, until = False, raw, time.monotonic() + 120
    with socket.create_connection(("127.0.0.1", served.port), timeout=0.5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not ended and time.monotonic() < until:
            try:
                pending = pending[connection.send(pending) :] or raw  # whole requests, however little is taken at once
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
    assert ended, "the connection was kept"
    assert served.ask("GET", "/healthz").status == 200


# ---- a queue that is full, a token, and requests by the hundred


def test_a_full_queue_asks_to_come_again(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, entered, may = "text_classification", threading.Event(), threading.Event()
    with running(tmp_path, (task,), Limits(waiting=1, answer_s=20)) as asked:
        records = asked.example(task)
        predict_all = Predictor.predict_all

        def slow(self: Predictor, frames: Any) -> Any:
            entered.set()
            assert may.wait(20)
            return predict_all(self, frames)

        monkeypatch.setattr(Predictor, "predict_all", slow)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(asked.predict, task, records)
            assert entered.wait(20)
            second = pool.submit(asked.predict, task, records)
            assert asked.roster
            while len(asked.roster.slots[task].batcher) < 1:
                time.sleep(0.01)
            refused = asked.predict(task, records)
            may.set()
            assert (refused.status, refused.error["type"]) == (503, "busy")
            assert refused.headers["retry-after"] == "1"
            assert [each.result(30).status for each in (first, second)] == [200, 200]


def test_an_answer_that_takes_too_long_is_given_up(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, may = "text_classification", threading.Event()
    with running(tmp_path, (task,), Limits(answer_s=0.2)) as asked:
        records = asked.example(task)
        monkeypatch.setattr(Predictor, "predict_all", lambda self, frames: may.wait(20) and [])
        answer = asked.predict(task, records)
        may.set()
        assert (answer.status, answer.error["message"]) == (503, "no answer within 0.2 s; try again")


def test_a_fault_of_ours_is_told_without_its_inside(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task = "text_classification"

    def fail(self: Predictor, frames: Any) -> Any:
        raise ZeroDivisionError("secret inside")

    with running(tmp_path, (task,), Limits()) as asked:
        records = asked.example(task)
        monkeypatch.setattr(Predictor, "predict_all", fail)
        answer = asked.predict(task, records)
    assert (answer.status, answer.error["type"]) == (500, "internal")
    assert b"secret" not in answer.body
    assert "secret inside" in caplog.text


def test_a_token_is_asked_for_and_never_told(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = "text_classification"
    with running(tmp_path, (task,), Limits(), TOKEN) as asked:
        assert asked.ask("GET", "/v1").status == 200
        assert asked.predict(task, asked.example(task)).status == 200
        stranger = Asked(asked.port)
        for path in ("/v1", "/metrics", "/openapi.json", f"/v1/{task}/predict", "/nope"):
            answer = stranger.ask("GET", path)
            assert (answer.status, answer.error["type"]) == (401, "unauthorized"), path
            assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in (TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", f"Basic {TOKEN}", "Bearer é"):
            assert stranger.ask("GET", "/v1", Authorization=wrong.encode("utf-8").decode("latin-1")).status == 401, (
                wrong
            )
        for path in ("/", "/healthz", "/readyz", "/docs", "/page/app.js"):
            assert stranger.ask("GET", path).status == 200, path
        assert stranger.ask("GET", "/readyz").json == {"ready": True}
        assert stranger.ask("GET", "/readyz", Authorization="Bearer wrong").json == {"ready": True}
        assert set(asked.ask("GET", "/readyz").json["tasks"]) == {task}
        registry.unreadable = StoreError("/a/path/of/ours: not a database")
        try:
            while asked.ask("GET", "/readyz").json.get("registry") is None:
                time.sleep(0.1)
            assert set(stranger.ask("GET", "/readyz").json) == {"ready"}
        finally:
            registry.unreadable = None
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", socket.gethostname()])
def test_each_name_of_this_machine_can_be_listened_on(registry: Registry, tmp_path: Path, host: str) -> None:
    task = "text_classification"
    try:
        server.Address(host, 0, None).listen().close()
    except ConfigError as error:
        pytest.skip(str(error))
    if host == socket.gethostname() and not server.is_local(host):
        pytest.skip("this machine's name is not that of a loopback address")
    assert server.Address.allowed(host, 0, no_token=False).local
    with running(tmp_path, (task,), Limits(), host=host) as asked:
        assert asked.predict(task, asked.example(task)).status == 200
        assert asked.ask("GET", "/v1", Host="localhost:1").status == 200
        refused = asked.ask("GET", "/v1", Host="evil.example")
        assert (refused.status, refused.error["type"]) == (421, "wrong_host")
        assert refused.error["message"].endswith(f"expected {host}, localhost, 127.0.0.1 or [::1]")


def test_a_connection_too_many_is_told_so_in_json_and_those_before_it_are_served(
    registry: Registry, tmp_path: Path
) -> None:
    task = "text_classification"
    with running(tmp_path, (task,), Limits(connections=3)) as asked, ExitStack() as stack:
        held = [stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", asked.port))) for _ in range(3)]
        for connection in held:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"alive":true}'
        refused = asked.ask("GET", "/v1")
        assert (refused.status, refused.error["type"]) == (503, "crowded")
        assert refused.error["message"] == "3 connections are open already; try again"
        assert (refused.headers["retry-after"], refused.headers["connection"]) == ("1", "close")
        assert refused.headers["content-type"] == "application/json"
        for connection in held:
            connection.request("GET", "/v1")
            assert connection.getresponse().read().startswith(b'{"tasks":')
        held[0].close()
        until = time.monotonic() + 10
        while (answer := asked.ask("GET", "/v1")).status == 503:
            assert time.monotonic() < until
        assert answer.status == 200


def test_malformed_requests_are_refused_and_cost_no_memory(served: Asked) -> None:
    """As benchmarks/malformed.py does with ten thousand."""
    spec = spec_from_file_location("malformed", ROOT / "benchmarks" / "malformed.py")
    assert spec
    assert spec.loader
    malformed = module_from_spec(spec)
    spec.loader.exec_module(malformed)
    malformed.run(served.port, 150, 5)
    before = malformed.resident_bytes(served.port)
    found = malformed.run(served.port, 500, 6)
    assert sum(found.values()) == 500
    assert not [status for status in found if malformed.wrong(status)], found
    assert {"400", "404", "405", "413", "415", "421", "422", "431"} <= set(found)
    assert malformed.resident_bytes(served.port) - before < 32 << 20
    assert served.ask("GET", "/readyz").status == 200
