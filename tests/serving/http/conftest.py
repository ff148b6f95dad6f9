"""A server of every problem, and one browser at its page; a module's tests share both."""

from collections.abc import Iterator

import pytest

from serving.http.browser import Browser
from serving.http.made import PROBLEMS, Asked, Registry, model, running
from unroll.serving.http.limits import Limits


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    root, found = tmp_path_factory.mktemp("models"), Registry()
    for problem in PROBLEMS:
        found.promote(problem, 1, model(root, problem))
    with pytest.MonkeyPatch.context() as patch:
        found.install(patch)
        yield found


@pytest.fixture(scope="module")
def served(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with running(tmp_path_factory.mktemp("project"), PROBLEMS, Limits()) as asked:
        yield asked


@pytest.fixture(scope="module")
def shared(served: Asked) -> Iterator[Browser]:
    with Browser() as found:
        found.open(f"http://127.0.0.1:{served.port}/")
        found.wait("document.querySelectorAll('nav a').length")
        yield found
        assert found.errors == []
        elsewhere = [url for url in found.asked if not url.startswith(f"http://127.0.0.1:{served.port}/")]
        assert elsewhere == [], "the page asks other hosts"
