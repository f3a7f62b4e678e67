#!/usr/bin/env python3
"""Copies, splits and start-up of `weft run`, measured in one run and printed with their ratios.

    bench/batch/scaling.py [--weft build/release/bin/weft] [--model DIR ...] [--runs 5] [--json FILE]

For each model, interleaved A B C A B C ...:
  one      data = 1, one thread
  two      data = 2, one thread each
  control  two independent data = 1 runs at the same time, each on a core of its own and with half of the requests, so that
           each does a copy's work and pays its first step once: what the machine can give
then tensor = 2 beside tensor = 1: the tokens must be equal, and the share of a step that collectives take is printed.
Generated tokens a second are those of the summary: from ready to the last answer, start-up not counted.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def prompts_for(model, path, requests):
    """Chats for a model with a template, a beginning of a story otherwise; equal lengths, so that every run does equal work."""
    with open(path, "w", encoding="utf-8") as out:
        if (model / "chat_template.jinja").exists():
            questions = [json.loads(line) for line in open(ROOT / "examples/offline_batch/questions.jsonl", encoding="utf-8")]
            for i in range(requests):
                question = questions[i % len(questions)]
                out.write(json.dumps({"custom_id": f"r{i}", "messages": question["messages"], "temperature": 0,
                                      "max_tokens": 96, "ignore_eos": True, "return_token_ids": True}) + "\n")
        else:
            for i in range(requests):
                out.write(json.dumps({"custom_id": f"r{i}", "prompt": [1, 9038, 2501, 263, 931, 300 + i], "temperature": 0,
                                      "max_tokens": 96, "ignore_eos": True, "return_token_ids": True}) + "\n")


class Run:
    """One `weft run`, started at once; result() waits for it."""

    def __init__(self, weft, model, prompts, directory, name, settings):
        self.results = directory / f"{name}.jsonl"
        for path in (self.results, pathlib.Path(f"{self.results}.weft-run")):
            path.unlink(missing_ok=True)
        config = directory / f"{name}.toml"
        config.write_text(f'[model]\npath = "{model}"\n')
        self.summary = directory / f"{name}.json"
        command = [weft, "run", "-c", config, "-i", prompts, "-o", self.results, "--summary", self.summary,
                   "--set", f"cluster.run_dir={directory}/{name}.run", "--set", "log.level=warn"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        self.log = directory / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)

    def result(self):
        if self.process.wait(timeout=600) != 0:
            sys.exit(f"weft run failed:\n{self.log.read_text()}")
        summary = json.loads(self.summary.read_text())
        assert summary["requests"]["left"] == 0 and summary["requests"]["failed"] == 0, summary
        return summary


def token_ids(path):
    rows = (json.loads(line) for line in open(path, encoding="utf-8"))
    return {row["custom_id"]: row["response"]["body"]["choices"][0]["token_ids"] for row in rows}


def measure(weft, model, runs, requests, directory):
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("this benchmark needs two cores")
    prompts, half = directory / "prompts.jsonl", directory / "half.jsonl"
    prompts_for(model, prompts, requests)
    prompts_for(model, half, requests // 2)
    base = {"parallel.threads": 1, "engine.max_requests": 16, "engine.kv_memory": "128MiB", "model.dtype": "f32"}
    both = f"{cores[0]},{cores[1]}"
    rates = {"one": [], "two": [], "control": []}
    starts = []

    def start(name, data, cpus, work=prompts):
        return Run(weft, model, work, directory, name, {**base, "parallel.data": data, "executor.config.cpus": f'"{cpus}"'})

    for _ in range(runs):
        rates["one"].append(start("one", 1, cores[0]).result()["tokens_per_second"])
        two = start("two", 2, both).result()
        rates["two"].append(two["tokens_per_second"])
        starts.append(two["start"])
        pair = [start("left", 1, cores[0], half), start("right", 1, cores[1], half)]
        rates["control"].append(sum(each.result()["tokens_per_second"] for each in pair))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    print(f"\n{model.name}: {requests} requests of 96 tokens, f32, medians of {runs} interleaved runs")
    for name, values in rates.items():
        print(f"  {name:8} {middle[name]:9.0f} tok/s   ({min(values):.0f} to {max(values):.0f})")
    two, control = (statistics.median(b / a for a, b in zip(rates["one"], rates[name])) for name in ("two", "control"))
    print(f"  data = 2 over data = 1: {two:.2f}x; two independent runs at once: {control:.2f}x; ratio of the two {two / control:.3f}")

    one = Run(weft, model, prompts, directory, "tensor1", {**base, "executor.config.cpus": f'"{both}"'})
    one.result()
    split = Run(weft, model, prompts, directory, "tensor2", {**base, "executor.config.cpus": f'"{both}"', "parallel.tensor": 2})
    tensor = split.result()
    equal = token_ids(one.results) == token_ids(split.results)
    engine = tensor["engines"]["0"]
    print(f"  tensor = 2: tokens {'equal' if equal else 'DIFFER FROM'} tensor = 1's; {tensor['tokens_per_second']:.0f} tok/s; "
          f"collectives {engine['collective_share'] * 100:.1f}% of a step of {engine['step_seconds'] / engine['steps'] * 1e3:.2f} ms")
    phases = ("plan", "launch", "join", "load", "first_step")
    shown = ", ".join(f"{phase} {statistics.median(s[phase + '_seconds'] for s in starts) * 1e3:.0f}" for phase in phases)
    first = statistics.median(s["first_token_seconds"] for s in starts) * 1e3
    print(f"  data = 2, from `weft run` to the first token: {first:.0f} ms ({shown} ms)")
    return {"model": model.name, "tokens_per_second": middle, "data2_over_data1": two, "control": control,
            "tensor2_equal": equal, "collective_share": engine["collective_share"], "first_token_ms": first}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", default=ROOT / "build/release/bin/weft", type=pathlib.Path)
    parser.add_argument("--model", action="append", type=pathlib.Path)
    parser.add_argument("--runs", default=5, type=int)
    parser.add_argument("--requests", default=256, type=int)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    shared = ROOT / (os.environ.get("WEFT_SHARED") or "../shared")
    models = options.model or [ROOT / "models/weft-tiny"] + [p for p in [shared / "models/stories15M"] if p.exists()]
    rows = []
    for model in models:
        with tempfile.TemporaryDirectory(prefix="weft-bench-") as directory:
            rows.append(measure(options.weft, model.resolve(), options.runs, options.requests, pathlib.Path(directory)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if not all(row["tensor2_equal"] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
