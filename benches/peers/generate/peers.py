"""llama.cpp beside faq-core: reading a prompt of about a thousand tokens, and writing 64.

    cargo build --release -p faq-core --example generate_peer
    $(scripts/python-env generate-peers) benches/peers/generate/peers.py \\
        MODEL.gguf target/release/examples/generate_peer [--threads N] [--rounds N]

Both read the same token ids, in turn (A B A B), with as many threads; a figure is the median
of the rounds. Processor time stands beside the clock's, since what else the machine does falls on
the clock; on a busy machine compare it with `--threads 1`, since threads that wait for each other
spend it too. llama.cpp is asked twice: as it computes on the file's own blocks, and with its weights
repacked at load (`use_extra_bufts`). Of llama.cpp only `llama_decode` is timed, without choosing
tokens; of faq-core the whole call.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import llama_cpp

SENTENCE = "The handbook says that every employee has twenty-five days of paid leave a year. "


class Ours:
    def __init__(self, program, model, threads):
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(
            [program, model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.load_s = json.loads(self.process.stdout.readline())["load_s"]

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def read(self, text, _):
        report = self.ask("read " + text)
        return report["wall_s"], report["cpu_s"]

    def write(self, text, _, count):
        report = self.ask(f"write {count} {text}")
        return report["wall_s"], report["cpu_s"]

    def resident_mb(self):
        return resident_mb(self.process.pid)


class LlamaCpp:
    def __init__(self, model, threads, repack):
        llama_cpp.llama_backend_init()
        before, started = resident_mb("self"), time.perf_counter()
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = repack
        self.model = llama_cpp.llama_model_load_from_file(model.encode(), params)
        if not self.model:
            sys.exit(f"llama.cpp does not load {model}")
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = 2048
        context.n_batch = 2048
        context.n_threads = context.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.load_s = time.perf_counter() - started
        self.before = before

    def decode(self, tokens):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        batch = llama_cpp.llama_batch_get_one(array, len(tokens))
        if llama_cpp.llama_decode(self.context, batch) != 0:
            sys.exit("llama.cpp does not decode")
        llama_cpp.llama_synchronize(self.context)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def read(self, _, tokens):
        self.clear()
        return timed(lambda: self.decode(tokens))

    def write(self, _, tokens, count):
        self.clear()
        self.decode(tokens)
        return timed(lambda: [self.decode([tokens[i % len(tokens)]]) for i in range(count)])

    def resident_mb(self):
        return resident_mb("self") - self.before


def timed(work):
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model")
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=1000, help="tokens to read, about")
    parser.add_argument("--count", type=int, default=64, help="tokens to write")
    args = parser.parse_args()

    @llama_cpp.llama_log_callback
    def quiet(*_):
        pass

    llama_cpp.llama_log_set(quiet, None)
    ours = Ours(args.program, args.model, args.threads)
    ways = {
        "faq-core": ours,
        "llama.cpp": LlamaCpp(args.model, args.threads, False),
        "llama.cpp repacked": LlamaCpp(args.model, args.threads, True),
    }
    question = "Write a long story about a handbook. "
    text = SENTENCE * (args.prompt // 12) + question
    while len(tokens := ours.ask("tokens " + text)) > args.prompt + 10:
        text = text.removeprefix(SENTENCE)
    asked = ours.ask("tokens " + question)
    for name, way in ways.items():
        report = {"name": name, "load_s": round(way.load_s, 2), "memory_mb": way.resident_mb()}
        print(json.dumps(report), flush=True)

    times = {(name, what): [] for name in ways for what in ["read", "write"]}
    for number in range(args.rounds):
        for name, way in ways.items():
            times[name, "read"].append(way.read(text, tokens))
        for name, way in ways.items():
            times[name, "write"].append(way.write(question, asked, args.count))
    for what, count in [("read", len(tokens)), ("write", args.count)]:
        middle = {
            name: [statistics.median(t[i] for t in times[name, what]) for i in range(2)]
            for name in ways
        }
        for name, (wall, worked) in middle.items():
            first_wall, first_worked = middle["faq-core"]
            report = {
                "what": what,
                "tokens": count,
                "name": name,
                "per_s": round(count / wall, 1),
                "cpu_ms_per_token": round(worked / count * 1e3, 2),
                "faq_core_is_times_as_fast": round(wall / first_wall, 2),
                "by_processor_time": round(worked / first_worked, 2),
            }
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
