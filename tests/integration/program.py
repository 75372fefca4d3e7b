"""What all programs under test share: where they are, ports, waiting, HTTP."""
import os
import pathlib
import socket
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SB_BUILD", ROOT / "build" / "asan"))
PATIENCE = 60  # seconds for what should take none: only a broken program takes so long


def wait_until(is_so, what):
    """Polls until is_so() gives something true, and gives that: for what no log line tells."""
    end = time.monotonic() + PATIENCE
    while True:
        found = is_so()
        if found:
            return found
        assert time.monotonic() < end, f"waited {PATIENCE} s until {what}"
        time.sleep(0.01)


def free_ports(count=1):
    """The first of so many TCP ports in a row that nobody listened on a moment ago."""
    while True:
        held = []
        try:
            for n in range(count):
                held.append(socket.socket())
                held[n].bind(("127.0.0.1", held[0].getsockname()[1] + n if n else 0))
            return held[0].getsockname()[1]
        except (OSError, OverflowError):
            pass  # somebody has one of them: look elsewhere
        finally:
            for one in held:
                one.close()


class Http(requests.Session):
    """A session with an address to begin with, that no proxy of the environment gets into."""

    def __init__(self, url, token=None):
        super().__init__()
        self.trust_env = False
        self.url = url
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method, url, **kwargs):
        kwargs.setdefault("timeout", PATIENCE)
        return super().request(method, self.url + url if url.startswith("/") else url, **kwargs)
