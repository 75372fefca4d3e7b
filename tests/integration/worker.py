"""switchboard-worker as an object of a test.

    with Worker(home, [control], workers=2) as worker:
        worker.client(secret).post("/v1/chat/completions", json=...)
        worker.status[0].get("/metrics")
"""
import signal
import subprocess

import requests

from control import SANITIZER, Log
from program import BUILD, PATIENCE, Http, free_ports, wait_until


class Worker:
    def __init__(self, home, controls, *flags, name="worker", workers=1):
        self.name = name
        self.workers = workers
        self.port = free_ports()
        self.status_port = free_ports(workers)
        self.url = f"http://127.0.0.1:{self.port}"
        self.status = [Http(f"http://127.0.0.1:{self.status_port + n}") for n in range(workers)]
        self.spool = home.path / f"{name}.spool"
        self.process = None
        self.log = None
        self.command = [
            str(BUILD / "switchboard-worker"), "--listen", f"127.0.0.1:{self.port}",
            "--workers", str(workers), "--status", f"127.0.0.1:{self.status_port}",
            "--control", ",".join(control.control for control in controls),
            "--publish", ",".join(control.publish for control in controls),
            "--keyring", str(home.keyring), "--spool", str(self.spool),
            "--drain-delay", "0", *map(str, flags)]

    def start(self, wait=True):
        """wait: until all of its processes hold a snapshot."""
        self.spool.mkdir(mode=0o700, exist_ok=True)
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True,
                                        start_new_session=True)  # so that a test may be a terminal
        self.log = Log(self.process.stderr)
        if wait:
            self.wait_ready()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def readiness(self, n=0):
        """(status, body) of /readyz of the n-th process; (0, {}) when nobody answers."""
        try:
            answer = self.status[n].get("/readyz")
            return answer.status_code, answer.json()
        except requests.ConnectionError:
            assert not self.log.ended, f"{self.name} ended\n" + "\n".join(self.log.lines[-40:])
            return 0, {}

    def wait_ready(self):
        for n in range(self.workers):
            wait_until(lambda n=n: self.readiness(n)[0] == 200, f"{self.name} {n} is ready")

    def wait_revision(self, revision):
        """Until all of its processes serve this revision or a later one."""
        def serves(n):
            snapshot = self.readiness(n)[1].get("snapshot") or {}
            return snapshot.get("revision", 0) >= revision
        for n in range(self.workers):
            wait_until(lambda n=n: serves(n), f"{self.name} {n} serves revision {revision}")

    def client(self, key):
        return Http(self.url, key)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """As the machine would: no goodbye.  Its children end with it."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._ended()

    def stop(self):
        """Ends it and checks that it ended well: a leak or a sanitizer's report is a failure."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self._ended()
        assert status == 0, f"{self.name}: {status}\n" + "\n".join(self.log.lines[-60:])
        assert not self.log.found(SANITIZER), "\n".join(self.log.lines[-60:])

    def _ended(self):
        self.process = None
        for session in self.status:
            session.close()
        with self.log.changed:
            self.log.changed.wait_for(lambda: self.log.ended, PATIENCE)
