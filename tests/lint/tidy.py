#!/usr/bin/env python3
"""Runs clang-tidy over the sources that ship, all cores at once.

    tidy.py CLANG_TIDY BUILD_DIR FILE...

BUILD_DIR has a compile_commands.json.  What was clean before is not read again: a file counts as
the same when its text with all that it includes, .clang-tidy and the version of the program are.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys


def preprocess(entry):
    """The text that the compiler sees, comments included: they may hold NOLINT."""
    words = shlex.split(entry["command"])
    if words[0].endswith("ccache"):
        words = words[1:]
    kept, skip = [], False
    for word in words:
        if skip or word in ("-c", "-MD"):
            skip = False
        elif word in ("-o", "-MF", "-MT"):
            skip = True
        else:
            kept.append(word)
    return subprocess.run([*kept, "-E", "-C"], cwd=entry["directory"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def check(tidy, build, entry, salt, clean):
    """What is wrong with one file, or nothing."""
    mark = clean / hashlib.sha256(salt + preprocess(entry)).hexdigest()
    if mark.exists():
        return ""
    done = subprocess.run([tidy, "-p", build, "--quiet", entry["file"]], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 0 and not done.stdout.strip():
        mark.touch()
        return ""
    return done.stdout or done.stderr or f"{entry['file']}: clang-tidy ended with {done.returncode}"


def main():
    tidy, build, *files = sys.argv[1:]
    wanted = {str(pathlib.Path(file).resolve()) for file in files}
    entries = {entry["file"]: entry
               for entry in json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
               if entry["file"] in wanted}
    missing = wanted - set(entries)
    salt = (pathlib.Path(".clang-tidy").read_bytes() +
            subprocess.run([tidy, "--version"], check=True, stdout=subprocess.PIPE).stdout)
    clean = pathlib.Path(build) / "tidy"
    clean.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda entry: check(tidy, build, entry, salt, clean),
                              entries.values()))
    bad = [text for text in found if text]
    print("\n".join(bad) if bad else f"tidy: ok, {len(entries)} files")
    for file in sorted(missing):
        print(f"{file}: not in {build}/compile_commands.json: configure again")
    return 1 if bad or missing else 0


if __name__ == "__main__":
    sys.exit(main())
