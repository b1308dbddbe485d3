"""sentence-transformers and ONNX Runtime beside ours; see the script `embed` next to this file."""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

MODEL = "all-minilm-l6-v2"
WINDOW, BATCH, ALONE = 256, 32, 50


def arguments():
    parser = argparse.ArgumentParser(prog="embed", description=__doc__)
    parser.add_argument("ours", help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="+", help="files with a text a line")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def model_folder():
    default = pathlib.Path.home() / ".cache/faq/models"
    folder = pathlib.Path(os.environ.get("FAQ_MODELS_DIR", default)) / MODEL
    if not folder.is_dir():
        sys.exit(f"embed: no {folder}; run scripts/fetch-models")
    return str(folder)


ARGS = arguments()
FOLDER = model_folder()
os.environ["OMP_NUM_THREADS"] = str(ARGS.threads)
os.environ["TOKENIZERS_PARALLELISM"] = "true" if ARGS.threads > 1 else "false"

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

torch.set_num_threads(ARGS.threads)


class Transformers:
    """sentence-transformers as its users call it, on PyTorch in fp32."""

    name = "sentence-transformers"

    def __init__(self):
        self.model = SentenceTransformer(FOLDER, device="cpu")
        self.model.max_seq_length = WINDOW

    def embed(self, texts):
        return self.model.encode(texts, batch_size=BATCH, normalize_embeddings=True)


class Onnx:
    """ONNX Runtime over the exported model, with the tokenizer of the same library as ours."""

    def __init__(self, name, file):
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = ARGS.threads
        self.session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self.tokenizer = Tokenizer.from_file(f"{FOLDER}/tokenizer.json")
        self.tokenizer.enable_truncation(WINDOW)
        self.tokenizer.enable_padding()

    def embed(self, texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        vectors = np.empty((len(texts), 384), np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = self.tokenizer.encode_batch([texts[i] for i in rows])
            ids = np.array([e.ids for e in batch], np.int64)
            mask = np.array([e.attention_mask for e in batch], np.int64)
            states = self.session.run(None, {"ids": ids, "mask": mask})[0]
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            vectors[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors


def exported(folder):
    """The model as ONNX files, in fp32 and with weights and activations in int8."""
    from transformers import AutoModel

    class States(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = AutoModel.from_pretrained(FOLDER, attn_implementation="eager").eval()

        def forward(self, ids, mask):
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state

    plain, small = f"{folder}/fp32.onnx", f"{folder}/int8.onnx"
    ids = torch.ones(2, 16, dtype=torch.int64)
    torch.onnx.export(
        States(),
        (ids, ids),
        plain,
        input_names=["ids", "mask"],
        output_names=["states"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in ("ids", "mask", "states")},
        dynamo=False,
    )
    quantize_dynamic(plain, small, weight_type=QuantType.QInt8, per_channel=True)
    return plain, small


def in_process(peer, texts):
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    vectors = peer.embed(texts)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times = []
    for text in (texts * ALONE)[:ALONE]:
        start = time.perf_counter()
        peer.embed([text])
        times.append(time.perf_counter() - start)
    return seconds, busy, statistics.median(times) * 1e3, vectors


def ours(precision, file, room):
    out = f"{room}/ours.f32"
    command = [ARGS.ours, "embed", "--texts", file, "--precision", precision, "--json"]
    command += ["--runs", "1", "--alone", str(ALONE), "--threads", str(ARGS.threads)]
    told = json.loads(subprocess.check_output(command + ["--vectors", out]))
    vectors = np.fromfile(out, np.float32).reshape(-1, 384)
    busy = told["processor_seconds"][0]
    return (told["seconds"][0], busy, told["alone_ms_p50"], vectors), told["tokens"]


def main():
    with tempfile.TemporaryDirectory() as room:
        plain, small = exported(room)
        peers = [Transformers(), Onnx("ONNX Runtime fp32", plain), Onnx("ONNX Runtime int8", small)]
        for file in ARGS.files:
            texts = [t for t in pathlib.Path(file).read_text().split("\n") if t.strip()]
            rounds = {}
            for _ in range(ARGS.rounds):
                for precision in ("f32", "int8"):
                    measured, tokens = ours(precision, file, room)
                    rounds.setdefault(f"faq {precision}", []).append(measured)
                for peer in peers:
                    rounds.setdefault(peer.name, []).append(in_process(peer, texts))
            show(file, texts, tokens, rounds)


def show(file, texts, tokens, rounds):
    reference = rounds["sentence-transformers"][0][3]
    print(f"\n{file}: {len(texts)} texts, {tokens} tokens, {ARGS.threads} threads, "
          f"median of {ARGS.rounds} rounds")
    print(f"{'':22} {'tokens/s':>9} {'tok/cpu-s':>9} {'texts/s':>8} {'one, ms':>8} "
          f"{'faq int8 is':>11} {'by cpu':>7} {'cosine, least':>14}")
    for name, measured in rounds.items():
        middle = lambda of: statistics.median(of(ours, theirs) for ours, theirs
                                              in zip(rounds["faq int8"], measured))
        seconds = statistics.median(m[0] for m in measured)
        busy = statistics.median(m[1] for m in measured)
        least = (measured[0][3] * reference).sum(1).min()
        print(f"{name:22} {tokens / seconds:9.0f} {tokens / busy:9.0f} "
              f"{len(texts) / seconds:8.0f} {statistics.median(m[2] for m in measured):8.2f} "
              f"{middle(lambda a, b: b[0] / a[0]):9.2f} x {middle(lambda a, b: b[1] / a[1]):5.2f} x "
              f"{least:14.5f}")


main()
