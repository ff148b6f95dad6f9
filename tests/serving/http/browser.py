"""A headless Chromium, driven over its own pipe (Chrome DevTools Protocol): no driver, no port, no package."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ANSWERED = "document.querySelector('main .quiet')?.textContent.includes('answered in')"


def found() -> str | None:
    """The browser that is installed here, if any."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


needs_browser = pytest.mark.skipif(found() is None, reason="no Chromium here: the page is not tried")


class Browser:
    """One page. Whatever it writes to its console as an error, and whatever it asks other hosts for, is kept."""

    def __init__(self, width: int = 1000, height: int = 900, dark: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="chromium")
        to_read, to_write = os.pipe(), os.pipe()
        command = [
            str(found()), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-dev-shm-usage", "--disable-background-networking", "--remote-debugging-pipe",
            f"--user-data-dir={self._folder.name}", "about:blank",
        ]  # fmt: skip
        shell = f'exec "$@" 3<&{to_read[0]} 4>&{to_write[1]}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *command], pass_fds=(to_read[0], to_write[1]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read[0])
        os.close(to_write[1])
        self._out, self._in = os.fdopen(to_read[1], "wb"), os.fdopen(to_write[0], "rb")
        self._number, self._rest, self._session = 0, b"", ""
        self.errors: list[str] = []
        self.asked: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(each for each in targets if each["type"] == "page")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        for stream in (self._out, self._in):
            stream.close()
        shutil.rmtree(self._folder.name, ignore_errors=True)
        self._folder._finalizer.detach()  # type: ignore[attr-defined]  # the browser's last writes may race with it

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            told = self._read()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told.get('error')}"
                return dict(told["result"])
            self._note(told)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in.fileno(), 1 << 16)
            assert part, "the browser has gone"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        match told.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"].get("exception", params))[:400])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true."""
        until = time.monotonic() + seconds
        while not (value := self.run(f"((found) => found instanceof Node || found)({script})")):
            assert time.monotonic() < until, f"never true: {script}; the page: {self.run('document.body.innerText')}"
            time.sleep(0.1)
        return value

    def press(self, key: str, code: int, written: str = "") -> None:
        """A key, as the person's keyboard sends it, with what it writes, if anything."""
        for kind in ("keyDown" if written else "rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=written)

    def reach(self, there: bool) -> None:
        """Whether the page reaches its server, or any."""
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", offline=not there, **speed)

    def drag(self, points: list[tuple[float, float]]) -> None:
        """The pointer pressed at the first point, moved along, and let go at the last."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*points, points[-1]], strict=True):
            held = {"button": "left", "buttons": 1, "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))


def opened(shared: Browser, task: str) -> Browser:
    shared.run(f"location.hash = 'none'; location.hash = '{task}'")
    shared.wait(f"document.querySelector('nav a[aria-current]')?.dataset.task === '{task}'")
    return shared


def text(page: Browser, selector: str) -> str:
    return str(page.run(f"document.querySelector(`{selector}`)?.textContent ?? ''"))


def middle(page: Browser, selector: str) -> tuple[float, float]:
    x, y = page.run(
        f"(() => {{ const b = document.querySelector(`{selector}`).getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )
    return float(x), float(y)
