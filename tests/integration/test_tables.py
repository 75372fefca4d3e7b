"""The tables: what the experience of one worker does to all others, and what operators see of it.

Nothing here depends on how fast it is: a test waits for what must come, and prints how long it took.
"""
import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest

from program import wait_until
from traffic import MODEL, Traffic, wait_revision

TAGS = ("acme", "beta")
MESSAGES = [{"role": "user", "content": "hello"}]


def catalog(sims, **changes):
    """The same model, at the same price, at two providers."""
    document = {
        "version": 1,
        "providers": [{"slug": tag, "name": tag.title(), "dialect": "openai",
                       "base_url": sim.url + "/v1", "credential": {"value": f"house-{tag}"}}
                      for tag, sim in zip(TAGS, sims)],
        "models": [{"id": MODEL, "name": "One", "context_length": 131072,
                    "input_modalities": ["text"], "output_modalities": ["text"]}],
        "endpoints": [{"model": MODEL, "provider": tag,
                       "pricing": {"prompt": "0.10", "completion": "0.30"}} for tag in TAGS],
        "keys": [{"name": "app"}],
    }
    document.update(changes)
    return document


class Stage:
    """Two providers, a worker that serves traffic, and one that never does."""

    def __init__(self, site, controls, *sim_flags):
        self.site = site
        self.controls = controls
        self.sims = [site.sim(*sim_flags, "--name", tag) for tag in TAGS]
        self.busy, self.idle = (site.worker(controls, "--name", name, name=name)
                                for name in ("busy", "idle"))
        self.control = controls[0]
        wait_until(self.control.is_ready, "the control daemon is ready")
        applied = self.control.apply(catalog(self.sims))
        self.key = applied["keys"][0]["secret"]
        for worker in (self.busy, self.idle):
            wait_revision(worker, applied["revision"])

    def traffic(self, threads=4, streams="half"):
        return Traffic(self.busy, self.key, threads=threads, streams=streams)

    def order(self, **body):
        """What the idle worker would do: [{endpoint, health, misses_preference ...}]."""
        answer = self.control.call("POST", "explain", params={"worker": "idle-0", "key": "app"},
                                   json={"model": MODEL, "messages": MESSAGES, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()["order"]

    def health(self, tag):
        return next(one["health"] for one in self.order() if one["endpoint"] == tag)

    def row(self, tag):
        return next(one for one in self.control.get("tables")["data"] if one["tag"] == tag)

    def events(self, **filters):
        return self.control.get("events", params=filters)["data"]


@pytest.fixture(name="stage")
def fixture_stage(site, control):
    return Stage(site, [control], "--tokens", "5", "--first-token-ms", "4")


def first_tries(clients, count):
    """Whether the first try of each of the newest requests was the one that served it."""
    newest = clients.answered[-count:]
    return len(newest) == count and all(
        one.headers["X-Switchboard-Attempts"] == "1" for one in newest)


def test_a_provider_that_dies_is_left_by_all_and_found_again(stage):
    name = f"{MODEL}@acme"
    with stage.traffic() as clients:
        clients.wait_more(100)
        assert stage.health("acme") == "good"
        assert {one.headers["X-Switchboard-Endpoint"] for one in clients.answered} >= set(TAGS)
        stage.sims[0].behave(reset=True)
        died = time.monotonic()
        began = wait_until(lambda: stage.events(kind="outage_began", subject=name),
                           "the outage is an event")
        wait_until(lambda: stage.health("acme") == "outage",
                   "a worker that never asked it knows of the outage")
        print(f"known to all {time.monotonic() - died:.2f} s after the first failure")
        assert began[0]["severity"] == "critical" and began[0]["detail"]["faults"] >= 3
        assert stage.row("acme")["health"] == "outage"
        assert "switchboard_endpoints_out 1" in stage.idle.status[0].get("/metrics").text
        # While a mark is there nobody's first try is the dead one.
        wait_until(lambda: first_tries(clients, 50), "first tries leave it alone")
        assert {one.headers["X-Switchboard-Endpoint"] for one in clients.answered[-50:]} == {"beta"}
        stage.sims[0].restore()
        alive = time.monotonic()
        wait_until(lambda: stage.events(kind="outage_ended", subject=name), "the outage ends")
        print(f"over {time.monotonic() - alive:.2f} s after it was back")
        since = len(clients.answered)
        wait_until(lambda: any(one.headers["X-Switchboard-Endpoint"] == "acme"
                               for one in clients.answered[since:]), "it serves again")
    clients.check_none_failed()
    assert [one["kind"] for one in reversed(stage.events(subject=name))][:2] == [
        "outage_began", "outage_ended"]
    assert stage.control.log.found(rf'level=error .*event=outage_began .*subject={name}')


def test_a_provider_that_slows_down_loses_requests_with_a_threshold(site, control):
    stage = Stage(site, [control], "--tokens", "20", "--tokens-per-s", "100")
    wish = {"provider": {"preferred_min_throughput": 50}}
    need = {"switchboard": {"min_throughput": {"p90": 50}}}
    with stage.traffic(threads=8) as clients:
        def measured(tag):
            return (stage.row(tag).get("throughput") or {}).get("p50", 0)
        wait_until(lambda: all(measured(tag) > 50 for tag in TAGS), "both are measured as fast")
        wait_until(lambda: not any(one["misses_preference"] for one in stage.order(**wish)),
                   "the idle worker knows both as fast")
        stage.sims[0].behave(tokens_per_s=20)
        slowed = time.monotonic()
        wait_until(lambda: [one["endpoint"] for one in stage.order(**need)] == ["beta"],
                   "a hard threshold of p90 excludes it")
        print(f"p90 missed {time.monotonic() - slowed:.1f} s after it slowed down")
        order = wait_until(
            lambda: (lambda order: order if order[-1]["misses_preference"] else None)(
                stage.order(**wish)), "a preference ranks it behind")
        print(f"p50 missed {time.monotonic() - slowed:.1f} s after it slowed down")
        assert [one["endpoint"] for one in order] == ["beta", "acme"]
        answer = stage.idle.client(stage.key).post("/v1/chat/completions", json={
            "model": MODEL, "messages": MESSAGES, **wish})
        assert answer.headers["X-Switchboard-Endpoint"] == "beta"
        nitro = stage.order(model=MODEL + ":nitro")
        assert [one["endpoint"] for one in nitro] == ["beta", "acme"]
    clients.check_none_failed()


@pytest.mark.parametrize("tokens", (150, 1000))
def test_long_streams_tell_that_their_provider_has_slowed_down(site, control, tokens):
    stage = Stage(site, [control], "--tokens", str(tokens), "--tokens-per-s", "100")
    # Throughput is learned from streams that end, so the first ones are short.
    for sim in stage.sims:
        sim.behave(tokens=20)
    wish = {"provider": {"preferred_min_throughput": 50}}
    with stage.traffic(threads=8, streams="all") as clients:
        clients.wait_more(60)
        wait_until(lambda: [one["misses_preference"] for one in stage.order(**wish)]
                   == [False, False], "the idle worker knows both as fast")
        stage.sims[1].behave(tokens=tokens)
        stage.sims[0].behave(tokens=tokens, tokens_per_s=20)
        slowed = time.monotonic()
        order = wait_until(
            lambda: (lambda order: order if order[-1]["misses_preference"] else None)(
                stage.order(**wish)), "a worker that never asked it knows of it")
        print(f"p50 missed {time.monotonic() - slowed:.1f} s after it slowed down")
        assert [one["endpoint"] for one in order] == ["beta", "acme"]
        answer = stage.idle.client(stage.key).post("/v1/chat/completions", json={
            "model": MODEL, "messages": MESSAGES, "max_tokens": 5, **wish})
        assert answer.headers["X-Switchboard-Endpoint"] == "beta"
        clients.check_none_failed()
        # Nobody waits for the end of the answers that are under way.
        clients.stopping = True
        for sim in stage.sims:
            sim.close(which="all", how="close")


def test_sort_by_latency_goes_to_the_faster_one(stage):
    stage.sims[0].behave(first_token_ms=2500)
    with stage.traffic() as clients:
        wait_until(lambda: all(stage.row(tag).get("latency_ms") for tag in TAGS),
                   "both are measured")
        wait_until(lambda: [one["endpoint"] for one in stage.order(provider={"sort": "latency"})]
                   == ["beta", "acme"], "the order is by latency")
        limit = {"provider": {"preferred_max_latency": 1.5}}
        # on a busy machine the first attempts at the faster one may have been slow, too
        wait_until(lambda: [one["misses_preference"] for one in stage.order(**limit)]
                   == [False, True], "the slower one alone misses the preference")
    clients.check_none_failed()


def test_a_retry_after_is_shared(stage):
    stage.sims[0].behave(fail="429", retry_after=40)
    with stage.traffic() as clients:
        wait_until(lambda: stage.health("acme") == "cooldown",
                   "a worker that never asked it knows of the pause")
        row = stage.row("acme")
        assert row["health"] == "cooldown" and 0 < row["cooldown_ms"] <= 40000
        assert not stage.events(subject=f"{MODEL}@acme")  # it is not out
    clients.check_none_failed()


def test_the_tables_outlive_their_leader(site, database):
    controls = [site.control(name=name) for name in "ab"]
    wait_until(controls[0].is_ready, "the first daemon is ready")
    controls[0].log.wait("msg=leading")
    stage = Stage(site, controls, "--tokens", "5", "--first-token-ms", "4")
    name = f"{MODEL}@acme"
    with stage.traffic() as clients:
        clients.wait_more(50)
        stage.sims[0].behave(reset=True)
        wait_until(lambda: stage.events(kind="outage_began", subject=name), "acme is out")
        # Minutes are stored when they are over; so that the test need not wait for one:
        database.rows("INSERT INTO telemetry_minutes SELECT date_trunc('minute', now())"
                      " - interval '2 minutes', id, 1000, 900, 100, 0, 0, 5000, 0, NULL, NULL"
                      " FROM endpoints RETURNING 1")
        controls[0].kill()
        stage.control = controls[1]
        controls[1].log.wait("took the history over")
        row = wait_until(lambda: stage.row("beta"), "the new leader has tables")
        assert row["samples"] >= 1000
        wait_until(lambda: stage.order() and stage.health("acme") == "outage",
                   "workers hear from the new leader that acme is still out")
        clients.wait_more(50)
        assert len(stage.events(kind="outage_began", subject=name)) == 1
        controls[0].start()
    clients.check_none_failed()


def test_a_daemon_that_ends_stores_what_it_has_heard(stage, database):
    with stage.traffic(threads=2) as clients:
        clients.wait_more(50)
    clients.check_none_failed()

    def heard():
        return sum(stage.row(tag)["samples"] for tag in TAGS)
    wait_until(lambda: heard() >= len(clients.answered), "all is in the tables")
    wanted = heard()
    stage.control.stop()
    assert int(database.one("SELECT sum(attempts) FROM telemetry_minutes")) == wanted
    assert database.one("SELECT count(*) FROM telemetry_minutes WHERE first_token IS NOT NULL") > 0


# --- what operators see -----------------------------------------------------------------------


def test_tables_show_price_share_and_evidence_that_ends(site, stage):
    soon = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 10 * 86400))
    document = catalog(stage.sims)
    del document["keys"]
    document["endpoints"][0]["zdr"] = {"value": "yes", "evidence": "https://acme.example/zdr",
                                       "expires_on": soon}
    stage.control.apply(document)
    with stage.traffic() as clients:
        clients.wait_more(40)
        wait_until(lambda: stage.row("acme")["samples"] and stage.row("beta")["samples"],
                   "both are measured")
    row = stage.row("acme")
    assert row["expiring"] == [{"claim": "zdr", "expires_on": soon, "is_expired": False}]
    assert row["expires_on"] == soon and stage.row("beta")["expires_on"] is None
    assert row["pricing"] == {"prompt": "0.1", "completion": "0.3"}
    assert row["sources"] == ["traffic"] and row["health"] == "up" and row["uptime"] == 1
    assert row["half_hour"]["samples"] >= row["samples"] and row["day"]["uptime"] == 1
    shares = [stage.row(tag)["traffic_share"] for tag in TAGS]
    assert sum(shares) == pytest.approx(1, abs=0.02)
    shown = site.ctl("tables", control=stage.control).stdout
    assert "SHARE" in shown and soon in shown
    told = wait_until(lambda: stage.events(kind="evidence_expiring"), "it is told ahead")
    assert len(told) == 1 and told[0]["detail"]["claim"] == "zdr"
    assert soon in told[0]["text"]
    clients.check_none_failed()


def test_lists_show_the_last_half_hour(stage):
    """What OpenRouter's clients read: milliseconds and tokens per second, of 30 minutes."""
    client = stage.idle.client(stage.key)
    path = f"/v1/models/{MODEL}/endpoints"

    def shown():
        return {one["tag"]: one for one in client.get(path).json()["data"]["endpoints"]}
    assert all(one["latency_last_30m"] is None for one in shown().values())
    with stage.traffic() as clients:
        clients.wait_more(60)
    clients.check_none_failed()
    wait_until(lambda: all(one["latency_last_30m"] for one in shown().values()),
               "a worker that never served knows")
    for tag, one in shown().items():
        told = stage.row(tag)["half_hour"]
        assert one["latency_last_30m"]["p50"] == pytest.approx(told["latency_ms"]["p50"], rel=0.5)
        assert one["throughput_last_30m"] is None or (
            one["throughput_last_30m"]["p50"] > 0 and told["throughput"]["p50"] > 0)
        assert one["uptime_last_30m"] == 100 and one["uptime_last_1d"] == 100


def test_what_was_believed_and_why(site, stage):
    name = f"{MODEL}@acme"
    document = catalog(stage.sims)
    del document["keys"]
    before = stage.control.get(f"flags/{name}")
    assert {one["value"] for one in before["flags"].values()} == {"unknown"}
    document["providers"][0]["data_policy"] = {
        "zdr": {"value": "yes", "evidence": "contract 7", "expires_on": "2030-01-31"}}
    said = stage.control.call("PUT", "catalog", params={"note": "the contract"}, json=document)
    revision = said.json()["revision"]
    document["providers"][0]["data_policy"]["zdr"] = {"value": "no", "evidence": "they said so"}
    stage.control.apply(document)
    flag = stage.control.get(f"flags/{name}")["flags"]["zdr"]
    assert (flag["value"], flag["evidence"]) == ("no", "they said so")
    between = next(one["at"] for one in stage.control.get("revisions")["data"]
                   if one["revision"] == revision)
    then = stage.control.get(f"flags/{name}", params={"at": between})
    flag = then["flags"]["zdr"]
    assert then["revision"] == revision
    assert (flag["value"], flag["evidence"]) == ("yes", "contract 7")
    assert flag["source"] == {"kind": "providers", "name": "acme"}
    assert flag["changed_by"]["revision"] == revision
    assert flag["changed_by"]["note"] == "the contract"
    shown = site.ctl("flags", name, "--at", between, control=stage.control).stdout
    assert "contract 7" in shown
    missing = stage.control.call("GET", f"flags/{name}", params={"at": "2020-01-01"})
    assert missing.status_code == 404
    assert stage.control.call("GET", "flags/no@such").status_code == 404


def test_evidence_that_has_expired_is_unknown_without_anybodys_doing(stage):
    name = f"{MODEL}@acme"
    document = catalog(stage.sims)
    del document["keys"]
    document["endpoints"][0]["zdr"] = {"value": "yes", "evidence": "old", "attested_on":
                                       "2020-01-01", "expires_on": "2020-12-31"}
    stage.control.apply(document)
    flag = stage.control.get(f"flags/{name}")["flags"]["zdr"]
    assert (flag["value"], flag["said"], flag["is_expired"]) == ("unknown", "yes", True)
    told = wait_until(lambda: stage.events(kind="evidence_expired", subject=name), "it is told")
    assert told[0]["severity"] == "critical"
    refused = stage.busy.client(stage.key).post("/v1/chat/completions", json={
        "model": MODEL, "messages": MESSAGES, "provider": {"zdr": True}})
    assert refused.status_code == 404


# --- the webhook --------------------------------------------------------------------------------


class Receiver:
    """Takes what is posted, after failing as often as it is told to."""

    def __init__(self, fail=0):
        receiver = self
        self.fail = fail
        self.got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body))
                receiver.fail -= 1
                self.send_response(500 if receiver.fail >= 0 else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):  # pylint: disable=arguments-differ
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook?token=hunter2hunter2"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_events_are_posted_until_they_are_taken(site):
    receiver = Receiver(fail=2)
    secret = site.home.path / "webhook.key"
    site.home._private(secret, "0123456789abcdef0123\n")  # pylint: disable=protected-access
    try:
        control = site.control("--webhook-url", receiver.url, "--webhook-secret-file", str(secret))
        stage = Stage(site, [control], "--tokens", "5")
        document = catalog(stage.sims)
        del document["keys"]
        document["endpoints"][0]["zdr"] = {"value": "yes", "evidence": "e", "attested_on":
                                           "2020-01-01", "expires_on": "2020-12-31"}
        control.apply(document)
        wait_until(lambda: [one["is_told"] for one in stage.events()] == [True],
                   "the event is taken")
        assert len(receiver.got) == 3
        assert len({body for _, body in receiver.got}) == 1
        headers, body = receiver.got[-1]
        event = json.loads(body)
        assert event["kind"] == headers["X-Switchboard-Event"] == "evidence_expired"
        assert str(event["id"]) == headers["X-Switchboard-Delivery"]
        moment, signature = headers["X-Switchboard-Signature"].split(",")
        expected = hmac.new(b"0123456789abcdef0123", moment[2:].encode() + b"." + body,
                            hashlib.sha256).hexdigest()
        assert moment.startswith("t=") and signature == f"v1={expected}"
        assert len(control.log.found("event=evidence_expired")) == 1
        assert not control.log.found("hunter2")
        page = control.session.get(control.url + "/metrics").text
        assert "switchboard_control_webhook_posts_total 1" in page
        assert 'switchboard_control_events_total{kind="evidence_expired"} 1' in page
    finally:
        receiver.close()


def test_events_are_filtered_and_come_in_pages(site, stage, database):
    for n in range(5):
        database.rows("INSERT INTO events (kind, severity, subject_kind, subject, text) VALUES"
                      " ('price_rose', %s, 'endpoints', %s, 'x') RETURNING 1", n % 3, f"s{n}")
    first = stage.control.get("events", params={"limit": 2})
    assert [one["subject"] for one in first["data"]] == ["s4", "s3"]
    second = stage.control.get("events", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [one["subject"] for one in second["data"]] == ["s2", "s1"]
    assert {one["subject"] for one in stage.events(severity="warning")} == {"s1", "s2", "s4"}
    assert not stage.events(kind="outage_began")
    assert stage.control.call("GET", "events", params={"kind": "outage"}).status_code == 400
    assert stage.control.call("GET", "events", params={"severity": "loud"}).status_code == 400
    assert "price_rose" in site.ctl("events", "--severity", "critical", control=stage.control).stdout
