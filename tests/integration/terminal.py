"""A program on a terminal of its own, as a person would run it.

    with Terminal([program, "tables"], columns=60) as terminal:
        terminal.wait_for("MODEL")
        terminal.press(CTRL_C)
        terminal.wait()
"""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

from program import PATIENCE

CTRL_C = b"\x03"
STYLE = re.compile(r"\x1b\[[0-9;]*m")
STREAMS = ("stdin", "stdout", "stderr")


def plain(text):
    """Without colours."""
    return STYLE.sub("", text)


class Terminal:
    """on: the streams that are the terminal; the others are pipes, read by wait()."""

    def __init__(self, command, columns=80, env=None, on=STREAMS):
        self.text = ""  # what came to the terminal so far
        self.piped = ""  # what came to the pipe of stdout, once it has ended
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        streams = {name: slave if name in on else subprocess.PIPE for name in STREAMS}

        def take_terminal():
            """A session of its own makes it the one that Ctrl-C comes from; whoever runs the
            tests in the background has that ignored."""
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, env=env, start_new_session=True,
            preexec_fn=take_terminal, **streams)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        os.close(self.master)

    def press(self, keys):
        os.write(self.master, keys)

    def resize(self, columns, lines=24):
        """The program is told by the kernel."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def has_echo(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def _read(self, end):
        """More of the text; False: there is no more."""
        ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
        assert ready, f"waited {PATIENCE} s for more than:\n{self.text}"
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # nobody has the other side any more
            return False
        self.text += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)

    def wait_for(self, pattern, count=1):
        """Until the text has the pattern so many times."""
        end = time.monotonic() + PATIENCE
        while len(re.findall(pattern, self.text)) < count:
            assert self._read(end), f"ended without {pattern!r}:\n{self.text}"

    def wait(self):
        """Until it has ended: the exit status, as subprocess has it."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        if self.process.stdout:
            self.piped = self.process.stdout.read().decode()
        return self.process.wait(PATIENCE)
