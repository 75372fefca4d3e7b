"""switchboard-control as an object of a test.

    with Control(database, home, name="a") as control:
        control.log.wait("leading term=")
        control.get("status")["leading"]

Nothing here sleeps: what a daemon is waited for, it logs.
"""
import base64
import os
import re
import signal
import subprocess
import threading

import requests

from program import BUILD, PATIENCE, free_ports

SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:")


class Log:
    """The lines of a program, as they come."""

    def __init__(self, stream):
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        for line in stream:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        stream.close()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def found(self, pattern):
        return [match for match in map(re.compile(pattern).search, list(self.lines)) if match]

    def wait(self, pattern, count=1):
        """The count-th line that has the pattern, as a match."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.found(pattern)) >= count or self.ended, PATIENCE)
        found = self.found(pattern)
        assert len(found) >= count, f"not in the log: {pattern}\n" + "\n".join(self.lines[-40:])
        return found[count - 1]


class Home:
    """Files and socket paths of one or several daemons."""

    def __init__(self, path):
        self.path = path
        self.token = "t" * 24
        self.keyring = path / "keyring"
        self.token_file = path / "admin.token"
        key = base64.b64encode(os.urandom(32)).decode()
        hash_key = base64.b64encode(os.urandom(32)).decode()
        self._private(self.keyring, f"k1:{key}\napi-key-hash:{hash_key}\n")
        self._private(self.token_file, self.token + "\n")

    @staticmethod
    def _private(path, text):
        path.touch(0o600)
        path.write_text(text)


class Control:
    def __init__(self, database, home, *flags, name="a", owner=True, addresses=None):
        self.name = name
        self.home = home
        self.control, self.publish = addresses or (f"ipc://{home.path}/{name}.control",
                                                   f"ipc://{home.path}/{name}.publish")
        self.database = database
        self.flags = flags
        self.owner = owner
        self.process = None
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {home.token}"

    def start(self, expect="msg=listening", expect_end=False):
        """Returns when it has said what is expected, or has ended as expected."""
        for attempt in range(3):  # somebody may take the port between our look and its bind
            self.port = free_ports()
            command = [str(BUILD / "switchboard-control"), "--name", self.name,
                       "--database", self.database.service, "--control", self.control,
                       "--publish", self.publish, "--admin", f"127.0.0.1:{self.port}",
                       "--admin-token-file", str(self.home.token_file),
                       "--keyring", str(self.home.keyring), "--log-level", "debug",
                       "--probe-interval", "0", "--models-interval", "0", *self.flags]  # providers count their requests
            if self.owner:
                command += ["--owner-database", self.database.owner]
            self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            self.log = Log(self.process.stderr)
            with self.log.changed:
                self.log.changed.wait_for(
                    lambda: self.log.ended or self.log.found(expect), PATIENCE)
            if self.log.ended == expect_end:
                break
            assert attempt < 2 and self.log.found("EADDRINUSE"), "\n".join(self.log.lines)
            self.process.wait(PATIENCE)
        return self

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        """Ends it and checks that it ended well: a leak or a sanitizer's report is a failure."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self._ended()
        assert status == 0, "\n".join(self.log.lines[-60:])
        assert not self.log.found(SANITIZER), "\n".join(self.log.lines[-60:])

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self._ended()

    def _ended(self):
        self.session.close()
        self.process = None
        with self.log.changed:
            self.log.changed.wait_for(lambda: self.log.ended, PATIENCE)

    def reload(self):
        self.signal(signal.SIGHUP)

    def signal(self, number):
        self.process.send_signal(number)

    def is_ready(self):
        """Serves the admin API; the bus listens before that."""
        try:
            return self.session.get(self.url + "/readyz", timeout=PATIENCE).status_code == 200
        except requests.ConnectionError:
            assert not self.log.ended, "\n".join(self.log.lines[-60:])
            return False

    # --- the admin API ---

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def call(self, method, path, **kwargs):
        return self.session.request(method, f"{self.url}/admin/v1/{path}", timeout=PATIENCE,
                                    **kwargs)

    def get(self, path, **kwargs):
        answer = self.call("GET", path, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def apply(self, document):
        answer = self.call("PUT", "catalog", json=document)
        assert answer.status_code == 200, answer.text
        return answer.json()
