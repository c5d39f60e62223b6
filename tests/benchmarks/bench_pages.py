"""The pages as somebody with a slow phone meets them, in Chromium, each with an empty cache.

    python -m tests.benchmarks.bench_pages [--turns N]

Chat page and a bare `gr.ChatInterface` are opened in turn, each served by a process of its own with
the same stand-in for a model (`stand_in.py`). Network and processor are those of Lighthouse's
phone: 1.6 Mbit/s, 150 ms, a quarter of the processor. A page is there when a question that is
typed and sent as early as possible leaves the browser. Then the website widget, and what a
reply of about a thousand tokens does to the main thread.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from storage.database import open_database
from storage.keys import create_key
from tests.benchmarks.bench_queue import CHROMIUM
from tests.benchmarks.stand_in import LAST, LONG
from tests.serving import on_a_port

CHAT_AIM, WIDGET_AIM_MS, REQUESTS_AIM, BYTES_AIM, TASK_AIM_MS = 1.15, 1500, 1, 15_000, 100
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
NETWORK = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 1.6e6 / 8,
    "uploadThroughput": 750e3 / 8,
}
SLOWER = 4
"""Times as slow as this machine's own processor."""
SHOP = (
    '<!doctype html><html lang="en"><head><title>A shop</title>'
    '<meta name="viewport" content="width=device-width">{line}</head><body><h1>A shop</h1></body>'
)
PROBE = (Path(__file__).parent / "probe.js").read_text()

Row = tuple[str, str, bool]
"""What was measured, the figures, whether the aim is met."""


def main() -> int:
    """Measures and prints; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    missed = 0
    for what, figures, met in measured(turns):
        print(f"{'      ' if met else 'missed'} {what}: {figures}", flush=True)
        missed += not met
    return int(missed > 0)


def measured(turns: int) -> Iterator[Row]:
    """Every row; the pages of both servers in turn."""
    from playwright.sync_api import sync_playwright

    with ExitStack() as opened:
        scratch = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        urls = {name: opened.enter_context(stand_in(name, scratch)) for name in ("ours", "bare")}
        player = opened.enter_context(sync_playwright())
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened.callback(browser.close)
        yield chat_page(browser, urls, turns)
        with website(scratch, urls["ours"]) as (shop, plain):
            yield before_opening(browser, shop, plain, urls["ours"])
            yield panel(browser, shop, turns)
        yield streaming(browser, urls)


@contextmanager
def stand_in(name: str, folder: Path) -> Iterator[str]:
    """The address of one of the two servers."""
    with stand_in_process(name, folder) as (url, _):
        yield url


@contextmanager
def stand_in_process(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and the id of its process."""
    command = [sys.executable, "-m", "tests.benchmarks.stand_in", name, str(folder)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **pipes) as process:
        assert process.stdin and process.stdout
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.stdin.close()


@contextmanager
def website(folder: Path, server: str) -> Iterator[tuple[str, str]]:
    """The addresses of a shop's page with the widget's line in it and of the same without."""
    lines = {"with": "", "plain": ""}

    def page(request: Request) -> Response:
        return HTMLResponse(SHOP.format(line=lines.get(request.path_params["name"], "")))

    with on_a_port(Starlette(routes=[Route("/{name}", page)])) as url:
        with closing(open_database(folder / "data" / "apprentice.db")) as db:
            made: dict[str, Any] = {"kind": "embed", "workspace_id": 1, "origins": [url]}
            key = create_key(db, "shop", actor="bench", **made)[1]
        lines["with"] = f'<script async src="{server}/widget.js" data-key="{key}"></script>'
        yield f"{url}/with", f"{url}/plain"


@contextmanager
def phone(browser: Any, *, network: bool = True) -> Iterator[tuple[Any, Any]]:
    """A page of a new context (an empty cache) and its protocol session, throttled."""
    context = browser.new_context(**PHONE)
    page = context.new_page()
    page.set_default_timeout(120_000)
    protocol = context.new_cdp_session(page)
    protocol.send("Network.enable")
    if network:
        protocol.send("Network.emulateNetworkConditions", NETWORK)
    protocol.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    try:
        yield page, protocol
    finally:
        context.close()


def chat_page(browser: Any, urls: dict[str, str], turns: int) -> Row:
    """Seconds until a question can be sent, over those of the bare page."""
    seconds: dict[str, list[float]] = {name: [] for name in urls}
    loaded = {}
    for turn in range(-1, turns):
        for name, url in urls.items():
            with phone(browser) as (page, protocol):
                sizes = counted(protocol)
                page.add_init_script(PROBE)
                page.goto(url, wait_until="commit")
                page.wait_for_function("() => window.probe.sent")
                said = page.evaluate("() => window.probe")
            loaded[name] = f"{len(sizes)} requests, {sum(sizes.values()) / 1000:.0f} kB"
            if turn >= 0:
                seconds[name].append((said["sent"] - said["began"]) / 1000)
    ours, other = median(seconds["ours"]), median(seconds["bare"])
    figures = f"{ours:.1f} s ({loaded['ours']}), gr.ChatInterface {other:.1f} s ({loaded['bare']})"
    figures += f": {ours / other:.2f} (aim {CHAT_AIM})"
    return "the chat page takes a question", figures, ours <= CHAT_AIM * other


def counted(protocol: Any, server: str = "") -> dict[str, float]:
    """Bytes as they came over the network, of requests to `server`, filled while a page loads."""
    asked: dict[str, str] = {}
    sizes: dict[str, float] = {}

    def sent(event: Any) -> None:
        asked[event["requestId"]] = event["request"]["url"]

    def finished(event: Any) -> None:
        if asked.get(event["requestId"], "").startswith(server):
            sizes[event["requestId"]] = event["encodedDataLength"]

    protocol.on("Network.requestWillBeSent", sent)
    protocol.on("Network.loadingFinished", finished)
    return sizes


def before_opening(browser: Any, shop: str, plain: str, server: str) -> Row:
    """What the widget asks of our server before anybody opens it."""
    found = {}
    for url in (shop, plain):
        with phone(browser) as (page, protocol):
            sizes = counted(protocol, server)
            page.goto(url, wait_until="networkidle")
            found[url] = (len(sizes), sum(sizes.values()))
    assert found[plain] == (0, 0), "the shop's page asks the server by itself"
    requests, size = found[shop]
    figures = f"{requests} request, {size / 1000:.1f} kB"
    figures += f" (aims {REQUESTS_AIM}, {BYTES_AIM / 1000:.0f} kB)"
    return "the widget before it is opened", figures, requests <= REQUESTS_AIM and size <= BYTES_AIM


def panel(browser: Any, shop: str, turns: int) -> Row:
    """Seconds from the press on its button until its box can be typed in, and a question sent."""
    typed, sent = [], []
    for _ in range(turns):
        with phone(browser) as (page, _protocol):
            page.context.add_init_script(PROBE)
            page.goto(shop, wait_until="networkidle")
            page.get_by_role("button", name="Ask a question").click()
            page.wait_for_selector("iframe")
            frame = page.frames[-1]
            frame.wait_for_function("() => window.probe?.sent")
            said, pressed = frame.evaluate("() => window.probe"), page.evaluate("probe.press")
            loaded = "performance.getEntriesByType('navigation')[0].responseEnd"
            assert frame.evaluate(loaded) >= NETWORK["latency"], "the frame is not throttled"
        typed.append(said["box"] - pressed)
        sent.append(said["sent"] - pressed)
    figures = f"can be typed in after {median(typed) / 1000:.2f} s (slowest {max(typed) / 1000:.2f}"
    figures += f"; aim {WIDGET_AIM_MS / 1000}), a question sent after {median(sent) / 1000:.2f} s"
    return "the widget's box", figures, median(typed) <= WIDGET_AIM_MS


def streaming(browser: Any, urls: dict[str, str]) -> Row:
    """Milliseconds of the longest task while a long reply streams: our script's, and any."""
    told, own = [], 0.0
    for name, url in urls.items():
        with phone(browser, network=False) as (page, _protocol):
            page.add_init_script(PROBE)
            page.goto(url)
            page.wait_for_function("() => window.probe.sent")
            page.get_by_text("Yes.", exact=True).first.wait_for()
            page.wait_for_timeout(3000)  # what belongs to the page's start is over
            page.locator("textarea:visible").first.fill(LONG)
            page.evaluate("""() => {
                Object.assign(window.probe, { longest: 0, tasks: 0 });
                if (window.ours) Object.assign(window.ours, { calls: 0, longest: 0 });
            }""")
            page.keyboard.press("Enter")
            page.get_by_text(LAST).last.wait_for()
            page.wait_for_timeout(2000)
            said = page.evaluate("() => window.probe")
            if name == "ours":
                own = page.evaluate("() => window.ours.longest")
        told.append(f"{name} {said['longest']:.0f} ms, {said['tasks']} over {TASK_AIM_MS} ms")
    figures = f"{own:.0f} ms (aim {TASK_AIM_MS}); any task, Gradio's too: {'; '.join(told)}"
    return "the longest task of our script while a reply streams", figures, own <= TASK_AIM_MS


if __name__ == "__main__":
    sys.exit(main())
