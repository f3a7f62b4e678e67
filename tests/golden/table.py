#!/usr/bin/env python3
"""Adds up what golden tests reported and prints the table of `./dev golden`.

    python3 tests/golden/table.py RESULTS      exit 1 where a case failed or nothing was reported

RESULTS: a line of JSON a test, {"check", "family", "tensor", "passed", "skipped", "failed"} (tests/support/golden_report.h).
"""
import collections
import json
import sys

ORDER = ["greedy", "logits", "logprobs", "tokenizer", "template", "sampling"]


def read(path):
    rows = collections.defaultdict(lambda: [0, 0, 0])
    with open(path, encoding="utf-8") as file:
        for line in file:
            entry = json.loads(line)
            row = rows[(entry["check"], entry["family"], entry["tensor"])]
            for i, key in enumerate(("passed", "skipped", "failed")):
                row[i] += entry[key]
    return {key: row for key, row in rows.items() if any(row)}


def place(key):
    check, family, tensor = key
    return (ORDER.index(check) if check in ORDER else len(ORDER), check, family, tensor)


def main():
    try:
        rows = read(sys.argv[1])
    except FileNotFoundError:
        rows = {}
    if not rows:
        print("no golden test reported anything", file=sys.stderr)
        return 1
    width = max(len(family) for _, family, _ in rows)
    print(f"{'check':<10} {'family':<{width}} {'TP':>3} {'passed':>7} {'skipped':>8} {'failed':>7}")
    total = [0, 0, 0]
    for key in sorted(rows, key=place):
        check, family, tensor = key
        passed, skipped, failed = rows[key]
        total = [a + b for a, b in zip(total, rows[key])]
        mark = "  <-" if failed else ""
        print(f"{check:<10} {family:<{width}} {tensor:>3} {passed:>7} {skipped:>8} {failed:>7}{mark}")
    print(f"{'all':<10} {'':<{width}} {'':>3} {total[0]:>7} {total[1]:>8} {total[2]:>7}")
    return 1 if total[2] else 0


if __name__ == "__main__":
    sys.exit(main())
