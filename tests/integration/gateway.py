"""The data plane as its tests see it: a worker to ask, and a world of providers around it.

    with World(database) as world:
        model = world.fresh()                     # that no test has broken yet
        world[0].behave(fail="500")               # the first provider
        world.worker.chat({"model": model, ...})
        with world.another("--body-limit", "1MiB") as worker, worker.wire() as wire: ...
"""
import os
import re
import signal
import socket
import subprocess

import catalog
from control import SANITIZER
from program import PATIENCE, wait_until
from switchboard import Switchboard
from wire import Listener, Wire
from worker import Worker

KEYS = {name: f"sb-{name * 8}" for name in ["test", "disabled", "limited", "expired"]}


class Gateway(Worker):
    """switchboard-worker with a key, and with words for what tests ask of it."""

    def __init__(self, home, controls, *flags, **options):
        super().__init__(home, controls, "--name", options["name"], "--drain-timeout", "20s",
                         *flags, **options)
        self.session = self.client(KEYS["test"])

    def __enter__(self):
        return self  # World.another() has started it

    # --- its end ---

    def terminate(self):
        self.signal(signal.SIGTERM)

    def ended(self):
        """Waits for the end of all its processes, and checks that they ended well."""
        status = self.process.wait(PATIENCE)
        self._ended()
        self.session.close()
        assert not self.log.found(SANITIZER), "\n".join(self.log.lines)
        crashed = [line for line in self.log.lines if "worker ended" in line and
                   "signal=9 " not in line and "signal=0 status=0 " not in line]
        assert not crashed and status == 0, f"ended with {status}\n" + "\n".join(
            self.log.lines[-60:])

    def stop(self):
        if self.process is None:
            return
        self.signal(signal.SIGCONT)
        self.terminate()
        self.ended()

    # --- its processes ---

    def pid(self, slot=0):
        """Of the worker in a slot, the newest."""
        found = self.log.wait(rf'"worker started" slot={slot} worker_pid=(\d+)')
        return int(self.log.found(found.re.pattern)[-1].group(1))

    def resident(self, slot=0):
        """Bytes."""
        with open(f"/proc/{self.pid(slot)}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def metric(self, name, slot=0):
        """The sum of a metric's samples."""
        page = self.status[slot].get("/metrics").text
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", page, re.M)
        assert values, f"no metric {name}\n{page}"
        return sum(map(float, values))

    # --- asking ---

    def wire(self, **options):
        return Wire(self.port, **options)

    @property
    def auth(self):
        """As a field of Wire.post()."""
        return f"Authorization: Bearer {KEYS['test']}"

    def post(self, path, body, **options):
        kind = "data" if isinstance(body, bytes) else "json"
        return self.session.post(path, **{kind: body}, **options)

    def chat(self, body, **options):
        return self.post("/v1/chat/completions", body, **options)

    def get(self, path, **options):
        return self.session.get(path, **options)


def certificate(folder):
    """A certificate and its key, for providers behind TLS."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=sim",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
                    str(cert)], check=True, capture_output=True)
    return cert, key


class World:
    """Three simulated providers and one behind TLS, a control plane that knows them, a worker."""

    def __init__(self, database, *flags):
        """flags: of the worker."""
        self.flags = flags
        self.site = Switchboard(database)
        self.models = catalog.Models()
        self.started = 0

    def __enter__(self):
        site = self.site
        try:
            cert, key = certificate(site.home.path)
            self.sims = [site.sim("--tokens", "5", "--name", f"p{i}") for i in range(3)]
            self.secure = site.sim("--tokens", "5", "--name", "secure", tls=(cert, key))
            self.odd = Listener(receive_buffer=65536)
            self.nobody = socket.socket()  # has a port, and does not listen
            self.nobody.bind(("127.0.0.1", 0))
            self.control = site.control()
            wait_until(self.control.is_ready, "the control daemon is ready")
            self.revision = self.control.apply(catalog.build(
                [sim.port for sim in self.sims], self.secure.port, cert,
                self.odd.port, self.nobody.getsockname()[1], KEYS))["revision"]
            self.worker = self.another(*self.flags)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.nobody.close()
        self.odd.close()
        self.site.close()

    def __getitem__(self, number):
        return self.sims[number]

    def another(self, *flags, workers=1):
        """A worker with flags of its own, which knows the catalogue.  Ended with the world when
        nobody did before."""
        self.started += 1
        gateway = Gateway(self.site.home, [self.control], *flags, workers=workers,
                          name=f"gateway{self.started}")
        self.site.start(gateway).wait_revision(self.revision)
        return gateway

    def fresh(self, kind="plain"):
        return self.models.fresh(kind)

    def reset(self):
        for sim in [*self.sims, self.secure]:
            sim.restore()
            sim.release()
            sim.forget()
        self.odd.refuse_waiting()

    def received(self, number=None):
        """Requests that a provider got; without a number, how many each of the three did."""
        if number is not None:
            return self.sims[number].requests()
        return [len(sim.requests()) for sim in self.sims]
