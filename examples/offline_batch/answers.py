"""Questions -> prompts for `weft run`, and its results -> the share that is exactly right.

    python3 answers.py prompts questions.jsonl > prompts.jsonl
    python3 answers.py compare questions.jsonl results.jsonl

questions.jsonl has a line {"task", "messages", "answer"} a question. An answer is right where it equals the expected one
but for white space around it, as in models/training/evaluate.py; stories have no one right answer and are not counted.
"""
import collections
import json
import os
import sys

SHOWN = 3
MAX_TOKENS = 160


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def custom_id(number, question):
    return f"{question['task']}-{number}"


def prompts(questions):
    for number, question in enumerate(questions, 1):
        yield {"custom_id": custom_id(number, question), "messages": question["messages"], "temperature": 0,
               "max_tokens": MAX_TOKENS}


def answer_of(result):
    """The text of one result; nothing where the request failed."""
    if result["error"] is not None:
        return None
    return result["response"]["body"]["choices"][0]["message"]["content"].strip()


def compare(questions, results, path):
    answers = {result["custom_id"]: answer_of(result) for result in results}
    right, total = collections.Counter(), collections.Counter()
    for number, question in enumerate(questions, 1):
        answer = answers.get(custom_id(number, question))
        if number <= SHOWN:
            print(f"  {question['messages'][-1]['content']}\n    -> {answer}")
        if question["task"] == "story":
            continue
        total[question["task"]] += 1
        right[question["task"]] += answer == question["answer"]
    print("exactly right:")
    for task in total:
        print(f"  {task:10} {right[task]:3} of {total[task]}")
    all_right, all_counted = sum(right.values()), sum(total.values())
    print(f"  {'all':10} {all_right:3} of {all_counted} ({all_right / max(all_counted, 1):.1%})")
    print(f"answers: {os.path.relpath(path)}")


def main(command, *paths):
    if command == "prompts":
        for prompt in prompts(read_lines(paths[0])):
            print(json.dumps(prompt))
    elif command == "compare":
        compare(read_lines(paths[0]), read_lines(paths[1]), paths[1])
    else:
        sys.exit(f"answers.py: unknown command '{command}', expected prompts or compare")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
