"""Merkle trees and signed notes, written after RFC 6962, RFC 9162 and C2SP, and after nothing of ours.

Slow and plain on purpose: what the product says is checked with this, and with openssl for signatures.
"""
import base64
import hashlib
import os
import subprocess
import tempfile

# --- trees (RFC 6962, 2.1) -----------------------------------------------------------------------


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(entry):
    return sha256(b"\x00" + entry)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def root_of(leaves):
    """MTH(D[n]) of hashes of leaves, level by level: an odd one out goes up as it is."""
    if not leaves:
        return sha256(b"")
    level = list(leaves)
    while len(level) > 1:
        pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) - len(level) % 2:]
    return level[0]


def edge_of(leaves):
    """The roots of the perfect subtrees that the tree is made of, largest first."""
    edge, at = [], 0
    for bit in range(len(leaves).bit_length() - 1, -1, -1):
        if len(leaves) >> bit & 1:
            edge.append(root_of(leaves[at:at + (1 << bit)]))
            at += 1 << bit
    return edge


# --- proofs (RFC 9162, 2.1.3.2 and 2.1.4.2) ---------------------------------------------------------


def inclusion_root(leaf, index, size, proof):
    """The root that the proof leads to; None: it is no proof of that shape."""
    if index >= size:
        return None
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return r if sn == 0 else None


def is_consistent(first, first_root, second, second_root, proof):
    if first == second:
        return not proof and first_root == second_root
    if not proof or not 0 < first < second:
        return False
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == first_root and sr == second_root and sn == 0


# --- Ed25519, by openssl -----------------------------------------------------------------------------

PUBLIC_DER = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, before the 32 bytes
SECRET_DER = bytes.fromhex("302e020100300506032b657004220420")


def openssl(*words, **files):
    """Runs it with files in the place of {names}; gives its status and output."""
    with tempfile.TemporaryDirectory(prefix="sb-") as directory:
        paths = {}
        for name, content in files.items():
            paths[name] = os.path.join(directory, name)
            with open(paths[name], "wb") as file:
                file.write(content)
        done = subprocess.run(["openssl", *(word.format(**paths) for word in words)],
                              capture_output=True, check=False)
        return done.returncode, done.stdout


def is_signed(public, message, signature):
    status, _ = openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey",
                        "{key}", "-in", "{message}", "-sigfile", "{signature}",
                        key=PUBLIC_DER + public, message=message, signature=signature)
    return status == 0


def sign(seed, message):
    status, signature = openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", "{key}",
                                "-in", "{message}", key=SECRET_DER + seed, message=message)
    assert status == 0
    return signature


def public_of(seed):
    status, der = openssl("pkey", "-inform", "DER", "-in", "{key}", "-pubout", "-outform", "DER",
                          key=SECRET_DER + seed)
    assert status == 0
    return der[-32:]


# --- signed notes (https://c2sp.org/signed-note) ---------------------------------------------------------


class Key:
    """A verifier key: name+id+base64."""

    def __init__(self, text):
        self.name, identity, key = text.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
        assert key[0] == 1 and len(key) == 33
        self.public = key[1:]
        self.id = key_id(self.name, self.public)
        assert self.id.hex() == identity


def key_id(name, public):
    return sha256(name.encode() + b"\n\x01" + public)[:4]


def open_note(note, key):
    """The text of a note that the key signed; an AssertionError otherwise."""
    assert note.endswith("\n")
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    found = 0
    for line in signatures.splitlines():
        dash, name, blob = line.split(" ")
        assert dash == "\u2014"
        blob = base64.b64decode(blob, validate=True)
        if name == key.name and blob[:4] == key.id:
            assert is_signed(key.public, text.encode(), blob[4:])
            found += 1
    assert found == 1
    return text


def make_note(text, name, seed):
    blob = key_id(name, public_of(seed)) + sign(seed, text.encode())
    return f"{text}\n\u2014 {name} {base64.b64encode(blob).decode()}\n"


# --- checkpoints (https://c2sp.org/tlog-checkpoint) ----------------------------------------------------------


def open_checkpoint(note, key):
    """(size, root)"""
    origin, size, root, *rest = open_note(note, key).split("\n")
    assert origin == key.name and rest == [""]
    assert size == str(int(size))
    return int(size), base64.b64decode(root, validate=True)


def make_checkpoint(name, size, root, seed):
    return make_note(f"{name}\n{size}\n{base64.b64encode(root).decode()}\n", name, seed)


def split_notes(text):
    """The notes of a file, one behind the other, an empty line between them."""
    notes, lines, signed = [], [], False
    for line in text.splitlines(keepends=True):
        if signed and line == "\n":
            notes.append("".join(lines))
            lines, signed = [], False
            continue
        signed = signed or line.startswith("\u2014 ")
        lines.append(line)
    assert signed and lines
    return [*notes, "".join(lines)]
