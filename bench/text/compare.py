#!/usr/bin/env python3
"""Tokenizers and chat templates beside Hugging Face tokenizers and Jinja2, one thread, on the same input.

    python3 bench/text/compare.py [--build build/release] [--runs 7]

Both sides are processes that take turns; printed are medians of processor time, the ratio, and whether it meets its target
(tokenizers 1.5x, templates 5x). The peers are installed from PyPI into build/bench-venv. Tokenizers and templates are those of
the shared data (WEFT_SHARED, default ../shared); the texts are this repository's own and the goldens' (many scripts).
Then: a text of 10 MB without spaces beside one of 1 MB, which is linear where the quotient is 10.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = (ROOT / (os.environ.get("WEFT_SHARED") or "../shared")).resolve()
VENV = ROOT / "build/bench-venv"


def venv_python():
    python = VENV / "bin/python"
    if not python.exists():
        print(f"+ python3 -m venv {VENV}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    if subprocess.run([str(python), "-c", "import tokenizers, jinja2"], capture_output=True).returncode:
        print("+ pip install tokenizers jinja2", file=sys.stderr)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "tokenizers", "jinja2"], check=True)
    return str(python)


class Side:
    """A process that runs its workload once a line."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended before it answered")
        seconds, count = line.split()
        return float(seconds), int(count)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interleave(commands, runs):
    """Median seconds of each command, after one pass to warm up; all must count the same."""
    sides = [Side(command) for command in commands]
    counts = [side.once()[1] for side in sides]
    if len(set(counts)) != 1:
        sys.exit(f"the sides disagree: {counts}")
    seconds = [[] for _ in sides]
    for _ in range(runs):
        for side, times in zip(sides, seconds):
            times.append(side.once()[0])
    for side in sides:
        side.close()
    return [statistics.median(times) for times in seconds], counts[0]


def documents():
    """name -> list of texts of a few KB each, as requests are."""
    def of(*patterns):
        texts = []
        for pattern in patterns:
            for path in sorted(ROOT.glob(pattern)):
                text = path.read_text(encoding="utf-8")
                texts += [text[i:i + 4000] for i in range(0, len(text), 4000)]
        return texts

    scripts = [case["text"] for path in sorted(SHARED.glob("tokenizers/*/golden.json"))
               for case in json.loads(path.read_text(encoding="utf-8"))["cases"] if len(case["text"]) < 20000]
    return {"prose": of("*.md", "docs/**/*.md", "*/README.md", "*/*/README.md") * 4, "code": of("core/**/*.cpp", "engine/**/*.cpp"),
            "scripts": scripts * 400}


def write_lines(path, texts):
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    return str(path)


def verdict(ratio, target):
    return f"{ratio:5.2f}x  {'ok' if ratio >= target else f'below {target}x'}"


def compare_tokenizers(options, python, folder):
    print(f"{'tokenizer':<10} {'text':<8} {'MB':>6} {'tokens':>8} {'weft MB/s':>10} {'hf MB/s':>9}  ratio")
    for tokenizer in ("gpt2", "qwen2.5", "llama3"):
        directory = str(SHARED / "tokenizers" / tokenizer)
        total = [0.0, 0.0]
        size_of_all = 0.0
        for name, texts in documents().items():
            file = write_lines(folder / f"{name}.jsonl", texts)
            size = sum(len(text.encode()) for text in texts) / 1e6
            (ours, theirs), tokens = interleave(
                [[str(options.speed), "tokenize", directory, file],
                 [python, str(ROOT / "bench/text/peers.py"), "tokenize", directory, file]], options.runs)
            print(f"{tokenizer:<10} {name:<8} {size:>6.2f} {tokens:>8} {size / ours:>10.1f} {size / theirs:>9.1f}  {theirs / ours:5.2f}x",
                  flush=True)
            total = [total[0] + ours, total[1] + theirs]
            size_of_all += size
        print(f"{tokenizer:<10} {'all':<8} {size_of_all:>6.2f} {'':>8} {size_of_all / total[0]:>10.1f} "
              f"{size_of_all / total[1]:>9.1f}  {verdict(total[1] / total[0], 1.5)}", flush=True)


def compare_templates(options, python):
    folder = str(SHARED / "goldens/chat_templates")
    (ours, theirs), size = interleave([[str(options.speed), "template", folder],
                                       [python, str(ROOT / "bench/text/peers.py"), "template", folder]], options.runs)
    print(f"templates: {size} bytes, weft {ours * 1e3:.2f} ms, Jinja2 {theirs * 1e3:.2f} ms, {verdict(theirs / ours, 5)}")


def long_texts(options, folder):
    letters = random.Random(1)
    text = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=10_000_000))
    for tokenizer in ("gpt2", "qwen2.5", "llama3"):
        seconds = []
        for size in (1_000_000, 10_000_000):
            file = write_lines(folder / "long.jsonl", [text[:size]])
            command = [str(options.speed), "tokenize", str(SHARED / "tokenizers" / tokenizer), file]
            seconds.append(interleave([command], max(1, options.runs // 3))[0][0])
        print(f"without spaces: {tokenizer:<8} 1 MB {seconds[0]:.2f} s, 10 MB {seconds[1]:.2f} s, "
              f"quotient {seconds[1] / seconds[0]:.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    parser.add_argument("--runs", default=7, type=int)
    options = parser.parse_args()
    options.speed = options.build / "bench/text_speed"
    if not (SHARED / "tokenizers").exists():
        print("bench text: no shared data (WEFT_SHARED, default ../shared): nothing to compare on")
        return
    python = venv_python()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as directory:
        compare_tokenizers(options, python, pathlib.Path(directory))
        compare_templates(options, python)
        long_texts(options, pathlib.Path(directory))


if __name__ == "__main__":
    main()
