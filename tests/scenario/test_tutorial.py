# SPDX-License-Identifier: Apache-2.0
"""docs/tutorial/first-cut.md is followed by hand: its program, its commands, its words."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toono.testing.real import free_port

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-cut.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
PORTS = ("6443", "10261", "10267")


def block(language: str, start: str) -> str:
    """Return the one block of the page that begins so."""
    (found,) = [
        text
        for kind, text in BLOCKS
        if (kind, text.startswith(start)) == (language, True)
    ]
    return found


class Desk:
    """Three terminals in one directory, on ports that are free."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: list[subprocess.Popen] = []
        self._free = [str(free_port()) for _ in PORTS]

    def words(self, text: str) -> str:
        for usual, free in zip(PORTS, self._free, strict=True):
            text = text.replace(f":{usual}", f":{free}").replace(
                f"={usual}", f"={free}"
            )
        return text.replace("toono ", f"{sys.executable} -m toono.cli ", 1)

    def begin(self, command: str) -> subprocess.Popen:
        """Start a command that goes on."""
        words = self.words(command).strip()
        child = subprocess.Popen(
            ["bash", "-c", f"exec {words}"],
            cwd=self.directory,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(child)
        return child

    def hub(self) -> subprocess.Popen:
        """Start the hub as the page does, and wait until it serves."""
        own = f" --proxy-port={PORTS[1]} --serve-port={PORTS[2]} --log-level=error"
        child = self.begin(block("sh", "toono run").rstrip() + own)
        assert child.stderr is not None
        assert "serving on" in child.stderr.readline()
        return child

    def type(self, command: str) -> str:
        """Run a command, return what it prints."""
        done = subprocess.run(
            ["bash", "-c", self.words(command)],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def until(self, command: str, word: str) -> str:
        """Repeat a command until its output holds `word`."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            printed = self.type(f"{command.rstrip()} || true")
            if word in printed:
                return printed
        raise AssertionError(f"{word} never came: {printed}")


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    for child in desk.running:
        child.kill()
        child.wait()
        child.stderr.close()


def test_the_page_can_be_followed_by_hand(desk: Desk) -> None:
    pods = block("sh", "curl -si -H 'User-Agent: kubelet'")
    (desk.directory / "cloud.py").write_text(desk.words(block("python", "import")))
    cloud = desk.begin(f"{sys.executable} cloud.py")
    while not (desk.directory / "cloud" / "node-edge-1.key").exists():
        assert cloud.poll() is None
        time.sleep(0.01)
    hub = desk.hub()
    status = "curl -s http://127.0.0.1:10267/statusz"
    assert status in PAGE.read_text()
    desk.until(status, "mode: online")
    assert "Cache-Status: toono; fwd=miss; stored" in desk.type(pods)
    assert "complete" in desk.until(block("sh", "toono cache ls"), "pods.v1")
    cloud.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    first = desk.type(pods)
    assert "Cache-Status: toono; hit" in first
    assert "Warning: 299 toono" in first
    assert time.monotonic() - started < 6
    unknown = desk.type(block("sh", "curl -s -H 'User-Agent: kubelet'"))
    assert unknown == block("json", "{")
    narrower = desk.type(block("sh", "curl -s 'http"))
    assert '"name": "web-1"' in narrower
    assert '"name": "web-0"' not in narrower
    hub.kill()
    hub.wait()
    desk.hub()
    again = desk.type(pods)
    assert again.partition("\r\n\r\n")[2] == first.partition("\r\n\r\n")[2]
    cloud.send_signal(signal.SIGCONT)
    desk.until(status, "mode: online")
    assert "fwd=miss" in desk.type(pods)


def told(page: Path) -> set[str]:
    """Return what a page's transcript says that the demo checks."""
    found = re.findall(r"^   ok  (.*?):", page.read_text(), re.MULTILINE)
    return {text.strip() for text in found}


def test_the_transcripts_are_what_the_demo_prints() -> None:
    source = (Path(__file__).parents[2] / "src/toono/cli/demo.py").read_text()
    checks = re.findall(r'demo\.check\("(.*?)"', source)
    printed = {text.strip() for text in checks}
    assert told(PAGE) == printed
    assert told(PAGE.parents[2] / "README.md") == printed
