"""LanceDB and Chroma beside faq-index: embedded stores that keep vectors and texts on disk.

    cargo build --release -p faq-index --example peer
    RAYON_NUM_THREADS=1 $(scripts/python-env index-peers) benches/peers/index/stores.py speed \\
        VECTORS COUNT target/release/examples/peer
    $(scripts/python-env index-peers) benches/peers/index/stores.py kill VECTORS KILLS \\
        target/release/examples/peer

`speed`: all hold the same sentences and vectors on disk and are asked the same questions in turn,
in several rounds, for their ten nearest; each peer at the cheapest of its settings whose recall is
.98 at least. Processor time is the whole process's, its threads too.

`kill`: a process adds a hundred rows at a time and names each that was acknowledged; it is killed
(SIGKILL) at a moment drawn by chance; then the store is opened, and every acknowledged row is
looked for.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LANCE_CPU_THREADS", "1")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")

import numpy as np

DIM, K, QUESTIONS, ROUNDS, BATCH, ENOUGH = 384, 10, 500, 3, 100, 0.98


def floats(folder, name):
    return np.fromfile(pathlib.Path(folder) / f"{name}.f32", dtype=np.float32).reshape(-1, DIM)


def lines(folder, name):
    return (pathlib.Path(folder) / f"{name}.txt").read_text().split("\n")


def size(folder):
    files = (f for f in pathlib.Path(folder).rglob("*") if f.is_file())
    return sum(f.stat().st_size for f in files) >> 20


class Lance:
    name = "LanceDB"

    def __init__(self, folder):
        import lancedb

        self.db = lancedb.connect(folder)

    def open(self):
        self.table = self.db.open_table("rows")

    def add(self, first, vectors, texts):
        import pyarrow as pa

        flat = pa.array(vectors.reshape(-1))
        data = pa.table(
            {
                "id": pa.array(range(first, first + len(vectors)), pa.int64()),
                "vector": pa.FixedSizeListArray.from_arrays(flat, DIM),
                "text": pa.array(texts),
            }
        )
        if "rows" in self.db.list_tables().tables:
            self.open()
            self.table.add(data)
        else:
            self.table = self.db.create_table("rows", data)

    def build(self):
        self.table.optimize()
        self.table.create_index(
            metric="dot", index_type="IVF_HNSW_SQ", num_partitions=1, m=16, ef_construction=100
        )

    settings = [(ef, refine) for ef in (48, 64, 128) for refine in (1, 2, 4)]

    def asks(self, setting):
        ef, refine = setting

        def ask(question):
            found = self.table.search(question).distance_type("dot").nprobes(1).ef(ef)
            found = found.refine_factor(refine).select(["id"]).limit(K).to_arrow()
            return found["id"].to_pylist()

        return ask

    def ids(self):
        self.open()
        return set(self.table.search().select(["id"]).limit(10**9).to_arrow()["id"].to_pylist())


class Chroma:
    name = "Chroma"

    def __init__(self, folder):
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(folder, settings=settings)
        self.rows = None

    def open(self):
        if self.rows is None:
            hnsw = {"space": "ip", "ef_construction": 100, "max_neighbors": 16}
            self.rows = self.client.get_or_create_collection("rows", configuration={"hnsw": hnsw})

    def add(self, first, vectors, texts):
        self.open()
        ids = [str(n) for n in range(first, first + len(vectors))]
        self.rows.add(ids=ids, embeddings=vectors, documents=texts)

    def build(self):
        pass

    settings = [32, 48, 64, 100, 128]

    def asks(self, setting):
        self.rows.modify(configuration={"hnsw": {"ef_search": setting}})
        self.rows = self.client.get_collection("rows")

        def ask(question):
            found = self.rows.query(query_embeddings=question[None, :], n_results=K, include=[])
            return [int(n) for n in found["ids"][0]]

        return ask

    def ids(self):
        self.open()
        # Asked by the graph too: what it does not hold is not found, whatever the table says.
        found = self.rows.get(include=[])["ids"]
        return {int(n) for n in found}


PEERS = {"lance": Lance, "chroma": Chroma}


def speed(folder, count, program):
    vectors = np.ascontiguousarray(floats(folder, "sentences")[:count])
    texts, questions = lines(folder, "sentences")[:count], floats(folder, "questions")[:QUESTIONS]
    products = questions.astype(np.float64) @ vectors.T.astype(np.float64)
    truth = np.argpartition(-products, K, axis=1)[:, :K]
    del products

    def recall(found):
        hits = sum(len(set(f) & {int(i) for i in t}) for f, t in zip(found, truth))
        return hits / truth.size

    ours = subprocess.Popen(
        [program, folder, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    print(json.dumps({"built": "faq-index", **json.loads(ours.stdout.readline())}), flush=True)

    def ask_ours(how):
        ours.stdin.write(how + "\n")
        ours.stdin.flush()
        report = json.loads(ours.stdout.readline())
        asked = len(report["found"])
        return report["found"][:QUESTIONS], report["times_ms"], report["cpu_ms"] / asked

    def one_pass(ask):
        times, found, worked = [], [], time.process_time()
        for question in questions:
            start = time.perf_counter()
            found.append(ask(question))
            times.append((time.perf_counter() - start) * 1e3)
        return found, times, (time.process_time() - worked) * 1e3 / len(questions)

    def enough(ways):
        """The cheapest of the ways that find enough; the best where none does."""
        tried = [(name, way, *way()) for name, way in ways]
        good = [t for t in tried if recall(t[2]) >= ENOUGH]
        best = min(good, key=lambda t: t[4]) if good else max(tried, key=lambda t: recall(t[2]))
        return best[:2]

    ways = dict(
        [enough([(f"faq-index, graph {ef}", lambda ef=ef: ask_ours(f"graph {ef}")) for ef in (32, 48, 64)])]
    )
    with tempfile.TemporaryDirectory() as home:
        for key, kind in PEERS.items():
            peer = kind(f"{home}/{key}")
            clock, worked = time.perf_counter(), time.process_time()
            for at in range(0, count, 1000):
                peer.add(at, vectors[at : at + 1000], texts[at : at + 1000])
            written = time.perf_counter() - clock, time.process_time() - worked
            clock, worked = time.perf_counter(), time.process_time()
            peer.build()
            built = time.perf_counter() - clock, time.process_time() - worked
            report = {"built": peer.name, "written": written, "graph": built}
            report["disk_mb"] = size(f"{home}/{key}")
            print(json.dumps(report), flush=True)

            def way(setting, peer=peer):
                ask = peer.asks(setting)
                return lambda: one_pass(ask)

            settings = [(f"{peer.name}, {s}", lambda s=s, way=way: way(s)()) for s in peer.settings]
            ways.update([enough(settings)])
        rounds = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rounds[name].append(way())
        for name, reports in rounds.items():
            ordered = [sorted(times) for _, times, _ in reports]
            middle = lambda of: round(statistics.median(of), 3)
            report = {
                "name": name,
                "recall_at_10": round(recall(reports[0][0]), 3),
                "cpu_ms": middle(worked for *_, worked in reports),
                "p50_ms": middle(t[len(t) // 2] for t in ordered),
                "p99_ms": middle(t[int(len(t) * 0.99)] for t in ordered),
            }
            print(json.dumps(report), flush=True)


def add_forever(key, folder, home):
    vectors, texts = floats(folder, "sentences"), lines(folder, "sentences")
    peer = PEERS[key](home)
    print("ready", flush=True)
    for at in range(0, len(vectors) - BATCH, BATCH):
        peer.add(at, vectors[at : at + BATCH], texts[at : at + BATCH])
        print(at + BATCH, flush=True)


def look(key, home):
    try:
        print(json.dumps(sorted(PEERS[key](home).ids())))
    except Exception as error:  # whatever a peer says is its answer
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:200]}))


def kill(folder, kills, program):
    this = [sys.executable, __file__]
    random.seed(7)
    commands = {
        "faq-index": ([program, "add", folder], [program, "ids"]),
        **{
            kind.name: ([*this, "add", key, folder], [*this, "look", key])
            for key, kind in PEERS.items()
        },
    }
    for name, (adder, looker) in commands.items():
        report = {"name": name, "kills": kills, "acknowledged": 0, "lost": 0, "not_opened": 0}
        report |= {"unacknowledged_but_there": 0, "part_of_a_batch": 0, "errors": []}
        for _ in range(kills):
            home = tempfile.mkdtemp()
            child = subprocess.Popen([*adder, home], stdout=subprocess.PIPE, text=True)
            child.stdout.readline()
            time.sleep(random.uniform(0.1, 2.5))
            child.send_signal(signal.SIGKILL)
            told = child.stdout.read().split("\n")
            child.wait()
            # A line that was cut off is no acknowledgement.
            acknowledged = max((int(n) for n in told[:-1] if n), default=0)
            looked = subprocess.run([*looker, home], capture_output=True, text=True, timeout=300)
            found = json.loads(looked.stdout) if looked.returncode == 0 else {"error": looked.stderr[-200:]}
            report["acknowledged"] += acknowledged
            if isinstance(found, dict):
                if acknowledged:
                    report["not_opened"] += 1
                    report["lost"] += acknowledged
                    report["errors"] = sorted({*report["errors"], found["error"]})[:3]
            else:
                report["lost"] += len(set(range(acknowledged)) - set(found))
                extra = sum(n >= acknowledged for n in found)
                report["unacknowledged_but_there"] += extra
                report["part_of_a_batch"] += extra % BATCH != 0
            shutil.rmtree(home, ignore_errors=True)
        print(json.dumps(report), flush=True)


def main():
    match sys.argv[1:]:
        case ["speed", folder, count, program]:
            speed(folder, int(count), program)
        case ["kill", folder, kills, program]:
            kill(folder, int(kills), program)
        case ["add", key, folder, home]:
            add_forever(key, folder, home)
        case ["look", key, home]:
            look(key, home)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
