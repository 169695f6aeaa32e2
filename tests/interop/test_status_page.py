# SPDX-License-Identifier: Apache-2.0
"""The status page in a real browser: online, cut off, and on a telephone's screen.

A page that is sound as text can still be one that nobody can read: Chromium fetches it
from a hub, and a copy of what it got is laid out and measured. The measuring is a script
in that copy, for the page itself may run none.
"""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rig import ask, get, hub_over, status_of, until
from toono.testing import APIServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
NARROW, WIDE = 400, 1100
MEASURE = """<script>
document.title = document.documentElement.scrollWidth > innerWidth ? "cut" : "fits";
</script></body>"""

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="LOUD: chromium is not installed: apt-get install chromium"
)


def browse(directory: Path, address: str, width: int) -> str:
    """Return the document as Chromium has it after it was laid out."""
    command = [
        str(CHROMIUM),
        *QUIET,
        f"--user-data-dir={directory / 'profile'}",
        f"--window-size={width},900",
        "--dump-dom",
        address,
    ]
    done = subprocess.run(command, capture_output=True, timeout=90, check=True)
    return done.stdout.decode()


def fits(directory: Path, page: str, width: int) -> bool:
    """Say whether nothing of the page lies beyond the right edge of the window."""
    still = re.sub(r'<meta http-equiv="refresh"[^>]*>', "", page)
    copy = directory / "copy.html"
    copy.write_text(still.replace("</body>", MEASURE))
    measured = browse(directory, copy.as_uri(), width)
    (title,) = re.findall("<title>(.*?)</title>", measured)
    assert title in ("fits", "cut"), "the copy was not measured"
    return title == "fits"


@needs_chromium
def test_a_browser_shows_the_page_online_and_cut_off_on_any_screen(tmp_path) -> None:
    async def scenario() -> None:
        server = APIServer()
        server.create("pods", {"metadata": {"name": "web-0"}}, namespace="default")
        await server.start()
        async with hub_over(
            [server.address], tmp_path / "cache", status_listen=("127.0.0.1", 0)
        ) as hub:
            host, port = hub.status_address
            address = f"http://{host}:{port}/"
            await until(lambda: hub.upstream.online)
            assert status_of(await ask(hub, get("/api/v1/pods"))) == 200
            online = await asyncio.to_thread(browse, tmp_path, address, WIDE)
            await server.aclose()
            await until(lambda: not hub.upstream.online)
            offline = await asyncio.to_thread(browse, tmp_path, address, NARROW)
        assert "<title>edge-1 online: toono</title>" in online
        assert "<title>edge-1 offline: toono</title>" in offline
        for page in (online, offline):
            assert "<h2>Remembered</h2>" in page
            assert "<td>kubelet</td><td>pods</td>" in page
        for width in (NARROW, WIDE):
            assert await asyncio.to_thread(fits, tmp_path, offline, width), width

    asyncio.run(scenario())


@needs_chromium
def test_what_hangs_over_the_edge_is_noticed(tmp_path) -> None:
    page = "<html><title>x</title><body><pre>" + "wide " * 200 + "</pre></body></html>"
    assert not fits(tmp_path, page, NARROW)
