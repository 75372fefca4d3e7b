"""A whole Switchboard for one test: a home with keys, and the programs that run in it."""
import pathlib
import shutil
import subprocess
import tempfile

from control import Control, Home
from program import BUILD, PATIENCE
from sim import Sim
from worker import Worker


class Switchboard:
    """Starts programs on free ports, and ends all of them, last started first.

        control = site.control()
        worker = site.worker([control], workers=2)
    """

    def __init__(self, database):
        self.database = database
        # Paths of sockets must stay under 107 bytes, which pytest's own directories do not.
        self.home = Home(pathlib.Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp")))
        self.running = []

    def start(self, program):
        """Starts something with start() and stop(), and sees to its end."""
        program.start()
        self.running.append(program)
        return program

    def control(self, *flags, **options):
        return self.start(Control(self.database, self.home, *flags, **options))

    def worker(self, controls, *flags, **options):
        return self.start(Worker(self.home, controls, *flags, **options))

    def sim(self, *flags, **options):
        sim = Sim(*flags, **options)  # runs from its making on
        self.running.append(sim)
        return sim

    def ctl(self, *words, control=None, check=True, stdin=None, env=None):
        """Runs switchboardctl; gives what subprocess.run() gives.  check: it must succeed."""
        command = [str(BUILD / "switchboardctl"), *map(str, words)]
        if control:
            command += ["--url", control.url, "--token-file", str(self.home.token_file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                              check=False, input=stdin, env=env)
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def logs(self):
        """{name: lines} of what runs."""
        return {program.name: program.log.lines for program in self.running
                if hasattr(program, "log")}

    def close(self):
        """Ends everything.  What did not end well is an AssertionError, after all have ended."""
        trouble = []
        while self.running:
            try:
                self.running.pop().stop()
            except AssertionError as error:
                trouble.append(str(error))
        shutil.rmtree(self.home.path, ignore_errors=True)
        assert not trouble, "\n".join(trouble)
