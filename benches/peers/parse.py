"""What `benches/peers/parse` runs: workers that parse the same files in turn."""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


def pymupdf(path):
    import pymupdf

    with pymupdf.open(path) as document:
        return len(document), sum(len(page.get_text("text")) for page in document)


def pdfium(path):
    import pypdfium2

    document = pypdfium2.PdfDocument(path)
    count = sum(len(page.get_textpage().get_text_range()) for page in document)
    pages = len(document)
    document.close()
    return pages, count


def kreuzberg(path):
    import kreuzberg

    config = kreuzberg.ExtractionConfig(use_cache=False)
    return 0, len(kreuzberg.extract_file_sync(path, config=config).content)


def process(*command):
    def run(path):
        done = subprocess.run([*command, path] + (["-"] if command[0] == "pdftotext" else []),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return 0, len(done.stdout)

    return run


def work(engine, target, files):
    """A worker: one pass over the files for each line on stdin."""
    engines = {
        "pymupdf": pymupdf,
        "pdfium": pdfium,
        "kreuzberg": kreuzberg,
        "pdftotext": process("pdftotext", "-enc", "UTF-8"),
        "faq-process": process(f"{target}/extract"),
    }
    run = engines[engine]
    if engine == "pymupdf":
        import pymupdf as library

        library.TOOLS.mupdf_display_errors(False)
    for _ in sys.stdin:
        started = time.perf_counter()
        pages = characters = 0
        for path in files:
            try:
                p, c = run(path)
            except Exception:  # a file that is refused costs its time like any other
                continue
            pages, characters = pages + p, characters + c
        print(f"{time.perf_counter() - started:.6f} {pages} {characters}", flush=True)


def cpu(pid):
    """Seconds of CPU that a process and its finished children have had."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(n) for n in fields[11:15]) / TICK


def measure(target, files, rounds):
    me = [sys.executable, __file__, str(target), "--worker"]
    faq = f"{target}/time_parse"
    commands = {
        "faq, 1 thread": [faq, "1", *files],
        "faq, 2 threads": [faq, "2", *files],
        "PyMuPDF": [*me, "pymupdf", *files],
        "pdfium": [*me, "pdfium", *files],
        "kreuzberg": [*me, "kreuzberg", *files],
        "pdftotext": [*me, "pdftotext", *files],
        "faq, a process a file": [*me, "faq-process", *files],
    }
    workers = {
        name: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
        for name, command in commands.items()
    }
    walls = {name: [] for name in workers}
    cpus = {name: [] for name in workers}
    found = {}
    for number in range(rounds + 1):
        for name, worker in workers.items():
            before = cpu(worker.pid)
            worker.stdin.write("go\n")
            worker.stdin.flush()
            answer = worker.stdout.readline().split()
            if len(answer) != 3:
                sys.exit(f"parse: {name} ended early")
            if number == 0:  # what is loaded and cached once
                continue
            walls[name].append(float(answer[0]))
            cpus[name].append(cpu(worker.pid) - before)
            found[name] = (int(answer[1]), int(answer[2]))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    size = sum(os.path.getsize(f) for f in files)
    pages = found["PyMuPDF"][0]
    print(f"{len(files)} files, {pages} pages, {size / 1e6:.1f} MB; medians of {rounds} rounds")
    print(f"{'':24}{'wall s':>9}{'CPU s':>9}{'pages/s':>10}{'MB/s':>8}{'CPU, faq = 1':>14}")
    ours = statistics.median(cpus["faq, 1 thread"])
    alone = statistics.median(cpus["faq, a process a file"])
    for name in workers:
        wall, spent = statistics.median(walls[name]), statistics.median(cpus[name])
        base = alone if name in ("pdftotext", "faq, a process a file") else ours
        print(f"{name:24}{wall:9.3f}{spent:9.3f}{pages / wall:10.0f}{size / wall / 1e6:8.1f}"
              f"{spent / base:14.2f}")


def memory(target, files):
    import pymupdf as library

    limit = 50 * 1024 * 1024
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/joined.pdf"
        joined, size = library.open(), 0
        while size < limit * 0.96:
            before = size
            for file in files:
                # Kept as streams of their own each time, as documents of strangers are.
                if size + os.path.getsize(file) > limit * 0.985:
                    continue
                try:
                    with library.open(file) as part:
                        if not part.needs_pass:
                            joined.insert_pdf(part)
                            size += os.path.getsize(file)
                except (RuntimeError, ValueError):
                    continue
            if size == before:
                break
        joined.save(path)
        pages = len(joined)
        joined.close()
        size = os.path.getsize(path)
        print(f"one file of {size / 1048576:.1f} MiB, {pages} pages")
        for threads in ("1", "2"):
            before = time.perf_counter()
            worker = subprocess.run([f"{target}/time_parse", threads, path], input="go\n",
                                    capture_output=True, text=True, check=True)
            wall = time.perf_counter() - before
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"faq, threads {threads}: peak {peak:.0f} MiB, {wall:.2f} s, "
                  f"seconds, pages, characters: {worker.stdout.strip()}")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("target")
    args.add_argument("--worker")
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--memory", action="store_true")
    args.add_argument("paths", nargs="+")
    opt = args.parse_args()
    if opt.worker:
        return work(opt.worker, opt.target, opt.paths)
    files = sorted(str(p) for folder in opt.paths for p in pathlib.Path(folder).rglob("*.pdf"))
    if not files:
        sys.exit("parse: no PDF below the given folders")
    if opt.memory:
        return memory(opt.target, files)
    return measure(opt.target, files, opt.rounds)


if __name__ == "__main__":
    main()
