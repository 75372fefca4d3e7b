"""Providers' addresses are held against the regions that endpoints claim."""
import pytest

import mmdb
import traffic
from program import wait_until

OUTSIDE = "address_outside_region"
YES = {"value": "yes", "evidence": "https://acme.example/regions"}


@pytest.fixture(name="countries")
def fixture_countries(tmp_path):
    return mmdb.write(tmp_path / "country.mmdb",
                      {"127.0.1.0/24": "US", "127.0.2.0/24": "DE", "127.0.0.0/24": "DE"})


def catalog(*hosts, region="DE", claim=None):
    """One endpoint for each host, at which nobody listens."""
    return {
        "version": 1,
        "providers": [{"slug": f"p{n}", "name": f"P {n}", "dialect": "openai",
                       "base_url": f"http://{host}/v1"} for n, host in enumerate(hosts)],
        "models": [{"id": "lab/one", "name": "One", "context_length": 1000,
                    "input_modalities": ["text"], "output_modalities": ["text"]}],
        "endpoints": [{"model": "lab/one", "provider": f"p{n}", "region": region,
                       "pricing": {"prompt": "0", "completion": "0"},
                       "eu_resident": YES if claim is None else claim}
                      for n in range(len(hosts))],
    }


@pytest.fixture(name="start")
def fixture_start(site, countries):
    def start(document=None, name="a"):
        control = site.control("--country-database", str(countries), name=name)
        traffic.wait_admin(control)
        if document is not None:
            control.apply(document)
        return control
    return start


def claim(control, provider="p0"):
    return control.get(f"endpoints/lab/one@{provider}")["eu_resident"]


def events(database):
    return database.rows("SELECT subject, detail FROM events WHERE kind = %s ORDER BY id", OUTSIDE)


def test_an_address_outside_turns_the_claim_to_no(start, database, site):
    control = start(catalog("127.0.2.5:9", "127.0.1.5:9", "10.9.8.7", "localhost:9", "nowhere.invalid"))
    wait_until(lambda: events(database), "it is told")
    [(subject, detail)] = events(database)
    assert subject == "lab/one@p1"
    assert (detail["address"], detail["country"], detail["region"]) == ("127.0.1.5", "US", "DE")
    now = claim(control, "p1")
    assert now["value"] == "no" and "127.0.1.5" in now["evidence"] and "US" in now["evidence"]
    assert now["attested_by"] == "prober"
    for provider in "p0", "p2", "p3", "p4":  # inside, unknown, inside by name, no address at all
        assert claim(control, provider)["value"] == "yes"
    [change] = control.get("audit/changes", params={"author": "prober"})["data"]
    assert change["name"] == "lab/one@p1"
    listed = control.get("events", params={"kind": OUTSIDE})["data"]
    assert [(one["subject"], one["severity"]) for one in listed] == [("lab/one@p1", "critical")]
    assert OUTSIDE in site.ctl("events", control=control).stdout
    control.log.wait("set eu_resident to no")
    believed = control.get("flags/lab/one@p1")
    assert "127.0.1.5" in str(believed)


def test_a_name_is_looked_up(start, database, countries):
    mmdb.write(countries, {"127.0.0.0/8": "US", "::1/128": "US"})
    control = start(catalog("localhost:9", claim="unknown"))
    wait_until(lambda: claim(control)["value"] == "no", "it is refuted")
    wait_until(lambda: events(database), "it is told")
    assert events(database)[0][1]["host"] == "localhost"


@pytest.mark.parametrize("how", ["the file changes", "SIGHUP"])
def test_the_file_is_read_again(start, database, countries, how):
    control = start(catalog("127.0.2.5"))
    mmdb.write(countries, {"127.0.2.0/24": "CH"})
    if how == "SIGHUP":
        control.reload()
    wait_until(lambda: claim(control)["value"] == "no", "it is refuted")
    assert "CH" in claim(control)["evidence"]
    # one that cannot be read leaves the old one
    countries.write_bytes(b"no database")
    control.log.wait("keeping the old country database")
    control.apply(catalog("127.0.2.6", "127.0.2.7"))
    wait_until(lambda: claim(control, "p1")["value"] == "no", "the old one still serves")


def test_what_is_attested_anew_is_looked_at_anew_and_never_improved(start, database, countries):
    control = start(catalog("127.0.1.5"))
    wait_until(lambda: claim(control)["value"] == "no", "it is refuted")
    mmdb.write(countries, {"127.0.1.0/24": "DE"})
    control.log.wait("read the country database again")
    control.apply(catalog("127.0.1.5", "127.0.1.6", claim="unknown"))
    mmdb.write(countries, {"127.0.1.6/32": "DE", "127.0.1.5/32": "US"})
    wait_until(lambda: claim(control)["value"] == "no", "and again")
    assert claim(control, "p1")["value"] == "unknown"


def test_only_the_leader_looks(start, database, site):
    first = start(catalog("127.0.1.5"))
    wait_until(lambda: claim(first)["value"] == "no", "it is refuted")
    second = start(name="b")
    first.kill()
    site.running.remove(first)
    second.log.wait("leading term=")
    second.apply(catalog("127.0.1.5", "127.0.1.7"))
    wait_until(lambda: claim(second, "p1")["value"] == "no", "the new leader does it")
    told = database.rows("SELECT term FROM events WHERE kind = %s AND subject = 'lab/one@p1'", OUTSIDE)
    assert told == [(2,)]
