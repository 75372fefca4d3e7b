"""Load: wrk for numbers, one request by hand to see that the answer is right."""
import http.client
import json
import ssl
import subprocess
import urllib.parse

from .procs import Failure

SCRIPT = """
wrk.method = "POST"
wrk.body = {body}
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
wrk.headers["User-Agent"] = "OpenAI/Python 1.68.2"
wrk.headers["Authorization"] = "Bearer {key}"
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('RESULT {{"requests":%d,"us":%d,"errors":%d,"p50_us":%d,"p99_us":%d}}\\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"""


def headers(key):
    return {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}


def lua_text(data):
    """Every byte that is not plain as \\ddd: a body may hold anything."""
    plain = set(b" !#$%&'()*+,-./:;<=>?@[]^_`{|}~") | set(range(48, 58)) | \
        set(range(65, 91)) | set(range(97, 123))
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03d}" for byte in data) + '"'


def connect(url):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":  # our own provider; trust is not what is measured
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=60,
                                           context=ssl._create_unverified_context())
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)


def look_at(answer, streams, who):
    """Raises unless the answer is a good one: errors are fast, too."""
    data = answer.read()
    if answer.status != 200:
        raise Failure(f"{who} answered {answer.status}: {data[:300]!r}")
    if streams:
        events = [line for line in data.split(b"\n") if line.startswith(b"data: ")]
        if len(events) < 50 or events[-1] != b"data: [DONE]":
            raise Failure(f"{who} answered a stream of {len(events)} events: {data[-200:]!r}")
    elif json.loads(data)["usage"]["completion_tokens"] < 1:
        raise Failure(f"{who} answered without tokens: {data[:300]!r}")


def check(target, scenario):
    """Two on one connection: keep-alive has to work as well."""
    connection = connect(target.url(scenario))
    try:
        for _ in range(2):
            connection.request("POST", "/v1/chat/completions", scenario.body(),
                               headers(target.key))
            look_at(connection.getresponse(), scenario.streams, target.name)
    finally:
        connection.close()


def run_wrk(target, scenario, seconds, core, folder):
    """One run.  Gives requests, us, errors, p50_us, p99_us."""
    script = folder / "wrk.lua"
    script.write_text(SCRIPT.format(body=lua_text(scenario.body()), key=target.key))
    done = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "--latency", "-t1", f"-c{scenario.connections}",
         f"-d{seconds}s", "--timeout", "30s", "-s", str(script), target.url(scenario)],
        capture_output=True, text=True, timeout=seconds + 90, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[7:])
    raise Failure(f"wrk failed against {target.name}: {(done.stderr or done.stdout)[-300:]}")
