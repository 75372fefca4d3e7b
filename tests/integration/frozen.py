"""One thread of a program, stopped while its other threads go on.

    with Frozen(worker_pid, "courier"):
        ...                             # the disk, as far as the worker can see, hangs
"""
import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # of ptrace(2)
WALL = 0x40000000  # of waitpid(2): threads too
LIBC = ctypes.CDLL(None, use_errno=True)


def _ptrace(request, tid):
    if LIBC.ptrace(ctypes.c_long(request), ctypes.c_long(tid), None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace of thread {tid}: {os.strerror(error)}")


class Frozen:
    """To be left by the thread that entered it."""

    def __init__(self, pid, name):
        found = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                 if (task / "comm").read_text(encoding="ascii").strip() == name]
        assert len(found) == 1, f"threads of {pid} with the name {name}: {found}"
        self.tid = found[0]

    def __enter__(self):
        _ptrace(SEIZE, self.tid)
        _ptrace(INTERRUPT, self.tid)
        os.waitpid(self.tid, WALL)
        return self

    def __exit__(self, *exc):
        _ptrace(DETACH, self.tid)
