"""switchboardctl as an operator meets it: in pipes, on terminals, and when it goes wrong."""
import http.server
import json
import os
import re
import signal
import subprocess
import threading

import pytest
import yaml

from program import BUILD, PATIENCE, free_ports, wait_until
from terminal import CTRL_C, Terminal, plain
from test_admin import CATALOG
from test_audit import FILL, ROWS

CTL = str(BUILD / "switchboardctl")
ESCAPE = "\x1b"
KINDS = ["providers", "models", "endpoints", "tenants", "keys", "policies", "credentials"]
LISTS = [["get", kind] for kind in KINDS] + [["revisions"], ["workers"], ["tables"],
                                             ["audit", "changes"]]


@pytest.fixture(name="applied")
def fixture_applied(control):
    return control.apply(CATALOG)


@pytest.fixture(name="to")
def fixture_to(control):
    """The flags that lead to the daemon."""
    return ["--url", control.url, "--token-file", str(control.home.token_file)]


def environment(**changes):
    """Ours without what would decide about colours, and with what the test decides."""
    env = {name: value for name, value in os.environ.items()
           if name not in ("NO_COLOR", "TERM") and not name.startswith("SWITCHBOARD_")}
    return {**env, "TERM": "xterm", **changes}


def run(*words, **options):
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([CTL, *map(str, words)], capture_output=True, text=True,
                          timeout=PATIENCE, check=False, env=environment(), **options)


def on_terminal(*words, columns=80, **changes):
    """What a person sees, once it has ended well."""
    with Terminal([CTL, *map(str, words)], columns=columns, env=environment(**changes)) as terminal:
        assert terminal.wait() == 0, terminal.text
        return terminal.text


# --- tables, for people -------------------------------------------------------------------------


def cells(line, starts):
    """The cells of a line, cut where the columns begin."""
    ends = [*starts[1:], None]
    return [line[start:end] for start, end in zip(starts, ends)]


def test_columns_are_aligned(site, control, applied):
    lines = site.ctl("get", "providers", control=control).stdout.splitlines()
    title, rows = lines[0], lines[1:]
    starts = [match.start() for match in re.finditer(r"\S+(?: \S+)*", title)][:-1]  # numbers: right
    assert len(rows) == len(CATALOG["providers"])
    for line in rows:
        for cell in cells(line, starts):
            assert cell == "" or cell[0] != " "
        assert all(line[start - 2:start] == "  " for start in starts[1:])
    assert len({len(line) for line in lines}) == 1  # the last column is one of numbers
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_a_pipe_gets_no_colours_and_a_terminal_does(to, applied, words):
    piped = run(*words, *to).stdout
    shown = on_terminal(*words, *to, columns=300)
    assert ESCAPE not in piped
    if piped:  # a list that is empty says so on stderr
        assert ESCAPE in shown
        titles = [text.splitlines()[0] for text in (plain(shown), piped)]
        assert titles[0] == titles[1]


@pytest.mark.parametrize("flags, changes, has_colours", [
    ([], {}, True),
    ([], {"NO_COLOR": "1"}, False),
    ([], {"NO_COLOR": ""}, True),  # says nothing when it is empty
    ([], {"TERM": "dumb"}, False),
    (["--color", "never"], {}, False),
    (["--color", "always"], {"NO_COLOR": "1"}, True),
])
def test_who_wants_no_colours_gets_none(to, applied, flags, changes, has_colours):
    shown = on_terminal("get", "endpoints", *to, *flags, **changes)
    assert (ESCAPE in shown) == has_colours
    assert "acme/turbo" in plain(shown)


def test_colours_go_into_a_pipe_when_they_are_asked_for(to, applied):
    assert ESCAPE in run("get", "endpoints", *to, "--color", "always").stdout


def test_a_narrow_terminal_gets_shorter_names_and_a_pipe_whole_ones(control, to):
    long = "https://a-rather-long-name-of-a-host.example/with/a/path/that/goes/on/v1"
    control.apply({"version": 1, "providers": [{"slug": "acme", "dialect": "openai",
                                                "name": "A name that needs some room",
                                                "base_url": long}]})
    for columns in 80, 100, 120:
        lines = plain(on_terminal("get", "providers", *to, columns=columns)).splitlines()
        assert max(map(len, lines)) <= columns
        assert "…" in lines[1]
    assert long in plain(on_terminal("get", "providers", *to, columns=200))
    assert long in run("get", "providers", *to).stdout


def test_long_lists_fit_a_terminal_and_keep_what_matters(to, control, worker, applied, database):
    database.rows(FILL, ROWS - 1)
    kept = {("audit", "query"): "GEN", ("audit", "changes"): "NAME", ("revisions",): "NOTE",
            ("workers",): "SPOOL"}
    for words, title in kept.items():
        for columns in 80, 100:
            lines = plain(on_terminal(*words, *to, columns=columns)).splitlines()
            assert max(map(len, lines)) <= columns, words
            assert any(title in line for line in lines[:3])  # a note may come before


def test_what_could_steer_a_terminal_is_made_harmless(control, to):
    command = [CTL, "get", "model", "a/red \x1b[31m and \x07 bell", *to]
    with Terminal(command, columns=200, env=environment()) as terminal:
        assert terminal.wait() == 1
        assert "there is no model 'a/red ?[31m and ? bell'" in plain(terminal.text)


# --- for programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", LISTS + [["status"], ["get", "endpoint", "meta/llama-70b@bolt"]],
                         ids=" ".join)
def test_json_and_yaml_say_the_same_and_json_is_stable(to, worker, applied, words):
    settled = {"status", "workers", "tables"}  # what changes by itself: the names of members count
    one, two = (run(*words, *to, "-o", "json") for _ in range(2))
    assert (one.returncode, one.stderr, one.stdout[-1]) == (0, "", "\n")
    value = json.loads(one.stdout)
    if words[0] in settled:
        assert skeleton(value) == skeleton(json.loads(two.stdout))
        assert skeleton(value) == skeleton(yaml.safe_load(run(*words, *to, "-o", "yaml").stdout))
    else:
        assert one.stdout == two.stdout
        assert value == yaml.safe_load(run(*words, *to, "-o", "yaml").stdout)
    assert on_terminal(*words, *to, "-o", "json", columns=40).count(ESCAPE) == 0


def skeleton(value):
    """Names of members without what they hold."""
    if isinstance(value, dict):
        return {name: skeleton(inner) for name, inner in value.items()}
    return [skeleton(inner) for inner in value] if isinstance(value, list) else None


# --- each command, against a real daemon ---------------------------------------------------------


def test_a_change_is_looked_at_made_shown_and_undone(site, control, tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(CATALOG))

    def ctl(*words, **options):
        return site.ctl(*words, control=control, **options).stdout

    assert "would be revision 1" in ctl("apply", "-f", path, "--dry-run")
    assert "nothing has been changed yet" in site.ctl("revisions", control=control).stderr
    assert "9 added, 0 changed, 0 removed: revision 1" in ctl("apply", "-f", path, "--note", "first")
    assert "nothing to change" in ctl("apply", "-f", "-", stdin=path.read_text())
    assert "acme/turbo" in ctl("get", "endpoints")
    assert "https://bolt.example/v1" in ctl("get", "provider", "bolt")
    assert "meta/llama-70b@bolt" in ctl("delete", "endpoint", "meta/llama-70b@bolt")
    assert "bolt" not in ctl("get", "endpoints")
    assert "first" in ctl("revisions")
    assert "meta/llama-70b@bolt" in ctl("revision", 2)
    assert "revision 3" in ctl("rollback", 1)
    assert "bolt" in ctl("get", "endpoints")
    assert "revision 3" in ctl("status")
    assert "rollback" in ctl("audit", "changes", "--revision", 3)


def test_a_key_is_made_and_revoked(site, control, applied):
    made = site.ctl("key", "create", "fresh", "--policy", "eu-only", "--expires", "90d",
                    control=control)
    assert re.search(r"key fresh: sb-\w{20,}", made.stdout)
    assert "never shown again" in made.stderr
    assert "fresh" in site.ctl("get", "keys", control=control).stdout
    again = site.ctl("key", "create", "fresh", control=control, check=False)
    assert (again.returncode, again.stderr) == (1, "switchboardctl: there is a key 'fresh' already\n")
    site.ctl("key", "revoke", "fresh", control=control)
    assert "fresh" not in site.ctl("get", "keys", control=control).stdout


def test_the_fleet_is_shown_and_explains(site, control, worker, applied):
    assert "synced" in site.ctl("workers", control=control).stdout
    lost = site.ctl("explain", "--model", "llama", "--worker", "w9", control=control, check=False)
    assert lost.stderr == ("switchboardctl: there is no worker 'w9', or it is gone; "
                           "GET /admin/v1/workers lists them\n")
    assert "meta/llama-70b" in site.ctl("tables", control=control).stdout
    site.ctl("key", "create", "free", control=control)
    worker.wait_revision(2)
    explained = site.ctl("explain", "-f", "-", "--key", "free", control=control,
                         stdin=json.dumps({"model": "llama",
                                           "messages": [{"role": "user", "content": "Hi"}],
                                           "provider": {"ignore": ["bolt"]}}))
    assert "acme/turbo" in explained.stdout
    refused = site.ctl("explain", "-m", "llama", "--key", "app", control=control, check=False)
    assert refused.returncode == 1
    assert "residency" in refused.stdout and "To let more in, relax" in refused.stdout


def test_requests_are_found_in_the_records(site, control, worker, sim):
    control.apply({**CATALOG, "policies": [], "keys": [{"name": "app"}], "providers": [
        {**one, "base_url": f"{sim.url}/v1"} for one in CATALOG["providers"]]})
    made = site.ctl("key", "create", "mine", "-o", "json", control=control).stdout
    worker.wait_revision(2)
    nothing = site.ctl("audit", "query", "--from", "2h", "--key", "mine", control=control)
    assert (nothing.stdout, nothing.stderr) == ("", "nothing was found\n")
    answer = worker.client(json.loads(made)["secret"]).post("/v1/chat/completions", json={
        "model": "llama", "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.status_code == 200, answer.text
    query = ["audit", "query", "--generation-id", answer.headers["X-Generation-Id"]]

    def found():
        return json.loads(site.ctl(*query, "-o", "json", control=control).stdout)

    [row] = wait_until(found, "the record is stored")
    assert (row["key"], row["model_asked"], row["outcome"]) == ("mine", "llama", "success")
    assert "mine" in site.ctl(*query, control=control).stdout
    lines = site.ctl(*query, "--format", "csv", control=control).stdout.splitlines()
    assert len(lines) == 2 and row["generation_id"] in lines[1]


# --- what goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words, complaint", [
    (["aplly"], "there is no command 'aplly'; did you mean 'apply'?"),
    (["key", "crate", "x"], "there is no command 'key crate'; did you mean 'key create'?"),
    (["key"], "'key' is half a command; there is 'key create' or 'key revoke'"),
    (["apply", "--dry-rum"], "there is no --dry-rum; did you mean --dry-run?"),
    (["get", "endpoint", "--outptu", "json"], "there is no --outptu; did you mean --output?"),
    (["get", "endpiont"], "there is no kind 'endpiont'; did you mean 'endpoint'?"),
    (["get"], "get wants KIND [NAME]"),
    (["apply"], "apply wants -f FILE"),
    (["status", "now"], "status: 'now' is one too many"),
    (["status", "-o", "xml"], "--output xml: there are table, json and yaml"),
    (["status", "--color", "red"], "--color red: there are auto, always and never"),
    (["rollback", "first"], "'first' is not a revision: a number is"),
    (["status", "--token"], "--token wants TOKEN"),
    (["status", "--url", "ftp://x", "--token", "t"], "--url 'ftp://x' is no address"),
    (["status", "--url", "http://", "--token", "t"], "--url 'http://' is no address"),
    (["status", "--url", "https://:80", "--token", "t"], "--url 'https://:80' is no address"),
    (["audit", "prove"], "audit prove wants ID"),
    (["report", "zdr", "--from", "soon", "--token", "t"], "--from soon is no day: 2026-01-31"),
    (["key", "create", "x", "--expires", "soon", "--token", "t"], "--expires soon is no time: 90d"),
    (["key", "create", "x", "--expires", "2001-01-01", "--token", "t"],
     "--expires 2001-01-01 is in the past"),
    (["explain", "--token", "t"], "explain wants -f FILE, --model NAME, or a request"),
    (["statsu", "--help"], "there is no command 'statsu'; did you mean 'status'?"),
    ([], "a command is missing; --help shows all"),
])
def test_wrong_usage_is_2_and_says_what_was_meant(words, complaint):
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words, complaint", [
    (["get", "endpoint", "no/such@one"], "there is no endpoint 'no/such@one'"),
    (["delete", "provider", "acme"], "others refer to it"),
    (["rollback", "99"], "there is no revision 99"),
    (["apply", "-f", "/no/such/file"], "No such file or directory"),
    (["prices", "--verdict", "x"], "verdict: 'x' is none; there are applied, reported and held"),
    (["events", "--kind", "x"], "kind: 'x' is none; there are outage_began, outage_ended, "),
    (["events", "--severity", "x"], "'x' is none; there are info, warning and critical"),
    (["audit", "changes", "--kind", "x"], "kind: 'x' is none; there are providers, models, "),
    (["audit", "changes", "--flag", "x"], "'x' is none; there are eu_resident, zdr, no_training"),
    (["audit", "actions", "--action", "x"], "'x' is none; there are token_created, "),
    (["audit", "query", "--residency", "mars"], "'mars' is not eu, and no country: DE is"),
    (["audit", "query", "--outcome", "perfectly"], "'perfectly' is none; there are success, "),
])
def test_what_is_refused_is_1_and_says_why(to, applied, words, complaint):
    done = run(*words, *to)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr


def test_all_problems_of_a_file_are_told(to, control):
    done = run("apply", "-f", "-", *to, input="version: 1\n"
               "models: [{id: a/b}, {id: nonsense, context_length: 9}]\n")
    assert done.returncode == 1
    assert "models[0].context_length" in done.stderr and "models[1].id" in done.stderr


def test_help_is_on_stdout_and_0():
    for words in (["--help"], ["help"], ["apply", "--help"], ["help", "key", "create"],
                  ["--version"]):
        done = run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_nobody_who_answers_is_told_in_one_line_with_what_to_do(tmp_path):
    port = free_ports()
    done = run("status", "--url", f"http://127.0.0.1:{port}", "--token", "t")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"switchboardctl: no control plane answers at http://127.0.0.1:{port}; "
                           "is it running? (deploy/status)\n")
    done = run("status", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "give --token-file, or set SWITCHBOARD_HOME" in done.stderr


def test_a_wrong_token_says_so(to, control):
    done = run("status", "--url", control.url, "--token", "wrong-token-of-some-length")
    assert done.returncode == 1
    assert done.stderr == ("switchboardctl: the token is none of this control plane's; "
                           "--token-file FILE shows another\n")


# --- what takes time ---------------------------------------------------------------------------------------


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers when it is told to."""

    def do_GET(self):
        assert self.server.may_answer.wait(PATIENCE)
        body = b'{"data": [], "next_cursor": null}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(name="slow")
def fixture_slow():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.may_answer = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_long_work_shows_that_it_goes_on_and_leaves_nothing_behind(slow):
    command = [CTL, "get", "keys", "--token", "t", "-o", "json",
               "--url", f"http://127.0.0.1:{slow.server_port}"]
    with Terminal(command, env=environment(), on=("stderr",)) as terminal:
        terminal.wait_for(r"waiting \d+ s")
        slow.may_answer.set()
        assert terminal.wait() == 0
        assert terminal.text.endswith("\r\x1b[K")
        assert json.loads(terminal.piped) == []


def test_progress_is_for_terminals_only(slow):
    command = [CTL, "get", "keys", "--token", "t", "--url", f"http://127.0.0.1:{slow.server_port}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                          env=environment()) as process:
        slow.may_answer.set()
        assert process.stderr.read() == "there are no keys\n"


def test_a_simulation_says_how_far_it_is():
    command = [CTL, "simulate", "--catalog", "-", "--requests", "1000000000"]
    catalogue = {"version": 1,
                 "providers": [{"slug": "a", "dialect": "openai", "base_url": "http://a"}],
                 "models": [{"id": "m/x", "context_length": 9000}],
                 "endpoints": [{"model": "m/x", "provider": "a",
                                "pricing": {"prompt": 1, "completion": 1}}]}
    with Terminal(command, env=environment(), on=("stdout", "stderr")) as terminal:
        terminal.process.stdin.write(json.dumps(catalogue).encode())
        terminal.process.stdin.close()
        terminal.wait_for(r"simulating \d+ %", count=2)
        terminal.press(CTRL_C)
        assert terminal.wait() == -signal.SIGINT


# --- watching, and readers that leave -----------------------------------------------------------------------


ENTER, LEAVE = "\x1b\\[\\?1049h", "\x1b\\[\\?25h\x1b\\[\\?1049l"


def test_watch_draws_again_until_ctrl_c(to, control, applied):
    with Terminal([CTL, "tables", "--watch", *to], columns=200, env=environment()) as terminal:
        terminal.wait_for(ENTER + "(?s:.*)bolt")
        control.apply({**CATALOG, "endpoints": CATALOG["endpoints"] + [
            {**CATALOG["endpoints"][1], "tag": "bolt/second"}]})
        terminal.wait_for("bolt/second")
        assert terminal.text.count("\x1b[2J") == 1  # what is drawn later clears nothing first
        terminal.press(CTRL_C)
        assert terminal.wait() == -signal.SIGINT
        assert re.search(LEAVE + "$", terminal.text)
        assert terminal.has_echo()


def test_watch_ends_by_q_and_restores_the_terminal(to, control, applied):
    with Terminal([CTL, "tables", "--watch", *to], columns=80, env=environment()) as terminal:
        terminal.wait_for("bolt")
        assert not terminal.has_echo()
        terminal.press(b"q")
        assert terminal.wait() == 0
        assert re.search(LEAVE + "$", terminal.text)
        assert terminal.has_echo()


def test_watch_follows_the_size_of_the_terminal(to, control, applied):
    with Terminal([CTL, "tables", "--watch", *to], columns=200, env=environment()) as terminal:
        terminal.wait_for("REGION(?s:.*)bolt")
        before = len(terminal.text)
        terminal.resize(70)
        terminal.wait_for("(?s:.{%d}.*)HEALTH(?s:.*)bolt" % before)
        after = plain(terminal.text[before:])
        titles = next(line for line in after.splitlines() if "HEALTH" in line)
        assert "REGION" not in titles and "EXPIRES" in titles and "SHARE" in titles
        terminal.press(b"q")
        assert terminal.wait() == 0


def test_watch_says_why_it_ends(to, control, applied):
    """What was said on the other screen is gone with it."""
    with Terminal([CTL, "tables", "--watch", *to], columns=80, env=environment()) as terminal:
        terminal.wait_for("bolt")
        control.stop()
        assert terminal.wait() == 1
        assert re.search("(?s)" + LEAVE + ".*switchboardctl: ", terminal.text)


@pytest.mark.parametrize("words", [["get", "endpoints"], ["tables", "--watch"],
                                   ["get", "endpoints", "-o", "json"]], ids=" ".join)
def test_a_reader_that_leaves_ends_it_without_a_word(to, control, words):
    """As `| head -1` does; more than a pipe holds is on its way."""
    control.apply({**CATALOG, "endpoints": [
        {**CATALOG["endpoints"][1], "tag": f"bolt/{n:04}"} for n in range(2000)]})
    read_one_line([*words, *to])


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_reader_that_leaves_ends_a_stream_without_a_word(to, control, database, form):
    database.rows(FILL, ROWS - 1)
    read_one_line(["audit", "query", "--format", form, *to])


@pytest.mark.parametrize("words", [["get", "endpoints"], ["audit", "query", "--format", "csv"]],
                         ids=" ".join)
def test_a_full_disk_is_a_failure_with_a_reason(to, applied, words):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([CTL, *words, *to], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE, check=False, env=environment())
    assert (done.returncode, done.stderr) == (
        1, "switchboardctl: cannot write: No space left on device\n")


def read_one_line(words):
    with subprocess.Popen([CTL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment()) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 0
