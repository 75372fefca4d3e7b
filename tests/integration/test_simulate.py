"""What do 100 dollars buy: switchboardctl simulate, by the files of deploy/demo and others."""
import json
import subprocess

import pytest
import yaml

from program import BUILD, PATIENCE, ROOT

LLAMA = ROOT / "deploy" / "demo" / "llama-3.yaml"
SPEEDS = ROOT / "deploy" / "demo" / "llama-3.tables.yaml"
STRATEGIES = ["price", "balanced", "throughput", "latency"]


def simulate(*words, stdin=None):
    command = [str(BUILD / "switchboardctl"), "simulate", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False,
                          input=stdin)


def result(*words, **options):
    done = simulate(*words, "-o", "json", **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def catalog(*prices, **policy):
    """A file with one endpoint for each price, all of one model."""
    return yaml.safe_dump({
        "version": 1,
        "providers": [{"slug": f"p{n}", "dialect": "openai", "base_url": f"http://p{n}.example"}
                      for n, _ in enumerate(prices)],
        "models": [{"id": "m/x", "context_length": 8000}],
        "endpoints": [{"model": "m/x", "provider": f"p{n}",
                       "pricing": {"prompt": price, "completion": price}}
                      for n, price in enumerate(prices)],
        "policies": [{"name": "rule", **policy}] if policy else [],
    })


def of(answer, strategy, model=0):
    [found] = [one for one in answer["models"][model]["strategies"] if one["strategy"] == strategy]
    return found


def test_prices_1_2_3_split_36_9_4():
    answer = result("--catalog", "-", "--requests", 49000, "--strategy", "balanced",
                    stdin=catalog("1", "2", "3"))
    counts = [one["simulated"] for one in of(answer, "balanced")["endpoints"]]
    assert sum(counts) == 49000
    expected = [36000, 9000, 4000]
    chi_square = sum((n - e) ** 2 / e for n, e in zip(counts, expected))
    assert chi_square < 13.82, counts  # p = 0.001, two degrees of freedom


def test_a_budget_buys_whole_requests_at_the_mean_price():
    answer = result("--catalog", "-", "--budget", "2.50", "--prompt-tokens", 1000,
                    "--completion-tokens", 250, "--requests", 100, stdin=catalog("1", "2"))
    assert [one["strategy"] for one in answer["models"][0]["strategies"]] == STRATEGIES
    cheapest = of(answer, "price")
    assert [one["price"] for one in cheapest["endpoints"]] == ["0.00125", "0.0025"]
    assert [one["share"] for one in cheapest["endpoints"]] == [1, 0]
    assert cheapest["requests"] == 2000
    assert cheapest["mean_price"] == pytest.approx(0.00125)


def test_long_prompts_and_hours_have_prices_of_their_own():
    document = yaml.safe_load(catalog("1", "2"))
    document["endpoints"][0]["pricing"]["overrides"] = [
        {"min_prompt_tokens": 1000, "prompt": "4", "completion": "4"},
        {"hours": "22:00-06:00", "days": ["friday"], "prompt": "0.5"}]

    def prices(prompt, at):
        answer = result("--catalog", "-", "--prompt-tokens", prompt, "--completion-tokens", 100,
                        "--requests", 10, "--strategy", "price", "--at", at,
                        stdin=yaml.safe_dump(document))
        endpoints = of(answer, "price")["endpoints"]
        return [(one["tag"], one["price"], one["share"]) for one in endpoints]
    assert prices(1000, "2026-12-04T12:00:00Z") == [("p0", "0.0011", 1), ("p1", "0.0022", 0)]
    assert prices(1001, "2026-12-04T12:00:00Z") == [("p1", "0.002202", 1), ("p0", "0.004404", 0)]
    assert prices(1001, "2026-12-04T22:00:00Z") == [("p0", "0.0009005", 1), ("p1", "0.002202", 0)]
    assert prices(1001, "2026-12-05T01:00:00Z") == [("p1", "0.002202", 1), ("p0", "0.004404", 0)]
    wrong = simulate("--catalog", "-", "--at", "noon", stdin=yaml.safe_dump(document))
    assert wrong.returncode == 2 and "--at noon is neither" in wrong.stderr


def test_without_tables_speeds_are_no_data_and_never_made_up():
    answer = result("--catalog", "-", "--requests", 1000, stdin=catalog("1", "2"))
    for strategy in STRATEGIES:
        one = of(answer, strategy)
        assert one["mean_latency_ms"] is None and one["mean_throughput"] is None
        assert all(e["latency_ms"] is None and e["throughput"] is None for e in one["endpoints"])
    text = simulate("--catalog", "-", "--requests", 1000, stdin=catalog("1", "2")).stdout
    assert "no data: --tables FILE says what is measured" in text
    assert simulate("--catalog", "-", "--strategy", "price", "--requests", 10,
                    stdin=catalog("1")).stdout.count("no data") == 4  # of means and of the endpoint


def test_what_tables_prints_is_what_tables_takes(tmp_path):
    rows = [{"model": "m/x", "tag": "p1", "endpoint": "m/x@p1", "health": "up", "samples": 9,
             "latency_ms": {"p50": 250.0, "p75": 300.0, "p90": 400.0, "p99": 500.0},
             "throughput": {"p50": 81.5, "p75": 70.0, "p90": 60.0, "p99": 50.0}},
            {"model": "m/x", "tag": "p0", "endpoint": "m/x@p0", "health": "no_data", "samples": 0}]
    for name, text in ("a.json", json.dumps(rows)), ("a.yaml", yaml.safe_dump(rows)):
        path = tmp_path / name
        path.write_text(text)
        answer = result("--catalog", "-", "--tables", path, "--requests", 1000,
                        stdin=catalog("1", "2"))
        for strategy in "throughput", "latency":
            one = of(answer, strategy)
            assert (one["mean_latency_ms"], one["mean_throughput"]) == (250, 81.5)
            assert [e["share"] for e in one["endpoints"]] == [0, 1]
        assert of(answer, "price")["mean_latency_ms"] is None
        assert 0 < of(answer, "balanced")["latency_known"] < 1


def test_the_same_seed_prints_the_same_and_another_does_not():
    words = ["--catalog", LLAMA, "--requests", 2000]
    assert simulate(*words).stdout == simulate(*words).stdout
    assert simulate(*words).stdout != simulate(*words, "--seed", 2).stdout.replace("seed 2", "seed 1")


def test_a_policy_of_the_file_holds():
    answer = result("--catalog", LLAMA, "--policy", "eu-operators", "--requests", 500,
                    "--strategy", "balanced", "--model", "llama-3")
    served = {one["tag"] for one in of(answer, "balanced")["endpoints"] if one["simulated"]}
    assert served == {"nebius", "nebius/fast"}


def test_rules_that_leave_nobody_say_which():
    done = simulate("--catalog", "-", "--policy", "rule", stdin=catalog("1", "2", zdr=True))
    assert done.returncode == 1
    assert "zdr removed 2" in done.stdout
    answer = json.loads(simulate("--catalog", "-", "--policy", "rule", "-o", "json",
                                 stdin=catalog("1", "2", zdr=True)).stdout)
    assert of(answer, "price")["requests"] is None
    assert "zdr removed 2" in of(answer, "price")["refusal"]


@pytest.mark.parametrize("words, complaint", [
    ([], "simulate wants --catalog FILE"),
    (["--catalog", LLAMA, "--strategy", "cheap"], "there are price, balanced, throughput and"),
    (["--catalog", LLAMA, "--budget", "-1"], "--budget -1 is not an amount of USD"),
    (["--catalog", LLAMA, "--budget", "0"], "--budget 0 is not an amount of USD"),
    (["--catalog", LLAMA, "--requests", "0"], "--requests 0 is not a number from 1 to 1000000000"),
    (["--catalog", LLAMA, "--prompt-tokens", "many"], "--prompt-tokens many is not a number"),
    (["--catalog", LLAMA, "--catalogue", "x"], "did you mean --catalog?"),
])
def test_wrong_usage_is_2_and_names_what_is_wrong(words, complaint):
    done = simulate(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


@pytest.mark.parametrize("words, complaint", [
    (["--catalog", "/no/such/file"], "No such file or directory"),
    (["--catalog", LLAMA, "--model", "m/y"], "the catalogue has no model 'm/y'"),
    (["--catalog", LLAMA, "--policy", "none"], "the catalogue has no policy 'none'"),
    (["--catalog", LLAMA, "--tables", LLAMA], "must be a list of rows"),
])
def test_what_cannot_be_done_is_1_and_says_why(words, complaint):
    done = simulate(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr


def test_all_problems_of_a_file_are_told_at_once():
    done = simulate("--catalog", "-", stdin="version: 1\n"
                    "providers: [{slug: a, dialect: openai, base_url: 'http://a'}]\n"
                    "models: [{id: m/x, context_length: 5}]\n"
                    "endpoints:\n"
                    "  - {model: m/x, provider: b, pricing: {prompt: 1, completion: 1}}\n"
                    "  - {model: m/z, provider: a, pricing: {prompt: 1, completion: 1}}\n")
    assert done.returncode == 1
    assert "2 problems" in done.stderr
    assert "endpoints[0].provider: there is no provider 'b'" in done.stderr
    assert "endpoints[1].model: there is no model 'm/z'" in done.stderr


def test_the_readme_shows_what_the_program_prints():
    text = (ROOT / "README.md").read_text()
    section = text.split("## What do 100 dollars buy")[1].split("\n## ")[0]
    command, shown = [part.split("\n", 1)[1] for part in section.split("```")[1:4:2]]
    words = command.replace("\\\n", " ").split()
    assert words[:2] == ["switchboardctl", "simulate"]
    done = subprocess.run([str(BUILD / "switchboardctl"), *words[1:]], capture_output=True, cwd=ROOT,
                          text=True, timeout=PATIENCE, check=True)
    assert done.stdout == shown
