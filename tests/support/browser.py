"""A page in headless Chromium: what a script finds in it, and what the console said."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from places import PATIENCE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
_PROBE = """
<script>
addEventListener("load", () => {
  const view = document.querySelector("iframe").contentDocument, root = view.documentElement;
  const press = (part, name) => part.dispatchEvent(new Event(name, { bubbles: true }));
  const reached = [...view.querySelectorAll("a, button, select, input, summary, .scroll")]
    .filter(part => part.getClientRects().length && part.checkVisibility()) // what a closed fold holds has a place
    .every(part => (part.focus(), view.activeElement === part));
  const images = [...view.images].filter(image => image.getClientRects().length);
  const loaded = images.every(image => image.complete && image.naturalWidth > 0);
  const said = { scroll: root.scrollWidth, client: root.clientWidth, images: images.length, loaded, reached };
  Object.assign(said, (() => { SCRIPT })());
  document.body.innerHTML = "<pre id=said></pre>";
  document.getElementById("said").textContent = JSON.stringify(said);
});
</script>
"""


def probe(text: str, width: int, script: str, folder: Path) -> dict[str, Any]:
    """Show a page in a frame of that width: Chromium's own window is never narrower than 500 px.

    Args:
        text: the page.
        width: of the frame, in pixels.
        script: body of a function that sees ``view`` (the page's document) and ``press(part, event)``, and returns
            an object.
        folder: for the files of this look.

    Returns:
        What the script returned, with ``scroll`` and ``client`` (widths), ``images`` (how many are shown),
        ``loaded`` (all of them), ``reached`` (every control takes the focus) and ``console`` (its lines).
    """
    frame = f'<iframe style="border:0" width="{width}" height="900" srcdoc="{html.escape(text)}"></iframe>'
    page = folder / "probe.html"
    content = _PROBE.replace("SCRIPT", script)
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}{content}", encoding="utf-8")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
        "--disable-sync --no-first-run --hide-scrollbars --virtual-time-budget=20000 --dump-dom "
        f"--enable-logging=stderr --window-size=1700,1000 --user-data-dir={folder / 'profile'}"
    ).split()
    ran = subprocess.run(
        [str(CHROMIUM), *options, page.as_uri()], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    found = re.search(r'<pre id="said">(.*?)</pre>', ran.stdout)
    assert found, ran.stdout[-500:] + ran.stderr[-2000:]
    console = [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]
    return json.loads(html.unescape(found[1])) | {"console": console}


class Page:
    """A page in a headless Chromium that is driven: real pointers and keys, scripts that wait, pictures of it.

    Talks Chromium's own protocol over two pipes, so nothing else needs to be installed::

        with Page(path, 1600, 900, tmp_path) as page:
            page.key("s")
            assert page.run("state.mode") == "slider"

    Args:
        path: of the html file.
        width, height: of the window, in pixels.
        folder: for the browser's profile.
        dark: which colour scheme is preferred.
        dots: pixels of the screen for a CSS pixel.
    """

    def __init__(
        self, path: Path, width: int, height: int, folder: Path, *, dark: bool = False, dots: float = 1
    ) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        options = (
            "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
            "--disable-sync --no-first-run --hide-scrollbars --remote-debugging-pipe about:blank"
        )
        command = [str(CHROMIUM), *options.split(), f"--user-data-dir={folder / 'driven'}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WITH_PIPES, str(to_browser), str(from_browser), *command],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._pending = b""
        self._number = 0
        self._session: str | None = None
        self.console: list[str] = []
        try:
            [target] = [one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
            attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            self.call("Emulation.setEmulatedMedia", features=[scheme])
            self.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=dots,
                mobile=False,
            )
            self.call("Page.navigate", url=path.resolve().as_uri())
            self.wait("document.readyState === 'complete' && location.protocol === 'file:'")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._in)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol and its answer; what the console says meanwhile is kept."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            said["sessionId"] = self._session
        os.write(self._out, json.dumps(said).encode() + b"\0")
        while True:
            answer = self._answer()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            what, about = answer.get("method"), answer.get("params", {})
            if what == "Runtime.exceptionThrown":
                self.console.append(json.dumps(about["exceptionDetails"]))
            elif what == "Runtime.consoleAPICalled":
                self.console.append(" ".join(str(one.get("value")) for one in about["args"]))
            elif what == "Log.entryAdded":
                self.console.append(about["entry"]["text"])

    def _answer(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            read = os.read(self._in, 1 << 20) if ready else b""
            assert read, "Chromium says nothing any more"
            self._pending += read
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = PATIENCE) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f"!!({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Until two frames have been drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A real event: ``moved``, ``pressed``, ``released`` or ``wheel``."""
        name = {
            "wheel": "mouseWheel",
            "moved": "mouseMoved",
            "pressed": "mousePressed",
            "released": "mouseReleased",
        }
        if kind in ("pressed", "released"):
            more = {"button": "left", "clickCount": 1} | more
        self.call("Input.dispatchMouseEvent", type=name[kind], x=x, y=y, **more)
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one place, move to another, release."""
        self.mouse("moved", *start)
        self.mouse("pressed", *start, buttons=1)
        self.mouse("moved", (start[0] + end[0]) / 2, (start[1] + end[1]) / 2, button="left", buttons=1)
        self.mouse("moved", *end, button="left", buttons=1)
        self.mouse("released", *end)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Fingers: ``touchStart``, ``touchMove`` or ``touchEnd``."""
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=places)
        self.settle()

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key by the name that its event has."""
        said: dict[str, Any] = {"key": key, "modifiers": 8 if shift else 0, "code": _CODES.get(key, "")}
        if key in _CODES:
            said["windowsVirtualKeyCode"] = _KEY_CODES[key]
        if len(key) == 1:
            said["text"] = key
        self.call("Input.dispatchKeyEvent", type="keyDown", **said)
        self.call("Input.dispatchKeyEvent", type="keyUp", **{name: said[name] for name in said if name != "text"})
        self.settle()

    def picture(self) -> bytes:
        """The window as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


# Chromium reads commands from file 3 and answers to file 4.
_WITH_PIPES = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 5) for end in sys.argv[1:3]]
for place, end in enumerate(ends, 3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_KEY_CODES = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}
_CODES = {name: name for name in _KEY_CODES}
