#!/usr/bin/env python3
"""The demo's page in a real browser.

    crates/keda/tests/page.py [KEDA] [SCREENSHOTS]

Starts `keda demo --serve` and headless Chromium, moves the slider with the mouse, and looks at what the page shows: tiles,
lines, marks and decisions, in light and in dark, without an error on its console. Then ctrl-c, and nothing may be left.
KEDA is the executable (default target/debug/keda), SCREENSHOTS a folder for pictures (default: none are kept). Needs
Python and Debian's `chromium`; it is no part of `cargo test`.
"""

import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 40


class Browser:
    """Chromium, spoken to over its debugging pipe: one JSON document, then a zero byte."""

    def __init__(self, profile):
        down, up = os.pipe(), os.pipe()

        def place():
            # Chromium reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
            reads, writes = os.dup(down[0]), os.dup(up[1])
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        program = shutil.which("chromium") or sys.exit("chromium is not installed")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(
            [program, *flags, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(down[0])
        os.close(up[1])
        self.to, self.answers = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb", 0)
        self.buffer, self.last, self.session, self.complaints = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
                self.complaints.append(answer["params"])

    def receive(self):
        while b"\0" not in self.buffer:
            read = self.answers.read(65536)
            if not read:
                raise RuntimeError("chromium has gone")
            self.buffer += read
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, expression, what):
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > end:
                raise AssertionError(f"{what}: {self.value('document.body.innerText')}")
            time.sleep(0.2)

    def slide(self, selector, share):
        """Drags a slider to a share of its width."""
        box = self.value(f"(({{x,y,width,height}}) => ({{x,y,width,height}}))"
                         f"(document.querySelector('{selector}').getBoundingClientRect())")
        y = box["y"] + box["height"] / 2
        for kind, at in (("mousePressed", 0.02), ("mouseMoved", share / 2), ("mouseMoved", share), ("mouseReleased", share)):
            self.call("Input.dispatchMouseEvent", type=kind, x=box["x"] + box["width"] * at, y=y, button="left", buttons=1,
                      clickCount=1)

    def look(self, scheme, width, height):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))


def main():
    keda = sys.argv[1] if len(sys.argv) > 1 else "target/debug/keda"
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    demo = subprocess.Popen([keda, "demo", "--serve", "--output", "json"], stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(demo.stdout.readline())
        with tempfile.TemporaryDirectory(prefix="keda-page-", ignore_cleanup_errors=True) as profile:
            browser = Browser(profile)
            try:
                look_at(browser, said["page"], pictures)
            finally:
                browser.process.terminate()
                browser.process.wait()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE) == 0, "ctrl-c is no failure"
        folder = os.path.dirname(said["kubeconfig"])
        assert not os.path.exists(folder), f"{folder} is left"
        print("the page works")
    finally:
        demo.kill()


def look_at(browser, page, pictures):
    text = "document.getElementById('{}').textContent".format
    browser.look("light", 1100, 1000)
    browser.call("Page.navigate", url=page + "/")
    browser.until("document.readyState === 'complete'", "the page loads")
    browser.until(f"{text('link')} === 'live' && {text('replicas')} === '0'", "it is live, at rest")

    browser.slide("#load", 0.3)
    load = int(browser.value(text("set")))
    assert 25 < load < 45, load
    browser.until(f"{text('value')} === '{load}'", "the operator reads what the slider set")
    wanted = -(-load // 10)
    browser.until(f"{text('replicas')} === '{wanted}' && {text('ready')} === '{wanted}'", "the workload follows")
    browser.until("['operator', 'hpa'].every(by => document.querySelector(`#plot .mark.${by}`))", "both acted, and are marked")
    for line in ("load", "target", "replicas", "ready"):
        path = browser.value(f"document.querySelector('#plot path.{line}').getAttribute('d')")
        assert len(path) > 20 and "NaN" not in path, f"{line}: {path}"
    rows = browser.value("[...document.querySelectorAll('#decisions tr')].map(row => row.innerText)")
    assert any("operator" in row and "0 → 1" in row for row in rows), rows
    assert any("hpa" in row and f"1 → {wanted}" in row for row in rows), rows

    browser.slide("#load", 0.6)
    more = -(-int(browser.value(text("set"))) // 10)
    browser.until(f"{text('ready')} === '{more}'", "and again")
    time.sleep(3)
    colours = set()
    for scheme in ("light", "dark"):
        browser.look(scheme, 1100, 1000)
        colours.add(browser.value("getComputedStyle(document.body).backgroundColor"))
        if pictures:
            browser.picture(f"{pictures}/page-{scheme}.png")
    assert len(colours) == 2, f"light and dark differ: {colours}"
    browser.look("dark", 400, 900)
    wide = browser.value("document.documentElement.scrollWidth")
    assert wide <= 400, f"on a phone nothing hangs over: {wide}"
    if pictures:
        browser.picture(f"{pictures}/page-narrow.png")

    # Everything off: back to zero after the cooldown.
    browser.look("light", 1100, 1000)
    browser.slide("#load", 0.001)
    browser.until(f"{text('replicas')} === '0' && {text('value')} === '0'", "it goes back to zero")
    assert not browser.complaints, browser.complaints


main()
