#!/usr/bin/env python3
"""Checks the rules of the tree that a compiler cannot: who includes whom,
who owns which library, banned calls, file sizes."""
import hashlib
import pathlib
import re
import sys

MAY_INCLUDE = {  # folder -> our folders it may include from
    "common": {"common"},
    "proto": {"proto", "common"},
    "dataplane": {"dataplane", "proto", "common"},
    "dataplane/route": {"dataplane/route", "proto", "common"},
    "controlplane": {"controlplane", "proto", "common"},
    "controlplane/catalog": {"controlplane/catalog", "proto", "common"},
    # simulate reads a catalogue file and runs the real routing code
    "controlplane/ctl": {"controlplane/ctl", "controlplane/catalog", "dataplane/route", "proto",
                         "common"},
    "tests": {"tests", "dataplane", "controlplane", "proto", "common"},
}
LIBRARY_OWNER = {  # header -> the only files that may include it
    r"czmq\.h|zmq\.h": {"common/bus.c", "common/buskey.c", "common/busauth.c", "common/actor.c",
                        "common/reactor.c"},
    r"msgpack(\.h|/.*)": {"proto/wire.c", "tests/fuzz/proto/fuzz_wire.c"},
    r"llhttp\.h": {"common/http1.c"},
    r"uv\.h": {"common/loop.h"},  # its handles are embedded in ours
    r"yyjson\.h": {"common/json.h"},
    r"sodium\.h": {"common/secret.c"},
    r"openssl/.*": {"common/sha256.c", "dataplane/upstream/trust.c", "tests/lib/tls_peer.h",
                    "tests/sim/tls.c"},
    r"curl/.*": {"dataplane/upstream/dial.c", "dataplane/upstream/multi.c", "dataplane/upstream/trust.c",
                 "controlplane/probes/fetch.c", "controlplane/events/webhook.c", "controlplane/ctl/rest.c"},
    r"libpq-fe\.h": {"controlplane/db.c", "controlplane/rows.c"},
    r"microhttpd\.h": {"controlplane/admin/http.c"},
    r"maxminddb\.h": {"controlplane/probes/country_db.c"},
    r"zstd\.h": {"common/zstd.c"},
    r"yaml\.h": {"controlplane/catalog/yaml.c", "controlplane/ctl/yaml.c"},
}
# Who may look into a secret: each line is a place where one can leak.
SECRET_READERS = {
    "common/secret.h",  # declares it
    "common/secret.c",
    "common/keyring.c",  # parses and writes them
    "common/buskey.c",  # likewise
    "common/busauth.c",  # authorised keys: public, read by the same function
    "common/notekey.c",  # parses and writes log keys
    "common/bus.c",  # hands the CURVE key to libzmq
    "controlplane/probes/fetch.c",  # hands the provider's key to libcurl
    "controlplane/probes/probe_request.c",  # writes it into a field
    "controlplane/config/enter.c",  # hashes API keys, seals credentials
    "dataplane/upstream/outlet.c",  # writes the provider's key into the request's head
    "controlplane/admin/token.c",  # hashes the admin token
    "controlplane/events/webhook.c",  # takes the line with the key out of its file
    "controlplane/admin/written.c",  # shows a made API key, once
    "controlplane/admin/tokens.c",  # shows a made admin token, once
    "controlplane/admin_tokens.c",  # hashes it
    "controlplane/ctl/ctl.c",  # finds the admin token
    "controlplane/ctl/rest.c",  # writes it into the request's head
}
BANNED = r"\b(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|" \
         r"gmtime|localtime|malloc|calloc|realloc|free|strdup|alloca|system|popen)\s*\("
BANNED_OK = {"common/mem.c"}
MAX_LINES = {".c": 1000, ".h": 250}
# A function may have four levels.  The sources are formatted, so a level is four blanks.
TOO_DEEP = re.compile(r" {20,}(if|for|while|do|switch)\b")


def strip(text):
    """Blanks comments and strings, keeping the line count."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def layer_of(rel):
    """The longest key of MAY_INCLUDE that holds the file."""
    return max((f for f in MAY_INCLUDE if rel.startswith(f + "/")), key=len)


def check(root, path):
    rel = path.relative_to(root).as_posix()
    folder = layer_of(rel)
    text = path.read_text()
    for no, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if m and not any(m.group(1).startswith(f + "/") for f in MAY_INCLUDE[folder]):
            yield f"{rel}:{no}: {folder}/ may not include {m.group(1)}"
        m = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
        if m:
            for lib, owners in LIBRARY_OWNER.items():
                if re.fullmatch(lib, m.group(1)) and rel not in owners:
                    yield f"{rel}:{no}: <{m.group(1)}> belongs to {', '.join(sorted(owners))}"
    if not rel.startswith("tests/") and rel not in BANNED_OK:
        for no, line in enumerate(strip(text).splitlines(), 1):
            m = re.search(BANNED, line)
            if m:
                yield f"{rel}:{no}: {m.group(1)}() is banned"
    if not rel.startswith("tests/") and rel not in SECRET_READERS:
        for no, line in enumerate(strip(text).splitlines(), 1):
            if re.search(r"\bsb_secret_expose\b", line):
                yield f"{rel}:{no}: not among SECRET_READERS of tests/lint/check_tree.py"
    for m in re.finditer(r"SB_CLEANUP\(sb_buf_release\) struct sb_buf (\w+);", text):
        before = re.split(rf"sb_buf_init\(&{m.group(1)}\b", text[m.end():], maxsplit=1)[0]
        if re.search(r"\breturn\b", before):
            no = text.count("\n", 0, m.start()) + 1
            yield f"{rel}:{no}: {m.group(1)} is released before it is initialised: init it first"
    for no, line in enumerate(text.splitlines(), 1):
        if TOO_DEEP.match(line):
            yield f"{rel}:{no}: over four levels deep: make a function of it"
    if re.search(r"(?m)^\s*//", text):
        yield f"{rel}: // comment: those are for debugging, not for commits"
    if len(text.splitlines()) > MAX_LINES[path.suffix]:
        yield f"{rel}: over {MAX_LINES[path.suffix]} lines: split it by responsibility"
    if path.suffix == ".h" and "#pragma once" not in text:
        yield f"{rel}: no #pragma once"


def check_migrations(folder):
    """A daemon does not start on a database to which another text of the same number was applied."""
    listed = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
             for path in folder.glob("*.sql") if not path.name.startswith("0000")}
    for name in sorted(listed.keys() | there.keys()):
        if name not in listed:
            yield f"{folder.name}/{name}: a new migration has its line in SHA256SUMS"
        elif listed[name] != there.get(name):
            yield f"{folder.name}/{name}: was changed; write another migration"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    tops = sorted({f.split("/")[0] for f in MAY_INCLUDE})
    bad = [b for f in tops for p in sorted((root / f).rglob("*.[ch]"))
           if "node_modules" not in p.parts for b in check(root, p)]
    bad += check_migrations(root / "controlplane/sql")
    print("\n".join(bad) if bad else "tree: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
