"""What is measured against what: nothing, nginx, haproxy, Switchboard.

Each has start(), stop(), and:
    url(scenario)   where to send it
    pids            the processes whose work is counted
    beside          {name: pids} of processes that are shown, not counted
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess

from . import procs
from .procs import Failure

ROOT = pathlib.Path(__file__).resolve().parents[3]


class World:
    """What all targets share in a run."""

    def __init__(self, folder, build, sims, certificate, proxy_core, load_core):
        self.folder, self.build = folder, build
        self.sims = sims  # {False: plain, True: TLS}
        self.certificate = certificate
        self.proxy_core, self.load_core = proxy_core, load_core


class Target:
    name = "?"
    key = "bench-key"
    counted = "worker"

    def __init__(self, world):
        self.world = world
        self.process = None
        self.beside = {}
        self.prefix = []  # of the command: valgrind

    def missing(self):
        """Why it cannot take part; None when it can."""
        return None

    def stop(self):
        if self.process:
            procs.stop(self.process)
            self.process = None

    @property
    def pids(self):
        return procs.tree(self.process.pid) if self.process else []

    @property
    def main_pid(self):
        """The one whose memory is looked at: it holds the connections."""
        return self.pids[-1]


class Direct(Target):
    """No proxy at all: what the load generator and the provider can do by themselves."""

    name = "direct"

    def start(self):
        pass

    def url(self, scenario):
        sim = self.world.sims[scenario.tls]
        return f"{sim.scheme}://127.0.0.1:{sim.port}/v1/chat/completions"

    @property
    def pids(self):
        return [sim.process.pid for sim in self.world.sims.values()]


class Proxy(Target):
    """One with a port for each way to the provider."""

    program = "?"
    ways = [(tls, streams) for tls in (False, True) for streams in (False, True)]

    def missing(self):
        found = shutil.which(self.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        return None if found else f"{self.program} is not installed; ./deploy/packages bench"

    def prepare(self):
        self.ports = dict(zip(self.ways, procs.free_ports(len(self.ways))))
        self.folder = self.world.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.path = shutil.which(self.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")

    def url(self, scenario):
        return (f"http://127.0.0.1:{self.ports[scenario.tls, scenario.streams]}"
                "/v1/chat/completions")

    def launch(self, command):
        self.process = procs.start([*self.prefix, *command], self.world.proxy_core,
                                   self.folder / "log")
        port = self.ports[False, False]
        procs.until(lambda: procs.accepts(port) or self.process.poll() is not None,
                    f"{self.name} to listen", 60)
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended: {(self.folder / 'log').read_text()[-400:]}")


class Nginx(Proxy):
    """One worker process, connections to the provider kept, all logs off.

    Streams are passed on unbuffered, as one has to for events to arrive as they come."""

    name = program = "nginx"

    SERVER = """
    upstream {name} {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass {scheme}://{name};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering {buffering};
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {certificate};
            proxy_ssl_name localhost;
            proxy_ssl_session_reuse on;
        }}
    }}
"""
    CONFIG = """
{user}
daemon off;
{master}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    client_body_buffer_size 512k;
    keepalive_requests 100000000;
    keepalive_timeout 3600s;
    tcp_nodelay on;
{servers}
}}
"""

    def config(self):
        servers = ""
        for (tls, streams), port in self.ports.items():
            sim = self.world.sims[tls]
            servers += self.SERVER.format(
                name=f"sim_{'tls' if tls else 'plain'}_{'stream' if streams else 'whole'}",
                upstream=sim.port, port=port, scheme=sim.scheme,
                buffering="off" if streams else "on", certificate=self.world.certificate[0])
        return self.CONFIG.format(
            user="user root;" if os.geteuid() == 0 else "",
            # valgrind is to see one process only
            master="master_process off;" if self.prefix else "",
            folder=self.folder, servers=servers)

    def start(self):
        self.prepare()
        path = self.folder / "nginx.conf"
        path.write_text(self.config())
        self.launch([self.path, "-e", str(self.folder / "error.log"), "-c", str(path)])


class Haproxy(Proxy):
    """One thread, connections to the provider shared by all clients."""

    name = program = "haproxy"

    CONFIG = """
global
    nbthread 1
    maxconn 20000
    no strict-limits
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 3600s
    timeout server 3600s
    timeout http-keep-alive 3600s
"""
    PROXY = """
frontend front_{name}
    bind 127.0.0.1:{port} backlog 4096
    default_backend back_{name}
backend back_{name}
    server sim 127.0.0.1:{upstream} maxconn 20000 pool-max-conn 1024{tls}
"""

    def start(self):
        self.prepare()
        text = self.CONFIG
        for (tls, streams), port in self.ports.items():
            text += self.PROXY.format(
                name=f"{'tls' if tls else 'plain'}_{'stream' if streams else 'whole'}", port=port,
                upstream=self.world.sims[tls].port,
                tls=f" ssl verify required ca-file {self.world.certificate[0]}" if tls else "")
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        self.launch([self.path, "-db", "-f", str(path)])


class Switchboard(Target):
    """All of it, as deploy/up starts it: one worker, authentication, routing and audit on.

    What is counted is the worker with all its threads and its supervisor; the control plane and
    PostgreSQL run on the core of the load and are shown beside."""

    name = "switchboard"
    settings = {}  # of all its programs, beyond what deploy/up says
    programs = ("switchboard-worker", "switchboard-control", "switchboardctl")

    def missing(self):
        gone = [one for one in self.programs if not (self.world.build / one).exists()]
        return f"not built: {', '.join(gone)}" if gone else None

    def catalog(self):
        """One provider and one model for each way, so that a request has one way to go."""
        flags = {"value": "yes", "evidence": "benchmark"}
        providers, models, endpoints = [], [], []
        for tls, sim in self.world.sims.items():
            slug = "tls" if tls else "plain"
            provider = {"slug": slug, "name": slug, "dialect": "openai",
                        "base_url": f"{sim.scheme}://localhost:{sim.port}/v1" if tls else
                                    f"{sim.scheme}://127.0.0.1:{sim.port}/v1",
                        "credential": {"value": "bench-provider-key"}, "headquarters": "DE",
                        "data_policy": {"no_training": flags, "zdr": flags},
                        "max_connections": 4096, "max_in_flight": 20000}
            if tls:
                provider["ca_file"] = str(self.world.certificate[0])
            providers.append(provider)
            models.append({"id": f"bench/{slug}", "name": slug, "context_length": 1000000,
                           "input_modalities": ["text"], "output_modalities": ["text"]})
            endpoints.append({"model": f"bench/{slug}", "provider": slug, "region": "DE",
                              "context_length": 1000000, "max_completion_tokens": 16384,
                              "supported_parameters": ["temperature", "max_tokens"],
                              "pricing": {"prompt": "0.10", "completion": "0.30"}})
        return {"version": 1, "providers": providers, "models": models, "endpoints": endpoints}

    def start(self):
        self.home = self.world.folder / self.name
        self.home.mkdir(exist_ok=True)
        port, admin, status = procs.free_ports(3)
        self.port = port
        catalog = self.home / "bench.json"
        catalog.write_text(json.dumps(self.catalog()))
        done = subprocess.run(
            [str(ROOT / "deploy" / "up"), "--home", str(self.home), "--port", str(port),
             "--admin-port", str(admin), "--status-port", str(status), "--workers", "1",
             "--catalog", str(catalog), "--no-install", "--no-build"],
            capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, **self.settings}, preexec_fn=lambda: os.sched_setaffinity(0, {self.world.load_core}))
        if done.returncode != 0:
            raise Failure(f"deploy/up failed: {done.stderr.strip()[-600:]}")
        self.key = (self.home / "demo.key").read_text().strip()
        self.supervisor = self.pid_of("workers")
        if self.prefix:
            self.start_again_with_prefix(status)
        procs.pin(self.pids, self.world.proxy_core)
        postmaster = int((self.home / "pg" / "data" / "postmaster.pid").read_text().split()[0])
        self.beside = {"control": lambda: procs.tree(self.pid_of("control")),
                       "postgresql": lambda: procs.tree(postmaster)}
        # They share the load's core, and elsewhere would have one of their own: first comes the
        # load, so that all proxies are asked alike.
        for pids in self.beside.values():
            procs.step_back(pids())

    def start_again_with_prefix(self, status):
        """The worker alone, by the command that deploy/up has noted."""
        pid = self.supervisor
        os.kill(pid, signal.SIGTERM)
        procs.until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the worker's end", 60)
        command = (self.home / "pids" / "workers.args").read_text().split()
        self.process = procs.start([*self.prefix, *command], self.world.proxy_core,
                                   self.home / "log" / "workers.log",
                                   env={**os.environ, **self.settings})
        self.supervisor = self.process.pid
        procs.until(lambda: procs.answers(f"http://127.0.0.1:{status}/readyz"),
                    "the worker under valgrind", 120)

    def pid_of(self, name):
        return int((self.home / "pids" / name).read_text().split()[0])

    @property
    def pids(self):
        return procs.tree(self.supervisor)

    def url(self, scenario):
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    def stop(self):
        super().stop()
        home = self.world.folder / self.name
        if home.exists():
            subprocess.run([str(ROOT / "deploy" / "down"), "--home", str(home)],
                           capture_output=True, timeout=120, check=False)
            self.remove_links()
            shutil.rmtree(home, ignore_errors=True)

    def remove_links(self):
        """deploy/up puts pg and run elsewhere when it has to, behind links."""
        for name in ("pg", "run"):
            link = self.world.folder / self.name / name
            if link.is_symlink():
                shutil.rmtree(link.resolve(), ignore_errors=True)
                link.unlink()


class WithoutDigests(Switchboard):
    """The same, but that bodies are digested only where a receipt is asked for."""

    name = "no-digests"
    settings = {"SWITCHBOARD_DIGESTS": "receipts"}


ALL = {target.name: target for target in (Direct, Nginx, Haproxy, Switchboard, WithoutDigests)}
