"""CPU per request and requests per second, in rounds that are interleaved."""
import os
import random
import statistics
import sys

from . import load, procs


def run_once(target, scenario, seconds, world):
    """One target, one scenario, one round."""
    beside = {name: pids() for name, pids in target.beside.items()}
    pids = target.pids
    before, before_beside = procs.cpu_ns(pids), {n: procs.cpu_ns(p) for n, p in beside.items()}
    result = load.run_wrk(target, scenario, seconds, world.load_core, world.folder)
    spent = procs.cpu_ns(pids) - before
    requests = max(result["requests"], 1)
    return {
        "cpu_us": spent / 1000 / requests,
        "rps": result["requests"] * 1e6 / result["us"],
        "busy": spent / 1000 / result["us"],
        "p50_us": result["p50_us"], "p99_us": result["p99_us"],
        "requests": result["requests"], "errors": result["errors"],
        "beside_us": {name: (procs.cpu_ns(p) - before_beside[name]) / 1000 / requests
                      for name, p in beside.items()},
    }


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize(scenario, target, rounds, base):
    """base: nginx in the same rounds, or None."""
    row = {"scenario": scenario.name, "target": target.name, "rounds": rounds,
           "errors": sum(one["errors"] for one in rounds)}
    for name in ("cpu_us", "rps", "busy", "p50_us", "p99_us"):
        row[name] = spread([one[name] for one in rounds])
    row["beside_us"] = {name: spread([one["beside_us"][name] for one in rounds])
                        for name in rounds[0]["beside_us"]}
    if base and target.name != "direct":
        row["ratio"] = spread([one["cpu_us"] / other["cpu_us"]
                               for one, other in zip(rounds, base)])
    return row


def progress(text):
    """One line that is written over; nothing where nobody looks."""
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def measure(targets, scenario, options, world):
    """All targets, so many rounds, in another order each time: what the machine does meanwhile
    hits them alike.  Gives a row for each."""
    order = random.Random(1)
    rounds = {target.name: [] for target in targets}
    world.sims[scenario.tls].behave(**scenario.knobs())
    for target in targets:
        load.check(target, scenario)
        run_once(target, scenario, 1, world)  # connections, buffers, branch predictors
    for number in range(options.rounds):
        for target in order.sample(targets, len(targets)):
            progress(f"{scenario.name}: round {number + 1}/{options.rounds} {target.name}")
            rounds[target.name].append(run_once(target, scenario, options.seconds, world))
    progress("")
    return [summarize(scenario, target, rounds[target.name], rounds.get("nginx"))
            for target in targets]


def range_text(values, form):
    return f"{values['median']:{form}} [{values['min']:{form}}-{values['max']:{form}}]"


def print_rows(rows):
    """The table of one scenario."""
    for row in rows:
        ratio = range_text(row["ratio"], ".2f") if "ratio" in row else "-"
        beside = " ".join(f"{name} {values['median']:.1f}"
                          for name, values in row["beside_us"].items())
        errors = f"  {row['errors']} ERRORS" if row["errors"] else ""
        print(f"{row['scenario']:18} {row['target']:12} "
              f"{range_text(row['cpu_us'], '.1f'):>24} {ratio:>18} {row['rps']['median']:>9.0f} "
              f"{row['busy']['median'] * 100:>4.0f}% {row['p50_us']['median'] / 1000:>8.2f} "
              f"{row['p99_us']['median'] / 1000:>8.2f}  {beside}{errors}")


def print_header():
    print(f"{'scenario':18} {'target':12} {'CPU us/request':>24} {'to nginx':>18} {'req/s':>9} "
          f"{'busy':>5} {'p50 ms':>8} {'p99 ms':>8}  beside (us/request)")


def machine():
    """What the numbers were taken on."""
    model = "?"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as text:
        for line in text:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": os.uname().release,
            "load": os.getloadavg()[0]}
