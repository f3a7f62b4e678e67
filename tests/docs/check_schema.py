#!/usr/bin/env python3
"""The JSON Schema of weft.toml takes what weft takes and refuses the mistakes that one key alone shows.

    python3 tests/docs/check_schema.py ROOT WEFT

Good: every weft.toml and every whole example of the documents in ROOT, and the complete configuration that `WEFT check --print`
prints. Bad: a good file with one mistake each, as in the tests of core/config. Exit 0 where all is as it should be.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
    import jsonschema
    Validator = jsonschema.Draft202012Validator
except (ImportError, AttributeError) as missing:
    print(f"skipped: {missing}; './dev deps' installs python3-jsonschema")
    sys.exit(0)

BLOCK = re.compile(r"```toml\n(.*?)```", re.DOTALL)
SMALLEST = '[model]\npath = "m"\n'
HASH = "0123456789abcdef" * 4

# Appended to the smallest file; each is legal.
GOOD = [
    "",
    'dtype = "bf16"\nmax_context = 512',
    "[parallel]\ndata = 2\nthreads = 3\noversubscribe = true\nexpert = false",
    '[executor.config]\ncpus = "0-3"\nbind = false',
    '[executor]\nplugin = "mine"\n[executor.config]\nanything = ["a", "b"]\nn = 3\nx = 2.5\nflag = true',
    '[executor]\npath = "mine.so"\n[executor.config]\nanything = 1',
    '[executor]\nplugin = "mp"\npath = "another-mp.so"\n[executor.config]\nanything = 1',
    f'[device]\npath = "a.so"\nsha256 = "{HASH}"',
    '[device]\nplugin = "auto"\n[device.config]\nthreads = 2',
    '[device]\nplugin = "cpu"\n[device.config]\nthreads = 1024',
    '[communicator]\nplugin = "gloo"\ncontrol = "auto"\n[communicator.config]\nspin = "0s"\ngather_bytes = 4096',
    '[communicator]\nplugin = "gloo"\n[communicator.config]\nspin = "1.5 ms"\ngather_bytes = "32KiB"',
    '[engine]\nkv_memory = "60%"', '[engine]\nkv_memory = "0.5GiB"', '[engine]\nkv_memory = "100.0%"',
    '[engine]\nkv_memory = "4096"', '[engine]\nprefix_cache = false',
    '[batch]\ndistribution = "static"\nwindow = 1',
    '[timeouts]\nlease = "500ms"\ndrain = "0"\nrejoin = "0s"\nload = "0.5h"',
    '[cluster]\nname = "a-b_c.1"\nlisten = "0.0.0.0:0"',
    '[log]\nlevel = "trace"\nformat = "json"', "[plugins]\nstrict = true",
]

# (what is appended to the smallest file, where the schema finds fault: a path, as in "parallel.data")
BAD = [
    ("[modle]", ""), ('[serve]\nlisten = "x"', ""), ('[timeout]\nlease = "1s"', ""),
    ('dtype = "f64"', "model.dtype"), ("max_context = -5", "model.max_context"), ("dtyp = 1", "model"),
    ("[parallel]\ndata = 0", "parallel.data"), ('[parallel]\ndata = "two"', "parallel.data"),
    ("[parallel]\ntensr = 2", "parallel"), ('[parallel]\nthreads = "two"', "parallel.threads"),
    ("[parallel]\nthreads = 5000", "parallel.threads"), ("[parallel]\ndata = 1.5", "parallel.data"),
    ("[parallel]\nexpert = true", "parallel.expert"),
    ('[engine]\nkv_memory = "much"', "engine.kv_memory"), ('[engine]\nkv_memory = "-1%"', "engine.kv_memory"),
    ('[engine]\nkv_memory = "101%"', "engine.kv_memory"), ('[engine]\nkv_memory = "0%"', "engine.kv_memory"),
    ('[engine]\nkv_memory = "0MiB"', "engine.kv_memory"), ("[engine]\nkv_memory = 4096", "engine.kv_memory"),
    ("[engine]\nblock_size = 1.5", "engine.block_size"), ('[engine]\nblock_size = "big"', "engine.block_size"),
    ("[engine]\nmax_requests = 0", "engine.max_requests"), ("[engine]\nprefix_cache = true", "engine.prefix_cache"),
    ('[batch]\ndistribution = "fair"', "batch.distribution"),
    ("[timeouts]\nlease = 5", "timeouts.lease"), ('[timeouts]\nlaunch = "5"', "timeouts.launch"),
    ('[timeouts]\nlaunch = "0s"', "timeouts.launch"), ('[timeouts]\nlaunch = "0.0 s"', "timeouts.launch"),
    ('[timeouts]\nlaunch = "5 parsecs"', "timeouts.launch"), ('[timeouts]\nrejoin = "3s"', "timeouts.rejoin"),
    ("[log]\nlevel = 3", "log.level"), ('[log]\nlevel = "loud"', "log.level"),
    ('[balancer]\nmode = "hybrid"', "balancer.mode"), ('[cluster]\nname = "../x"', "cluster.name"),
    ('[cluster]\nlisten = "localhost:1"', "cluster.listen"), ('[plugins]\nstrict = "yes"', "plugins.strict"),
    ('[executor]\nplugin = "M P"', "executor.plugin"), ('[executor]\npath = ""', "executor.path"),
    ('[executor]\nsha256 = "abc"', "executor.sha256"), ("[executor]\nconfig = 3", "executor.config"),
    ('[executor.config]\ncpu = "0"', "executor.config"), ('[executor.config]\nbind = "no"', "executor.config.bind"),
    ("[executor]\nplugin = \"x\"\n[executor.config]\nd = 1979-05-27", "executor.config.d"),
    ('[device]\nplugin = "cpu"\n[device.config]\nthreads = 1025', "device.config.threads"),
    ('[communicator]\nplugin = "gloo"\n[communicator.config]\nspin = 5', "communicator.config.spin"),
    ('[communicator]\nplugin = "gloo"\n[communicator.config]\ngather_bytes = "-1"', "communicator.config.gather_bytes"),
]


def value_of(text):
    """A TOML text as the JSON value that an editor checks; dates, which weft never takes, as what no rule takes."""
    return json.loads(json.dumps(tomllib.loads(text), default=lambda date: None))


def faults(validator, text):
    """The paths at which the schema finds fault, those inside alternatives included."""
    found, open_errors = set(), list(validator.iter_errors(value_of(text)))
    while open_errors:
        error = open_errors.pop()
        found.add(".".join(str(part) for part in error.absolute_path))
        open_errors += error.context or []
    return found


def whole_files(root, weft):
    """(name, text) of every configuration that is to be right."""
    for path in sorted((root / "examples").rglob("*.toml")):
        if re.search(r"^\[model\]", text := path.read_text(), re.MULTILINE):  # the others are profiles of the suite
            yield path.relative_to(root), text
    for page in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        for number, block in enumerate(BLOCK.findall(page.read_text()), 1):
            if re.search(r"^\[(model|executor|communicator|device|balancer)\]", block, re.MULTILINE):
                yield f"{page.relative_to(root)}, block {number}", block if "[model]" in block else SMALLEST + block
    printed = subprocess.run([weft, "check", "--print", "-c", root / "examples/offline_batch/weft.toml"],
                             capture_output=True, text=True, timeout=60)
    if printed.returncode != 0:
        raise SystemExit(f"weft check --print: {printed.stderr}")
    yield "weft check --print", printed.stdout


def main(argv):
    root, weft = Path(argv[1]).resolve(), argv[2]
    schema = json.loads((root / "docs/weft.schema.json").read_text())
    Validator.check_schema(schema)
    validator = Validator(schema)
    good = [*whole_files(root, weft), *((f"good: {more!r}", SMALLEST + more) for more in GOOD)]
    wrong = [f"{name}: refused at {faults(validator, text)}" for name, text in good if faults(validator, text)]
    for more, where in BAD:
        found = faults(validator, SMALLEST + more + "\n")
        if where not in found:
            wrong.append(f"bad: {more!r}: fault found at {found or 'nothing'}, expected at '{where}'")
    if "" not in faults(validator, "[parallel]\ndata = 2\n"):
        wrong.append("bad: a file without [model] is taken")
    for complaint in wrong:
        print(complaint)
    print(f"schema: {len(good)} good files, {len(BAD) + 1} bad, {len(wrong)} taken wrongly")
    return 1 if wrong or len(good) < len(GOOD) + 3 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
