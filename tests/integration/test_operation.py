"""What an operator does with the programs beside starting and ending them: SIGHUP, logs."""
import base64
import json
import os
import signal

import traffic
from control import Control


def key():
    return base64.b64encode(os.urandom(32)).decode()


def write_keyring(path, **keys):
    path.touch(0o600)
    path.write_text("".join(f"{name.replace('_', '-')}:{value}\n" for name, value in keys.items()))


def test_sighup_gives_a_worker_the_keyring_that_is_there_now(site):
    """A master key is rotated: the control plane seals with it before a worker has it."""
    old, new, hashing = key(), key(), key()
    write_keyring(site.home.keyring, new=new, old=old, api_key_hash=hashing)
    own = site.home.path / "worker.keyring"
    write_keyring(own, old=old, api_key_hash=hashing)
    control = site.control()
    traffic.wait_admin(control)
    sim = site.sim(*traffic.SIM_FLAGS)
    worker = site.worker([control], "--keyring", str(own), workers=2)
    secret = traffic.apply(control, worker, sim)

    def ask():
        with worker.client(secret) as client:
            return traffic.ask(client).status
    assert {ask() for _ in range(4)} == {502}  # it cannot open the credential

    own.write_text("not a keyring\n")
    worker.signal(signal.SIGHUP)
    worker.log.wait("the keyring was not read again, keeping the old one", count=2)
    write_keyring(own, new=new)
    worker.signal(signal.SIGHUP)
    worker.log.wait("no key named api-key-hash", count=2)
    assert ask() == 502  # the client's key is known as before

    write_keyring(own, new=new, old=old, api_key_hash=hashing)
    worker.signal(signal.SIGHUP)
    worker.log.wait('"the keyring was read again"', count=2)
    assert {ask() for _ in range(8)} == {200}


def test_every_line_of_a_json_log_is_an_object(site):
    control = Control(site.database, site.home, "--log-format", "json", name="j")
    site.running.append(control.start(expect='"listening"'))
    traffic.wait_admin(control)
    sim = site.sim(*traffic.SIM_FLAGS)
    worker = site.worker([control], "--log-format", "json", "--log-level", "debug", workers=2)
    secret = traffic.apply(control, worker, sim)
    sim.behave(fail="500")
    with worker.client(secret) as client:
        traffic.ask(client, 'odd "id" \\')
    worker.signal(signal.SIGHUP)
    worker.log.wait("certificate authorities read again", count=2)
    logs = {"worker": worker.log, "control": control.log}
    worker.stop()
    control.stop()
    for name, log in logs.items():
        events = [json.loads(line) for line in log.lines]
        assert events, name
        for event in events:
            assert {"time", "level", "program", "pid", "group", "msg"} <= event.keys(), event


def test_a_kept_connection_forgets_how_its_key_was_hashed(site):
    """A worker remembers the hash of the key that a connection showed last."""
    master, hashing = key(), key()
    write_keyring(site.home.keyring, new=master, api_key_hash=hashing)
    own = site.home.path / "worker.keyring"
    write_keyring(own, new=master, api_key_hash=hashing)
    control = site.control()
    traffic.wait_admin(control)
    sim = site.sim(*traffic.SIM_FLAGS)
    worker = site.worker([control], "--keyring", str(own))
    secret = traffic.apply(control, worker, sim)
    with worker.client(secret) as client:
        assert [traffic.ask(client).status for _ in range(2)] == [200, 200]
        write_keyring(own, new=master, api_key_hash=key())
        worker.signal(signal.SIGHUP)
        worker.log.wait('"the keyring was read again"')
        assert traffic.ask(client).status == 401
