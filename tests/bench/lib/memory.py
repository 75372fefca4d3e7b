"""Resident memory: at rest, of an idle client, of an open stream."""
import socket
import urllib.parse

from . import procs, scenario as scenarios

IDLE_CLIENTS = 9900  # a worker's default limit is 10 000, and we look at it meanwhile
STREAMS = 1000
WARM_UP = 500


def request_bytes(target, body):
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json"
            f"\r\nAuthorization: Bearer {target.key}\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def connect(url):
    parts = urllib.parse.urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_answer(connection, who):
    """One whole answer that tells its length or comes in chunks; its status is looked at."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection, who)
    head, rest = data.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200"):
        raise procs.Failure(f"{who}: {head[:200]!r}")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"content-length" in fields:
        while len(rest) < int(fields[b"content-length"]):
            rest += receive(connection, who)
    else:
        while not rest.endswith(b"0\r\n\r\n"):
            rest += receive(connection, who)
    return rest


def receive(connection, who):
    part = connection.recv(65536)
    if not part:
        raise procs.Failure(f"{who} closed the connection")
    return part


def warm_up(target, scenario):
    with connect(target.url(scenario)) as connection:
        for _ in range(WARM_UP):
            connection.sendall(request_bytes(target, scenario.body()))
            read_answer(connection, target.name)


def idle_clients(target, sim, scenario):
    """KiB for each client that was answered once, keeps its connection, and says nothing."""
    sim.behave(tokens=10)
    body = scenarios.make_body(scenario.model, 300, False)
    before = procs.rss_kib(target.main_pid)
    connections = []
    try:
        for _ in range(IDLE_CLIENTS):
            connection = connect(target.url(scenario))
            connections.append(connection)
            connection.sendall(request_bytes(target, body))
            read_answer(connection, target.name)
        return (procs.rss_kib(target.main_pid) - before) / IDLE_CLIENTS
    finally:
        for connection in connections:
            connection.close()


def open_streams(target, sim, scenario):
    """KiB for each stream that has begun and waits for its provider."""
    sim.behave(tokens=scenarios.TOKENS_STREAM, compact=True, hold_after=10)
    before = procs.rss_kib(target.main_pid)
    connections = []
    try:
        for _ in range(STREAMS):
            connection = connect(target.url(scenario))
            connections.append(connection)
            connection.sendall(request_bytes(target, scenario.body()))
        sim.wait(held=STREAMS)
        for connection in connections:
            receive(connection, target.name)  # the first events have come through
        each = (procs.rss_kib(target.main_pid) - before) / STREAMS
        sim.release()
        return each
    finally:
        for connection in connections:
            connection.close()


def measure(make_target, world):
    """A fresh process for each number: memory that was used once may be kept.  Gives a row."""
    plain = scenarios.Scenario("json", 2, 1)
    stream = scenarios.Scenario("sse", 2, STREAMS)
    tls = scenarios.Scenario("sse", 2, STREAMS, tls=True)
    row = {"target": make_target(world).name}

    def fresh(measured, scenario):
        target = make_target(world)
        sim = world.sims[scenario.tls]
        try:
            for one in world.sims.values():
                one.behave()  # what starts asks for an answer at once
            target.start()
            if measured is None:
                return procs.rss_kib(target.main_pid)
            sim.behave()
            warm_up(target, scenario)
            return measured(target, sim, scenario)
        finally:
            target.stop()

    row["rest_mib"] = fresh(None, plain) / 1024
    row["idle_client_kib"] = fresh(idle_clients, plain)
    row["stream_kib"] = fresh(open_streams, stream)
    row["stream_tls_kib"] = fresh(open_streams, tls)
    return row


def print_rows(rows):
    print(f"\nResident memory: at rest; of each of {IDLE_CLIENTS} idle clients; of each of {STREAMS} "
          "open streams")
    print(f"{'target':12} {'rest MiB':>9} {'idle KiB':>9} {'stream KiB':>11} {'stream, TLS KiB':>16}")
    for row in rows:
        print(f"{row['target']:12} {row['rest_mib']:>9.1f} {row['idle_client_kib']:>9.2f} "
              f"{row['stream_kib']:>11.1f} {row['stream_tls_kib']:>16.1f}")
