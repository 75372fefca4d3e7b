"""Prices with conditions: who gets a long prompt, who is cheap at this hour, and what it costs."""
import datetime
from decimal import Decimal

import pytest
import yaml

import traffic
from program import wait_until

TAGS = ("acme", "beta")
LONG = "x" * 4004  # 1001 tokens, as routing estimates it


def hours(first, last):
    """So many hours from now on, as a catalogue has them; both whole hours away, whatever it is."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return "-".join((now + datetime.timedelta(hours=at)).strftime("%H:%M") for at in (first, last))


class Shop:
    """Two providers with a price list each, and a worker that knows them."""

    def __init__(self, site, control):
        self.control = control
        self.sims = dict(zip(TAGS, (site.sim("--tokens", "5") for _ in TAGS)))
        self.worker = site.worker([control])
        self.client = None

    def sell(self, acme, beta):
        applied = self.control.apply({
            "version": 1,
            "providers": [{"slug": tag, "name": tag.title(), "dialect": "openai",
                           "base_url": sim.url + "/v1"} for tag, sim in self.sims.items()],
            "models": [{"id": traffic.MODEL, "name": "One", "context_length": 131072}],
            "endpoints": [{"model": traffic.MODEL, "provider": tag, "pricing": pricing}
                          for tag, pricing in zip(TAGS, (acme, beta))],
            "keys": [{"name": "app"}]})
        traffic.wait_revision(self.worker, applied["revision"])
        if self.client is None:
            self.client = self.worker.client(applied["keys"][0]["secret"])

    def buy(self, text="hello", **provider):
        """Who serves it, and what it cost by the answer, in USD."""
        answer = self.client.post("/v1/chat/completions", json={
            "model": traffic.MODEL, "messages": [{"role": "user", "content": text}],
            "provider": provider or {"sort": "price"}})
        assert answer.status_code == 200, answer.text
        usage = answer.json()["usage"]
        cost = usage["cost_details"]["upstream_inference_cost"]
        return (answer.headers["X-Switchboard-Endpoint"], Decimal(str(cost)),
                answer.headers["X-Generation-Id"])

    def order(self, text="hello"):
        answer = self.control.call("POST", "explain", json={
            "model": traffic.MODEL, "messages": [{"role": "user", "content": text}],
            "provider": {"sort": "price"}})
        assert answer.status_code == 200, answer.text
        return [(one["endpoint"], one.get("overrides", [])) for one in answer.json()["order"]]


@pytest.fixture(name="shop")
def fixture_shop(site, control):
    return Shop(site, control)


def recorded(database, generation):
    """Upstream cost of a record, in 1e-15 USD."""
    sql = "SELECT upstream_cost FROM audit_requests WHERE generation = %s"
    wait_until(lambda: database.rows(sql, generation), f"{generation} is recorded")
    [(cost,)] = database.rows(sql, generation)
    return int(cost)


def test_a_long_prompt_goes_elsewhere_and_costs_what_was_counted(shop, database):
    shop.sell({"prompt": "0.10", "completion": "0.30", "overrides": [
                  {"min_prompt_tokens": 1000, "prompt": "2", "completion": "4"}]},
              {"prompt": "1", "completion": "1"})
    assert shop.buy()[0] == "acme"
    assert shop.buy(LONG)[0] == "beta"
    assert [tag for tag, _ in shop.order()] == ["acme", "beta"]
    (first, applied), (second, dear) = shop.order(LONG)
    assert (first, applied, second) == ("beta", [], "acme")
    [override] = dear
    assert (override["index"], override["min_prompt_tokens"]) == (0, 1000)
    assert Decimal(override["prompt"]) == Decimal("0.000002")
    # the bill is by what the provider counts, whatever was estimated
    shop.sims["acme"].behave(prompt_tokens=1001)
    tag, cost, generation = shop.buy("hello", only=["acme"])
    assert (tag, cost) == ("acme", Decimal("0.002022"))  # 1001 of 2 and 5 of 4 USD per million
    assert recorded(database, generation) == 2_022_000_000_000
    shop.sims["acme"].behave(prompt_tokens=1000)
    tag, cost, generation = shop.buy(LONG, only=["acme"])
    assert (tag, cost) == ("acme", Decimal("0.0001015"))  # 1000 of 0.10 and 5 of 0.30
    assert recorded(database, generation) == 101_500_000_000
    [row] = shop.control.get("audit/requests", params={"generation_id": generation})["data"]
    assert row["cost"] == "0.0001015"


def test_the_hour_says_who_is_cheap_and_what_is_billed(shop, database):
    now, later = hours(-2, 2), hours(4, 8)
    shop.sell({"prompt": "5", "completion": "5", "overrides": [
                  {"hours": now, "prompt": "0.01", "completion": "0.02"}]},
              {"prompt": "1", "completion": "1", "overrides": [
                  {"hours": later, "prompt": "0.001", "completion": "0.001"}]})
    shop.sims["acme"].behave(prompt_tokens=100)
    tag, cost, generation = shop.buy()
    assert (tag, cost) == ("acme", Decimal("0.0000011"))  # 100 of 0.01 and 5 of 0.02
    assert recorded(database, generation) == 1_100_000_000
    (first, [override]), (second, none) = shop.order()
    assert (first, second, none) == ("acme", "beta", [])
    start, end = (int(time.replace(":", "")) for time in now.split("-"))
    assert (override["utc_start"], override["utc_end"]) == (start, end)
    # the hours change places: so do the endpoints
    for tag, when in (("acme", later), ("beta", now)):
        name = f"endpoints/{traffic.MODEL}@{tag}"
        pricing = shop.control.get(name)["pricing"]
        pricing["overrides"][0]["hours"] = when
        answer = shop.control.call("PATCH", name, json={"pricing": pricing})
        assert answer.status_code == 200, answer.text
    traffic.wait_revision(shop.worker, answer.json()["revision"])
    assert shop.buy()[0] == "beta"
    tag, cost, _ = shop.buy(only=["acme"])
    assert (tag, cost) == ("acme", Decimal("0.000525"))  # 105 of 5


def test_limits_of_a_request_hold_at_the_prices_in_force(shop):
    shop.sell({"prompt": "0.10", "completion": "0.30", "overrides": [
                  {"min_prompt_tokens": 1000, "prompt": "2"}]},
              {"prompt": "1", "completion": "1", "overrides": [
                  {"hours": hours(-2, 2), "prompt": "3"}]})
    assert shop.buy(max_price={"prompt": "0.10"})[0] == "acme"
    answer = shop.client.post("/v1/chat/completions", json={
        "model": traffic.MODEL, "messages": [{"role": "user", "content": LONG}],
        "provider": {"max_price": {"prompt": "1.5"}}})
    assert answer.status_code == 404
    removed = answer.json()["error"]["metadata"]["funnel"][1]["removed"]
    assert {one["endpoint"]: one["reason"] for one in removed} == {
        "acme": "prompt costs 2 USD per million tokens (pricing.overrides[0]), the limit is 1.5",
        "beta": "prompt costs 3 USD per million tokens (pricing.overrides[0]), the limit is 1.5"}


def test_lists_show_base_prices_and_their_conditions(shop):
    shop.sell({"prompt": "0.10", "completion": "0.30", "overrides": [
                  {"min_prompt_tokens": 128000, "prompt": "0.20", "cache_read": "0.05"},
                  {"hours": "22:30-24:00", "days": ["sunday", "friday"], "request": "0.5"}]},
              {"prompt": "1", "completion": "1"})
    wanted = {"prompt": "0.0000001", "completion": "0.0000003", "overrides": [
        {"min_prompt_tokens": 128000, "prompt": "0.0000002", "input_cache_read": "0.00000005"},
        {"utc_start": 2230, "utc_end": 0, "utc_days": ["friday", "sunday"], "request": "0.5"}]}
    endpoints = shop.client.get(f"/v1/models/{traffic.MODEL}/endpoints").json()["data"]["endpoints"]
    assert [one["pricing"] for one in endpoints] == [
        wanted, {"prompt": "0.000001", "completion": "0.000001"}]
    [model] = shop.client.get("/v1/models").json()["data"]
    assert model["pricing"] == wanted


def test_they_are_written_shown_compared_and_rolled_back(site, shop, tmp_path):
    shop.sell({"prompt": "0.10", "completion": "0.30"}, {"prompt": "1", "completion": "1"})
    before = shop.control.get("revisions")["data"][0]["revision"]
    name = f"{traffic.MODEL}@acme"
    text = site.ctl("get", "endpoint", name, "-o", "yaml", control=shop.control).stdout
    document = yaml.safe_load(text)
    document["pricing"]["overrides"] = [{"min_prompt_tokens": 5, "prompt": 0.50},
                                        {"hours": "1:00-2:00", "days": ["fryday"]}]
    path = tmp_path / "catalog.yaml"

    def apply(*flags, check=True):
        path.write_text(yaml.safe_dump({"version": 1, "endpoints": [
            {name: value for name, value in document.items()
             if name not in ("id", "revision", "managed_by")}]}))
        return site.ctl("apply", "-f", path, *flags, control=shop.control, check=check)
    refused = apply(check=False)
    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    for problem in ("pricing.overrides[1].hours", "pricing.overrides[1].days[0]",
                    "did you mean 'friday'", "pricing.overrides[1]", "has no price"):
        assert problem in said, said
    document["pricing"]["overrides"][1] = {"hours": "01:00-02:00", "prompt": "0.40"}
    assert "overrides" in apply("--dry-run").stdout
    apply()
    shown = yaml.safe_load(site.ctl("get", "endpoint", name, "-o", "yaml",
                                    control=shop.control).stdout)
    assert shown["pricing"]["overrides"] == [{"min_prompt_tokens": 5, "prompt": "0.5"},
                                             {"hours": "01:00-02:00", "prompt": "0.4"}]
    [row, *_] = shop.control.get("prices", params={"endpoint": name})["data"]
    assert row["after"]["overrides"] == shown["pricing"]["overrides"]
    site.ctl("rollback", before, control=shop.control)
    assert "overrides" not in shop.control.get(f"endpoints/{name}")["pricing"]
