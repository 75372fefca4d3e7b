"""deploy/packages by a user with sudo, where nothing is installed: apt-get, dpkg-query and sudo are
stand-ins, so nothing of this machine is changed."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ("bash", "sh", "env", "awk", "cat", "cut", "grep", "head", "id", "mktemp", "rm", "sort", "tail",
         "tee", "dirname")
# what the scripts ask of each stand-in is told by its arguments
NOTHING_INSTALLED = "exit 1"
SUDO = """
case "$1" in
env) shift; while case "$1" in *=*) true ;; *) false ;; esac; do shift; done; exec "$@" ;;
tee) cat >/dev/null ;;
esac
"""


class Machine:
    """A PATH of its own, which a user who is not root runs a copy of the scripts with."""

    def __init__(self, where):
        self.where = where
        self.bin = where / "bin"
        self.bin.mkdir()
        (where / "deploy").mkdir()
        for name in ("packages", "lib.sh"):
            shutil.copy(ROOT / "deploy" / name, where / "deploy" / name)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.has("dpkg-query", NOTHING_INSTALLED)
        self.has("apt-cache", "echo '  Candidate: 1'")

    def has(self, name, script):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install(self, *groups):
        command = [self.where / "deploy/packages", *groups]
        if os.getuid() == 0:
            command = [shutil.which("setpriv"), "--reuid=nobody", "--regid=nogroup",
                       "--clear-groups", *command]
        return subprocess.run(command, env={"PATH": str(self.bin)}, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def machine():
    if subprocess.run([ROOT / "deploy/packages", "--list"], stdout=subprocess.DEVNULL,
                      check=False).returncode != 0:
        pytest.skip("deploy/packages does not know this system")
    with tempfile.TemporaryDirectory() as where:
        os.chmod(where, 0o755)  # pytest's own directories are root's alone
        yield Machine(pathlib.Path(where))


def test_nothing_is_said_where_all_is_there(machine):
    machine.has("dpkg-query", "echo 'ii '")
    done = machine.install("run", "build", "test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_sudo_one_sentence_says_what_is_missing(machine):
    done = machine.install("run")
    assert done.returncode == 1
    line, = done.stderr.splitlines()
    assert "not installed: postgresql curl ca-certificates; and there is no sudo" in line
    assert "deploy/packages run' as root" in line


def test_a_source_that_does_not_answer_is_named_as_the_reason(machine):
    machine.has("sudo", SUDO)
    machine.has("apt-get", """
case "$*" in
*update*) echo "W: Failed to fetch http://mirror.example/InRelease  Could not resolve" >&2 ;;
*install*) echo "E: Unable to locate package curl" >&2; exit 100 ;;
esac""")
    done = machine.install("run")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[-3:-1] == ["W: Failed to fetch http://mirror.example/InRelease  Could not resolve",
                           "E: Unable to locate package curl"]
    assert said[-1].startswith("deploy/packages: apt-get install failed, for the reason above")


def test_one_failure_to_fetch_stands_for_all_of_them(machine):
    machine.has("sudo", SUDO)
    machine.has("apt-get", """
case "$*" in
*install*) for n in 1 2 3 4 5; do echo "E: Failed to fetch http://mirror.example/$n" >&2; done
           echo "E: Unable to fetch some archives" >&2; exit 100 ;;
esac""")
    said = machine.install("run").stderr.splitlines()
    assert [line for line in said if line.startswith("E:")] == [
        *(f"E: Failed to fetch http://mirror.example/{n}" for n in (1, 2, 3)),
        "E: Unable to fetch some archives"]


def test_a_source_that_does_not_answer_does_not_matter_when_all_is_found(machine):
    machine.has("sudo", SUDO)
    machine.has("apt-get", """
case "$*" in *update*) echo "W: Failed to fetch http://other.example/InRelease" >&2 ;; esac""")
    done = machine.install("run")
    assert done.returncode == 0
    assert "other.example" not in done.stderr
