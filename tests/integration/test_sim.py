"""switchboard-sim behaves as its tests need it to: the real program, over real sockets."""
import base64
import concurrent.futures
import json
import math
import signal
import socket
import ssl
import struct
import subprocess

import pytest
import requests

from sim import BUILD, PATIENCE, Sim

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}


@pytest.fixture(name="sim")
def fixture_sim():
    with Sim("--tokens", "5") as sim:
        yield sim


@pytest.fixture(name="http")
def fixture_http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


def post(http, sim, body, path="/v1/chat/completions", **kwargs):
    return http.post(sim.url + path, json=body, timeout=PATIENCE, **kwargs)


def events(answer):
    """Data of each event as JSON, and "[DONE]"."""
    data = [line[6:] for line in answer.iter_lines() if line.startswith(b"data: ")]
    return [one.decode() if one == b"[DONE]" else json.loads(one) for one in data]


def raw_connection(sim, receive_buffer=None):
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", sim.port))
    return connection


def raw_post(body, path="/v1/chat/completions", fields=""):
    text = json.dumps(body)
    return (f"POST {path} HTTP/1.1\r\nHost: sim\r\n{fields}Content-Length: {len(text)}\r\n\r\n"
            f"{text}").encode()


def read_all(connection):
    data = bytearray()
    while True:
        part = connection.recv(65536)
        if not part:
            return bytes(data)
        data += part


# --- answers ---------------------------------------------------------------------------------------


def test_a_chat_is_answered_in_openais_shape(sim, http):
    answer = post(http, sim, CHAT)
    body = answer.json()
    assert answer.status_code == 200
    assert body["object"] == "chat.completion"
    assert body["model"] == "m"
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == 5
    assert body["usage"]["total_tokens"] == 5 + body["usage"]["prompt_tokens"]


def test_a_stream_says_the_same_as_a_whole_answer(sim, http):
    whole = post(http, sim, CHAT).json()
    parts = events(post(http, sim, {**STREAM, "stream_options": {"include_usage": True}},
                        stream=True))
    assert parts[-1] == "[DONE]"
    assert parts[-2]["choices"] == []
    assert parts[-2]["usage"] == whole["usage"]
    deltas = [part["choices"][0]["delta"].get("content") or "" for part in parts[:-2]]
    assert "".join(deltas) == whole["choices"][0]["message"]["content"]
    assert {part["object"] for part in parts[:-1]} == {"chat.completion.chunk"}
    assert len({part["id"] for part in parts[:-1]}) == 1


def test_tool_arguments_and_structured_output_fit_their_schemas(sim, http):
    schema = {"type": "object", "required": ["city", "days"], "additionalProperties": False,
              "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 9}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    call = post(http, sim, {**CHAT, "tools": [tool]}).json()["choices"][0]
    assert call["finish_reason"] == "tool_calls"
    function = call["message"]["tool_calls"][0]["function"]
    assert function["name"] == "weather"
    assert json.loads(function["arguments"]) == {"city": "simulated", "days": 9}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    said = post(http, sim, {**CHAT, "response_format": shape}).json()["choices"][0]["message"]
    # max_tokens is not given, so five tokens of --tokens do not cut a JSON text
    assert json.loads(said["content"]) == {"city": "simulated", "days": 9}


def test_a_tool_result_is_answered_with_words(sim, http):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    messages = [*CHAT["messages"], {"role": "tool", "tool_call_id": "x", "content": "1"}]
    body = {**CHAT, "messages": messages, "tools": [tool]}
    assert post(http, sim, body).json()["choices"][0]["finish_reason"] == "stop"


def test_streamed_tool_calls_add_up(sim, http):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    parts = events(post(http, sim, {**STREAM, "tools": [tool]}, stream=True))
    calls = [call for part in parts[:-1] for choice in part["choices"]
             for call in choice["delta"].get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "f"
    assert calls[0]["id"].startswith("call_")
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(arguments) == {"city": "simulated"}


def test_embeddings_are_the_same_as_floats_and_as_base64(sim, http):
    body = {"model": "m", "input": ["one", "two"], "dimensions": 16}
    floats = post(http, sim, body, "/v1/embeddings").json()
    packed = post(http, sim, {**body, "encoding_format": "base64"}, "/v1/embeddings").json()
    for i in range(2):
        vector = struct.unpack("<16f", base64.b64decode(packed["data"][i]["embedding"]))
        assert vector == pytest.approx(floats["data"][i]["embedding"])
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
    assert floats["data"][0]["embedding"] != floats["data"][1]["embedding"]
    assert floats["usage"]["prompt_tokens"] > 0


def test_completions_and_models_are_served(sim, http):
    answer = post(http, sim, {"model": "m", "prompt": "p", "max_tokens": 2}, "/v1/completions")
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    models = http.get(sim.url + "/v1/models", timeout=PATIENCE).json()
    assert [model["id"] for model in models["data"]] == ["sim-small", "sim-large", "sim-embed"]
    one = http.get(sim.url + "/v1/models/sim-large", timeout=PATIENCE)
    assert one.json()["id"] == "sim-large"
    assert http.get(sim.url + "/v1/models/other", timeout=PATIENCE).status_code == 404


def test_bad_requests_get_the_error_envelope(sim, http):
    answer = http.post(sim.url + "/v1/chat/completions", data="{", timeout=PATIENCE)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert http.get(sim.url + "/v1/chat/completions", timeout=PATIENCE).status_code == 405
    assert http.get(sim.url + "/v1/nothing", timeout=PATIENCE).status_code == 404


def test_a_wrong_key_is_401(http):
    with Sim("--api-key", "right") as sim:
        for headers, status in [({"Authorization": "Bearer right"}, 200),
                                ({"api-key": "right"}, 200),
                                ({"Authorization": "Bearer wrong"}, 401), ({}, 401)]:
            assert post(http, sim, CHAT, headers=headers).status_code == status
        wrong = post(http, sim, CHAT, headers={"Authorization": "Bearer wrong"}).json()
        assert wrong["error"]["code"] == "invalid_api_key"


# --- what it received --------------------------------------------------------------------------------


def test_requests_are_shown_as_they_came(sim):
    message = raw_post(CHAT, "/v1/chat/completions?a=b", "X-Odd:   one \r\n")
    with raw_connection(sim) as connection:
        connection.sendall(message)
        sim.wait(answered=1)
    (request,) = sim.requests()
    assert request["raw_head"] == message.split(b"\r\n\r\n")[0].decode() + "\r\n\r\n"
    assert request["method"] == "POST"
    assert request["target"] == "/v1/chat/completions?a=b"
    assert request["headers"]["x-odd"] == "one"
    assert json.loads(request["body"]) == CHAT
    assert request["status"] == 200
    assert request["outcome"] == "answered"
    assert sim.requests(since=1) == []
    sim.forget()
    assert sim.requests() == []
    assert sim.counters()["requests"] == 0


def test_a_chunked_request_is_shown_without_its_framing(sim):
    text = json.dumps(CHAT).encode()
    with raw_connection(sim) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: s\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(len(text)):
            connection.sendall(b"1\r\n" + text[i:i + 1] + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        sim.wait(answered=1)
    assert json.loads(sim.requests()[0]["body"]) == CHAT


def test_a_request_in_single_bytes_is_answered(sim):
    with raw_connection(sim) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw_post(CHAT, fields="Connection: close\r\n"):
            connection.sendall(bytes([byte]))
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_pipelined_requests_are_answered_in_order(sim):
    sim.script({"content": "one"}, {"content": "two", "first_token_ms": 20}, {"content": "three"})
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT) + raw_post(CHAT) +
                           raw_post(CHAT, fields="Connection: close\r\n"))
        data = read_all(connection)
    assert data.count(b"HTTP/1.1 200 OK") == 3
    assert data.index(b'"one"') < data.index(b'"two"') < data.index(b'"three"')


def test_expect_continue_is_answered_before_the_body(sim):
    text = json.dumps(CHAT).encode()
    with raw_connection(sim) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: s\r\nConnection: close\r\n"
                           b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(text))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(text)
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_malformed_http_is_refused(sim):
    with raw_connection(sim) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: s\r\n"
                           b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    assert sim.counters()["malformed"] == 1


# --- clients that leave, answers that wait ------------------------------------------------------------------


def test_a_client_that_leaves_a_stream_is_counted(sim):
    sim.behave(hold_after=2)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(STREAM))
        assert sim.wait(held=1)["open_streams"] == 1
    counters = sim.wait(streams_aborted=1)
    assert counters["aborted"] == 1
    assert counters["open_streams"] == counters["held"] == counters["open_requests"] == 0
    assert sim.requests()[0]["outcome"] == "aborted"
    assert sim.requests()[0]["events"] == 2


def test_a_client_that_pipelined_and_leaves_is_noticed(sim):
    sim.behave(hang=1)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT) + raw_post(CHAT))
        sim.wait(hanging=1)
    assert sim.wait(aborted=1)["hanging"] == 0


def test_a_client_that_leaves_inside_a_request_is_counted(sim):
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT)[:-3])
    assert sim.wait(truncated=1)["requests"] == 0


def test_held_answers_are_released_in_order(sim, http):
    sim.behave(hold_after=0)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(post, http, sim, {**CHAT, "model": "first"})
        sim.wait(held=1)
        second = pool.submit(requests.post, sim.url + "/v1/chat/completions",
                             json={**CHAT, "model": "second"}, timeout=PATIENCE)
        sim.wait(held=2)
        assert sim.release(1) == 1
        assert first.result().json()["model"] == "first"
        assert not second.done()
        assert sim.release() == 1
        assert second.result().json()["model"] == "second"


def test_an_unmet_wait_is_408(sim):
    answer = sim.session.get(sim.url + "/_sim/wait?requests=1&timeout_ms=1", timeout=PATIENCE)
    assert answer.status_code == 408
    assert answer.json()["requests"] == 0
    answer = sim.session.get(sim.url + "/_sim/wait?no_such=1", timeout=PATIENCE)
    assert answer.status_code == 400


def test_a_long_stream_waits_for_its_reader(sim):
    sim.behave(tokens=40000, token_bytes=100)
    with raw_connection(sim, receive_buffer=4096) as connection:
        connection.sendall(raw_post(STREAM, fields="Connection: close\r\n"))
        connection.recv(1000)
        # more than the buffers of two sockets hold; another client is served meanwhile
        with raw_connection(sim) as other:
            other.sendall(raw_post({**CHAT, "max_tokens": 1}, fields="Connection: close\r\n"))
            assert read_all(other).startswith(b"HTTP/1.1 200 OK")
        assert sim.counters()["open_streams"] == 1
        assert b"[DONE]" in read_all(connection)[-40:]
    assert sim.wait(open_streams="0-0")["answered"] == 2


# --- failures ----------------------------------------------------------------------------------------------


def test_a_script_is_used_once_in_order(sim, http):
    sim.script({"fail": "503", "retry_after": 4}, {"content": "second"})
    first = post(http, sim, CHAT)
    assert (first.status_code, first.headers["retry-after"]) == (503, "4")
    assert post(http, sim, CHAT).json()["choices"][0]["message"]["content"] == "second"
    assert post(http, sim, CHAT).status_code == 200
    assert sim.counters()["script_left"] == 0


def test_a_bad_behaviour_is_refused_and_named(sim):
    answer = sim.session.post(sim.url + "/_sim/behaviour", json={"tokens": "x"}, timeout=PATIENCE)
    assert answer.status_code == 400
    assert "tokens" in answer.json()["error"]["message"]
    assert sim.behave()["tokens"] == 5


def test_restoring_goes_back_to_the_flags(sim):
    sim.behave(tokens=7, content="x")
    assert sim.restore()["tokens"] == 5
    assert sim.behave()["content"] is None


def test_the_same_seed_fails_the_same_requests(http):
    fates = []
    for _ in range(2):
        with Sim("--fail", "500:0.5", "--seed", "42") as sim:
            fates.append([post(http, sim, CHAT).status_code for _ in range(20)])
    assert fates[0] == fates[1]
    assert set(fates[0]) == {200, 500}


def test_a_reset_is_one(sim):
    sim.behave(reset=True)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    sim.behave(reset=None, close_before_answer=True)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT))
        assert connection.recv(1) == b""
    assert sim.counters()["failed"] == 2


def test_cut_answers_end_too_early(sim):
    sim.script({"cut_after": 3}, {"cut_after": 3, "cut_reset": True}, {"cut_after": 10})
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(STREAM))
        data = read_all(connection)
    assert data.count(b"data: ") == 3
    assert not data.endswith(b"0\r\n\r\n")
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(STREAM))
        with pytest.raises(ConnectionResetError):
            read_all(connection)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT))
        head, body = read_all(connection).split(b"\r\n\r\n")
    assert len(body) == 10
    assert b"content-length: 10\r\n" not in head


def test_a_used_connection_is_closed_when_it_is_used_again(sim):
    sim.behave(requests_per_connection=1)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post({**CHAT, "max_tokens": 1}))
        sim.wait(answered=1)
        connection.recv(65536)
        connection.sendall(raw_post(CHAT))
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
    counters = sim.counters()
    assert counters["requests"] == 1


def test_idle_connections_can_be_closed_from_outside(sim):
    with raw_connection(sim) as idle, raw_connection(sim) as busy:
        idle.sendall(raw_post(CHAT))
        sim.wait(answered=1)
        sim.behave(hold_after=0)
        busy.sendall(raw_post(CHAT, fields="Connection: close\r\n"))
        sim.wait(held=1)
        assert sim.close("idle") == 1
        read_all(idle)
        sim.release()
        assert read_all(busy).startswith(b"HTTP/1.1 200 OK")


def test_close_idle_is_not_announced(sim):
    sim.behave(close_idle=True)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT))
        data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" not in data
    assert sim.counters()["answered"] == 1


def test_writes_can_be_split_at_any_byte(sim, http):
    sim.behave(chunk_split=1, frame_split=3)
    parts = events(post(http, sim, STREAM, stream=True))
    assert parts[-1] == "[DONE]"
    assert len(parts) == 8
    sim.behave(chunk_split=7, framing="chunked")
    assert post(http, sim, CHAT).json()["usage"]["completion_tokens"] == 5


def test_a_slow_reader_gets_the_whole_body(sim, http):
    sim.behave(slow_read=20000)
    body = {**CHAT, "messages": [{"role": "user", "content": "x" * 300000}]}
    assert post(http, sim, body).status_code == 200
    assert json.loads(sim.requests()[0]["body"]) == body


def test_hanging_requests_never_get_an_answer(sim):
    sim.behave(hang=1)
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT))
        sim.wait(hanging=1)
        assert sim.release() == 0
        assert sim.close("all") == 1
        assert connection.recv(1) == b""  # not a byte was written before


def test_interim_answers_and_false_encodings_are_sent(sim):
    sim.behave(interim_100=True, content_encoding="gzip")
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT, fields="Connection: close\r\n"))
        data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n")
    assert b"content-encoding: gzip\r\n" in data


def test_raw_bytes_can_be_the_answer(sim):
    sim.behave(raw_response="HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort")
    with raw_connection(sim) as connection:
        connection.sendall(raw_post(CHAT))
        assert read_all(connection).endswith(b"\r\n\r\nshort")


def test_a_script_is_not_for_those_who_look_at_the_models(sim, http):
    sim.script({"fail": 500})
    assert http.get(sim.url + "/v1/models", timeout=PATIENCE).status_code == 200
    assert post(http, sim, CHAT).status_code == 500


# --- many, and TLS ------------------------------------------------------------------------------------------


def test_a_thousand_streams_at_once(sim):
    sim.behave(hold_after=3)
    connections = [raw_connection(sim) for _ in range(1000)]
    try:
        for connection in connections:
            connection.sendall(raw_post(STREAM, fields="Connection: close\r\n"))
        assert sim.wait(held=1000)["open_streams"] == 1000
        assert sim.release() == 1000
        for connection in connections:
            assert b"[DONE]" in read_all(connection)
    finally:
        for connection in connections:
            connection.close()
    assert sim.counters()["answered"] == 1000


def test_paced_streams_all_end(sim):
    sim.behave(first_token_ms=5, tokens_per_s=1000, jitter=0.5, tokens=20)
    connections = [raw_connection(sim) for _ in range(200)]
    try:
        for connection in connections:
            connection.sendall(raw_post(STREAM, fields="Connection: close\r\n"))
        for connection in connections:
            assert read_all(connection).count(b"data: ") == 23
    finally:
        for connection in connections:
            connection.close()


@pytest.fixture(name="certificate", scope="session")
def fixture_certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=sim",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key),
                    "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def test_tls_serves_whole_and_streamed_answers(certificate, http):
    http.verify = str(certificate[0])
    with Sim("--tokens", "5", tls=certificate) as sim:
        for _ in range(2):
            assert post(http, sim, CHAT).json()["usage"]["completion_tokens"] == 5
            assert events(post(http, sim, STREAM, stream=True))[-1] == "[DONE]"
        body = {**CHAT, "messages": [{"role": "user", "content": "x" * 1000000}]}
        assert post(http, sim, body).status_code == 200
        # one connection for all of them
        assert {request["connection"] for request in sim.requests()} == {
            sim.requests()[0]["connection"]}
        sim.behave(tokens=100000, token_bytes=100)
        assert len(events(post(http, sim, STREAM, stream=True))) == 100003


def test_a_tls_client_may_leave_in_the_rudest_way(certificate):
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with Sim("--hold-after", "2", tls=certificate) as sim:
        connection = context.wrap_socket(raw_connection(sim), server_hostname="localhost")
        connection.sendall(raw_post(STREAM))
        sim.wait(held=1)
        # an end and a reset that are seen at once: what TLS then writes gives SIGPIPE
        sim.process.send_signal(signal.SIGSTOP)
        connection.shutdown(socket.SHUT_WR)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        sim.process.send_signal(signal.SIGCONT)
        assert sim.wait(streams_aborted=1, open_streams="0-0")["answered"] == 0


def test_tls_refuses_a_client_that_speaks_only_h2(certificate):
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.set_alpn_protocols(["h2"])
    with Sim(tls=certificate) as sim, raw_connection(sim) as connection:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_hostname="localhost")
        sim.wait(open_connections="1-1")  # only the one that asks


@pytest.mark.parametrize("flags, word", [
    (["--tokens", "x"], "tokens"),
    (["--fail", "abc"], "fail"),
    (["--tls-cert", "/nowhere"], "tls-key"),
    (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "/nowhere"),
    (["--address", "nowhere"], "nowhere"),
])
def test_a_wrong_setting_stops_the_start_and_is_named(flags, word):
    with pytest.raises(RuntimeError):
        Sim(*flags)
    ended = subprocess.run([str(BUILD / "switchboard-sim"), "--port", "0", *flags],
                           capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode in (1, 2)
    assert word in ended.stderr
