"""Documents into an index: `faq ingest` and a pipeline in Python, in turn; run by the script beside it."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

MODEL = "all-minilm-l6-v2"


def models():
    given = os.environ.get("FAQ_MODELS_DIR")
    return pathlib.Path(given or pathlib.Path.home() / ".cache/faq/models") / MODEL


def pipeline(folder, threads, size, overlap, files):
    """The whole of it, in this process; prints what it took."""
    began = time.monotonic()
    import chromadb
    import torch
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from pypdf import PdfReader
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    imported = time.monotonic()
    model = SentenceTransformer(str(models()), device="cpu")
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        model.tokenizer, chunk_size=size, chunk_overlap=overlap
    )
    store = chromadb.PersistentClient(
        folder, chromadb.config.Settings(anonymized_telemetry=False)
    ).create_collection("documents")
    characters, chunks = 0, 0
    for file in files:
        if file.endswith(".pdf"):
            text = "\n".join(page.extract_text() for page in PdfReader(file).pages)
        else:
            text = pathlib.Path(file).read_text(errors="replace")
        characters += len(text)
        pieces = splitter.split_text(text)
        vectors = model.encode(pieces, batch_size=32, normalize_embeddings=True)
        for first in range(0, len(pieces), 1000):
            part = slice(first, first + 1000)
            store.add(
                ids=[f"{file}#{n}" for n in range(len(pieces))][part],
                documents=pieces[part],
                embeddings=vectors[part].tolist(),
            )
        chunks += len(pieces)
    ended = time.monotonic()
    print(json.dumps({"import_s": imported - began, "work_s": ended - imported, "chunks": chunks,
                      "characters": characters}))


def run(command, environment):
    """Seconds by the clock, what was printed, and the child's peak memory in MB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env=environment)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[:3]} failed")
    return time.monotonic() - began, json.loads(output), usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("faq")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sizes", default="250/50,1000/200")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    sizes = [tuple(map(int, size.split("/"))) for size in options.sizes.split(",")]
    if options.child:
        return pipeline(options.child, options.threads, *sizes[0], options.files)

    threads = str(options.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true",
                   "HF_HUB_OFFLINE": "1"}
    for size, overlap in sizes:
        ours, theirs = [], []
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(run([options.faq, "ingest", "--json", "--progress", "none", "--data", folder,
                                 "--threads", threads, "--chunk-size", str(size), "--chunk-overlap",
                                 str(overlap), *options.files], environment))
            with tempfile.TemporaryDirectory() as folder:
                theirs.append(run([sys.executable, __file__, options.faq, "--child", folder, "--threads",
                                   threads, "--sizes", f"{size}/{overlap}", *options.files],
                                  environment))
            print(f"round {number + 1}: faq {ours[-1][0]:.1f} s, Python {theirs[-1][0]:.1f} s",
                  file=sys.stderr)
        middle = lambda runs: statistics.median(run[0] for run in runs)
        memory = lambda runs: max(run[2] for run in runs)
        imports = statistics.median(run[1]["import_s"] for run in theirs)
        faq, python = ours[0][1], theirs[0][1]
        print(f"{size}/{overlap}, {threads} threads, {len(options.files)} files, "
              f"{python['characters']} characters")
        print(f"  faq     {middle(ours):6.1f} s, {faq['chunks']} chunks, {faq['tokens_embedded']} of "
              f"{faq['tokens_total']} tokens embedded, {memory(ours):.0f} MB")
        print(f"  Python  {middle(theirs):6.1f} s ({imports:.1f} s of it imports), "
              f"{python['chunks']} chunks, {memory(theirs):.0f} MB")
        print(f"  faq is  {middle(theirs) / middle(ours):.1f} x")


if __name__ == "__main__":
    main()
