#!/usr/bin/env python3
"""What no file of the repository may hold: paths of somebody's machine, marks of unfinished work, untidy line ends.

    python3 tests/hygiene/check_files.py [ROOT]      exit 0 where all is clean, 1 otherwise

A file over 500 lines is only warned about: it probably has two ideas in it.
"""
import re
import subprocess
import sys
from pathlib import Path

DATA = {".jinja", ".safetensors", ".json", ".jsonl", ".bin", ".f32", ".so", ".png"}
CORPORA = ("tests/fuzz/seeds/", "tests/fuzz/regressions/")  # bytes, wrong on purpose
LONG = 500
RULES = [
    (re.compile(r"(?<![\w.$}/-])/(?:work|home|root|Users)/[\w.]"), "a path of one machine"),
    (re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"), "a mark of unfinished work: do it, or write a decision record"),
    (re.compile(r"[ \t]+$"), "white space at the end of the line"),
    (re.compile(r"^(?:<<<<<<<|>>>>>>>) "), "a conflict left by a merge"),
]


def files_of(root):
    """The files git knows or would add; every file but build/ and .git/ where there is no git (a source archive)."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True)
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [p.relative_to(root) for p in root.rglob("*") if p.is_file()]
        names = [n for n in names if n.parts[0] not in ("build", ".git")]
    return [n for n in sorted(set(names)) if (root / n).is_file() and not (root / n).is_symlink()]


def check_text(name, text):
    """The complaints about one file's text. A line that says 'hygiene: allow' is let through: tests need bad examples."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, why in RULES:
            if pattern.search(line) and "hygiene: allow" not in line:
                found.append(f"{name}:{number}: {why}: {line.strip()[:80]}")
    if text and not text.endswith("\n"):
        found.append(f"{name}: no newline at the end")
    if "\r" in text:
        found.append(f"{name}: line ends of another system")
    return found


def main(argv):
    root = Path(argv[1] if len(argv) > 1 else ".").resolve()
    found, read = [], 0
    for name in files_of(root):
        if name.suffix in DATA or name.as_posix().startswith(CORPORA) or name == Path("tests/hygiene/check_files.py") or name.name == "LICENSE":
            continue
        try:
            text = (root / name).read_text()
        except UnicodeDecodeError:
            found.append(f"{name}: not UTF-8")
            continue
        read += 1
        found += check_text(name, text)
        if text.count("\n") > LONG:
            print(f"{name}: note: {text.count(chr(10))} lines; over {LONG} there are probably two ideas in it")
    for complaint in found:
        print(complaint)
    print(f"hygiene: {read} files, {len(found)} complaints")
    return 1 if found or read == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
