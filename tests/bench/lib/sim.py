"""The simulated provider of a run.  Needs nothing but Python itself."""
import json
import subprocess
import urllib.request

from . import procs

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Sim:
    """One provider; with a certificate it speaks TLS, and is steered by nobody."""

    def __init__(self, build, core, *flags):
        # --record 0: to remember what came is not what a provider does
        self.process = procs.start([str(build / "switchboard-sim"), "--port", "0", "--record", "0",
                                    *flags], core, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            raise procs.Failure("switchboard-sim did not start")
        self.port = int(line.rsplit(":", 1)[1])
        self.scheme = "https" if "--tls-cert" in flags else "http"

    def control(self, method, path, body=None):
        import ssl
        request = urllib.request.Request(f"{self.scheme}://127.0.0.1:{self.port}/_sim/{path}",
                                         data=json.dumps(body).encode() if body else None,
                                         method=method)
        opener = OPENER
        if self.scheme == "https":  # our own process, found by its port
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}),
                urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
        with opener.open(request, timeout=90) as answer:
            return json.loads(answer.read())

    def behave(self, **knobs):
        """From the flags' values on: nothing is left of an earlier scenario."""
        self.control("DELETE", "behaviour")
        return self.control("POST", "behaviour", knobs) if knobs else None

    def counters(self):
        return self.control("GET", "counters")

    def wait(self, **ranges):
        query = "&".join(f"{name}={value}" for name, value in ranges.items())
        return self.control("GET", f"wait?{query}&timeout_ms=60000")

    def release(self):
        return self.control("POST", "release")
