"""Which endpoint and which model a request gets, and how it is explained.

The rules themselves are cases of tests/unit/route; here a worker keeps them, with what it has seen.
"""
import pytest

from asking import HI, ORDER, ask, chat, refusal
from catalog import STEADY

# --- conversations -------------------------------------------------------------------------------


def served(worker, model, headers=None, **more):
    """Who serves a request that leaves the choice to the draw."""
    answer = worker.chat({"model": model, "messages": HI, **more}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Switchboard-Endpoint"]


def test_a_conversation_returns_to_its_endpoint_on_every_worker(world):
    model = world.fresh()
    with world.another() as other:
        chosen = set()
        for i in range(30):
            name = f"conversation {i}"
            endpoint = served(world.worker, model, {"X-Session-Id": name})
            for worker in (world.worker, other):
                assert served(worker, model, session_id=name) == endpoint
                assert served(worker, model, switchboard={"session_id": name}) == endpoint
                # the body counts before the head
                assert served(worker, model, {"X-Session-Id": "x"}, session_id=name) == endpoint
            chosen.add(endpoint)
        assert len(chosen) > 1  # 36 : 9 : 4
    assert all("x-session-id" not in request["headers"] for request in world.received(0))


def test_a_conversation_moves_while_its_endpoint_fails_and_returns(world):
    model = world.fresh()
    name = next(f"s{i}" for i in range(100)
                if served(world.worker, model, {"X-Session-Id": f"s{i}"}) == "p0")
    world[0].behave(fail="500")
    moved = served(world.worker, model, {"X-Session-Id": name})
    assert moved != "p0"
    assert served(world.worker, model, {"X-Session-Id": name}) == moved
    world[0].behave(fail=None)
    assert served(world.worker, model, {"X-Session-Id": name}) == "p0"


# --- models --------------------------------------------------------------------------------------


def test_suffixes_sort(world):
    model = world.fresh()
    for _ in range(12):  # a draw would leave the cheapest one time in four
        assert served(world.worker, f"{model}:floor") == "p0"
        assert served(world.worker, f"{model}:nitro:floor") == "p0"
    body = ask(world, f"{model}:floor", None).body
    assert body["model"] == model
    assert body["switchboard_metadata"]["requested"] == f"{model}:floor"
    assert body["switchboard_metadata"]["strategy"] == "direct"


def test_an_alias_is_told_as_such(world):
    answer = world.worker.post("/v1/embeddings", {"model": "embedder", "input": "x"},
                               headers={"X-OpenRouter-Metadata": "enabled"})
    told = answer.json()["openrouter_metadata"]
    assert (told["requested"], told["strategy"]) == ("embedder", "alias")
    assert told["endpoints"]["available"] == [{"provider": "Provider p0", "model": "test/embed",
                                               "endpoint": "p0", "selected": True}]


def test_endpoints_of_all_models_are_sorted_together_without_partition(world):
    models = [world.fresh(), world.fresh("same")]  # p1 and p2 for 2 and 3 USD; p1 for 1 USD
    rules = {"ignore": ["p0"], "sort": "price"}
    assert ask(world, models, None, provider=rules).body["model"] == models[0]
    rules["sort"] = {"by": "price", "partition": "none"}
    assert ask(world, models, None, provider=rules).body["model"] == models[1]
    world[1].behave(fail="401")
    result = ask(world, models, None, provider=rules)
    assert [(one["endpoint"], one["model"]) for one in result.metadata["attempts"]] == [
        ("p1", models[1]), ("p1", models[0]), ("p2", models[0])]
    assert result.metadata["strategy"] == "direct"


# --- what a worker has seen counts, and is told --------------------------------------------------


def explain(world, body):
    """The answer of the worker of this world to whoever asks the control plane."""
    answer = world.control.call("POST", "explain?worker=gateway1-0&key=test", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_same_is_told_in_a_request_and_to_an_operator(world):
    body = {**chat(world.fresh(), ["p1"]), "seed": 1, "top_a": 0.5,
            "switchboard": {"explain": True, "operator_countries": {"deny": ["FR"]}}}
    told = world.worker.chat(body).json()["switchboard_metadata"]
    asked = explain(world, body)
    for member in ["requested", "strategy", "endpoints", "funnel", "order", "warnings",
                   "snapshot"]:
        assert told[member] == asked[member], member
    assert [one["endpoint"] for one in asked["order"]] == ["p1", "p0"]
    (_, step) = asked["funnel"]
    assert step["step"] == "operator_countries" and step["left"] == 2
    assert step["removed"] == [{"endpoint": "p2", "model": body["model"],
                                "reason": "operated from FR, which is denied"}]
    assert asked["relax"] == [{"rules": ["switchboard.operator_countries"], "endpoints": ["p2"]}]
    assert told["dropped_parameters"] == ["top_a"]
    assert all(one["dropped_parameters"] == ["top_a"] for one in asked["order"])
    assert told["summary"] == "2 of 3 endpoints could serve this request"
    assert len(world.received(1)) == 1  # who only asks sends nothing


def test_a_refusal_is_the_same_for_an_operator(world):
    body = {"model": world.fresh(), "messages": HI, "provider": {"only": ["p1"], "zdr": True}}
    error = refusal(world.worker.chat(body), 404, "not_found")
    assert explain(world, body) == {"error": error}
    assert error["availability"]["excluded_by"] == ["allowed_providers", "data_policy:zdr"]
    assert error["availability"]["constraint"] == {"field": "provider.zdr", "detail": "zdr is no"}


def test_breakers_and_cooldowns_are_told(world):
    model = world.fresh()
    world[0].behave(fail="429", retry_after=200)
    world[1].behave(fail="500")
    for _ in range(5):
        assert ask(world, model).attempts[-1] == ("p2", "success", 200)
    order = explain(world, {"model": f"{model}:floor", "messages": HI})["order"]
    told = ask(world, model).metadata["order"]
    for said in (order, told):
        assert [one["endpoint"] for one in said] == ["p2", "p0", "p1"]
        assert [one["health"] for one in said[:2]] == ["good", "cooldown"]
        # this worker's breaker, or already what the control plane has made of it
        assert said[2]["health"] in ("breaker", "outage")


def test_switchboardctl_says_it_in_a_table(world, tmp_path):
    model = world.fresh()
    world[1].behave(fail="500")
    for _ in range(5):
        ask(world, model, ["p1"])
    request = tmp_path / "request.json"
    request.write_text('{"model": "%s", "messages": [{"role": "user", "content": "hi"}],'
                       ' "provider": {"ignore": ["p2"]}}' % model)
    words = ["explain", "-f", request, "--key", "test", "--worker", "gateway1-0"]
    lines = world.site.ctl(*words, control=world.control).stdout.splitlines()
    text = "\n".join(lines)
    assert any(line.split()[0] == "ignore" and "- p2" in line and
               "is in the request's ignore" in line and line.split()[-1] == "2"
               for line in lines if line), text
    rows = [line.split() for line in lines if line.split()[2:3] == [model]]
    assert [(row[1], row[3], row[5]) for row in rows] == [
        ("p0", "house", "1"), ("p1", "house", "2")], text
    # this worker's breaker, or already what the control plane has made of it
    assert rows[0][4] == "good" and rows[1][4] in ("breaker", "outage"), text
    assert rows[0][-1].endswith("%")
    assert "provider.ignore" in lines[lines.index(
        next(line for line in lines if line.startswith("To let more in")) ) + 1], text
    # what would be cut there, and that nobody else would be tried
    request.write_text('{"model": "%s", "messages": [{"role": "user", "content": "hi"}],'
                       ' "top_a": 1, "provider": {"allow_fallbacks": false}}' % model)
    text = world.site.ctl(*words, control=world.control).stdout
    assert "drops top_a" in text
    assert "allow_fallbacks is false: no other endpoint would be tried." in text
    # refusals too, with an exit status that a script can see
    request.write_text('{"model": "%s", "messages": [{"role": "user", "content": "hi"}],'
                       ' "switchboard": {"pin": "p9"}}' % model)
    done = world.site.ctl(*words, control=world.control, check=False)
    assert done.returncode == 1
    assert "is not the request's pin" in done.stdout
    assert any(line.split() == ["switchboard.pin", "→", "p0,", "p1,", "p2"]
               for line in done.stdout.splitlines()), done.stdout
    assert 'warning: switchboard.pin: "p9" is not in the catalogue' in done.stdout


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413,
                                    415, 418, 422, 425, 428, 429, 431, 451, 499, 500, 504, 529,
                                    599])
def test_every_status_of_a_provider_becomes_one_envelope(world, status):
    """Asked for as a stream, and not."""
    world[0].behave(fail=str(status), retry_after=60)
    for stream in (False, True):
        answer = world.worker.chat(chat(world.fresh("single"), None, stream,
                                        switchboard={"deadline_ms": 200}))  # no second go
        error = refusal(answer, answer.status_code)
        assert isinstance(error["code"], int) and isinstance(error["message"], str)
        expected = (503 if status >= 500 or status in (408, 409, 425, 499)
                    else 502 if status in (401, 402, 403, 404, 405, 410, 451)
                    else status)
        assert answer.status_code == expected
        if status in (429, 503):
            assert answer.headers["Retry-After"] == "60"


def test_failed_attempts_are_on_record(world):
    world[0].behave(fail="500")
    world[1].behave(fail="429", retry_after=60)
    result = ask(world, world.fresh())
    data = world.worker.get("/v1/generation", params={"id": result.body["id"]}).json()["data"]
    assert [(one["provider_name"], one["status"]) for one in data["provider_responses"]] == [
        ("p0", 500), ("p1", 429), ("p2", 200)]
    assert [one["outcome"] for one in data["provider_responses"]] == [
        "server_error", "rate_limited", "success"]
    assert all(one["latency"] >= 0 for one in data["provider_responses"])
    assert data["total_cost"] == result.body["usage"]["cost"]  # of the one that served


def test_nothing_is_sent_where_no_endpoint_may_have_it(world):
    """STEADY is served by p0 alone: whatever removes it, no provider hears of the request."""
    for rules in [{"provider": {"only": ["p1"]}}, {"provider": {"max_price": {"prompt": 0.5}}},
                  {"switchboard": {"residency": ["FR"]}}, {"switchboard": {"byok": "only"}},
                  {"provider": {"order": ["p2"], "allow_fallbacks": False}},
                  {"switchboard": {"max_cost": "0.0000001"}}, {"max_tokens": 60_000},
                  {"modalities": ["audio"]}, {"provider": {"quantizations": ["fp8"]}},
                  {"provider": {"enforce_distillable_text": True}},
                  {"provider": {"data_collection": "deny"}},
                  {"switchboard": {"min_throughput": 1e9}},
                  {"top_a": 1, "provider": {"require_parameters": True}}]:
        error = refusal(world.worker.chat({"model": STEADY, "messages": HI, **rules}), 404)
        (removed,) = error["metadata"]["funnel"][-1]["removed"]
        assert removed["endpoint"] == "p0" and removed["reason"]
        assert error["metadata"]["relax"][0]["endpoints"] == ["p0"]
        assert error["metadata"]["relax"][0]["rules"]
        assert error["availability"]["excluded_by"]
    assert world.received() == [0, 0, 0]


assert ORDER == ["p0", "p1", "p2"]  # by price: see catalog.KINDS
