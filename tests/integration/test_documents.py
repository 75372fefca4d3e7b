"""What the documents print is there: commands, their flags, settings, routes."""
import re
import shlex
import subprocess

import pytest

from program import BUILD, PATIENCE, ROOT, Http

CTL = str(BUILD / "switchboardctl")
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
         for path in sorted(ROOT.rglob("*.md"))
         if not {"build", "node_modules", "corpus"} & set(path.parts) and "/." not in str(path)}
PROGRAMS = ["switchboard-worker", "switchboard-control", "switchboard-sim", "switchboardctl"]
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Of programs that are not ours.
FOREIGN = {"--build", "--preset", "--data-binary", "--test", "--test-name-pattern",
           "--package-lock-only"}


def help_of(program, *words):
    done = subprocess.run([str(BUILD / program), *words, "--help"], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def printed_commands():
    """Each switchboardctl line of the documents, as words; what follows it in a shell cut off."""
    for name, page in PAGES.items():
        joined = page.replace("\\\n", " ")
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", joined, re.M | re.S)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(switchboardctl [^`]*)`", joined)
        for line in lines:
            if line.startswith("switchboardctl "):
                words = shlex.split(re.split(r"[;|<>]", line.replace("[", "").replace("]", ""))[0],
                                    comments=True)[1:]
                yield pytest.param(words, id=f"{name}: {' '.join(words)}")


@pytest.mark.parametrize("words", sorted(printed_commands(), key=lambda one: one.id))
def test_a_printed_command_is_one(words):
    """--help reads the words as the command itself would, and names it."""
    status, page = help_of("switchboardctl", *words)
    assert status == 0, page
    assert page.startswith("usage: switchboardctl " + words[0])


def test_every_flag_in_the_documents_is_somebodys():
    commands = re.findall(r"^  ([a-z-]+(?: [a-z]+)?) ", help_of("switchboardctl")[1], re.M)
    texts = [help_of(program)[1] for program in PROGRAMS]
    texts += [help_of("switchboardctl", *command.split())[1] for command in commands]
    texts += [script.read_text(encoding="utf-8")
              for folder in ("deploy/*", "tests/run", "tests/bench/*")
              for script in ROOT.glob(folder) if script.is_file() and script.suffix != ".md"]
    known = FOREIGN.union(*(FLAG.findall(text) for text in texts))
    assert {(name, flag) for name, page in PAGES.items()
            for flag in FLAG.findall(page) if flag not in known} == set()


# What begins so and is no metric: logins and roles of the database, a member of answers.
NO_METRICS = {"switchboard_owner", "switchboard_service", "switchboard_daemon",
              "switchboard_collector", "switchboard_auditor", "switchboard_metadata"}


def test_every_metric_in_the_documents_is_told(control, worker):
    pages = Http(control.url).get("/metrics").text + worker.status[0].get("/metrics").text
    told = set(re.findall(r"^# HELP (\w+) ", pages, re.M))
    named = {name for page in PAGES.values() for name in re.findall(r"`(switchboard_\w+)", page)}
    assert named - NO_METRICS and named - NO_METRICS - told == set()


def test_every_route_of_the_worker_in_the_documents_is_served(control, worker):
    """Without a key: 404 is for paths that are none."""
    table = re.search(r"## What is served\n(.*?)\n## |$", PAGES["README.md"], re.S).group(0)
    paths = re.findall(r"(/v1/[a-z/{}]+)", table)
    assert "/v1/chat/completions" in paths
    for path in paths:
        path = re.sub(r"\{\w+\}", "x", path)
        assert Http(worker.url).get(path).status_code in (401, 405), path
