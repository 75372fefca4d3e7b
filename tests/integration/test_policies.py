"""What a key's policy says holds at once, and no request gets around it (ROUTING.md 2)."""
import itertools

import pytest

from asking import CHAT, HI, Result, refusal
from program import Http, wait_until
from switchboard import Switchboard

PROVIDERS = {"p0": ("DE", "1"), "p1": ("US", "2"), "p2": ("FR", "4")}  # country, price
EVERYTHING = {  # each member that a policy may have
    "order": ["p0", "p1"], "allow_fallbacks": False, "only": ["p0"], "ignore": ["p2"],
    "require_parameters": True, "data_collection": "deny", "zdr": True,
    "enforce_distillable_text": True, "quantizations": ["fp8", "bf16"],
    "sort": {"by": "price", "partition": "none"}, "preferred_min_throughput": {"p50": 10},
    "preferred_max_latency": 2, "max_price": {"prompt": "0.5", "request": 0}, "residency": ["DE"],
    "operator_countries": {"allow": ["DE"], "deny": ["CN"]}, "min_throughput": 5,
    "max_latency": {"p99": 3}, "unknown_ok": True, "max_cost": "0.01", "pin": "p0", "strict": True,
    "first_token_timeout_ms": 1000, "attempt_timeout_ms": 2000, "deadline_ms": 3000,
    "byok": "last", "spill": False, "session_id": "s", "fallback_on_refusal": True,
    "explain": True, "allowed_models": ["m/*"], "audit": "sync", "charge_own_keys": True,
    "audit_personal": "plain", "receipts": True}


class Place:
    """Three providers, and a key whose policy each test writes."""

    def __init__(self, database):
        self.site = Switchboard(database)
        self.models = (f"m/{n:03}" for n in itertools.count())

    def __enter__(self):
        site = self.site
        try:
            self.sims = {slug: site.sim("--tokens", "5") for slug in PROVIDERS}
            self.control = site.control()
            wait_until(self.control.is_ready, "the control daemon is ready")
            self.api = Http(self.control.url + "/admin/v1", site.home.token)
            self.control.apply(self.catalogue())
            self.worker = site.worker([self.control])
        except BaseException:
            self.__exit__()
            raise
        self.clients = {name: self.worker.client(f"sb-gateway-key-{name}")
                        for name in ["bound", "free"]}
        return self

    def __exit__(self, *exc):
        self.site.close()

    def catalogue(self):
        models = [f"m/{n:03}" for n in range(40)]
        return {
            "version": 1,
            "providers": [{"slug": slug, "dialect": "openai", "headquarters": country,
                           "base_url": f"{self.sims[slug].url}/v1", "credential": {"value": slug}}
                          for slug, (country, _) in PROVIDERS.items()],
            "models": [{"id": model, "context_length": 100_000,
                        "aliases": ["alias"] if model == "m/000" else []} for model in models],
            "endpoints": [{"model": model, "provider": slug, "region": country,
                           "zdr": {"value": "yes" if slug == "p1" else "no", "evidence": "dpa"},
                           "pricing": {"prompt": price, "completion": price}}
                          for model in models for slug, (country, price) in PROVIDERS.items()],
            "policies": [{"name": "p"}],
            "keys": [{"name": "bound", "policy": "p", "secret": {"value": "sb-gateway-key-bound"}},
                     {"name": "free", "secret": {"value": "sb-gateway-key-free"}}],
        }

    def policy(self, **rules):
        """Is in force when this returns."""
        answer = self.api.put("/policies/p", json=rules)
        assert answer.status_code == 200, answer.text
        self.worker.wait_revision(answer.json()["revision"])

    def ask(self, model=None, key="bound", **more):
        answer = self.clients[key].post(
            CHAT, json={"model": model or next(self.models), "messages": HI, **more},
            headers={"X-Switchboard-Metadata": "enabled"})
        return Result(answer, more.get("stream", False))

    def order(self, **more):
        """In which the bound key's request would be tried."""
        result = self.ask(**more)
        assert result.status == 200, result.answer.text
        return [one["endpoint"] for one in result.metadata["order"]]


@pytest.fixture(scope="module", name="shared")
def fixture_shared(postgres):
    with Place(postgres.database()) as place:
        yield place


@pytest.fixture(name="place")
def fixture_place(shared):
    for sim in shared.sims.values():
        sim.restore()
        sim.forget()
    shared.policy()
    return shared


def test_a_policy_keeps_every_member_and_names_each_that_is_wrong(place):
    made = place.api.put("/policies/all", json=EVERYTHING)
    assert made.status_code == 201, made.text
    shown = place.api.get("/policies/all").json()
    assert {name: shown[name] for name in EVERYTHING} == EVERYTHING
    again = place.api.put("/policies/all", json=shown).json()
    assert again["is_changed"] is False
    wrong = dict.fromkeys(EVERYTHING, {"no": "such"})
    answer = place.api.put("/policies/wrong", json={**wrong, "surprise": 1})
    assert answer.status_code == 400
    named = {one["path"].split(".")[0].split("[")[0]
             for one in answer.json()["error"]["details"]}
    assert named == {*EVERYTHING, "surprise"}
    assert place.api.delete("/policies/all").status_code == 200


def test_a_model_outside_of_allowed_models_is_403(place):
    place.policy(allowed_models=["m/001", "m/002*"])
    for model in ["m/003", "m/000", "alias", "alias:floor"]:
        error = refusal(place.ask(model).answer, 403)
        assert "not allowed by the policy" in error["message"]
    assert place.ask("m/001").status == place.ask("m/002:nitro").status == 200
    listed = place.clients["bound"].get("/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["m/001", "m/002"]
    assert place.ask("m/003", key="free").status == 200
    place.policy(allowed_models=["m/003"])
    assert place.ask("m/003").status == 200 and place.ask("m/001").status == 403


def test_a_closed_order_is_a_set_that_no_request_opens(place):
    place.policy(order=["p2", "p1"], allow_fallbacks=False)
    assert place.order() == ["p2", "p1"]
    assert place.order(provider={"order": ["p1"], "allow_fallbacks": True}) == ["p1", "p2"]
    assert place.order(provider={"sort": "price"}) == ["p1", "p2"]
    assert place.ask(provider={"only": ["p0"]}).status == 404
    for slug in ["p1", "p2"]:
        place.sims[slug].behave(fail="500")
    place.sims["p0"].forget()
    assert place.ask().status == 503
    assert place.sims["p0"].requests() == []


@pytest.mark.parametrize("rules, loose, left", [
    ({"only": ["p0", "p1"]}, {"provider": {"only": ["p1", "p2"]}}, ["p1"]),
    ({"ignore": ["p0"]}, {"provider": {"ignore": ["p1"]}}, ["p2"]),
    ({"zdr": True}, {"provider": {"zdr": False}}, ["p1"]),
    ({"max_price": {"prompt": 1}}, {"provider": {"max_price": {"prompt": 9}}}, ["p0"]),
    ({"operator_countries": {"deny": ["US"]}},
     {"switchboard": {"operator_countries": {"deny": ["DE"]}}}, ["p2"]),
    ({"pin": "p2"}, {"provider": {"only": ["p0", "p2"]}}, ["p2"]),
    ({"allow_fallbacks": False, "sort": "price"}, {"provider": {"allow_fallbacks": True}}, ["p0"]),
    ({"min_throughput": 1}, {"switchboard": {"unknown_ok": True}}, []),
    ({"data_collection": "deny"}, {"provider": {"data_collection": "allow"}}, []),
    ({"residency": "eu"}, {"switchboard": {"residency": ["DE", "FR", "US"]}}, []),
    ({"byok": "only"}, {"switchboard": {"byok": "first"}}, []),
    ({"max_cost": "0.000000001"}, {"switchboard": {"max_cost": 5}}, []),
])
def test_a_request_tightens_and_never_loosens(place, rules, loose, left):
    place.policy(**rules)
    result = place.ask(**loose)
    if left:
        assert [one["endpoint"] for one in result.metadata["order"]] == left
    else:
        assert result.status == 404
        assert all(sim.requests() == [] for sim in place.sims.values())


def test_limits_of_the_policy_hold_when_the_request_asks_for_more(place):
    place.policy(deadline_ms=300, sort="price")
    for sim in place.sims.values():
        sim.behave(hang=1)
    result = place.ask(switchboard={"deadline_ms": 60_000})
    assert (result.status, result.error["code"]) == (408, 408)


def test_soft_preferences_of_the_request_replace_the_policys(place):
    place.policy(sort="price")
    assert place.order() == ["p0", "p1", "p2"]
    assert place.order(provider={"order": ["p2"]})[0] == "p2"


def test_a_policy_that_a_key_has_is_not_removed(place):
    answer = place.api.delete("/policies/p")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in_use")
    freed = place.api.patch("/keys/bound", json={"policy": None}).json()
    place.policy(zdr=True)
    place.worker.wait_revision(freed["revision"])
    assert len(place.order()) == 3  # the key has none now
    bound = place.api.patch("/keys/bound", json={"policy": "p"}).json()
    place.worker.wait_revision(bound["revision"])
    assert place.order() == ["p1"]
