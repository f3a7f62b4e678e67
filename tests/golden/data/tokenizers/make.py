#!/usr/bin/env python3
"""Makes the goldens beside it anew: small tokenizers of our own, and what Hugging Face tokenizers make of texts of our own.

    pip install tokenizers && python3 tests/golden/data/tokenizers/make.py

One tokenizer a kind that models use: the word expressions of GPT-2, Qwen 2 and Llama 3, an expression that is nobody's, and
SentencePiece's BPE with bytes for what it lacks. `weft-tiny` has its texts here and its tokenizer in models/.
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, __version__, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
OTHER = r"\d{2}|[A-Z]?[a-z]+|\s+|[^\sA-Za-z]"

TEXTS = [
    "", " ", "a", "The harbour light went out at ten.", "  two  spaces   and three", "tab\there\tand there", "line\nline\r\nline\n\n\nend\n",
    "trailing   ", "\n", " \n \n", "It's we'll they'RE I'd can't 'Tis 'sure", "12 345 6789 1234567890 3.14159 1,000,000",
    "snake_case camelCase kebab-case C++20 #include <span>", "if (x >= 0 && y != z) { return a[i] *= 2; }  // why",
    "naïve café Ångström Straße İstanbul", "e\u0301 and \u00e9, A\u030a and \u00c5, \u1112\u1161\u11ab and \ud55c",
    "Der Zug nach Köln fährt um 7:45 Uhr.", "Где ближайшая станция?", "πόσο κάνει;", "日本の朝は静かだ。", "今天天气很好，我们去爬山吧！",
    "오늘은 비가 온다", "صباح الخير", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "🙂🚀 👩‍👩‍👧‍👦 🇩🇪 ✌🏽", "x\u200by\u200dz \ufeff\u00a0\u3000wide",
    "½ ² Ⅻ ٣٤ १२", "a\u0000b\u0001c\u007f", "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|> <|im_end|><|im_end|>text<|endoftext|>",
    "<|im_start", "a <|note|> b<|note|>", "harbours harbour\u200d harbourⅫ (harbour)  harbour", "▁under ▁▁ lines", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababab" * 30, "no" * 800,
    "!?!?... ---- ==== **** ((([[[{{{", "https://example.org/a/b?c=d&e=%20#f", "\u2028\u2029\u0085 ends of lines", "\U0010ffff \ue000 \U0001d518",
]


def trained(pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    train(tokenizer, trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return tokenizer


def train(tokenizer, trainer):
    tokenizer.train_from_iterator([(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/operations.md")] + TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in ("<|im_start|>", "<|im_end|>")])


def split(expression):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_fallback():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    train(tokenizer, trainers.BpeTrainer(vocab_size=520, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)],
                                         limit_alphabet=100, show_progress=False, max_token_length=12))
    tokenizer.add_tokens([AddedToken("<|note|>", normalized=True), AddedToken("harbour", single_word=True, lstrip=True)])
    return tokenizer


def metaspace():
    """Words marked by the space before them, but for the input's first."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(),
                                                       pre_tokenizers.Metaspace(prepend_scheme="first", split=True)])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first", split=True)
    train(tokenizer, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], limit_alphabet=80, show_progress=False))
    return tokenizer


def write(name, tokenizer, file):
    cases = []
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    if file:
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (folder / "golden.json").write_text(f'{{"source": "Hugging Face tokenizers {__version__}", "cases": [\n{lines}\n]}}\n')


def main():
    write("weft-tiny", Tokenizer.from_file(str(ROOT / "models/weft-tiny/tokenizer.json")), file=False)
    write("gpt2-like", trained(pre_tokenizers.ByteLevel(add_prefix_space=False)), file=True)
    write("qwen2-like", trained(split(QWEN2), normalizers.NFC()), file=True)
    write("llama3-like", trained(split(LLAMA3)), file=True)
    write("other-expression", trained(split(OTHER)), file=True)
    write("byte-fallback", byte_fallback(), file=True)
    write("metaspace", metaspace(), file=True)


if __name__ == "__main__":
    main()
