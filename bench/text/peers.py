"""The peers' half of compare.py, run by the virtual environment's Python: Hugging Face tokenizers, and Jinja2 set up as
transformers does it. The protocol is text_speed.cpp's: a line in, one pass, processor seconds and a count out.

    python peers.py tokenize DIR FILE | template FOLDER
"""
import datetime
import json
import os
import pathlib
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread, as ours


def tokenize(directory, file):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    documents = [json.loads(line) for line in open(file, encoding="utf-8")]
    return lambda: sum(len(tokenizer.encode(document, add_special_tokens=False).ids) for document in documents)


def environment(now):
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(["name:endgeneration"], drop_needle=True)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = now.strftime
    return made


def render(folder):
    work = []
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        template = environment(datetime.datetime(2025, 3, 14)).from_string(golden["template"])
        tokens = {key: golden[key] for key in ("bos_token", "eos_token") if key in golden}
        for case in golden["cases"]:
            if "raises" not in case:
                variables = {key: case[key] for key in ("messages", "tools", "add_generation_prompt")}
                work.append((template, {"documents": None, **variables, **tokens}))
    return lambda: sum(len(template.render(**variables).encode()) for template, variables in work)


def main():
    workload = tokenize(*sys.argv[2:]) if sys.argv[1] == "tokenize" else render(*sys.argv[2:])
    for _ in sys.stdin:
        start = time.process_time()
        count = workload()
        print(f"{time.process_time() - start:.6f} {count}", flush=True)


if __name__ == "__main__":
    main()
