"""The simulated provider as an object of a test.

    with Sim("--tokens", "5") as sim:
        sim.script({"fail": 500}, {})       # first request fails, the second is answered
        ...
        sim.wait(requests=2, open_streams="0-0")
        assert sim.requests()[0]["headers"]["authorization"] == "Bearer house"

What is behind each knob: tests/sim/behaviour.h.  Nothing here sleeps: wait() is answered by the
provider when its counters are as asked for.
"""
import os
import pathlib
import signal
import subprocess

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SB_BUILD", ROOT / "build" / "asan"))
PATIENCE = 30  # seconds for what should take none: only a broken program takes so long


class Sim:
    def __init__(self, *flags, tls=None):
        """tls: (certificate, key) paths; the certificate is then trusted by the calls below."""
        command = [str(BUILD / "switchboard-sim"), "--port", "0", *flags]
        if tls:
            command += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            raise RuntimeError(f"switchboard-sim did not start: exit {self.process.wait()}")
        self.port = int(line.rsplit(":", 1)[1])
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.session = requests.Session()  # for /_sim/: one connection of its own
        self.session.trust_env = False
        self.session.verify = str(tls[0]) if tls else True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        """Ends it and checks that it ended well: a leak or a sanitizer's report is a failure."""
        if self.process is None:
            return
        process, self.process = self.process, None
        self.session.close()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
        assert status == 0, f"switchboard-sim ended with {status}"

    def control(self, method, path, **kwargs):
        answer = self.session.request(method, f"{self.url}/_sim/{path}", timeout=PATIENCE + 10,
                                      **kwargs)
        answer.raise_for_status()
        return answer.json()

    def behave(self, **knobs):
        """Changes knobs from now on; None puts one back to what the flags said."""
        return self.control("POST", "behaviour", json=knobs)

    def script(self, *behaviours):
        """Each is used for one POST, in this order; {"times": 3} for three."""
        return self.control("POST", "behaviour", json={"scripted": list(behaviours)})

    def restore(self):
        return self.control("DELETE", "behaviour")

    def requests(self, since=0):
        return self.control("GET", f"requests?since={since}")["requests"]

    def counters(self):
        return self.control("GET", "counters")

    def forget(self):
        return self.control("DELETE", "requests")

    def wait(self, **ranges):
        """Until each counter is at least a number, or in a range "from-to".  Gives the counters."""
        query = "&".join(f"{name}={value}" for name, value in ranges.items())
        return self.control("GET", f"wait?{query}&timeout_ms={PATIENCE * 1000}")

    def release(self, count=None):
        return self.control("POST", "release" + (f"?count={count}" if count else ""))["released"]

    def close(self, which="idle", how="close"):
        """Closes its clients' connections, but for the one that asks."""
        return self.control("POST", f"close?which={which}&how={how}")["closed"]
