"""What every program does with its settings before it does anything else."""
import subprocess

import pytest

from control import Home
from program import BUILD, PATIENCE

PROGRAMS = ["switchboard-worker", "switchboard-control", "switchboard-sim"]


def run(program, *flags, **environment):
    return subprocess.run([BUILD / program, *map(str, flags)], capture_output=True, text=True,
                          timeout=PATIENCE, env=environment, cwd="/")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def files(home):
    """What the daemons need beside of their defaults."""
    return {"switchboard-worker": ["--keyring", home.keyring],
            "switchboard-control": ["--keyring", home.keyring, "--admin-token-file",
                                    home.token_file, "--database", "host=/nowhere"],
            "switchboard-sim": ["--port", 0]}


@pytest.mark.parametrize("program", [*PROGRAMS, "switchboardctl"])
def test_help_and_version_are_told_without_settings(program):
    helped, version = run(program, "--help"), run(program, "--version")
    assert helped.returncode == version.returncode == 0
    assert "usage: " in helped.stdout and not helped.stderr
    assert max(map(len, helped.stdout.splitlines())) <= 100
    if program != "switchboardctl":  # whose commands have theirs
        assert f"\nExamples:\n  {program} --" in helped.stdout
    assert version.stdout.startswith(f"{program} ") and not version.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_check_of_right_settings_says_so_and_ends(program, home):
    done = run(program, "--check", *files(home)[program])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{program}: all settings are right\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_setting_that_is_none_is_told_with_what_was_meant(program):
    done = run(program, "--log-fromat" if program != "switchboard-sim" else "--prot", "x")
    assert done.returncode == 2 and "did you mean" in done.stderr


WRONG = [
    ("switchboard-worker", ["--workers", "0"], "--workers", "from 1 to 256"),
    ("switchboard-worker", ["--listen", "nonsense"], "listen", "HOST:PORT"),
    ("switchboard-worker", ["--control", "tcp://10.0.0.1:1"], "control", "CURVE"),
    ("switchboard-worker", ["--cors-origin", "app.example"], "cors-origin", "https://"),
    ("switchboard-worker", ["--keyring", "/nowhere/keyring"], "keyring", "/nowhere/keyring"),
    ("switchboard-worker", ["--bus-key", "/nowhere/a", "--bus-server", "b"], "bus-key",
     "/nowhere/a"),
    ("switchboard-control", ["--admin", "nonsense"], "admin", "HOST:PORT"),
    ("switchboard-control", ["--control", "tcp://10.0.0.1:1"], "control", "CURVE"),
    ("switchboard-control", ["--bus-key", "x"], "bus-key", "bus-clients"),
    ("switchboard-control", ["--tables-interval", "1"], "--tables-interval", "from 100ms"),
    ("switchboard-control", ["--log-level", "loud"], "log-level", "debug, info"),
    ("switchboard-control", ["--keyring", "/nowhere/keyring"], "keyring", "/nowhere/keyring"),
    ("switchboard-control", ["--admin-token-file", "/nowhere/token"], "admin-token-file",
     "/nowhere/token"),
    ("switchboard-control", ["--country-database", "/nowhere/country.mmdb"], "country-database",
     "/nowhere/country.mmdb"),
    ("switchboard-control", ["--country-database", __file__], "country-database", "MaxMind"),
    ("switchboard-sim", ["--port", "99999"], "--port", "65535"),
]


@pytest.mark.parametrize("check", [[], ["--check"]], ids=["start", "check"])
@pytest.mark.parametrize("program, flags, name, said", WRONG,
                         ids=[f"{case[0][12:]}{case[1][0][1:]}" for case in WRONG])
def test_a_wrong_setting_stops_the_start_with_its_name(home, program, flags, name, said, check):
    done = run(program, *files(home)[program], *flags, *check)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{program}: {name}"), done.stderr
    assert said in lines[0]


def test_a_value_of_the_environment_is_told_by_its_variable():
    done = run("switchboard-worker", SWITCHBOARD_WORKERS="many")
    assert done.returncode == 2 and "SWITCHBOARD_WORKERS: 'many'" in done.stderr


def test_a_spool_that_cannot_be_made_stops_the_start(home):
    """Workers would be started again and again, and never serve."""
    done = run("switchboard-worker", "--keyring", home.keyring, "--listen", "127.0.0.1:0",
               "--spool", home.keyring / "spool")
    assert done.returncode == 1
    assert "cannot start: spool: " in done.stderr and "worker started" not in done.stderr
