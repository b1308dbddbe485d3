"""Real sentences and real questions, embedded once, for everything that compares indexes.

Sentences come from the BEIR corpora and the plain-text references of the parse set, questions
from the BEIR queries. Written into the cache folder, resumed where it was cut off:

    sentences.txt, sentences.f32    one sentence a line; [n, 384] float32, L2-normalised
    questions.txt, questions.f32

    python3 sentences.py --faq PATH [--data DIR] [--cache DIR] [--count N]
"""

import argparse
import html
import json
import os
import pathlib
import random
import re
import subprocess
import sys
from array import array

DIM = 384
GROUP = 2000
CORPORA = ["adi", "cisi", "covid-faq-deepset", "cranfield", "scifact", "squad2-a"]
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        yield from file


TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def judged(data):
    """Texts that come with questions."""
    for name in CORPORA:
        for line in lines_of(data / "beir" / name / "corpus.jsonl"):
            record = json.loads(line)
            yield record.get("title", "")
            yield record["text"]
    for path in files(data, {".txt", ".md"}):
        yield path.read_text(encoding="utf-8", errors="replace")


def pages(data):
    for path in files(data, {".html", ".htm"}):
        text = path.read_text(encoding="utf-8", errors="replace")
        yield html.unescape(TAG.sub("\n\n", text))


def others(data):
    """Questions that are not among the asked ones, and two more languages."""
    asked = set(questions(data))
    for name in [*CORPORA, "banking77", "xquad/de", "xquad/zh"]:
        for line in lines_of(data / "beir" / name / "queries.jsonl"):
            text = " ".join(json.loads(line)["text"].split())
            if text not in asked:
                yield text
    for name in ["xquad/de", "xquad/zh"]:
        for line in lines_of(data / "beir" / name / "corpus.jsonl"):
            yield json.loads(line)["text"]


def files(data, suffixes):
    found = sorted((data / "parse").rglob("*"))
    return [path for path in found if path.is_file() and path.suffix in suffixes]


def sentences(data, count):
    found = sentences_of(judged(data), 30, 400, {})
    first = list(found)
    random.Random(7).shuffle(first)
    # Web pages, further questions, shorter and longer ones make up the number.
    for texts, shortest in [
        (pages(data), 30),
        (others(data), 12),
        (judged(data), 12),
        (pages(data), 12),
    ]:
        found = sentences_of(texts, shortest, 1200, found)
    return (first + list(found)[len(first) :])[:count]


def sentences_of(texts, shortest, longest, found):
    for text in texts:
        for paragraph in re.split(r"\n\s*\n", text):
            for sentence in END.split(" ".join(paragraph.split())):
                letters = sum(c.isalpha() for c in sentence)
                if shortest <= len(sentence) <= longest and letters * 2 > len(sentence):
                    found.setdefault(sentence)
    return found


def questions(data):
    found = {}
    for name in CORPORA:
        for line in lines_of(data / "beir" / name / "queries.jsonl"):
            found.setdefault(" ".join(json.loads(line)["text"].split()))
    found = list(found)
    random.Random(8).shuffle(found)
    return found[:2000]


def embed(faq, lines, path):
    """Appends what is missing, a group at a time; a torn group is done again."""
    have = path.stat().st_size // (4 * DIM) // GROUP * GROUP if path.exists() else 0
    with open(path, "ab") as out:
        out.truncate(have * 4 * DIM)
        for start in range(have, len(lines), GROUP):
            group = lines[start : start + GROUP]
            done = subprocess.run(
                [*faq, "embed", "--json", "--offline"],
                input="\n".join(group) + "\n",
                capture_output=True,
                text=True,
                check=True,
            )
            vectors = json.loads(done.stdout)["vectors"]
            if len(vectors) != len(group):
                sys.exit(f"{len(group)} lines gave {len(vectors)} vectors")
            for vector in vectors:
                array("f", vector).tofile(out)
            out.flush()
            print(f"{path.name}: {start + len(group)} of {len(lines)}", file=sys.stderr)


def main():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--faq", required=True, help="the faq command")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--cache", type=pathlib.Path, default=cache / "faq" / "vectors")
    parser.add_argument("--count", type=int, default=100_000)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for name, lines in [
        ("questions", questions(args.data)),
        ("sentences", sentences(args.data, args.count)),
    ]:
        (args.cache / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name}: {len(lines)}", file=sys.stderr)
        embed(["nice", "-n", "19", args.faq], lines, args.cache / f"{name}.f32")


if __name__ == "__main__":
    main()
