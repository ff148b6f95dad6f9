"""What the server counts, as Prometheus reads it. Labels are the project's tasks alone, whatever clients send."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

OTHER = "-"
"""The label of requests that are for no task."""
LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TOGETHER = (1, 2, 4, 8, 16, 32, 64)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Measures:
    """Counters of one server, apart from those of other servers in the same process."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self.registry, self._tasks = CollectorRegistry(), frozenset(tasks)
        ProcessCollector(registry=self.registry)
        task, to = ["task"], self.registry
        latency = "From a request's headers to the end of its answer"
        self._requests = Counter("unroll_requests", "Requests answered", [*task, "status"], registry=to)
        self._latency = Histogram("unroll_request_seconds", latency, task, buckets=LATENCY_S, registry=to)
        self._together = Histogram("unroll_batch_requests", "Requests of a batch", task, buckets=TOGETHER, registry=to)
        self._rows = Histogram("unroll_batch_rows", "Rows of a batch", task, buckets=ROWS, registry=to)
        self._version = Gauge("unroll_model_version", "Version that answers; 0: none", task, registry=to)
        self._failed = Counter("unroll_model_load_failures", "Champions that failed to load", task, registry=to)
        self._waiting = Gauge("unroll_waiting_requests", "Requests in the queue", task, registry=to)
        for each in self._tasks:
            self._version.labels(each).set(0)
            self._failed.labels(each)
            self._waiting.labels(each).set(0)

    def request(self, task: str | None, status: int, seconds: float) -> None:
        """A request that is over."""
        label = task if task in self._tasks else OTHER
        self._requests.labels(label, str(status)).inc()
        self._latency.labels(label).observe(seconds)

    def batch(self, task: str, requests: int, rows: int) -> None:
        """Requests that go through a network together."""
        self._together.labels(task).observe(requests)
        self._rows.labels(task).observe(rows)

    def version(self, task: str, version: int | None) -> None:
        """The version that answers from now on."""
        self._version.labels(task).set(version or 0)

    def failed(self, task: str) -> None:
        """A champion that could not be loaded."""
        self._failed.labels(task).inc()

    def waiting(self, task: str, count: int) -> None:
        """Requests in the queue now."""
        self._waiting.labels(task).set(count)

    def page(self) -> bytes:
        """All of them in Prometheus' text format."""
        return bytes(generate_latest(self.registry))
