"""Receipts, read and judged without any code of Switchboard: hashlib, and Ed25519 by openssl.

Signed notes as C2SP's signed-note says, trees as RFC 6962 says, digests as proto/receipt.h says.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile

HEADER = "X-Switchboard-Receipt"
DER = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: an Ed25519 public key follows


class Wrong(Exception):
    """It is not proven."""


def check(is_so, what):
    if not is_so:
        raise Wrong(what)


def is_signed(public, message, signature):
    """By openssl, whose exit status says it."""
    with tempfile.TemporaryDirectory() as folder:
        files = {name: pathlib.Path(folder, name) for name in ["key", "message", "signature"]}
        files["key"].write_bytes(DER + public)
        files["message"].write_bytes(message)
        files["signature"].write_bytes(signature)
        return subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", files["key"],
             "-rawin", "-in", files["message"], "-sigfile", files["signature"]],
            capture_output=True, check=False).returncode == 0


def read_key(text):
    """(name, id, public key) of a verifier key."""
    name, key_id, key = text.split("+", 2)
    raw = base64.b64decode(key, validate=True)
    check(raw[:1] == b"\x01" and len(raw) == 33, "the key is Ed25519")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    check(expected.hex() == key_id, "the key has its id")
    return name, expected, raw[1:]


def open_note(note, key):
    """The text of a note that the key has signed."""
    name, key_id, public = read_key(key)
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, value = line.split(" ")
        check(dash == "\N{EM DASH}", "a signature's line begins with a dash")
        raw = base64.b64decode(value, validate=True)
        if signer == name and raw[:4] == key_id:
            check(is_signed(public, text.encode(), raw[4:]), "the note is signed")
            return text
    raise Wrong("the key has not signed the note")


def root_of(leaf, index, size, path):
    """RFC 9162, 2.1.3.2: the root by an audit path."""
    check(index < size, "the leaf is inside the tree")
    node, last = leaf, size - 1
    for sibling in path:
        check(last > 0, "the path is not too long")
        if index & 1 or index == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    check(last == 0, "the path is long enough")
    return node


def digest(salt, body):
    return hashlib.blake2b(body, key=bytes.fromhex(salt), digest_size=32).hexdigest()


def check_receipt(receipt, key, request=None, response=None):
    """The entry of a receipt that proves itself."""
    lines = open_note(receipt["checkpoint"], key).splitlines()
    check(lines[0] == read_key(key)[0], "the checkpoint is this log's")
    leaf = hashlib.sha256(b"\0" + receipt["entry"].encode()).digest()
    root = root_of(leaf, receipt["leaf"], int(lines[1]), map(bytes.fromhex, receipt["proof"]))
    check(root == base64.b64decode(lines[2], validate=True), "the entry is in the tree")
    entry = json.loads(receipt["entry"])
    check(entry["generation"] == receipt["generation"], "the entry is of this request")
    check("salt" not in receipt or entry["salt_hash"] == digest(receipt["salt"], b"salt\0"), "salt")
    for name, body in [("request_digest", request), ("response_digest", response)]:
        check(body is None or entry[name] == digest(receipt["salt"], body), name)
    return entry


def from_base64url(text):
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def check_promise(value, key):
    """What a promise says, when the log's key has certified who says it."""
    version, payload, signature = value.split(".")
    check(version == "v1", "version 1")
    promise = json.loads(from_base64url(payload))
    title, *lines = open_note(promise["certificate"], key).splitlines()
    check(title == "switchboard/worker-key", "the note is a certificate")
    said = dict(line.split(" ", 1) for line in lines)
    check(said["worker"] == promise["worker_id"] and int(said["boot"]) == promise["boot_id"],
          "it is this worker's")
    check(is_signed(base64.b64decode(said["key"]), f"{version}.{payload}".encode(),
                    from_base64url(signature)), "the promise is signed")
    return promise
