"""Chat requests in one line, and what came of them."""
import json

from wire import chunks_of, events, text_of

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
ORDER = ["p0", "p1", "p2"]


class Result:
    """An answer of either kind, with the gateway's own account of it."""

    def __init__(self, answer, stream):
        self.answer = answer
        self.status = answer.status_code
        self.headers = answer.headers
        self.is_stream = "text/event-stream" in answer.headers["content-type"]
        assert answer.headers["content-type"] in ("text/event-stream", "application/json")
        assert self.is_stream == (stream and self.status == 200)
        self.chunks = chunks_of(answer.content) if self.is_stream else []
        self.body = self.chunks[-1] if self.is_stream else answer.json()
        self.error = self.body.get("error")
        self.metadata = self.body.get("switchboard_metadata", {})
        assert self.status == 200 or self.error["code"] == self.status

    @property
    def attempts(self):
        """Endpoint, outcome and provider's status of each."""
        return [(one["endpoint"], one["outcome"], one["status"])
                for one in self.metadata["attempts"]]

    @property
    def text(self):
        if self.is_stream:
            return text_of(self.answer.content)
        return self.body["choices"][0]["message"]["content"]

    @property
    def is_done(self):
        return events(self.answer.content)[-1] == "[DONE]"


def chat(model, order=tuple(ORDER), stream=False, **more):
    """The body of a request whose endpoints are tried in this order."""
    body = {"messages": HI, "stream": stream, **more}
    body["models" if isinstance(model, list) else "model"] = model
    body["provider"] = {**({"order": list(order)} if order else {}), **more.get("provider", {})}
    return body


def ask(world, model, order=tuple(ORDER), stream=False, worker=None, headers=None, **more):
    """Sends it; the decision is in the answer."""
    answer = (worker or world.worker).chat(
        chat(model, order, stream, **more),
        headers={"X-Switchboard-Metadata": "enabled", **(headers or {})})
    return Result(answer, stream)


def refusal(answer, status, error_type=None):
    """Checks the envelope of an error; gives what is inside."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error["code"] == status
    assert error["message"]
    if error_type:
        assert error["metadata"]["error_type"] == error_type
    return error


def bodies(world, number):
    """What a provider was asked, as JSON."""
    return [json.loads(request["body"]) for request in world.received(number)]
