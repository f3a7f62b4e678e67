"""Picks questions for examples/offline_batch from eval.jsonl: as even over the tasks as their sizes allow, spaced evenly
inside a task, and dealt out in turn so that any few of them show different tasks. The same input gives the same choice.

    python3 pick_questions.py corpus/eval.jsonl 200 > questions.jsonl
"""
import json
import sys


def shares(sizes, wanted):
    """How many of each task: one each in turn to the tasks that have some left, until enough are taken."""
    taken = {task: 0 for task in sizes}
    while sum(taken.values()) < min(wanted, sum(sizes.values())):
        for task in sizes:
            if taken[task] < sizes[task] and sum(taken.values()) < wanted:
                taken[task] += 1
    return taken


def main(path, wanted):
    by_task = {}
    with open(path) as lines:
        for line in lines:
            case = json.loads(line)
            by_task.setdefault(case["task"], []).append(case)
    taken = shares({task: len(cases) for task, cases in by_task.items()}, wanted)
    chosen = {task: [cases[i * len(cases) // taken[task]] for i in range(taken[task])] for task, cases in by_task.items()}
    for turn in range(max(taken.values())):
        for task in chosen:
            if turn < len(chosen[task]):
                print(json.dumps(chosen[task][turn]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
