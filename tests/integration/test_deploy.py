"""What deploy/up asks about ports and processes, of deploy/lib.sh itself."""
import socket
import subprocess

import pytest

from program import wait_until
from sim import BUILD, ROOT


@pytest.fixture(name="shell")
def fixture_shell(tmp_path):
    """Runs a command with the functions of deploy/lib.sh in a home of its own; ends what it started."""
    (tmp_path / "pids").mkdir()
    (tmp_path / "log").mkdir()

    def shell(command):
        text = f'set -euo pipefail; . {ROOT}/deploy/lib.sh; home={tmp_path}; {command}'
        return subprocess.run(["bash", "-c", text], timeout=60, check=False).returncode
    yield shell
    shell("stop sim")


@pytest.fixture(name="port")
def fixture_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def start_sim(shell, port):
    assert shell(f"start sim {BUILD}/switchboard-sim --port {port}") == 0


def test_a_process_whose_port_another_one_has_does_not_listen(shell, port):
    assert shell(f"taken {port}") == 0
    assert shell(f"ours {port} sim") != 0
    start_sim(shell, port)
    wait_until(lambda: shell("pid_of sim") != 0, "it has ended")
    assert shell(f"listens {port} sim") != 0


def test_a_process_listens_on_the_port_that_it_was_started_for(shell, port):
    other = port + 1 if port < 65535 else port - 1
    while shell(f"taken {other}") == 0:
        other -= 1
    start_sim(shell, other)
    wait_until(lambda: shell(f"listens {other} sim") == 0, "it listens")
    assert shell(f"listens {port} sim") != 0
    assert shell("stop sim; taken " + str(other)) != 0
