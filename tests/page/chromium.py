"""Drives a headless Chromium over the DevTools protocol, through a pipe: nothing but Python's own library."""

import json
import os
import shutil
import subprocess
import tempfile
import time


def find():
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class Chromium:
    def __init__(self, program, width=1360, height=1000):
        self.profile = tempfile.mkdtemp()
        read_theirs, self._write = os.pipe()
        self._read, write_theirs = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--remote-debugging-pipe", f"--user-data-dir={self.profile}", f"--window-size={width},{height}"]
        # The protocol's pipes are file descriptors 3 and 4 of the browser.
        self._process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" 3<&{read_theirs} 4>&{write_theirs}', "sh", program, *flags, "about:blank"],
            pass_fds=(read_theirs, write_theirs), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(read_theirs)
        os.close(write_theirs)
        self._buffer, self._number, self._session, self.events = b"", 0, None, []
        page = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def _message(self):
        while b"\0" not in self._buffer:
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has gone")
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def __call__(self, method, **parameters):
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        while (message := self._message()).get("id") != self._number:
            self.events.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def open(self, url):
        """Goes to a page and waits until it has loaded."""
        self.events.clear()
        self("Page.navigate", url=url)
        while not self.js(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})"):
            time.sleep(0.05)

    def js(self, expression):
        result = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression[:80]}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def key(self, key, text=None):
        code = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "End": 35, "Enter": 13, "Escape": 27, "Home": 36}.get(key, 0)
        parameters = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if text:
            parameters["text"] = text
        self("Input.dispatchKeyEvent", type="keyDown", **parameters)
        self("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def hover(self, selector):
        x, y = self.js(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
                       "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        self("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def close(self):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)
