#!/usr/bin/env python3
"""How many points per second: aicfg-sweep against the compiled engine of aiconfigurator, on the same points, in one run.

  VENV/bin/python scripts/bench_peer.py [SPEC.yaml] --program build/release/aicfg-sweep [--points 3000] [--repeat 3] [--json]

VENV needs aiconfigurator (pip install aiconfigurator==0.12.0); it is the engine that is timed, one thread, per-op values kept, tables
loaded and engines compiled before the clock starts. aicfg-sweep runs whole: start, reading tables, compiling, evaluating, writing the
file, with --threads threads, on the spec's whole grid and on the sampled points. Each figure is the median of the repetitions.
The sample takes every deployment equally often, a seed makes it repeatable; only points that are ok are sampled.
"""
import argparse
import collections
import csv
import io
import json
import logging
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

DEPLOYMENT = ["model", "system", "backend", "version", "tp", "pp", "dp", "moe_tp", "moe_ep"]
WORKLOAD = ["batch", "isl", "osl"]


def run(program, output, *args):
    """Wall-clock seconds of one run of the program that makes a new file."""
    output.unlink(missing_ok=True)
    os.sync()  # else the disk would still be busy with the last file
    start = time.perf_counter()
    subprocess.run([program, "run", *args, "-o", str(output), "--quiet"], check=True)
    return time.perf_counter() - start


def sample(program, results, wanted, seed):
    """Points of a result file, deployments equally often, as dictionaries of texts."""
    columns = ",".join(DEPLOYMENT + WORKLOAD)
    text = subprocess.run([program, "export", results, "--format", "csv", "--columns", columns, "--where",
                           "status == 'ok' and mode == 'static' and prefix == 0 and nextn == 0"],
                          check=True, capture_output=True, text=True).stdout
    groups = collections.defaultdict(list)
    for row in csv.DictReader(io.StringIO(text)):
        groups[tuple(row[c] for c in DEPLOYMENT)].append(row)
    dice = random.Random(seed)
    for rows in groups.values():
        dice.shuffle(rows)
    chosen = []
    while len(chosen) < wanted and any(groups.values()):
        chosen += [rows.pop() for rows in groups.values() if rows]
    return chosen[:wanted], len(groups)


def number(text):
    return int(text or 0)


class Peer:
    """The reference's engine: one handle per deployment, tables warm."""

    def __init__(self):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        from aiconfigurator_core.sdk.engine import EngineHandle
        self.engine, self.handles, self.compile_s = EngineHandle, {}, 0.0

    def handle(self, row):
        key = tuple(row[c] for c in DEPLOYMENT)
        if key not in self.handles:
            sizes = {"tp_size": "tp", "pp_size": "pp", "attention_dp_size": "dp", "moe_tp_size": "moe_tp", "moe_ep_size": "moe_ep"}
            given = {name: number(row[c]) for name, c in sizes.items() if number(row[c])}
            start = time.perf_counter()
            try:
                h = self.engine.compile(row["model"], row["system"], row["backend"], backend_version=row["version"], **given)
                h.run_static_per_op(batch_size=3, isl=777, osl=99)
            except Exception as problem:  # counted and shown: a deployment the engine refuses is not timed
                print(f"engine refuses {key}: {str(problem)[:160]}", file=sys.stderr)
                h = None
            self.compile_s += time.perf_counter() - start
            self.handles[key] = h
        return self.handles[key]

    def time(self, rows):
        """Seconds for the rows the engine answers, and how many those are."""
        work = [(self.handle(r), number(r["batch"]), number(r["isl"]), number(r["osl"])) for r in rows]
        work = [w for w in work if w[0] is not None]
        start = time.perf_counter()
        for handle, batch, isl, osl in work:
            handle.run_static_per_op(batch_size=batch, isl=isl, osl=osl)
        return time.perf_counter() - start, len(work)


def count_points(program, results):
    info = subprocess.run([program, "report", results], check=True, capture_output=True, text=True).stdout
    return int(info.split(": ", 1)[1].split(" points", 1)[0])


def write_list(path, rows):
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, DEPLOYMENT + WORKLOAD)
        writer.writeheader()
        writer.writerows({k: "" if k.startswith("moe_") and v == "0" else v for k, v in r.items()} for r in rows)
    return str(path)


def measure(args, folder):
    """The three measurements take turns, so that a busy moment of the machine does not fall on one of them alone."""
    grid, listed, threads = folder / "grid.h5", folder / "sample.h5", ["--threads", str(args.threads)]
    if args.no_breakdown:
        threads.append("--no-breakdown")
    run(args.program, grid, args.spec, *threads)
    rows, deployments = sample(args.program, str(grid), args.points, args.seed)
    points, points_csv, peer = count_points(args.program, str(grid)), write_list(folder / "sample.csv", rows), Peer()
    peer.time(rows)
    grid_s, sample_s, peer_s, answered = [], [], [], 0
    for _ in range(args.repeat):
        grid_s.append(run(args.program, grid, args.spec, *threads))
        sample_s.append(run(args.program, listed, "--points", points_csv, *threads))
        seconds, answered = peer.time(rows)
        peer_s.append(seconds)
    return {
        "spec": args.spec, "threads": args.threads, "repeat": args.repeat, "grid_points": points, "deployments": deployments,
        "grid_points_per_s": points / statistics.median(grid_s), "file_bytes": grid.stat().st_size,
        "sample_points": len(rows), "sample_points_per_s": len(rows) / statistics.median(sample_s),
        "peer_points": answered, "peer_compile_s": peer.compile_s,
        "peer_points_per_s": answered / statistics.median(peer_s) if answered else 0.0,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default="sweeps/h200.yaml")
    parser.add_argument("--program", default="build/release/aicfg-sweep")
    parser.add_argument("--points", type=int, default=3000, help="points to sample for the engine")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="threads of aicfg-sweep; the engine has one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-breakdown", action="store_true", help="aicfg-sweep writes figures only")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        r = measure(args, pathlib.Path(folder))
    if not r["peer_points"]:
        sys.exit("bench_peer: the engine answered none of the sampled points")
    r["ratio"] = r["grid_points_per_s"] / r["peer_points_per_s"]
    r["ratio_sample"] = r["sample_points_per_s"] / r["peer_points_per_s"]
    if args.json:
        print(json.dumps(r))
        return
    print(f"aicfg-sweep   {r['grid_points_per_s']:12,.0f} points/s   {r['grid_points']:,} points of {r['spec']}, {r['threads']} threads, "
          f"file of {r['file_bytes'] / 1e6:.1f} MB written")
    print(f"              {r['sample_points_per_s']:12,.0f} points/s   {r['sample_points']:,} sampled points, start and tables included")
    print(f"reference     {r['peer_points_per_s']:12,.0f} points/s   {r['peer_points']:,} of the sampled points, 1 thread, "
          f"compiling ({r['peer_compile_s']:.1f} s) not counted")
    print(f"ratio         {r['ratio']:12,.1f}            ({r['ratio_sample']:.1f} on the sampled points alone)")


if __name__ == "__main__":
    main()
