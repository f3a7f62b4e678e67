#!/usr/bin/env python3
"""Holds the #include lines to the arrows of docs/architecture.md, section 2, and prints each one that breaks them.

    python3 tests/arrows/check_includes.py [ROOT]      exit 0 where all arrows hold, 1 where one is broken

Checked: which room may include which; that quoted includes are paths from the repository's root or lie beside the file; that the SDK needs no
third-party header but tl/expected; that no header is used which g++ 12 or clang++ 14 lacks; that macros of a device or
a backend are asked about only inside the folders of devices and plugins.
"""
import os
import re
import sys
from pathlib import Path

SDK = "core/include"
# A room -> the rooms it may include, itself aside. The first prefix that fits a path is its room; in '*' each subfolder
# is a room of its own, so that no plugin leans on another; what several share lies in common/.
ARROWS = {
    SDK: set(),
    "core": {SDK},
    "text": {SDK},
    "engine": {SDK, "text"},
    "worker": {SDK, "core", "text", "engine"},
    "frontend": {SDK, "core", "text"},
    "kernels/*": {SDK, "kernels/common"},
    "plugins/*": {SDK, "plugins/common"},
    "examples/*": {SDK},
}
FREE = {"cli", "tests", "bench", "cmake"}  # may include everything
SOURCES = {".h", ".hpp", ".cpp", ".cc", ".cu", ".cuh"}
NOT_EVERYWHERE = {"format", "ranges", "expected", "print", "generator", "stacktrace", "mdspan"}
BACKEND_FOLDERS = ("kernels/", "plugins/")
BACKEND_MACRO = re.compile(
    r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*?\b(?!HWY_ONCE\b)(\w*(?:CUDA|NVCC|NCCL|CUBLAS|ROCM|SYCL|METAL|GLOO|HWY)\w*"
    r"|HAVE_HIP|__HIP\w*|__AVX\w*|__SSE\w*|__ARM_NEON\w*|__ARM_FEATURE_SVE\w*)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    """The room of a path from the root, or None where the path belongs to no room."""
    for room in ARROWS:
        prefix = room[:-1] if room.endswith("*") else room + "/"
        if path.startswith(prefix):
            if not room.endswith("*"):
                return room
            first = path[len(prefix):].split("/")[0]
            return prefix + first
    top = path.split("/")[0]
    return top if top in FREE else None


def allowed_from(room):
    """The rooms that `room` may include; None: all of them."""
    if room in FREE:
        return None
    pattern = room if room in ARROWS else room.rsplit("/", 1)[0] + "/*"
    return ARROWS[pattern] | {room}


def target_of(root, path, kind, name):
    """(path from the root or None if third-party, complaint or None) of an included name."""
    if name.startswith("weft/"):
        return f"{SDK}/{name}", None
    if kind == "<":
        return None, None
    beside = Path(os.path.normpath(root / Path(path).parent / name))
    if beside.exists() and beside.is_relative_to(root):
        return beside.relative_to(root).as_posix(), None
    if room_of(name):
        return name, None
    return None, f'"{name}" is neither a path from the repository\'s root nor beside the file'


def check_include(root, path, room, kind, name):
    """What is wrong with one #include, or None."""
    if kind == "<" and name in NOT_EVERYWHERE:
        return f"<{name}> is missing from g++ 12 or clang++ 14"
    target, complaint = target_of(root, path, kind, name)
    if complaint:
        return complaint
    if target is None:
        if room == SDK and not (re.fullmatch(r"[a-z_0-9]+", name) or name == "tl/expected.hpp"):
            return f"the SDK may need only the standard library and tl/expected, not <{name}>"
        return None
    allowed = allowed_from(room)
    if allowed is not None and room_of(target) not in allowed:
        may = ", ".join(sorted(allowed - {room})) or "nothing else"
        return f"{room} may not include {target}: it may include {may}"
    return None


def check_file(root, path):
    """The complaints about one file, as text with file and line."""
    name = path.relative_to(root).as_posix()
    room = room_of(name)
    if room is None:
        return [f"{name}:1: no room of docs/architecture.md, section 2: add it to ARROWS or move it"]
    found = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if match := INCLUDE.match(line):
            complaint = check_include(root, name, room, *match.groups())
        elif (match := BACKEND_MACRO.match(line)) and not name.startswith(BACKEND_FOLDERS):
            complaint = f"macro {match.group(1)} outside the backend's folder: ask the interface instead"
        else:
            continue
        if complaint:
            found.append(f"{name}:{number}: {complaint}")
    return found


def check_tree(root):
    """(number of files read, complaints) of every source file under `root`."""
    files = [p for p in sorted(root.rglob("*")) if p.suffix in SOURCES and p.is_file()
             and p.relative_to(root).parts[0] not in ("build", ".git", "venv")]
    return len(files), [complaint for path in files for complaint in check_file(root, path)]


def main(argv):
    root = Path(argv[1] if len(argv) > 1 else ".").resolve()
    read, found = check_tree(root)
    for complaint in found:
        print(complaint)
    if read == 0:
        print(f"{root}: no source file found")
    print(f"include arrows: {read} files, {len(found)} broken")
    return 1 if found or read == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
