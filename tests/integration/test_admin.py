"""The admin API as an operator meets it: the real daemon, a real database."""
import json
import signal

import pytest
import yaml

from program import Http, wait_until

CATALOG = {
    "version": 1,
    "providers": [
        {"slug": "acme", "name": "Acme", "dialect": "openai",
         "base_url": "https://api.acme.example/v1", "credential": {"value": "acme-secret-1"},
         "headquarters": "US"},
        {"slug": "bolt", "name": "Bolt", "dialect": "openai",
         "base_url": "https://bolt.example/v1", "credential": {"value": "bolt-secret-1"}},
    ],
    "models": [{"id": "meta/llama-70b", "name": "Llama 70B", "context_length": 131072,
                "aliases": ["llama"], "input_modalities": ["text"],
                "output_modalities": ["text"]}],
    "endpoints": [
        {"model": "meta/llama-70b", "provider": "acme", "tag": "acme/turbo", "region": "DE",
         "pricing": {"prompt": "0.10", "completion": "0.30"}},
        {"model": "meta/llama-70b", "provider": "bolt", "region": "US",
         "pricing": {"prompt": "0.20", "completion": "0.60"}},
    ],
    "policies": [{"name": "eu-only", "residency": "eu"}],
    "keys": [{"name": "app", "policy": "eu-only"}],
}
ENDPOINT = "/admin/v1/endpoints/meta/llama-70b@acme/turbo"


@pytest.fixture(name="api")
def fixture_api(control):
    return Http(control.url, control.home.token)


@pytest.fixture(name="applied")
def fixture_applied(control):
    return control.apply(CATALOG)


def problems(answer):
    """Of an error: {path: problem}."""
    return {one["path"]: one["problem"] for one in answer.json()["error"]["details"]}


# --- who may ask --------------------------------------------------------------------------


def test_health_needs_no_token(control):
    anybody = Http(control.url)
    assert anybody.get("/healthz").json() == {"status": "alive"}
    ready = anybody.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


@pytest.mark.parametrize("field", [None, "Bearer wrong-token-of-some-length", "Bearer ",
                                   "Basic YWRtaW46YWRtaW4=", "Bearer", ""])
@pytest.mark.parametrize("path", ["/admin/v1/catalog", "/admin/v1/keys/app", "/no/such/path"])
def test_without_the_token_nothing_is_told(control, field, path):
    answer = Http(control.url).get(path, headers={"Authorization": field} if field is not None
                                   else {})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_body_of_somebody_without_the_token_is_not_read(control):
    answer = Http(control.url).put("/admin/v1/catalog", data=b"x" * 10_000_000,
                                   headers={"Expect": "100-continue"})
    assert answer.status_code == 401


def test_the_token_is_read_again_on_sighup(control, api, site):
    fresh = "another-token-of-some-length"
    site.home.token_file.write_text(fresh)
    control.signal(signal.SIGHUP)
    wait_until(lambda: Http(control.url, fresh).get("/admin/v1/status").status_code == 200,
               "the new token is taken")
    assert api.get("/admin/v1/status").status_code == 401


def test_a_bad_token_file_keeps_the_old_token(control, api, site):
    site.home.token_file.write_text("short")
    control.signal(signal.SIGHUP)
    control.log.wait("at least 16 characters")
    assert api.get("/admin/v1/status").status_code == 200


# --- paths, methods, parameters -----------------------------------------------------------------


def test_an_unknown_path_is_404_and_a_wrong_method_405(api):
    answer = api.get("/admin/v1/provider")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = api.post("/admin/v1/catalog", json={})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, PUT"


def test_an_unknown_parameter_is_refused_and_named(api):
    answer = api.get("/admin/v1/keys?limt=3&limit=2&limit=3")
    assert answer.status_code == 400
    assert problems(answer) == {"limt": "there is no such parameter; did you mean 'limit'?",
                                "limit": "is given twice"}


def test_a_request_id_comes_back(api):
    assert api.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers[
        "X-Request-Id"] == "mine-1"
    assert api.get("/healthz", headers={"X-Request-Id": "a b"}).headers[
        "X-Request-Id"].startswith("req-")


def test_head_is_get_without_a_body(api, applied):
    answer = api.head(ENDPOINT)
    assert answer.status_code == 200
    assert answer.text == ""
    assert answer.headers["ETag"] == f'"{applied["revision"]}"'


# --- the catalogue ------------------------------------------------------------------------------


def test_a_catalogue_is_applied_and_shown(api, applied):
    assert (applied["added"], applied["changed"], applied["removed"]) == (9, 0, 0)
    assert [key["name"] for key in applied["keys"]] == ["app"]
    assert applied["keys"][0]["secret"].startswith("sb-")
    answer = api.get("/admin/v1/catalog")
    document = answer.json()
    assert answer.headers["ETag"] == f'"{applied["revision"]}"'
    assert [one["slug"] for one in document["providers"]] == ["acme", "bolt"]
    assert "secret" not in answer.text
    again = api.put("/admin/v1/catalog", json=document).json()
    assert again["is_changed"] is False
    assert again["revision"] == applied["revision"]


@pytest.mark.parametrize("content_type", ["application/yaml", "text/yaml; charset=utf-8",
                                          "application/x-www-form-urlencoded", None])
def test_yaml_is_taken_too(api, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = api.put("/admin/v1/catalog", data=yaml.safe_dump(CATALOG).encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["added"] == 9


def test_another_content_type_is_refused(api):
    answer = api.put("/admin/v1/catalog", data=b"<xml/>", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415
    assert "text/xml" in answer.json()["error"]["message"]


def test_all_problems_of_a_catalogue_are_told_at_once(api, database):
    document = json.loads(json.dumps(CATALOG))
    document["providers"][0]["base_url"] = "ftp://nowhere"
    document["endpoints"][0]["pricing"]["prompt"] = "-1"
    document["endpoints"][1]["provider"] = "nobody"
    document["surprise"] = 1
    answer = api.put("/admin/v1/catalog", json=document)
    assert answer.status_code == 400
    assert {"providers[0].base_url", "endpoints[0].pricing.prompt", "endpoints[1].provider",
            "surprise"} <= set(problems(answer))
    assert database.one("SELECT count(*) FROM providers") == 0


def test_a_dry_run_changes_nothing(api, database):
    answer = api.put("/admin/v1/catalog?dry_run=true", json=CATALOG).json()
    assert answer["dry_run"] is True
    assert answer["added"] == 9
    assert {one["action"] for one in answer["difference"]} == {"added"}
    assert database.one("SELECT count(*) FROM providers") == 0
    assert database.one("SELECT count(*) FROM revisions") == 0


def test_prune_removes_only_what_files_made(api, applied):
    assert applied["added"] == 9
    api.put("/admin/v1/tenants/by-hand", json={})
    document = {**CATALOG, "policies": [], "keys": [{"name": "app"}]}
    kept = api.put("/admin/v1/catalog", json=document).json()
    assert (kept["removed"], kept["changed"]) == (0, 1)
    pruned = api.put("/admin/v1/catalog?prune=true", json=document).json()
    assert [(one["kind"], one["name"]) for one in pruned["difference"]] == [
        ("policies", "eu-only")]
    assert api.get("/admin/v1/tenants/by-hand").status_code == 200


def test_a_stale_revision_is_409(api, applied):
    stale = {"If-Match": str(applied["revision"] - 1)}
    answer = api.put("/admin/v1/tenants/other", json={}, headers=stale)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    newest = {"If-Match": f'"{applied["revision"]}"'}
    assert api.put("/admin/v1/tenants/other", json={}, headers=newest).status_code == 201
    answer = api.put("/admin/v1/tenants/third", json={}, headers={"If-Match": "new"})
    assert problems(answer) == {"If-Match": "is not a revision: a number is"}


def test_removing_all_needs_force(api, applied):
    assert applied["added"] == 9
    answer = api.put("/admin/v1/catalog?prune=true", json={**CATALOG, "endpoints": []})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "needs_force")
    answer = api.put("/admin/v1/catalog?prune=true&force=true", json={**CATALOG, "endpoints": []})
    assert answer.json()["removed"] == 2


def test_a_body_over_the_limit_is_413(api):
    answer = api.put("/admin/v1/catalog", data=b"#" * ((64 << 20) + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

    def pieces():  # whose length is not announced
        for _ in range(65):
            yield b"#" * (1 << 20)
    answer = api.put("/admin/v1/catalog", data=pieces())
    assert answer.status_code == 413


# --- objects -------------------------------------------------------------------------------------


def test_names_with_slashes_are_found_escaped_or_not(api, applied):
    assert applied["added"] == 9
    plain = api.get(ENDPOINT)
    assert plain.status_code == 200
    assert plain.json()["pricing"] == {"prompt": "0.1", "completion": "0.3"}
    assert api.get("/admin/v1/endpoints/meta%2Fllama-70b%40acme%2Fturbo").json() == plain.json()
    assert api.get("/admin/v1/models/meta/llama-70b").json()["aliases"] == ["llama"]
    assert api.get("/admin/v1/models/meta%00").status_code == 400


def test_a_list_comes_in_pages(api):
    names = [f"tenant-{n:02}" for n in range(25)]
    api.put("/admin/v1/catalog", json={"version": 1, "tenants": [{"name": n} for n in names]})
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get("/admin/v1/tenants", params={"limit": 10, "cursor": cursor}).json()
        assert len(page["data"]) <= 10
        seen += [one["name"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert seen == sorted(["default", *names])
    assert api.get("/admin/v1/tenants?limit=0").status_code == 400
    assert api.get("/admin/v1/tenants?limit=1001").status_code == 400


def test_an_object_is_made_changed_and_removed(api):
    made = api.put("/admin/v1/policies/strict", json={"residency": "eu", "zdr": True})
    assert made.status_code == 201
    assert made.json()["added"] == 1
    assert api.put("/admin/v1/policies/strict", json={"residency": "eu", "zdr": True}).json()[
        "is_changed"] is False
    changed = api.patch("/admin/v1/policies/strict", json={"zdr": None, "residency": ["DE"]})
    assert changed.json()["changed"] == 1
    now = api.get("/admin/v1/policies/strict").json()
    assert (now["residency"], "zdr" in now) == (["DE"], False)
    assert api.delete("/admin/v1/policies/strict").json()["removed"] == 1
    gone = api.get("/admin/v1/policies/strict")
    assert gone.status_code == 404
    assert gone.json()["error"]["message"] == "there is no policy 'strict'"


def test_what_others_refer_to_stays(api, applied):
    assert applied["added"] == 9
    answer = api.delete("/admin/v1/policies/eu-only")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "in_use")
    assert "app" in answer.text
    assert api.get("/admin/v1/policies/eu-only").status_code == 200


def test_a_key_is_shown_once(api, database):
    answer = api.put("/admin/v1/keys/one", json={})
    secret = answer.json()["keys"][0]["secret"]
    assert answer.status_code == 201
    for path in ("/admin/v1/keys/one", "/admin/v1/keys", "/admin/v1/catalog",
                 "/admin/v1/revisions/1"):
        assert secret not in api.get(path).text
    stored = database.rows("SELECT k::text, (SELECT string_agg(c::text, '') FROM audit_changes c)"
                           " FROM keys k")
    assert secret not in str(stored)
    again = api.put("/admin/v1/keys/one", json={})
    assert "keys" not in again.json()


def test_if_none_match_makes_only_what_is_not_there(api):
    only_new = {"If-None-Match": "*"}
    assert api.put("/admin/v1/keys/one", json={}, headers=only_new).status_code == 201
    answer = api.put("/admin/v1/keys/one", json={}, headers=only_new)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "exists")


def test_a_credential_goes_in_and_never_out(api, applied, database):
    assert applied["added"] == 9
    answer = api.put("/admin/v1/credentials/acme", json={"provider": "acme",
                                                       "secret": {"value": "acme-secret-2"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["difference"][0]["secret_changed"] is True
    everything = str(database.rows("SELECT c::text FROM credentials c")) + str(
        database.rows("SELECT c::text FROM audit_changes c"))
    for text in (everything, api.get("/admin/v1/credentials").text, answer.text):
        assert "acme-secret" not in text
        assert b"acme-secret".hex() not in text


# --- history ----------------------------------------------------------------------------------------


def test_revisions_say_who_what_and_why(api, applied):
    api.patch(ENDPOINT, params={"note": "they lowered it"},
              json={"pricing": {"prompt": "0.05"}})
    newest, first = api.get("/admin/v1/revisions").json()["data"]
    assert first["revision"] == applied["revision"]
    assert (newest["author"], newest["action"], newest["note"], newest["changed"]) == (
        "admin", "patch", "they lowered it", 1)
    one = api.get(f"/admin/v1/revisions/{newest['revision']}").json()
    (change,) = one["difference"]
    assert change["before"]["pricing"]["prompt"] == "0.1"
    assert change["after"]["pricing"]["prompt"] == "0.05"
    since = api.get(f"/admin/v1/revisions/{newest['revision']}?since=0").json()
    assert len(since["difference"]) == 9
    assert api.get("/admin/v1/revisions/999").status_code == 404
    assert api.get("/admin/v1/revisions/x").status_code == 400


def test_a_rollback_is_a_new_revision(api, applied):
    api.patch(ENDPOINT, json={"region": "FR"})
    api.delete("/admin/v1/keys/app")
    answer = api.post(f"/admin/v1/revisions/{applied['revision']}/rollback").json()
    assert answer["revision"] == applied["revision"] + 3
    assert api.get(ENDPOINT).json()["region"] == "DE"
    assert api.get("/admin/v1/keys/app").status_code == 404  # revoked is revoked
    assert any("app" in note for note in answer["notes"])
    assert api.post("/admin/v1/revisions/999/rollback").status_code == 404


# --- the description, the numbers ------------------------------------------------------------------


def test_the_description_names_every_path(api):
    document = Http(api.url).get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    schemas = document["components"]["schemas"]
    prices = {"prompt", "completion", "request", "image", "image_output", "audio", "audio_output",
              "cache_read", "cache_write", "reasoning", "web_search"}
    assert set(schemas["Pricing"]["properties"]) == prices | {"overrides"}
    assert set(schemas["PriceOverride"]["properties"]) == prices | {
        "min_prompt_tokens", "hours", "days"}
    for path in ("/admin/v1/catalog", "/admin/v1/endpoints/{name}",
                 "/admin/v1/revisions/{revision}/rollback"):
        assert path in document["paths"]
    ids = [operation["operationId"] for methods in document["paths"].values()
           for operation in methods.values()]
    assert len(ids) == len(set(ids)) > 40

    def refs(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            value = list(value.values())
        if isinstance(value, list):
            for one in value:
                yield from refs(one)
    for ref in refs(document):
        assert ref.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_metrics_count_answers(api):
    api.get("/admin/v1/keys/nobody")
    text = Http(api.url).get("/metrics").text
    assert 'switchboard_admin_answers_total{status="4xx"} 1' in text


# --- without the database -----------------------------------------------------------------------------


def test_without_the_database_it_lives_but_is_not_ready(api, applied, postgres):
    assert applied["added"] == 9
    postgres.halt()
    try:
        assert api.get("/healthz").status_code == 200
        assert api.get("/readyz").status_code == 503
        answer = api.put("/admin/v1/tenants/x", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert api.get("/admin/v1/status").json()["database"]["state"] == "down"
    finally:
        postgres.start()
    wait_until(lambda: api.get("/readyz").status_code == 200, "it is ready again")
    assert api.put("/admin/v1/tenants/x", json={}).status_code == 201
