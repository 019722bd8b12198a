"""A headless Chromium that is asked by its debugging pipe: what a page shows, shadow trees included."""

import itertools
import json
import os
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
_READ_TEXT = """
(function read(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.textContent;
  if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return "";
  const children = [...node.childNodes, ...(node.shadowRoot ? node.shadowRoot.childNodes : [])];
  return children.map(read).join(" ");
})(document)
"""


def find_chromium():
    """Returns the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser with one page; a context manager."""

    def __init__(self, path, profile):
        """Starts the program at `path` with a profile folder of its own."""
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command = [path, *options, f"--user-data-dir={profile}", "--window-size=1600,1200", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(  # the pipe is file descriptors 3 and 4
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *command, "about:blank"],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._ids, self._buffer, self._session = itertools.count(1), b"", None

    def __enter__(self):
        """Attaches to a new page."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_):
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(30)
        os.close(self._write)
        os.close(self._read)

    def _call(self, method, **params):
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _receive(self):
        while b"\0" not in self._buffer:
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        """Opens a page."""
        self._call("Page.navigate", url=url)

    def evaluate(self, script):
        """Returns what a script gives, promises awaited."""
        result = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return result["result"].get("value")

    def wait_for_text(self, text, seconds):
        """Returns the text of the page once it has `text`, or as it is after so many seconds."""
        until, shown = time.monotonic() + seconds, ""
        while time.monotonic() < until and text not in shown:
            time.sleep(0.5)
            shown = " ".join((self.evaluate(_READ_TEXT) or "").split())
        return shown
