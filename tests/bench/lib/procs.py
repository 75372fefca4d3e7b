"""Processes of a run: started, pinned, measured, ended by their pid."""
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request

STARTED = []  # everything that has to be ended, whatever happens


class Failure(Exception):
    """A sentence for whoever called us."""


def start(command, core=None, log=None, **kwargs):
    """Starts a program, on one core, and registers it to be ended."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    output = open(log, "ab") if log else subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, stderr=output, stdin=subprocess.DEVNULL,
                                   **{"stdout": output, **kwargs})
    finally:
        if log:
            output.close()
    STARTED.append(process)
    return process


def stop(process, patience=20):
    """SIGTERM, and SIGKILL when that does not help.  Gives the exit status."""
    if process in STARTED:
        STARTED.remove(process)
    # Again and again: nginx sleeps on when a signal comes right before it waits for events, which
    # under valgrind happens every other time.
    for _ in range(patience):
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            continue
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
    return process.returncode


def stop_all():
    for process in reversed(list(STARTED)):
        stop(process)


def free_ports(count):
    """Ports that nobody listens on; taken all at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def until(condition, what, seconds=30):
    """Waits for a condition of another process, which tells nobody when it comes true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def accepts(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    """Whether a GET gives 200."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except OSError:
        return False


def tree(pid):
    """The process and all that descend from it, as far as they are there."""
    pids = [pid]
    for one in pids:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                text = pathlib.Path(f"/proc/{one}/task/{task}/children").read_text()
                pids += [int(child) for child in text.split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pids


def cpu_ns(pids):
    """Time on a core, in user space and kernel, of every thread."""
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                text = pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text()
                total += int(text.split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise Failure(f"no Rss of {pid}")


def step_back(pids):
    """All threads there are give way to others; those made later inherit it."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(task), 19)
        # where sessions share a core evenly, priority counts inside of a session only
        autogroup = pathlib.Path(f"/proc/{pid}/autogroup")
        if autogroup.exists():
            autogroup.write_text("19")


def pin(pids, core):
    """All threads there are; those made later inherit it."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), {core})
