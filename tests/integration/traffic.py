"""Clients that never pause, and the records that their requests must leave behind.

    key = traffic.apply(control, sim)["keys"][0]["secret"]
    with Traffic(worker, key) as clients:
        clients.wait_more(50)
        ...                                  # something goes wrong
        clients.wait_more(50)
    clients.check_none_failed()
    traffic.check_records(database, clients.answered)
"""
import collections
import threading
import time

import requests

from program import PATIENCE, wait_until

MODEL = "lab/one"
PROMPT_TOKENS, COMPLETION_TOKENS = 10, 5  # of every answer: SIM_FLAGS
SIM_FLAGS = ("--tokens", str(COMPLETION_TOKENS), "--prompt-tokens", str(PROMPT_TOKENS),
             "--first-token-ms", "4")  # so that some requests are in flight at any time
COST = 2_500_000_000  # 1e-15 USD: 10 of 0.10 and 5 of 0.30 USD per million
REPORTED = 1  # enum msg_usage_source

Answer = collections.namedtuple("Answer", "request_id generation streamed status headers")


def catalog(sim, **changes):
    document = {
        "version": 1,
        "providers": [{"slug": "acme", "name": "Acme", "dialect": "openai",
                       "base_url": sim.url + "/v1", "credential": {"value": "house-1"}}],
        "models": [{"id": name, "name": name, "context_length": 131072,
                    "input_modalities": ["text"], "output_modalities": ["text"]}
                   for name in (MODEL, "lab/cursed")],
        "endpoints": [{"model": name, "provider": "acme",
                       "pricing": {"prompt": "0.10", "completion": "0.30"}}
                      for name in (MODEL, "lab/cursed")],
        "keys": [{"name": "app"}],
    }
    document.update(changes)
    return document


def apply(control, worker, sim):
    """Gives an API key that all processes of the worker know."""
    applied = control.apply(catalog(sim))
    wait_revision(worker, applied["revision"])
    return applied["keys"][0]["secret"]


def wait_admin(control):
    """Until the admin API answers: it listens later than the bus."""
    def answers():
        try:
            return control.session.get(control.url + "/healthz", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False
    wait_until(answers, f"the admin API of {control.name} answers")


def snapshot(worker, n=0):
    """What /readyz of the n-th process says of its snapshot."""
    return worker.readiness(n)[1].get("snapshot") or {"revision": -1, "from": None}


def wait_revision(worker, revision):
    for n in range(worker.workers):
        wait_until(lambda n=n: snapshot(worker, n)["revision"] >= revision,
                   f"process {n} serves revision {revision}")


def ask(client, request_id="", model=MODEL, stream=False):
    """One request, read to its end."""
    answer = client.post("/v1/chat/completions", headers={"X-Request-Id": request_id}, json={
        "model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
    if answer.status_code == 200 and stream:
        assert answer.text.endswith("data: [DONE]\n\n"), answer.text
        assert '"error"' not in answer.text, answer.text
    return Answer(request_id, answer.headers.get("X-Generation-Id"), stream, answer.status_code,
                  answer.headers)


class Traffic:
    """A few threads, each a client with a connection that it keeps.  streams: "half" or "all"."""

    def __init__(self, worker, key, threads=4, model=MODEL, most=20000, streams="half"):
        self.worker = worker
        self.key = key
        self.model = model
        self.most = most  # requests of one thread
        self.streams = streams  # of the requests
        self.answered = []  # with 200, whole
        self.refused = []  # with anything else
        self.failed = []  # (request id, exception)
        self.stopping = False
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]

    def _run(self, thread):
        client = self.worker.client(self.key)
        for n in range(self.most):
            if self.stopping:
                break
            request_id = f"t{thread}-{n}"
            try:
                answer = ask(client, request_id, self.model,
                             stream=self.streams == "all" or n % 2 == 1)
                where, what = (self.answered if answer.status == 200 else self.refused), answer
            except (requests.RequestException, AssertionError) as error:
                where, what = self.failed, (request_id, error)
            with self.changed:
                where.append(what)
                self.changed.notify_all()
            if where is self.failed and self.worker.process is None:
                break
        client.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def wait_more(self, count):
        """Until so many more requests are answered."""
        end = time.monotonic() + PATIENCE
        with self.changed:
            goal = len(self.answered) + count
            while len(self.answered) < goal and time.monotonic() < end:
                self.changed.wait(1)
        assert len(self.answered) >= goal, self.summary()

    def summary(self):
        return (f"{len(self.answered)} answered; refused: {self.refused[:5]}; "
                f"failed: {self.failed[:5]}")

    def check_none_failed(self):
        assert not self.failed and not self.refused, self.summary()


def check_records(database, answered):
    """Each answer has one record, which says exactly what it was and cost."""
    assert answered
    wanted = {one.generation: one for one in answered}
    assert len(wanted) == len(answered)

    def rows():
        found = database.rows("SELECT generation, request_id, streamed, status, prompt_tokens,"
                              " completion_tokens, usage_source, cost FROM audit_requests")
        return found if wanted.keys() <= {row[0] for row in found} else None
    found = wait_until(rows, f"{len(wanted)} records are stored")
    for generation, times in collections.Counter(row[0] for row in found).items():
        assert times == 1, f"{generation} is stored {times} times"
    for generation, *row in found:
        if generation in wanted:
            one = wanted[generation]
            says = [one.request_id, one.streamed, 200, PROMPT_TOKENS, COMPLETION_TOKENS, REPORTED,
                    COST]
            assert row == says, f"{generation}: {row}, not {says}"
