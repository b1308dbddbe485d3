"""Expected tokens of a Gemma file, by llama.cpp, and expected texts of chat templates, by jinja2.

vocabularies.py CACHE [GEMMA.gguf], run by the script beside it.
"""

import json
import pathlib
import struct
import sys

import jinja2
import jinja2.sandbox

TURNS = [
    ("system", "Answer in one word."),
    ("user", "Is water wet?"),
    ("assistant", "Yes."),
    ("user", "And <ice>?"),
]
# The names of the outer tokens, and whether turns of the system are refused.
TEMPLATES = {
    "meta-llama-Llama-3.1-8B-Instruct": ("<|begin_of_text|>", "<|eot_id|>", False),
    "meta-llama-Llama-3.2-3B-Instruct": ("<|begin_of_text|>", "<|eot_id|>", False),
    "google-gemma-2-2b-it": ("<bos>", "<eos>", True),
    "microsoft-Phi-3.5-mini-instruct": ("<s>", "<|endoftext|>", False),
    "Qwen-Qwen2.5-7B-Instruct": ("", "<|im_end|>", False),
    "Qwen-Qwen3-0.6B": ("", "<|im_end|>", False),
}


def refuse(message):
    raise jinja2.TemplateError(message)


def templates(cache):
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda _: "01 Jan 1970"
    cases = []
    for name, (begin, end, joined) in TEMPLATES.items():
        source = (cache / "source/templates" / f"{name}.jinja").read_text()
        turns = TURNS
        if joined:
            turns = [("user", TURNS[0][1] + "\n\n" + TURNS[1][1]), *TURNS[2:]]
        text = environment.from_string(source).render(
            messages=[{"role": role, "content": content} for role, content in turns],
            add_generation_prompt=True,
            enable_thinking=False,
            bos_token=begin,
            eos_token=end,
        )
        case = {"name": name, "source": source, "begin": begin, "end": end}
        cases.append({**case, "turns": TURNS, "text": text})
    (cache / "checked/templates.json").write_text(json.dumps(cases))


def scores(llama_cpp, path, target):
    """Token ids (their number first), and the scores of the token after them."""
    model = llama_cpp.Llama(str(path), n_ctx=512, verbose=False)
    text = "The capital of France is Paris, and the capital of Italy is"
    tokens = model.tokenize(text.encode(), add_bos=True)
    model.eval(tokens)
    size = model.n_vocab()
    pointer = llama_cpp.llama_get_logits_ith(model._ctx.ctx, -1)
    with target.open("wb") as file:
        file.write(struct.pack(f"<{len(tokens) + 1}I", len(tokens), *tokens))
        file.write(struct.pack(f"<{size}f", *pointer[:size]))


def gemma(cache, path):
    import llama_cpp

    @llama_cpp.llama_log_callback
    def quiet(*_):
        pass

    llama_cpp.llama_log_set(quiet, None)
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    given = (cache / "source/ggml-vocab-llama-spm.gguf.inp").read_text()
    lines = []
    for text in given.split("\n__ggml_vocab_test__\n"):
        tokens = model.tokenize(text.encode(), add_bos=False, special=False)
        lines.append(" ".join(map(str, tokens)))
    target = cache / "checked/gemma.gguf"
    target.symlink_to(path.resolve())
    scores(llama_cpp, path, target.with_name("gemma.logits"))
    target.with_name("gemma.gguf.inp").write_text(given)
    target.with_name("gemma.gguf.out").write_text("\n".join(lines) + "\n")


def main():
    cache = pathlib.Path(sys.argv[1])
    templates(cache)
    for path in sys.argv[2:]:
        gemma(cache, pathlib.Path(path))


if __name__ == "__main__":
    main()
