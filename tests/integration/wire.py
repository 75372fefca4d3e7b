"""HTTP/1.1 by hand: what clients libraries never send, and the exact bytes that come back.

    with Wire(port) as wire:
        wire.send(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        answer = wire.answer()
        assert answer.status == 200 and not wire.is_closed()
"""
import json
import socket
import struct

PATIENCE = 30  # seconds for what should take none: only a broken program takes so long


class Closed(Exception):
    """The peer ended the connection where more was due."""


class Answer:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.version, status, self.reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = b""
        self.whole = False  # the body came to its end

    def json(self):
        return json.loads(self.body)

    def is_chunked(self):
        return self.headers.get("transfer-encoding") == "chunked"


class Wire:
    def __init__(self, port, receive_buffer=None):
        """port: to connect to, or a socket that is connected."""
        self.socket = port if isinstance(port, socket.socket) else socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if self.socket is not port:
            self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends it as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def post(self, path, body, *fields, version="1.1"):
        """A whole request; body: bytes or what is to be JSON."""
        self.send(post(path, body, *fields, version=version))

    # --- reading ---

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(bytes(self.got))
        self.got += data

    def until(self, mark):
        """What came up to and with the mark."""
        at = self.got.find(mark)
        while at < 0:
            self._more()
            at = self.got.find(mark)
        return self._cut(at + len(mark))

    def _cut(self, count):
        data = bytes(self.got[:count])
        del self.got[:count]
        return data

    def take(self, count):
        while len(self.got) < count:
            self._more()
        return self._cut(count)

    def rest(self):
        """All to the end of the connection."""
        try:
            while True:
                self._more()
        except Closed:
            return self._cut(len(self.got))

    def head(self):
        return Answer(self.until(b"\r\n\r\n"))

    def chunk(self):
        """The next chunk of a body; empty at its end."""
        size = int(self.until(b"\r\n"), 16)
        data = self.take(size)
        assert self.take(2) == b"\r\n"
        return data

    def chunks(self):
        data = self.chunk()
        while data:
            yield data
            data = self.chunk()

    def answer(self, has_body=True):
        """A whole answer; whole is False when the connection ended inside it."""
        answer = self.head()
        if not has_body or answer.status in (204, 304):
            answer.whole = True
            return answer
        try:
            if answer.is_chunked():
                for data in self.chunks():
                    answer.body += data
            elif "content-length" in answer.headers:
                answer.body = self.take(int(answer.headers["content-length"]))
            else:
                answer.body = self.rest()
            answer.whole = True
        except Closed:
            answer.body += self.got
        return answer

    def request(self):
        """The other side of it: a whole request with a length, as (head, body)."""
        head = self.until(b"\r\n\r\n").decode()
        length = [line.split(": ")[1] for line in head.split("\r\n")
                  if line.startswith("Content-Length: ")]
        return head, self.take(int(length[0]))

    def is_closed(self):
        """Waits for the end of the connection; False when bytes come instead."""
        try:
            self._more()
        except Closed:
            return True
        return False


class Listener:
    """A server in the hands of a test."""

    def __init__(self, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(100)
        self.port = self.socket.getsockname()[1]

    def accept(self):
        return Wire(self.socket.accept()[0])

    def refuse_waiting(self):
        """Closes what connected and was not accepted."""
        self.socket.settimeout(0)
        try:
            while True:
                self.socket.accept()[0].close()
        except BlockingIOError:
            self.socket.settimeout(PATIENCE)

    def close(self):
        self.socket.close()


def post(path, body, *fields, version="1.1"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "Host: gateway", *fields,
             f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def events(body):
    """A stream's events: data as JSON, "[DONE]", and comments as they are."""
    found = []
    for event in body.decode().split("\n\n"):
        if event.startswith(":"):
            found.append(event)
        elif event:
            assert event.startswith("data: "), event
            data = event[6:]
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


def chunks_of(body):
    """The same without comments and end mark."""
    return [event for event in events(body) if isinstance(event, dict)]


def text_of(body):
    """What a client puts together of a chat stream."""
    return "".join(choice["delta"].get("content") or ""
                   for chunk in chunks_of(body) for choice in chunk["choices"])
