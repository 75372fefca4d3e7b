"""A private PostgreSQL, with the roles that deploy/up makes, and databases to throw away.

    with Postgres() as server:
        database = server.database()
        database.owner, database.service      # conninfo strings
        database.rows("SELECT ...")           # as the superuser

It is a child of this process and dies with it.
"""
import ctypes
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

PR_SET_PDEATHSIG = 1
PATIENCE = 60  # seconds; only a broken server takes so long


def _user():
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class Database:
    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.owner = f"host={server.dir} dbname={name} user=switchboard_owner"
        self.service = f"host={server.dir} dbname={name} user=switchboard_daemon"
        self._connection = None

    def connect(self, user="root"):
        """A new connection; each statement is a transaction."""
        connection = psycopg2.connect(host=str(self.server.dir), dbname=self.name, user=user,
                                      options="-c search_path=switchboard,public")
        connection.autocommit = True
        return connection

    def rows(self, sql, *args):
        if self._connection is None or self._connection.closed:
            self._connection = self.connect()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.OperationalError:
            self._connection.close()
            raise

    def one(self, sql, *args):
        return self.rows(sql, *args)[0][0]

    def close(self):
        if self._connection is not None:
            self._connection.close()


class Postgres:
    def __init__(self):
        self.bin = pathlib.Path(sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))[-1]).parent
        self.user = _user()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sbpg-", dir="/tmp"))
        self.process = None
        self.databases = []
        if os.getuid() == 0:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        self._run("initdb", "-D", f"{self.dir}/data", "-U", "root", "--auth=trust", "--no-sync",
                  "--no-instructions", "--locale=C.UTF-8", "--encoding=UTF8").wait()

    def _run(self, program, *args):
        identity = {}
        if os.getuid() == 0:
            identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with open(self.dir / "log", "ab") as log:
            return subprocess.Popen([self.bin / program, *args], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, cwd=self.dir,
                                    preexec_fn=_die_with_parent, **identity)

    def __enter__(self):
        self.start()
        with psycopg2.connect(host=str(self.dir), dbname="postgres", user="root") as connection:
            connection.cursor().execute(
                "CREATE ROLE switchboard_owner LOGIN CREATEROLE; CREATE ROLE switchboard_service;"
                "CREATE ROLE switchboard_daemon LOGIN IN ROLE switchboard_service;"
                "GRANT switchboard_service TO switchboard_owner WITH ADMIN OPTION")
        connection.close()
        return self

    def __exit__(self, *exc):
        for database in self.databases:
            database.close()
        self.halt()
        shutil.rmtree(self.dir)

    def start(self):
        self.process = self._run(
            "postgres", "-D", f"{self.dir}/data", "-c", f"unix_socket_directories={self.dir}",
            "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
            "-c", "shared_buffers=64MB", "-c", "autovacuum=off")
        deadline = time.monotonic() + PATIENCE
        status = self.dir / "data" / "postmaster.pid"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if status.read_text().splitlines()[-1].startswith("ready"):
                    return
            except (FileNotFoundError, IndexError):
                pass
            time.sleep(0.01)
        raise RuntimeError(f"PostgreSQL did not start: {(self.dir / 'log').read_text()[-2000:]}")

    def halt(self, how=signal.SIGQUIT):
        """SIGINT ends it politely, SIGQUIT at once."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            self.process = None

    def database(self):
        name = f"t{len(self.databases)}"
        connection = psycopg2.connect(host=str(self.dir), dbname="postgres", user="root")
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} OWNER switchboard_owner")
        connection.close()
        self.databases.append(Database(self, name))
        return self.databases[-1]
