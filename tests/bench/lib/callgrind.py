"""User-space instructions per request: the same on every machine with the same libraries.

The program runs under callgrind twice, for few and for many requests; the difference is what the
requests cost, without the start and the end."""
import json
import os
import pathlib
import platform
import re

from . import load, procs
from .procs import Failure

FEW, MANY = 100, 600
ALLOWED = 0.03  # growth of Switchboard's own, against instructions.json


def instructions(folder):
    """Of all processes that wrote a profile there."""
    total = 0
    for path in folder.glob("callgrind.out.*"):
        for line in path.read_text(errors="replace").splitlines():
            match = re.match(r"(?:summary|totals): (\d+)", line)
            if match:
                total += int(match.group(1))
                break
    if not total:
        raise Failure(f"callgrind wrote no profile to {folder}")
    return total


def run(make_target, world, scenario, requests, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("callgrind.out.*"):
        old.unlink()
    target = make_target(world)
    target.prefix = ["valgrind", "--tool=callgrind", "-q", "--trace-children=yes",
                     f"--callgrind-out-file={folder}/callgrind.out.%p"]
    try:
        target.start()
        connection = load.connect(target.url(scenario))
        for _ in range(requests):
            connection.request("POST", "/v1/chat/completions", scenario.body(),
                               load.headers(target.key))
            load.look_at(connection.getresponse(), scenario.streams, target.name)
        connection.close()
    finally:
        target.stop()
    return instructions(folder)


def measure(make_target, world, scenario):
    """Gives a row."""
    name = make_target(world).name
    world.sims[scenario.tls].behave(**scenario.knobs())
    counts = []
    for requests in (FEW, MANY):
        folder = world.folder / f"callgrind-{name}-{requests}"
        counts.append(run(make_target, world, scenario, requests, folder))
    return {"scenario": scenario.name, "target": name,
            "instructions": (counts[1] - counts[0]) / (MANY - FEW)}


def expected():
    """What they were when somebody last wrote it down, on this release of the system: libraries
    count, too.  {} where nobody did."""
    release = platform.freedesktop_os_release()
    known = json.loads((pathlib.Path(__file__).resolve().parent.parent / "instructions.json")
                       .read_text())
    return known.get(f"{release.get('ID')}-{release.get('VERSION_ID')}", {})


def print_rows(rows):
    """Gives how many of Switchboard's own have grown beyond what is allowed."""
    known, grown = expected(), 0
    print("\nUser-space instructions per request (callgrind)")
    for row in rows:
        line = f"{row['scenario']:18} {row['target']:12} {row['instructions']:>12.0f}"
        limit = known.get(row["scenario"]) if row["target"] == "switchboard" else None
        if limit:
            change = row["instructions"] / limit - 1
            line += f"   {change:+.1%} of {limit}"
            if change > ALLOWED:
                grown += 1
                line += f": more than {ALLOWED:.0%}; mend it, or say why in instructions.json's commit"
        print(line)
    return grown


def is_there():
    return any(pathlib.Path(folder, "valgrind").exists()
               for folder in os.environ["PATH"].split(":"))
