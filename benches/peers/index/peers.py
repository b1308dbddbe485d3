"""faiss, hnswlib and usearch beside faq-index, over the vectors that `sentences.py` made.

    cargo build --release -p faq-index --example peer
    RAYON_NUM_THREADS=1 $(scripts/python-env index-peers) benches/peers/index/peers.py \\
        VECTORS COUNT target/release/examples/peer [faiss] [hnswlib] [usearch]

Everything is built once; then all ask the same thousand questions in turn, one after another on
one thread, in several rounds, so that what else the machine does falls on all of them. A figure
is the median of the rounds. Named peers are asked alone. Recall is against float64 products. Processor time stands beside the
clock's. faq-index is asked through its whole search: snapshot, liveness, documents, fusion.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import faiss
import hnswlib
import numpy as np
from usearch.index import Index

DIM, K, QUESTIONS, ROUNDS = 384, 10, 1000, 3
WIDTHS = [32, 48, 64, 100, 128]


def load(folder, name):
    return np.fromfile(pathlib.Path(folder) / f"{name}.f32", dtype=np.float32).reshape(-1, DIM)


def resident(pid="self"):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


class Ours:
    def __init__(self, program, folder, count):
        self.process = subprocess.Popen(
            [program, folder, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.made = json.loads(self.process.stdout.readline())

    def ask(self, how):
        self.process.stdin.write(how + "\n")
        self.process.stdin.flush()
        report = json.loads(self.process.stdout.readline())
        return report["found"], report["times_ms"], report["cpu_ms"]


def pass_over(ask, questions):
    """All questions once: what was found, the clock's milliseconds, the processor's in all."""
    times, found, worked = [], [], time.process_time()
    for question in questions:
        start = time.perf_counter()
        found.append(ask(question))
        times.append((time.perf_counter() - start) * 1e3)
    return found, times, (time.process_time() - worked) * 1e3


def built(name, make):
    before, clock, worked = resident(), time.perf_counter(), time.process_time()
    made = make()
    report = {"built": name, "s": time.perf_counter() - clock, "cpu_s": time.process_time() - worked}
    report["memory_mb"] = resident() - before
    print(json.dumps(report), flush=True)
    return made


def main():
    folder, count, program = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    asked = set(sys.argv[4:]) or {"faiss", "hnswlib", "usearch"}
    vectors = np.ascontiguousarray(load(folder, "sentences")[:count])
    count = len(vectors)
    questions = load(folder, "questions")[:QUESTIONS]
    faiss.omp_set_num_threads(1)
    products = questions.astype(np.float64) @ vectors.T.astype(np.float64)
    truth = np.argpartition(-products, K, axis=1)[:, :K]
    del products

    ours = Ours(program, folder, count)
    print(json.dumps({"built": "faq-index", **ours.made, "memory_mb": resident(ours.process.pid)}))

    def sq8():
        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexScalarQuantizer(DIM, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
        return index

    def flat():
        index = faiss.IndexFlatIP(DIM)
        index.add(vectors)
        return index

    def hnsw():
        index = hnswlib.Index(space="ip", dim=DIM)
        index.init_index(max_elements=count, ef_construction=100, M=16)
        index.set_num_threads(1)
        index.add_items(vectors, num_threads=1)
        return index

    def use(dtype):
        index = Index(ndim=DIM, metric="ip", dtype=dtype, connectivity=16, expansion_add=100)
        index.add(np.arange(count), vectors, threads=1)
        return index

    if "faiss" in asked:
        sq8 = built("faiss SQ8", sq8)
        flat = built("faiss float32", flat)
    if "hnswlib" in asked:
        hnsw = built("hnswlib", hnsw)
    dtypes = ["f32", "i8"] if "usearch" in asked else []
    usearch = {dtype: built(f"usearch {dtype}", lambda: use(dtype)) for dtype in dtypes}

    def hnsw_at(ef):
        hnsw.set_ef(ef)
        return lambda q: hnsw.knn_query(q[None, :], k=K, num_threads=1)[0][0]

    def usearch_at(dtype, ef):
        usearch[dtype].expansion_search = ef
        return lambda q: usearch[dtype].search(q, K, threads=1).keys

    ways = {"faq-index exact": lambda: ours.ask("exact")}
    if "faiss" in asked:
        ways["faiss SQ8 flat"] = lambda: pass_over(
            lambda q: sq8.search(q[None, :], K)[1][0], questions
        )
        ways["faiss float32 flat"] = lambda: pass_over(
            lambda q: flat.search(q[None, :], K)[1][0], questions
        )
    for ef in WIDTHS:
        ways[f"faq-index graph, ef {ef}"] = lambda ef=ef: ours.ask(f"graph {ef}")
        if "hnswlib" in asked:
            ways[f"hnswlib, ef {ef}"] = lambda ef=ef: pass_over(hnsw_at(ef), questions)
        for dtype in usearch:
            ways[f"usearch {dtype}, ef {ef}"] = lambda ef=ef, dtype=dtype: pass_over(
                usearch_at(dtype, ef), questions
            )
    rounds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rounds[name].append(way())
    for name, reports in rounds.items():
        found = reports[0][0]
        hits = sum(len({int(i) for i in f} & {int(i) for i in t}) for f, t in zip(found, truth))
        sorted_times = [sorted(times) for _, times, _ in reports]
        middle = lambda of: round(statistics.median(of), 3)
        report = {
            "name": name,
            "recall_at_10": round(hits / truth.size, 3),
            "p50_ms": middle(t[len(t) // 2] for t in sorted_times),
            "p99_ms": middle(t[int(len(t) * 0.99)] for t in sorted_times),
            "cpu_ms": middle(worked / len(questions) for _, _, worked in reports),
            "per_s": round(1e3 / statistics.median(sum(t) / len(t) for t in sorted_times)),
        }
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
