"""A page in headless Chromium: what a script finds in it, and what the console said."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
_PROBE = """
<script>
addEventListener("load", () => {
  const view = document.querySelector("iframe").contentDocument, root = view.documentElement;
  const press = (part, name) => part.dispatchEvent(new Event(name, { bubbles: true }));
  const reached = [...view.querySelectorAll("a, button, select, input, summary, .scroll")]
    .filter(part => part.getClientRects().length)
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
        [str(CHROMIUM), *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<pre id="said">(.*?)</pre>', ran.stdout)
    assert found, ran.stdout[-500:] + ran.stderr[-2000:]
    console = [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]
    return json.loads(html.unescape(found[1])) | {"console": console}
