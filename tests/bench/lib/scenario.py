"""What is measured: a body, an answer, a number of connections."""
import dataclasses
import json

WORDS = ("The quick brown fox jumps over the lazy dog while \"quoted\" text, numbers like 3.14 and "
         "Ümläute remind a parser that bodies are not plain letters.\n")
TOKENS_WHOLE = 110  # makes an answer of about 1 KB
TOKENS_STREAM = 46  # with role, finish, usage and [DONE]: 50 events
PACE = 500          # tokens a second: one event in 2 ms


@dataclasses.dataclass(frozen=True)
class Scenario:
    kind: str  # json, sse (paced), burst (a stream at once)
    size: int  # KB of the request's body
    connections: int
    tls: bool = False  # to the provider

    @property
    def name(self):
        return f"{self.kind} {self.size} KB c{self.connections}" + (" tls" if self.tls else "")

    @property
    def streams(self):
        return self.kind != "json"

    @property
    def model(self):
        return "bench/tls" if self.tls else "bench/plain"

    def body(self):
        return make_body(self.model, self.size * 1024, self.streams)

    def knobs(self):
        if not self.streams:
            return {"tokens": TOKENS_WHOLE}
        pace = {"tokens_per_s": PACE} if self.kind == "sse" else {}
        return {"tokens": TOKENS_STREAM, "compact": True, **pace}


def make_body(model, size, streams):
    """A conversation of about that many bytes, in messages of at most 2 KB."""
    body = {"model": model, "temperature": 0.7, "max_tokens": 512, "stream": streams,
            "messages": [{"role": "system", "content": "You are a helpful assistant."}]}
    if streams:
        # asked for, so that every proxy passes on the same events
        body["stream_options"] = {"include_usage": True}
    role = "user"
    while True:
        room = size - len(json.dumps(body, ensure_ascii=False).encode()) - 40
        if room <= 0:
            return json.dumps(body, ensure_ascii=False).encode()
        text = (WORDS * 16)[:min(room, 1900)]
        body["messages"].append({"role": role, "content": text})
        role = "assistant" if role == "user" else "user"


def all_scenarios():
    scenarios = [Scenario(kind, size, connections) for kind in ("json", "sse", "burst")
                 for size in (2, 20, 200) for connections in (1, 32, 256)
                 # a burst differs from a paced stream by its answer alone
                 if kind != "burst" or size == 2]
    return scenarios + [Scenario("json", 2, 32, tls=True), Scenario("sse", 2, 32, tls=True)]


def quick_scenarios():
    return [Scenario("json", 2, 32), Scenario("sse", 2, 32)]
