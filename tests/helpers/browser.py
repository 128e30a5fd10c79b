"""Headless Chromium for the tests of pages, where it is installed."""

import json
import os
import shutil
import subprocess
import time

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Headless Chromium, driven by its DevTools protocol through a pipe."""

    def __init__(self, folder):
        (read_commands, self.commands), (self.answers, write_answers) = os.pipe(), os.pipe()

        def descriptors():
            given = os.dup(read_commands), os.dup(write_answers)
            os.dup2(given[0], 3)
            os.dup2(given[1], 4)

        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(
            [CHROMIUM, *arguments, f"--user-data-dir={folder}"],
            close_fds=False,
            preexec_fn=descriptors,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        self.number, self.session, self.events = 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.read()).get("id") != self.number:
            self.events.append(answer)
        return answer["result"]

    def read(self):
        data = b""
        while not data.endswith(b"\0"):
            byte = os.read(self.answers, 1)
            assert byte, "Chromium went away"
            data += byte
        return json.loads(data[:-1])

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read())

    def open(self, url, width):
        """Show a page, a phone's where the width is small."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def asked(self):
        """Return the addresses that were asked for."""
        wanted = "Network.requestWillBeSent"
        return [event["params"]["request"]["url"] for event in self.events if event.get("method") == wanted]

    def complaints(self):
        """Return what broke a policy, could not be loaded or raised."""
        return [e for e in self.events if e.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown"}]

    def wait_until(self, expression):
        for _ in range(600):
            if self.value(expression):
                return
            time.sleep(0.05)
        raise AssertionError(f"{expression} did not come true")

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)


needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or os.name == "nt", reason="needs Chromium, from its Debian package"
)
