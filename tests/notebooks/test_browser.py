"""Every notebook in JupyterLab, in a real browser: run whole, no error, pictures on the screen; and the replay widget.

One JupyterLab server and one browser window serve all of them, one after the other.
Chromium is driven through ChromeDriver by plain HTTP (W3C WebDriver). Skipped where either is missing.
Set NATLAB_SCREENSHOTS to a directory to keep pictures of what the browser showed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TOKEN = "test"
REPLAY = """\
from natlab.lab.scenes import two_behind_nats
two_behind_nats(7).replay("bob", "relay", "alice", until=3.0)"""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
]

pytestmark = pytest.mark.timeout(300)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _until(done: Callable[[], object], what: str, seconds: float = 90.0) -> object:
    """Asks again and again until the answer is yes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := done():
                return answer
        except OSError:
            pass
        time.sleep(0.25)
    raise AssertionError(f"after {seconds} s: no {what}")


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory) -> Iterator[str]:
    """A JupyterLab server on copies of the notebooks, as `start.py` starts it."""
    home = tmp_path_factory.mktemp("jupyter")
    for path in NOTEBOOKS:
        shutil.copy(path, home)
    metadata = nbformat.read(NOTEBOOKS[0], as_version=4).metadata
    nbformat.write(new_notebook(cells=[new_code_cell(REPLAY)], metadata=metadata), home / "replay.ipynb")
    port = _free_port()
    settings = [
        "--ip=127.0.0.1",
        f"--port={port}",
        "--no-browser",
        "--allow-root",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={home}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.expose_app_in_browser=True",
    ]
    own = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings"), "IPYTHONDIR": str(home / "ipython")}
    _write_setting(
        home, "notebook-extension/tracker", '{"windowingMode": "none"}'
    )  # cells out of sight are in the page
    _write_setting(home, "apputils-extension/notification", '{"fetchNews": "false"}')
    environment = {**os.environ, **own}
    with (home / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "jupyterlab", *settings]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _until(lambda: urllib.request.urlopen(f"{url}/api?token={TOKEN}", timeout=5).close() or True, "JupyterLab")
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _write_setting(home: Path, plugin: str, text: str) -> None:
    path = home / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Browser:
    """One browser window (W3C WebDriver, https://www.w3.org/TR/webdriver2/)."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._base = driver
        arguments = [*FLAGS, f"--user-data-dir={profile}"]
        options = {"binary": shutil.which("chromium"), "args": arguments}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._base = f"{driver}/session/{self._call('POST', '/session', wanted)['sessionId']}"

    def _call(self, method: str, path: str, body: object = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def script(self, source: str):
        return self._call("POST", "/execute/sync", {"script": source, "args": []})

    def press(self, selector: str, *keys: str) -> None:
        """Gives the keys to an element, as a person who has tabbed to it."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        for key in keys:
            self._call("POST", f"/element/{next(iter(found.values()))}/value", {"text": key})

    def screenshot(self, name: str) -> None:
        if keep := os.environ.get("NATLAB_SCREENSHOTS"):
            Path(keep, name).write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def quit(self) -> None:
        self._call("DELETE", "")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    missing = [program for program in ("chromium", "chromedriver") if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    port = _free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _until(lambda: urllib.request.urlopen(f"{url}/status", timeout=5).close() or True, "ChromeDriver")
        window = Browser(url, tmp_path_factory.mktemp("chromium"))
        yield window
        window.quit()
    finally:
        driver.terminate()
        driver.wait(30)


NOTEBOOK_MODEL = "window.jupyterapp.shell.currentWidget.content.model.cells"
CODE_CELLS = f"""
    return [...{NOTEBOOK_MODEL}].map(cell => cell.toJSON()).filter(cell => cell.cell_type === 'code')
        .map(cell => [cell.execution_count, cell.outputs.map(output => output.output_type)])
"""
RUN_ALL = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
FORGET = "window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
KERNEL_IDLE = """
    const session = window.jupyterapp.shell.currentWidget?.context?.sessionContext;
    return session?.session?.kernel?.status === 'idle';
"""
PICTURES = "return [...document.querySelectorAll('.jp-OutputArea img')].map(img => [img.alt, img.naturalWidth])"


BOTTOM = "return document.querySelector('.jp-OutputArea img').getBoundingClientRect().bottom"
END, LEFT = "\ue010", "\ue012"  # keys (W3C WebDriver, section 17.4.2)


def _open(jupyter: str, browser: Browser, name: str) -> None:
    """Shows a notebook alone on the screen, with a kernel ready."""
    browser.open(f"{jupyter}/lab/tree/{name}?token={TOKEN}&reset")
    _until(lambda: browser.script(KERNEL_IDLE), "kernel")


def _run_all(browser: Browser) -> None:
    browser.script(RUN_ALL)
    _until(lambda: all(count for count, _ in browser.script(CODE_CELLS)), "end of the run")
    _until(lambda: browser.script(KERNEL_IDLE), "rest")
    assert not [kinds for _, kinds in browser.script(CODE_CELLS) if "error" in kinds]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_whole_in_jupyterlab(jupyter, browser, path):
    _open(jupyter, browser, path.name)
    committed = path.read_text(encoding="utf-8").count("<img ")
    _until(lambda: len(browser.script(PICTURES)) == committed, "committed pictures, before anything is run")
    browser.screenshot(f"{path.stem}.png")

    browser.script(FORGET)
    assert not browser.script(PICTURES)
    _run_all(browser)
    pictures = browser.script(PICTURES)
    assert len(pictures) == committed
    assert all(alt and width > 300 for alt, width in pictures), "every picture was decoded and drawn"
    for number in range(len(pictures)):
        browser.script(f"document.querySelectorAll('.jp-OutputArea img')[{number}].scrollIntoView({{block: 'center'}})")
        browser.screenshot(f"{path.stem}-{number}.png")


def test_the_replay_widget_moves(jupyter, browser):
    _open(jupyter, browser, "replay.ipynb")
    _run_all(browser)
    _until(lambda: browser.script(PICTURES), "ladder")
    browser.screenshot("replay-first.png")
    assert "SYNC" not in browser.script(PICTURES)[0][0]

    browser.press(".noUi-handle", END)
    _until(lambda: "SYNC" in browser.script(PICTURES)[0][0], "SYNC at the slider's end")
    assert browser.script(BOTTOM) < browser.script("return window.innerHeight"), "all of it on one screen"
    browser.screenshot("replay-last.png")
    browser.press(".noUi-handle", *[LEFT] * 6)
    _until(lambda: "SYNC" not in browser.script(PICTURES)[0][0], "moment before SYNC, on the way back")
