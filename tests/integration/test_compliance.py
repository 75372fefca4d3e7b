"""Reports of what was demanded and how it was kept to, and the questions that auditors ask."""
import datetime
import html.parser
import json
import time

import pytest

import traffic
from fake_worker import FakeWorker, record
from program import Http, wait_until

ZDR, EU = 2, 1  # bits of what is demanded
YES, NO = 2, 1
DAY = 86400
MODEL = traffic.MODEL


def claim(value, evidence, **more):
    return {"value": value, "evidence": evidence, **more}


def catalog(inside, outside, **changes):
    """The model at a provider in Germany, and at one in the United States."""
    def provider(slug, sim, country):
        return {"slug": slug, "name": slug, "dialect": "openai", "base_url": sim.url + "/v1",
                "headquarters": country, "credential": {"value": "house"},
                "data_policy": {"zdr": claim("yes", f"contract with {slug}")}}

    def endpoint(slug, region, eu):
        return {"model": MODEL, "provider": slug, "region": region,
                "eu_resident": claim(eu, f"where {slug} is"),
                "pricing": {"prompt": "0.10", "completion": "0.30"}}
    return traffic.catalog(
        inside, providers=[provider("rhein", inside, "DE"), provider("hudson", outside, "US")],
        endpoints=[endpoint("rhein", "DE", "yes"), endpoint("hudson", "US", "no")], **changes)


class Gateway:
    def __init__(self, site, control):
        self.control = control
        self.inside, self.outside = site.sim(*traffic.SIM_FLAGS), site.sim(*traffic.SIM_FLAGS)
        self.worker = site.worker([control])
        applied = control.apply(catalog(self.inside, self.outside))
        traffic.wait_revision(self.worker, applied["revision"])
        self.client = self.worker.client(applied["keys"][0]["secret"])
        self.asked = 0

    def ask(self, status=200, provider=None, **switchboard):
        answer = self.client.post("/v1/chat/completions", json={
            "model": MODEL, "messages": [{"role": "user", "content": "hello"}],
            "provider": provider or {}, "switchboard": switchboard})
        assert answer.status_code == status, answer.text
        self.asked += 1
        return answer

    def wait_stored(self, database):
        wait_until(lambda: database.one("SELECT count(*) FROM audit_requests") == self.asked,
                   f"{self.asked} records are stored")


@pytest.fixture(name="gateway")
def fixture_gateway(site, control):
    gateway = Gateway(site, control)
    yield gateway
    gateway.client.close()


@pytest.fixture(name="report")
def fixture_report(control):
    def report(about, **params):
        return control.get("compliance/report", params={"claim": about, **params})
    return report


def counts(report):
    return tuple(report["counts"][name]
                 for name in ("demanded", "served", "refused", "failed", "violations"))


def evidence_for_zdr(**changes):
    """As a worker sends it: what was held when a request was routed."""
    held = {"claim": 1, "value": YES, "attested_on": 0, "expires_on": 0, "evidence": "contract",
            "attested_by": ""}
    return [list({**held, **changes}.values())]


def served(generation, **changes):
    return record(generation=generation, demanded=ZDR, model_served="a/m",
                  **{"evidence": evidence_for_zdr(), **changes})


def today():
    return int(time.time() // DAY)


# --- from requests to a report ---------------------------------------------------------------


def test_what_was_served_refused_and_failed(gateway, database, report):
    gateway.ask()
    for _ in range(3):
        answer = gateway.ask(residency="eu")
        assert answer.headers["X-Switchboard-Endpoint"] == "rhein"
    assert gateway.ask(residency=["US"]).headers["X-Switchboard-Endpoint"] == "hudson"
    gateway.ask(status=404, residency=["FR"])
    gateway.ask(status=404, residency="eu", provider={"only": ["hudson"]})
    gateway.inside.behave(fail="500")
    gateway.ask(status=503, residency="eu")
    gateway.inside.restore()
    gateway.ask(provider={"zdr": True}, residency=["DE", "FR"])
    gateway.wait_stored(database)

    eu = report("residency:eu")
    assert counts(eu) == (5, 3, 1, 1, 0)
    assert eu["violations"] == [] and eu["open"] == 0 and eu["recount"] is None
    (row,) = eu["served_by"]
    assert (row["endpoint"], row["provider"], row["region"], row["evidence"], row["expires_on"],
            row["requests"]) == (f"{MODEL}@rhein", "rhein", "DE", "where rhein is", None, 3)
    assert row["tokens"] == 3 * 15 and row["cost"] == "0.0000075"
    assert sum(day["demanded"] for day in eu["days"]) == 5

    assert counts(report("residency:US")) == (1, 1, 0, 0, 0)
    assert report("residency:US")["served_by"][0]["evidence"] == "where hudson is"
    assert counts(report("residency:FR,DE")) == (1, 1, 0, 0, 0)  # in any order
    assert report("residency:FR,DE")["claim"] == "residency:DE,FR"
    assert counts(report("residency:DE")) == (0, 0, 0, 0, 0)
    every = report("residency")
    assert counts(every) == (8, 5, 2, 1, 0)
    assert [one["demand"] for one in every["demands"]] == ["DE,FR", "FR", "US", "eu"]
    assert counts(report("zdr")) == (1, 1, 0, 0, 0)
    assert report("zdr")["served_by"][0]["evidence"] == "contract with rhein"
    assert counts(report("distillable")) == (0, 0, 0, 0, 0)

    for about in ("residency:eu", "residency", "zdr", "no_training"):
        recounted = report(about, recount="true")
        assert recounted["recount"]["matches"], recounted["recount"]
        assert recounted["recount"]["rows"] == recounted["counts"]["demanded"]
        assert counts(recounted["recount"]) == counts(recounted)


def test_days_are_those_of_utc(control, report):
    with FakeWorker(control) as worker:
        worker.hello()
        midnight = today() * DAY * 1000000
        worker.batch(1, [served("a", received_at=midnight - 1), served("b", received_at=midnight)])
    day = str(datetime.date.fromtimestamp(0) + datetime.timedelta(today()))
    before = str(datetime.date.fromtimestamp(0) + datetime.timedelta(today() - 1))
    assert [(one["day"], one["served"]) for one in report("zdr")["days"]] == [(before, 1), (day, 1)]
    assert counts(report("zdr", **{"from": day}))[0] == 1
    assert counts(report("zdr", to=day))[0] == 1
    assert counts(report("zdr", **{"from": before + "T23:59:59Z", "to": day + "T00:00:01Z"}))[0] == 2
    assert report("zdr", **{"from": day, "recount": "true"})["recount"]["rows"] == 1


def test_a_demand_that_cannot_be_read_is_told(control):
    answer = control.call("GET", "compliance/report", params={
        "claim": "zdr:eu", "from": "soon", "format": "xml", "recount": "perhaps"})
    assert answer.status_code == 400
    assert {one["path"] for one in answer.json()["error"]["details"]} == {
        "claim", "from", "format", "recount"}
    for about in ("residency:", "residency:eu,DE", "residency:Germany", "eu_resident", ""):
        answer = control.call("GET", "compliance/report", params={"claim": about})
        assert answer.status_code == 400, about
        assert answer.json()["error"]["details"][0]["path"] == "claim"
    assert control.call("GET", "compliance/report", params={
        "claim": "zdr", "from": "2026-01-02", "to": "2026-01-02"}).status_code == 400


# --- violations ---------------------------------------------------------------------------------


def test_a_violation_is_found_told_and_reported(site, control, report):
    """What no worker of ours would send: on the bus it cannot be told from one that does."""
    with FakeWorker(control) as worker:
        worker.hello()
        worker.batch(1, [
            served("gen-good"),
            served("gen-last-day", evidence=evidence_for_zdr(expires_on=today())),
            served("gen-expired", evidence=evidence_for_zdr(expires_on=today() - 1)),
            served("gen-unheld", evidence=[]),
            record(generation="gen-abroad", demanded=EU, residency="eu", region="US",
                   model_served="a/m", evidence=[[0, YES, 0, 0, "they say", ""]]),
        ])
    zdr = report("zdr", recount="true")
    assert counts(zdr) == (4, 2, 0, 0, 2)
    assert {(one["generation_id"], one["why"]) for one in zdr["violations"]} == {
        ("gen-expired", "expired"), ("gen-unheld", "unknown")}
    assert zdr["recount"]["matches"]
    assert {one["generation_id"] for one in zdr["recount"]["violations"]} == {
        "gen-expired", "gen-unheld"}
    (abroad,) = report("residency:eu")["violations"]
    assert (abroad["generation_id"], abroad["why"], abroad["region"], abroad["endpoint"],
            abroad["key"], abroad["worker"]) == ("gen-abroad", "outside", "US", "a/m@acme", "app",
                                                 "w-0")
    events = control.get("events", params={"kind": "compliance_violation"})["data"]
    assert {(one["severity"], one["subject"]) for one in events} == {("critical", "a/m@acme")}
    assert len(events) == 3  # for each claim and reason
    control.log.wait("compliance_violation")

    done = site.ctl("report", "zdr", control=control, check=False)
    assert done.returncode == 1 and "gen-expired" in done.stdout and "violations" in done.stdout


def test_a_recount_tells_what_was_changed_since(control, database, report):
    with FakeWorker(control) as worker:
        worker.hello()
        worker.batch(1, [served(f"gen-{n}", evidence=evidence_for_zdr(expires_on=today() + 9))
                         for n in range(5)])
    assert report("zdr", recount="true")["recount"]["matches"]
    database.rows("UPDATE audit_requests SET evidence = jsonb_set(evidence, '{0,expires_on}',"
                  " '\"2000-01-01\"') WHERE generation = 'gen-3'")
    recount = report("zdr", recount="true")["recount"]
    assert not recount["matches"]
    assert counts(recount) == (5, 4, 0, 0, 1)
    assert [(one["verdict"], one["counted"], one["stored"], one["expires_on"] < "2001")
            for one in recount["differences"]] == [("served", 4, 5, False),
                                                   ("violation", 1, 0, True)]
    assert [one["generation_id"] for one in recount["violations"]] == ["gen-3"]
    database.rows("DELETE FROM audit_requests")
    recount = report("zdr", recount="true")["recount"]
    assert (recount["rows"], [(one["counted"], one["stored"]) for one in recount["differences"]]
            ) == (0, [(0, 5)])


@pytest.mark.parametrize("edit", [
    "UPDATE compliance_days SET verdict = 'served', why = '' WHERE verdict = 'violation'",
    "UPDATE compliance_days SET evidence = 'a contract' WHERE verdict = 'served'",
    "UPDATE compliance_days SET endpoint = 'a/m@other' WHERE verdict = 'served'",
    "DELETE FROM compliance_violations",
    "UPDATE compliance_violations SET generation = 'gen-1'",
    "INSERT INTO compliance_violations SELECT received_at, worker_id, boot_id, 99, generation, claim,"
    " why, demanded, key_name, endpoint, provider, region, evidence FROM compliance_violations"])
def test_a_recount_finds_what_was_made_up(control, database, report, edit):
    """Neither the texts of what is kept, nor the list of violations, can be edited unseen."""
    with FakeWorker(control) as worker:
        worker.hello_until_leader()
        worker.batch(1, [served("gen-1"), served("gen-2", evidence=[])])
    assert report("zdr", recount="true")["recount"]["matches"]
    database.rows(edit)
    recount = report("zdr", recount="true")["recount"]
    assert not recount["matches"]
    assert (recount["violations_differ"] > 0) == ("compliance_violations" in edit)
    assert counts(recount) == (2, 1, 0, 0, 1)


def test_a_recount_reads_more_rows_than_a_page(control, database, report):
    """As from a worker, but faster."""
    with FakeWorker(control) as worker:
        worker.hello()
        worker.batch(1, [served("gen-first")])
    many = 6007
    database.rows("CREATE TEMP TABLE t AS SELECT * FROM audit_requests")
    for n in range(3):  # on three days
        database.rows("INSERT INTO audit_requests SELECT (r).* FROM (SELECT jsonb_populate_record("
                      "t, jsonb_build_object('sequence', n, 'generation', 'gen-' || n,"
                      " 'received_at', t.received_at - %s * interval '1 day')) AS r"
                      " FROM t, generate_series(2, %s) n) x", n, many + 1)
    database.rows("UPDATE compliance_days SET requests = requests * %s + 1, tokens = tokens * %s"
                  " + 12, cost = cost * %s + 1200000", many, many, many)
    recount = report("zdr", recount="true")["recount"]
    assert recount["rows"] == 3 * many + 1
    assert [one["counted"] for one in recount["differences"]] == [many, many]


def test_the_answer_to_a_long_recount_is_json_all_the_same(control):
    answer = control.call("GET", "compliance/report", params={"claim": "zdr", "recount": "1"})
    assert json.loads(answer.text)["recount"]["rows"] == 0


# --- the page -----------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Checks that what opens is closed, in order."""

    VOID = {"meta", "link", "br", "hr", "img", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_fetches_nothing(site, control, tmp_path):
    hostile = "<script>alert('x')</script> & \"quoted\""
    with FakeWorker(control) as worker:
        worker.hello()
        worker.batch(1, [
            served("gen-1", evidence=evidence_for_zdr(evidence=hostile)),
            served("gen-2", evidence=evidence_for_zdr(evidence="old", expires_on=today() - 1))])
    answer = control.call("GET", "compliance/report", params={
        "claim": "zdr", "format": "html", "recount": "true"})
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert answer.text.lstrip().startswith("<!DOCTYPE html>")
    assert "script" not in page.seen and hostile in page.text
    assert not {"src", "href"} & {name for name, _ in page.attributes}
    assert "url(" not in answer.text and "@import" not in answer.text
    for what in ("gen-2", "expired", "a/m@acme", "Violations: 1", "Recount", "@media print"):
        assert what in page.text, what

    path = tmp_path / "report.html"
    site.ctl("report", "zdr", "--html", path, control=control)
    Page(path.read_text())
    empty = control.call("GET", "compliance/report", params={"claim": "zdr", "format": "html",
                                                             "to": "2020-01-01"})
    assert "No request demanded this" in Page(empty.text).text


# --- what auditors ask ----------------------------------------------------------------------------


def test_everything_that_left_the_union(site, gateway, database):
    inside = gateway.ask(residency="eu").headers["X-Generation-Id"]
    outside = gateway.ask(residency=["US"]).headers["X-Generation-Id"]
    gateway.outside.behave(fail="500")
    tried = gateway.ask(provider={"order": ["hudson", "rhein"]})
    assert tried.headers["X-Switchboard-Attempts"] == "2"
    gateway.outside.restore()
    gateway.ask(status=404, residency=["FR"])
    gateway.wait_stored(database)

    def left(where):
        rows = gateway.control.get("audit/requests", params={"left": where})["data"]
        return {row["generation_id"] for row in rows}
    assert left("eu") == {outside, tried.headers["X-Generation-Id"]}
    assert left("US") == {inside, tried.headers["X-Generation-Id"]}
    assert left("DE,US") == set()
    shown = site.ctl("audit", "query", "--left", "eu", "--from", "1h", control=gateway.control)
    assert outside in shown.stdout and inside not in shown.stdout
    assert gateway.control.call("GET", "audit/requests", params={"left": "Europe"}
                                ).status_code == 400


def test_every_request_on_a_key(site, gateway, database):
    answer = gateway.ask()
    gateway.wait_stored(database)
    shown = site.ctl("audit", "query", "--key", "app", control=gateway.control).stdout
    assert answer.headers["X-Generation-Id"] in shown
    shown = site.ctl("audit", "query", "--key", "another", control=gateway.control)
    assert answer.headers["X-Generation-Id"] not in shown.stdout


def change_zdr(control, slug, said, note):
    answer = control.call("PATCH", f"providers/{slug}", json={"data_policy": {"zdr": said}},
                          params={"note": note})
    assert answer.status_code == 200, answer.text


def test_who_changed_a_flag_and_when(site, gateway):
    control = gateway.control
    name = f"{MODEL}@rhein"
    control.call("PATCH", f"endpoints/{name}", json={"zdr": claim("no", "they told us")},
                 params={"note": "by mail"})
    control.call("PATCH", f"endpoints/{name}", json={"pricing": {"prompt": "0.20"}})
    changes = control.get("audit/changes", params={"name": name, "flag": "zdr"})["data"]
    assert [(one["flag"]["before"], one["flag"]["after"]["value"], one["note"])
            for one in changes] == [(None, "no", "by mail")]
    done = site.ctl("audit", "changes", "--name", name, "--flag", "zdr", control=control)
    assert "by mail" in done.stdout and "they told us" in done.stdout
    assert "zdr of its provider counts" in done.stderr.replace("\n", " ")
    change_zdr(control, "rhein", claim("unknown", None), "expired contract")
    changes = control.get("audit/changes", params={"kind": "provider", "name": "rhein",
                                                   "flag": "zdr"})["data"]
    assert [one["flag"]["after"]["value"] for one in changes] == ["unknown", "yes"]
    assert len(control.get("audit/changes", params={"name": name})["data"]) == 3
    assert control.call("GET", "audit/changes", params={"flag": "colour"}).status_code == 400


def test_what_was_known_about_a_provider_on_a_day(site, gateway):
    control = gateway.control
    before = control.get("audit/changes", params={"limit": 1})["data"][0]["at"]
    change_zdr(control, "rhein", claim("no", "new terms"), "terms")
    old = control.get("flags/rhein", params={"at": before})
    new = control.get("flags/rhein")

    def said(answer):
        return {(one["endpoint"], one["claim"]): (one["value"], one["evidence"])
                for one in answer["flags"]}
    assert old["headquarters"] == "DE" and old["revision"] < new["revision"]
    assert said(old)[None, "zdr"] == ("yes", "contract with rhein")
    assert said(old)[f"{MODEL}@rhein", "zdr"] == ("yes", "contract with rhein")
    assert said(new)[f"{MODEL}@rhein", "zdr"] == ("no", "new terms")
    assert said(new)[f"{MODEL}@rhein", "eu_resident"] == ("yes", "where rhein is")
    assert said(new)[None, "no_training"] == ("unknown", None)
    assert not any(name and "hudson" in name for name, _ in said(new))
    assert control.call("GET", "flags/nobody").status_code == 404
    assert control.call("GET", "flags/rhein", params={"at": "2020-01-01"}).status_code == 404
    shown = site.ctl("flags", "rhein", "--at", before, control=control).stdout
    assert "contract with rhein" in shown and "new terms" not in shown


def test_which_requests_used_evidence_that_was_withdrawn(site, gateway, database):
    control = gateway.control
    used = gateway.ask(provider={"zdr": True, "only": ["rhein"]}).headers["X-Generation-Id"]
    gateway.ask(provider={"zdr": True, "only": ["hudson"]})
    gateway.ask(residency="eu", provider={"only": ["rhein"]})
    gateway.wait_stored(database)

    def withdrawn(**params):
        rows = control.get("audit/requests", params={"evidence_withdrawn": "true", **params})
        return [row["generation_id"] for row in rows["data"]]
    assert withdrawn() == []
    change_zdr(control, "rhein", claim("yes", "contract with rhein", expires_on="2099-01-01"),
               "an end")
    assert withdrawn() == []  # it is still said
    change_zdr(control, "rhein", claim("unknown", None), "cancelled")
    assert withdrawn() == [used]
    assert withdrawn(evidence="contract with rhein") == [used]
    assert withdrawn(evidence="contract with hudson") == []
    assert len(control.get("audit/requests", params={"evidence_withdrawn": "false"})["data"]) == 2
    assert len(control.get("audit/requests", params={"evidence": "where rhein is"})["data"]) == 1
    shown = site.ctl("audit", "query", "--evidence-withdrawn", control=control).stdout
    assert used in shown and "contract with rhein" in shown
    # Evidence that was replaced, before what it was given for was taken back, is withdrawn, too.
    change_zdr(control, "rhein", claim("yes", "first"), "again")
    traffic.wait_revision(gateway.worker, control.get("flags/rhein")["revision"])
    first = gateway.ask(provider={"zdr": True, "only": ["rhein"]}).headers["X-Generation-Id"]
    gateway.wait_stored(database)
    change_zdr(control, "rhein", claim("yes", "second"), "replaced")
    assert withdrawn() == [used]
    change_zdr(control, "rhein", claim("unknown", None), "taken back")
    assert withdrawn() == [first, used]


# --- long lists ------------------------------------------------------------------------------------


def test_pages_stay_put_while_records_come(control):
    api = Http(control.url, control.home.token)
    now = int(time.time() * 1e6)
    with FakeWorker(control) as worker:
        worker.hello()
        worker.batch(1, [record(generation=f"old-{n:02}", received_at=now + n) for n in range(20)])
        seen, cursor, sequence = [], None, 21
        while cursor is not None or not seen:
            page = api.get("/admin/v1/audit/requests", params={
                "limit": 3, **({"cursor": cursor} if cursor else {})}).json()
            seen += [row["generation_id"] for row in page["data"]]
            cursor = page["next_cursor"]
            worker.batch(sequence, [record(generation=f"new-{sequence}",
                                           received_at=now + 1000 + sequence)])
            sequence += 1
    assert seen == [f"old-{n:02}" for n in reversed(range(20))]
