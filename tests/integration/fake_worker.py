"""The worker's end of the bus, spoken by hand: proto/README.md is what it says.

    with FakeWorker(control, "w-0") as worker:
        welcome = worker.hello()
        snapshot = worker.get_snapshot()
        worker.batch(1, [record(), record()]).last
"""
import hashlib
import itertools
import struct
import time
from types import SimpleNamespace as Message

import msgpack
import zmq

PATIENCE = 60000  # ms; only a broken program takes so long

KINDS = {name: number for number, name in enumerate(
    "- HELLO WELCOME GET SNAPSHOT ANNOUNCE TABLES ACK NACK BATCH BATCH_OK BEAT HEARTBEAT QUERY "
    "ANSWER NOT_LEADER".split())}
NAMES = {number: name for name, number in KINDS.items()}
FIELDS = {
    "WELCOME": "daemon leader epoch revision tables_sequence",
    "SNAPSHOT": "epoch revision hash size format",
    "ANNOUNCE": "epoch revision hash size format",
    "BATCH_OK": "worker boot last",
    "HEARTBEAT": "daemon leader epoch revision tables_sequence",
    "QUERY": "id what tenant key argument",
    "ANSWER": "id status",
    "NOT_LEADER": "",
    "TABLES": "",
}
TABLES = "epoch term sequence complete rows".split()
ROW = ("endpoint age outage outage_age samples uptime first_token throughput mean_completion "
       "cooldown").split()
GENERATION, KEY, CREDITS, EXPLAIN = 1, 2, 3, 4
SUCCESS = 1


def record(kind=1, generation="gen-1", received_at=None, **changes):
    """One record as bytes: fields in the order of proto/README.md."""
    fields = {
        "kind": kind, "generation": generation, "request_id": "", "received_at": received_at or
        int(time.time() * 1e6), "took": 1000, "first_token": 100, "api": 0, "streamed": False,
        "key": 1, "tenant": 1, "key_name": "app", "tenant_name": "default",
        "model_asked": "a/m", "model_served": "a/m", "endpoint": 1, "tag": "acme",
        "provider": "acme", "region": "DE", "credential_kind": 1, "epoch": 1, "revision": 1,
        "demanded": 0, "residency": "", "evidence": [],
        "attempts": [[1, "acme", "m", 1, 1, 200, SUCCESS, 10, 90, 900]],
        "usage": [7, 5, 0, 0, 0, 1], "cost": 1200000, "upstream_cost": 1200000, "status": 200,
        "outcome": SUCCESS, "finish_reason": "stop", "request_bytes": 100, "response_bytes": 200,
        "refusal": "", "refusals": 0}
    assert set(changes) <= set(fields)
    fields.update(changes)
    return msgpack.packb(list(fields.values()), unicode_errors="surrogateescape")


def beat_row(endpoint, attempts=1, successes=1, faults=0, rate_limited=0, retry_after=0):
    return [endpoint, int(time.time()), attempts, successes, faults, rate_limited, 10, 20, 30,
            retry_after, b"", b""]


class FakeWorker:
    def __init__(self, control, name="w-0", boot=None, keys=None, server_key=None):
        self.name = name
        self.boot = boot or int(time.time() * 1e6)
        self.version = (0, 0)
        self.hash = bytes(32)
        self.ids = itertools.count(1)
        self.context = zmq.Context()
        self.dealer = self._socket(zmq.DEALER, keys, server_key)
        self.sub = self._socket(zmq.SUB, keys, server_key)
        self.sub.subscribe(b"")
        self.dealer.connect(control.control)
        self.sub.connect(control.publish)

    def _socket(self, kind, keys, server_key):
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.ipv6 = True
        socket.rcvtimeo = PATIENCE
        if keys:
            socket.curve_publickey, socket.curve_secretkey = keys
            socket.curve_serverkey = server_key
        return socket

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.context.destroy(linger=0)

    # --- frames ---

    def send(self, kind, fields, *bulk, term=0):
        body = msgpack.packb(fields, unicode_errors="surrogateescape")
        self.dealer.send_multipart([msgpack.packb([1, KINDS[kind], term]), body, *bulk])

    @staticmethod
    def parse(frames):
        _, kind, term = msgpack.unpackb(frames[0])[:3]
        name = NAMES[kind]
        values = msgpack.unpackb(frames[1]) if frames[1] else []
        message = Message(kind=name, term=term, **dict(zip(FIELDS[name].split(), values)))
        message.bulk = frames[2] if len(frames) > 2 else b""
        if name == "TABLES":
            vars(message).update(zip(TABLES, msgpack.unpackb(message.bulk)))
            message.rows = [Message(**dict(zip(ROW, row))) for row in message.rows]
        return message

    def receive(self, *kinds):
        """The next message of one of these kinds; others are passed over."""
        while True:
            message = self.parse(self.dealer.recv_multipart())
            if message.kind in kinds:
                return message

    def heard(self, *kinds, where=lambda message: True):
        """The same of what is published."""
        while True:
            message = self.parse(self.sub.recv_multipart()[1:])
            if message.kind in kinds and where(message):
                return message

    def silence(self, milliseconds=0):
        """Nothing has come for this worker."""
        return not self.dealer.poll(milliseconds)

    # --- conversations ---

    def hello(self, protocol=(1, 1), term=0, wait=True):
        self.send("HELLO", [*protocol, self.name, self.boot, "host", 4711, "0.1.0", "openai",
                            *self.version, self.hash], term=term)
        return self.receive("WELCOME", "NOT_LEADER") if wait else None

    def hello_until_leader(self):
        """Says hello until somebody leads here; heartbeats give the rhythm."""
        while True:
            answer = self.hello()
            if answer.kind == "WELCOME":
                return answer
            self.heard("HEARTBEAT")

    def get_snapshot(self):
        """Asks for it, checks it, says ACK."""
        self.send("GET", [1, 1, *self.version])
        message = self.receive("SNAPSHOT")
        assert len(message.bulk) == message.size
        assert hashlib.blake2b(message.bulk, digest_size=32).digest() == message.hash
        self.version, self.hash = (message.epoch, message.revision), message.hash
        self.send("ACK", list(self.version))
        return message

    def beat(self, rows=(), **changes):
        fields = {"worker": self.name, "boot": self.boot, "epoch": self.version[0],
                  "revision": self.version[1], "in_flight": 1, "connections": 2, "requests": 3,
                  "spool_bytes": 4, "spool_limit": 5, "spool_next": 6, "spool_acked": 5,
                  "from_disk": False, "draining": False, "rows": list(rows)}
        fields.update(changes)
        self.send("BEAT", list(fields.values()))

    def batch(self, first, records, worker=None, boot=None, wait=True):
        bulk = b"".join(struct.pack(">I", len(one)) + one for one in records)
        self.send("BATCH", [worker or self.name, boot or self.boot, first, len(records)], bulk)
        return self.receive("BATCH_OK") if wait else None

    def ask(self, what, argument="", tenant=1, key=1):
        number = next(self.ids)
        self.send("QUERY", [number, what, tenant, key, argument])
        while True:
            answer = self.receive("ANSWER")
            if answer.id == number:
                return answer
