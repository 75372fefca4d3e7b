"""Providers are asked how they are when no traffic tells, and it costs no more than it may."""
import json
from decimal import Decimal

import pytest
import requests

import traffic
from program import PATIENCE, wait_until

FAST = ("--probe-interval", "300ms", "--models-interval", "0")
TOKENS = 16  # CP_PROBER_TOKENS
FREE = {"prompt": "0", "completion": "0"}
PRICED = {"prompt": "1", "completion": "10"}


@pytest.fixture(name="start")
def fixture_start(site):
    """Gives a daemon that probes, with the catalogue applied."""
    def start(*documents, flags=(), name="a"):
        one = site.control(*FAST, *flags, name=name)
        traffic.wait_admin(one)
        for document in documents:
            one.apply(document)
        return one
    return start


@pytest.fixture(name="sim")
def fixture_sim(site):
    return site.sim("--prompt-tokens", "30", "--tokens", "5")


def catalog(*sims, pricing=None, credential="house-1", **changes):
    """One endpoint for each provider."""
    return {
        "version": 1,
        "providers": [{"slug": f"p{n}", "name": f"P {n}", "dialect": "openai",
                       "base_url": sim.url + "/v1",
                       **({"credential": {"value": credential}} if credential else {}), **changes}
                      for n, sim in enumerate(sims)],
        "models": [{"id": "lab/one", "name": "One", "context_length": 1000,
                    "input_modalities": ["text"], "output_modalities": ["text"]}],
        "endpoints": [{"model": "lab/one", "provider": f"p{n}", "pricing": pricing or FREE}
                      for n in range(len(sims))],
    }


def probes(control, **query):
    return control.get("probes", params={"limit": 1000, **query})["data"]


def ended(control, **query):
    return [probe for probe in probes(control, **query) if probe["outcome"] is not None]


def wait_probes(control, count=1, **query):
    wait_until(lambda: len(ended(control, **query)) >= count, f"{count} probes ended: {query}")
    return ended(control, **query)


def tables(control):
    return {row["provider"]: row for row in control.get("tables")["data"]}


def spent(database):
    """By day, as it is kept and as it must be."""
    return (database.rows("SELECT day::text, cost FROM probe_days WHERE cost > 0 ORDER BY day"),
            database.rows("SELECT (started_at AT TIME ZONE 'UTC')::date::text, sum(cost)"
                          " FROM probes WHERE cost > 0 GROUP BY 1 ORDER BY 1"))


def check_sums(database):
    kept, summed = spent(database)
    assert [(day, int(cost)) for day, cost in kept] == [(day, int(cost)) for day, cost in summed]


def test_a_probe_is_sent_recorded_and_seen_in_the_tables(start, sim, database, site):
    control = start(catalog(sim, pricing=PRICED))
    probe = wait_probes(control, outcome="success")[-1]
    request = sim.requests()[0]
    assert request["headers"]["authorization"] == "Bearer house-1"
    assert '"stream":true' in request["body"] and f'"max_tokens":{TOKENS}' in request["body"]
    assert (probe["kind"], probe["reason"], probe["provider"], probe["endpoint"]) == (
        "completion", "stale", "p0", "lab/one@p0")
    assert (probe["status"], probe["usage_source"]) == (200, "provider")
    assert (probe["prompt_tokens"], probe["completion_tokens"]) == (30, 5)
    assert Decimal(probe["cost"]) == Decimal("0.000080")  # 30 of 1 and 5 of 10 USD per million
    assert Decimal(probe["cost"]) <= Decimal(probe["reserved"])
    assert probe["connect_ms"] > 0 and probe["first_token_ms"] > 0
    wait_until(lambda: tables(control)["p0"].get("probes"), "the tables have the probe")
    assert tables(control)["p0"]["samples"] == 0  # nobody asked but us
    assert tables(control)["p0"]["latency_ms"]["p50"] is not None
    assert tables(control)["p0"]["sources"] == ["probes"]
    shown = site.ctl("probes", "--outcome", "success", control=control).stdout
    assert "lab/one@p0" in shown and "completion" in shown
    csv = control.call("GET", "probes", params={"format": "csv"}).text
    assert csv.startswith("started_at,kind,") and "lab/one@p0" in csv
    page = requests.get(control.url + "/metrics", timeout=PATIENCE).text
    assert 'switchboard_control_probes_total{verdict="success"}' in page
    check_sums(database)


def test_endpoints_that_embed_are_asked_for_an_embedding(start, sim, database, site):
    document = catalog(sim)
    document["models"][0]["output_modalities"] = ["embeddings"]
    document["endpoints"][0]["pricing"] = {"prompt": "2", "overrides": [
        {"days": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
         "prompt": "3"}]}
    control = start(document)
    probe = wait_probes(control, outcome="success", kind="embedding")[-1]
    request = sim.requests()[0]
    assert request["target"] == "/v1/embeddings" and '"input":' in request["body"]
    assert (probe["status"], probe["prompt_tokens"], probe["completion_tokens"]) == (200, 30, 0)
    assert Decimal(probe["cost"]) == Decimal("0.000090")  # 30 of 3 USD per million, as every day
    assert Decimal(probe["cost"]) <= Decimal(probe["reserved"])
    wait_until(lambda: tables(control)["p0"].get("probes"), "the tables have the probe")
    assert tables(control)["p0"]["latency_ms"]["p50"] is not None
    assert tables(control)["p0"]["throughput"] is None
    assert probes(control, kind="completion") == []
    shown = site.ctl("probes", "--kind", "embedding", control=control).stdout
    assert "lab/one@p0" in shown and "embedding" in shown
    check_sums(database)
    # and when it is down, and back
    sim.behave(fail="500")
    wait_probes(control, outcome="server_error", kind="embedding")
    wait_until(lambda: tables(control)["p0"]["health"] == "outage", "it is held to be down")
    sim.behave(fail=None)
    wait_until(lambda: tables(control)["p0"]["health"] == "up", "it is back")


def test_a_filter_that_is_none_is_refused(start, sim):
    control = start(catalog(sim))
    answer = control.call("GET", "probes", params={"kind": "chat"})
    assert answer.status_code == 400 and "kind" in answer.text


def test_without_a_budget_only_what_is_free_is_probed(start, site, database):
    free, priced = site.sim(), site.sim()
    document = catalog(free, priced)
    document["endpoints"][1]["pricing"] = PRICED
    control = start(document, flags=("--probe-budget", "0"))
    wait_probes(control, 3, provider="p0")
    wait_until(lambda: control.log.found("the budget allows no more"), "the other had its turn")
    assert priced.requests() == []
    assert probes(control, provider="p1") == []
    assert database.rows("SELECT coalesce(sum(cost), 0) FROM probe_days") == [(0,)]


def test_the_budget_is_never_exceeded(start, site, database):
    sims = [site.sim("--prompt-tokens", "30", "--first-token-ms", "50") for _ in range(4)]
    # the worst case of one is 0.0006 USD; an hour's share, which may always be used, is enough for it
    budget = Decimal("0.02")
    control = start(catalog(*sims, pricing=PRICED), flags=("--probe-budget", str(budget)))
    control.log.wait("the budget allows no more")
    wait_until(lambda: len(probes(control)) == len(ended(control)), "all have ended")
    total = sum(Decimal(probe["cost"]) for probe in probes(control))
    assert 0 < total <= budget
    check_sums(database)


def test_an_endpoint_that_bills_more_than_it_can_is_left_alone_for_the_day(start, sim, database):
    sim.behave(prompt_tokens=90000)
    control = start(catalog(sim, pricing=PRICED), flags=("--probe-budget", "5"))
    control.log.wait("a probe cost more than it could")
    assert Decimal(wait_probes(control)[0]["cost"]) > Decimal("0.09")
    wait_until(lambda: metric(control, "probes_put_off_total") > 0, "its next turn was refused")
    assert len(sim.requests()) == 1
    check_sums(database)


def metric(control, name):
    page = requests.get(control.url + "/metrics", timeout=PATIENCE).text
    return next(float(line.split()[-1]) for line in page.splitlines()
                if line.startswith(f"switchboard_control_{name}"))


def test_a_tenants_own_key_is_never_used(start, site):
    own, house = site.sim(), site.sim()
    document = catalog(own, house, credential=None)
    document["tenants"] = [{"name": "shop"}]
    document["credentials"] = [
        {"name": "own", "provider": "p0", "tenant": "shop", "secret": {"value": "tenants-own"}},
        {"name": "house", "provider": "p1", "secret": {"value": "house-2"}}]
    control = start(document)
    wait_probes(control, 3, provider="p1")
    assert own.requests() == []
    assert {r["headers"]["authorization"] for r in house.requests()} == {"Bearer house-2"}


def test_what_is_down_is_seen_and_what_is_back_is_too(start, sim):
    control = start(catalog(sim))
    wait_probes(control, outcome="success")
    sim.behave(fail=503)
    wait_until(lambda: tables(control)["p0"]["health"] == "outage", "the outage is noticed")
    wait_probes(control, outcome="server_error", count=3)
    wait_until(lambda: any(p["reason"] == "outage" for p in probes(control)), "it is rechecked")
    sim.behave(fail=None)
    wait_until(lambda: tables(control)["p0"]["health"] == "up", "it is seen to be back")


def test_a_silent_provider_holds_up_nobody(start, site):
    silent, fine = site.sim("--hang", "1"), site.sim()
    control = start(catalog(silent, fine), flags=("--probe-concurrency", "4"))
    wait_probes(control, 5, provider="p1")
    assert {p["outcome"] for p in ended(control, provider="p1")} == {"success"}
    assert ended(control, provider="p0") == []


def test_a_new_leader_goes_on_with_the_days_budget(start, site, database):
    sim = site.sim("--prompt-tokens", "30", "--hold-after", "1")
    flags = ("--probe-budget", "0.02")
    leader = start(catalog(sim, pricing=PRICED), flags=flags)
    leader.log.wait("leading term=")
    standby = start(flags=flags, name="b")
    sim.wait(held=1)  # a probe is under way, and nobody will ever say what it cost
    leader.kill()
    site.running.remove(leader)
    sim.behave(hold_after=-1)
    standby.log.wait("leading term=")
    done = wait_probes(standby, outcome="success")
    assert done[0]["term"] == 2
    lost = [probe for probe in probes(standby) if probe["outcome"] is None and probe["term"] == 1]
    assert len(lost) == 1 and lost[0]["cost"] == lost[0]["reserved"] != "0"
    standby.log.wait("the budget allows no more")
    wait_until(lambda: len(ended(standby)) == len(probes(standby)) - 1, "all others have ended")
    assert sum(Decimal(probe["cost"]) for probe in probes(standby)) <= Decimal("0.02")
    check_sums(database)

# --- lists of models -----------------------------------------------------------------------------

LISTS = ("--probe-interval", "0", "--models-interval", "300ms")


def listing(**pricing):
    """What OpenRouter would say of the one model; USD per token."""
    return json.dumps({"data": [{"id": "lab/one", "context_length": 1000, "pricing": pricing}]})


def events(database, kind):
    return database.rows("SELECT subject, detail FROM events WHERE kind = %s ORDER BY id", kind)


def pricing(control):
    return control.get("endpoints/lab/one@p0")["pricing"]


def test_a_list_of_models_is_read_and_recorded(start, sim, database):
    sim.behave(models_body=listing(prompt="0.000001", completion="0.00001"))
    control = start(catalog(sim, pricing=PRICED), flags=LISTS)
    probe = wait_probes(control, 2, kind="models")[0]
    assert (probe["outcome"], probe["provider"], probe["endpoint"], probe["cost"]) == (
        "success", "p0", None, "0")
    request = sim.requests()[0]
    assert request["target"] == "/v1/models" and request["headers"]["authorization"] == "Bearer house-1"
    assert probes(control, kind="completion") == []
    assert database.rows("SELECT count(*) FROM events") == [(0,)]


def test_a_price_is_applied_where_the_operator_chose_so(start, sim, database, site):
    sim.behave(models_body=listing(prompt="0.0000005", completion="0.00001", input_cache_read="1e-7"))
    control = start(catalog(sim, pricing=PRICED, price_updates="apply"), flags=LISTS)
    wait_until(lambda: pricing(control)["prompt"] == "0.5", "the price is in the catalogue")
    assert pricing(control) == {"prompt": "0.5", "completion": "10", "cache_read": "0.1"}
    change = control.get("audit/changes", params={"author": "prober"})["data"]
    assert [one["name"] for one in change] == ["lab/one@p0"]
    wait_until(lambda: events(database, "price_changed"), "the event is there")
    assert events(database, "price_changed")[0][1]["seen"] == {"prompt": "0.5", "cache_read": "0.1"}
    history = control.get("prices", params={"endpoint": "lab/one@p0"})["data"]
    assert [(one["author"], one["verdict"]) for one in history] == [
        ("prober", "applied"), ("admin", "applied")]
    assert history[0]["before"]["prompt"] == "1" and history[0]["after"]["prompt"] == "0.5"
    shown = site.ctl("prices", "--endpoint", "lab/one@p0", control=control).stdout
    assert "prober" in shown and "applied" in shown


def test_a_price_is_only_reported_unless_the_operator_chose_otherwise(start, sim, database):
    sim.behave(models_body=listing(prompt="0.0000005", completion="0.00001"))
    control = start(catalog(sim, pricing=PRICED), flags=LISTS)
    wait_until(lambda: events(database, "price_differs"), "it is reported")
    seen = len(ended(control, kind="models"))
    wait_probes(control, seen + 3, kind="models")
    assert len(events(database, "price_differs")) == 1  # once, not at every look
    assert pricing(control)["prompt"] == "1"
    history = control.get("prices", params={"endpoint": "lab/one@p0"})["data"]
    assert (history[0]["verdict"], history[0]["after"]) == ("reported", {"prompt": "0.5"})


def test_a_price_that_rose_too_much_is_never_applied(start, sim, database):
    sim.behave(models_body=listing(prompt="0.0000013", completion="0.00001"))
    document = catalog(sim, pricing=PRICED, price_updates="apply")
    control = start(document, flags=(*LISTS, "--price-rise-limit", "25"))
    wait_until(lambda: events(database, "price_rose"), "it is reported")
    assert pricing(control)["prompt"] == "1"
    sim.behave(models_body=listing(prompt="0.00000125", completion="0.00001"))
    wait_until(lambda: pricing(control)["prompt"] == "1.25", "what is within the limit is applied")
    verdicts = [one["verdict"] for one in control.get("prices")["data"]]
    assert verdicts == ["applied", "held", "applied"]


def test_a_model_that_is_gone_and_another_context_are_events(start, sim, database):
    sim.behave(models_body='{"data": [{"id": "lab/other"}]}')
    control = start(catalog(sim), flags=LISTS)
    wait_until(lambda: events(database, "model_missing"), "it is missed")
    sim.behave(models_body='{"data": [{"id": "lab/one", "max_model_len": 500}]}')
    wait_until(lambda: events(database, "context_differs"), "the context differs")
    assert events(database, "context_differs")[0][1] == {"have": 1000, "seen": 500}
    assert control.get("endpoints/lab/one@p0")["model"] == "lab/one"


@pytest.mark.parametrize("knobs, outcome", [
    ({"models_body": "x" * 1000, "models_times": 50_000}, "bad_answer"),
    ({"models_body": "[" * 1000, "models_times": 1000}, "bad_answer"),
    ({"models_body": "<html>"}, "bad_answer"),
    ({"fail": 500}, "server_error"),
    ({"fail": 404}, "not_offered"),
    ({"reset": True}, "reset"),
])
def test_nonsense_instead_of_a_list_does_nothing(start, site, sim, database, knobs, outcome):
    bad = site.sim()
    bad.behave(**knobs)
    control = start(catalog(bad, sim, pricing=PRICED), flags=LISTS)
    wait_probes(control, kind="models", provider="p0")
    assert {p["outcome"] for p in ended(control, kind="models", provider="p0")} == {outcome}
    wait_probes(control, 3, kind="models", provider="p1", outcome="success")
    assert database.rows("SELECT count(*) FROM events WHERE subject LIKE '%%@p0'") == [(0,)]


def test_a_silent_list_holds_up_nobody(start, site, sim):
    silent = site.sim("--hang", "1")
    control = start(catalog(silent, sim), flags=LISTS)
    wait_probes(control, 3, kind="models", provider="p1", outcome="success")
    assert ended(control, kind="models", provider="p0") == []
