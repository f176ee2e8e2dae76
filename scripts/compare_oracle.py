#!/usr/bin/env python3
"""Ask the reference for points and compare every figure, op and memory part with what aicfg-sweep says.

  VENV/bin/python scripts/compare_oracle.py POINTS.csv [--program build/release/aicfg-sweep] [--perfdb DIR]
  VENV/bin/python scripts/compare_oracle.py --random 300 [--seed 1] [--save POINTS.csv] ...

VENV needs aiconfigurator (pip install aiconfigurator==0.12.0). POINTS.csv is a point list (docs/formats/spec.md); --random makes one
from all models and all systems with data, half of the experts across nodes and the options used now and then. A point the reference
refuses must be refused here, with the same status; any other must agree to 1e-12 in every column. Exit 1 when one does not.
"""
import argparse
import collections
import csv
import json
import logging
import math
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import warnings

SIZES = {"tp": "tp_size", "pp": "pp_size", "dp": "attention_dp_size", "moe_tp": "moe_tp_size", "moe_ep": "moe_ep_size",
         "batch": "batch_size", "isl": "isl", "osl": "osl", "prefix": "prefix", "nextn": "nextn", "images": "num_images",
         "image_height": "image_height", "image_width": "image_width"}
TEXTS = {"mode": "mode", "backend": "backend_name", "version": "backend_version", "database_mode": "database_mode",
         "gemm_quant": "gemm_quant_mode", "moe_quant": "moe_quant_mode", "kvcache_quant": "kvcache_quant_mode",
         "fmha_quant": "fmha_quant_mode", "comm_quant": "comm_quant_mode", "attention_backend": "attention_backend"}
# Options the reference keeps in its model configuration but does not take from callers of an estimate.
OPTIONS = {"moe_backend": str, "distribution": str, "eplb": lambda t: bool(int(t)), "slots": int, "sms": int, "override_layers": int, "cp": int}
MEMBERS = {"distribution": "workload_distribution", "eplb": "enable_eplb", "slots": "wideep_num_slots",
           "override_layers": "overwrite_num_layers", "cp": "cp_size"}
COLUMNS = {"ttft": "ttft_ms", "tpot": "tpot_ms", "request_latency": "request_latency_ms", "context_latency": "context_latency_ms",
           "encoder_latency": "encoder_latency_ms", "encoder_memory": "encoder_gib",
           "generation_latency": "generation_latency_ms", "seq/s": "seq_per_s", "tokens/s": "tokens_per_s",
           "tokens/s/gpu": "tokens_per_s_per_gpu", "tokens/s/user": "tokens_per_s_per_user", "concurrency": "concurrency",
           "memory": "memory_gib", "power_w": "power_w", "gemm": "gemm_quant", "moe": "moe_quant", "kvcache": "kvcache_quant",
           "fmha": "fmha_quant", "comm": "comm_quant", "version": "version"}
MEMORY = ["weights", "activations", "kvcache", "nccl", "others"]
MISSING = {"PerfDataNotAvailableError", "MissingSystemFlopsError", "EmpiricalNotImplementedError"}
UNKNOWN = {"HuggingFaceDownloadError"}  # a model the reference does not bundle, and would fetch


class Reference:
    def __init__(self):
        from aiconfigurator.cli import api
        self.estimate, self.options = api.cli_estimate, {}
        build, width = api._build_model_config, api._resolve_moe_parallelism

        def build_with_options(*args, **named):
            config = build(*args, **named)
            for name, value in self.options.items():
                setattr(config, MEMBERS.get(name, name), value)
            return config

        def width_with_cp(tp, dp, *args, **named):
            return width(tp, dp * self.options.get("cp", 1), *args, **named)

        api._build_model_config, api._resolve_moe_parallelism = build_with_options, width_with_cp

    def ask(self, row):
        given = {k: v for k, v in row.items() if v}
        named = {SIZES[k]: int(v) for k, v in given.items() if k in SIZES} | {TEXTS[k]: v for k, v in given.items() if k in TEXTS}
        named.setdefault("mode", "static")
        if "nextn_accepted" in given:
            named["nextn_accepted"] = float(given["nextn_accepted"])
        if "encoder_tp" in given:
            named["enable_encoder_dp"] = given["encoder_tp"] != "1"
        self.options = {k: cast(given[k]) for k, cast in OPTIONS.items() if k in given}
        try:
            answer = self.estimate(row["model"], row["system"], **named)
        except Exception as e:
            return type(e).__name__, re.sub(r"\s+", " ", str(e))[:200]
        return None, answer


def status_of(name, text):
    # Experts across nodes that nobody measured: a plain value error there.
    missing = name in MISSING or "A2A data" in text or "no 'context_attention' perf data" in text
    return "missing" if missing else "invalid"


def differ(name, ours, theirs):
    if isinstance(theirs, str) or isinstance(ours, str):
        return None if ours == theirs else f"{name}: {ours}, reference {theirs}"
    ours, theirs = (math.nan if v is None else float(v) for v in (ours, theirs))
    if (math.isnan(ours) and math.isnan(theirs)) or ours == theirs or abs(ours - theirs) <= 1e-12 * abs(theirs):
        return None
    return f"{name}: {ours!r}, reference {theirs!r}"


def compare_ops(line, summary, phase):
    latency = getattr(summary, f"get_{phase}_latency_dict")()
    energy = getattr(summary, f"get_{phase}_energy_wms_dict")() or {}
    source = getattr(summary, f"get_{phase}_source_dict")() or {}
    rows = {name: (ms, wms, src) for name, ms, wms, src in line.get(phase, [])}
    if not latency:
        return None if phase != "encoder" or not rows else "encoder ops where the reference has none"
    if list(rows) != list(latency):
        return f"{phase} ops {sorted(set(rows) ^ set(latency)) or 'in another order'}"
    for name, ms in latency.items():
        want = (ms, energy.get(name, 0.0), source.get(name))
        for what, a, b in zip(("latency", "energy", "source"), rows[name], want):
            if (text := differ(f"{phase} {name} {what}", a, b)):
                return text
    return None


def compare(line, error, answer):
    """What differs, or None."""
    if error:
        want = status_of(error, answer)
        return None if line["status"] == want else f"{line['status']} ({line['reason']}), reference {want}: {error}: {answer}"
    if line["status"] not in ("ok", "oom"):
        return f"{line['status']} ({line['reason']}), reference has figures"
    memory = answer.summary.get_memory()
    checks = [differ(ours, line[ours], answer.raw.get(theirs)) for theirs, ours in COLUMNS.items()]
    checks += [differ(part, line[part + "_gib"], memory.get(part)) for part in MEMORY]
    checks += [compare_ops(line, answer.summary, phase) for phase in ("encoder", "context", "generation")]
    checks += ["oom" if (line["status"] == "oom") != answer.summary.check_oom() and not answer.summary.check_kv_cache_oom() else None]
    return next(filter(None, checks), None)


def tables(text):
    """Systems with data and their backends, from db info."""
    systems, name = {}, None
    for line in text.splitlines():
        if (match := re.match(r"(\S+): release", line)):
            name = match[1]
        elif name and (match := re.match(r"  (trtllm|sglang|vllm) ", line)):
            systems.setdefault(name, []).append(match[1])
    return systems


def random_points(run, count, seed, named):
    dice, images = random.Random(seed), random.Random(seed)
    models = [line.split()[:3] for line in run("model", "list").splitlines()[1:] if named in line.split()[0]]
    systems = tables(run("db", "info"))
    rows = []
    for _ in range(count):
        model, _, moe = dice.choice(models)
        system = dice.choice(sorted(systems))
        row = {"model": model, "system": system, "backend": dice.choice(systems[system])}
        row["mode"] = dice.choice(["static", "static_ctx", "static_gen"])
        row["database_mode"] = dice.choice(["SILICON", "SILICON", "HYBRID", "EMPIRICAL", "SOL"])
        width = dice.choice([1, 2, 4, 8, 8, 16, 32] if moe == "yes" else [1, 2, 4, 8])
        dp = dice.choice([1, width]) if moe == "yes" else 1
        row |= {"tp": width // dp, "dp": dp, "pp": dice.choice([1, 1, 2])}
        if moe == "yes":
            ep = width if width > 8 else dice.choice([1, width])
            row |= {"moe_ep": ep, "moe_tp": width // ep}
        row |= {"batch": dice.choice([1, 3, 16, 64]), "isl": dice.choice([1, 100, 1000, 4096, 20000]), "osl": dice.choice([2, 33, 300])}
        row["prefix"] = dice.choice([0, 0, row["isl"] // 3])
        if dice.random() < 0.2:
            row |= {"nextn": 1, "nextn_accepted": 0.7}
        for name, share, values in (("gemm_quant", 0.2, ["bfloat16", "fp8", "nvfp4"]), ("kvcache_quant", 0.2, ["bfloat16", "fp8"]),
                                    ("attention_backend", 0.15, ["default", "fa3", "triton", "flashinfer"]),
                                    ("moe_backend", 0.1, ["megamoe", "deepep_moe"]), ("eplb", 0.3, [0, 1]), ("slots", 0.15, [256, 288]),
                                    ("sms", 0.2, [16, 24]), ("override_layers", 0.15, [4, 8]),
                                    ("distribution", 0.15, ["power_law", "power_law_1.2", "balanced", "uniform"])):
            if dice.random() < share:
                row[name] = dice.choice(values)
        if row["backend"] == "sglang" and row["tp"] * row["dp"] == width == row["tp"] and dice.random() < 0.3:
            row |= {"cp": width, "tp": 1}
        if images.random() < (0.8 if "VL" in model else 0.1):
            row |= {"images": images.choice([1, 1, 2, 5, 17]), "image_height": images.choice([16, 224, 448, 1000, 1333, 4096]),
                    "image_width": images.choice([31, 224, 640, 1024, 1920, 2000]), "encoder_tp": images.choice([0, 0, 1])}
        rows.append(row)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("points", nargs="?", type=pathlib.Path)
    p.add_argument("--random", type=int)
    p.add_argument("--models", default="", help="random points of the models whose names have this text in them")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--save", type=pathlib.Path, help="write the random points here")
    p.add_argument("--program", default="build/release/aicfg-sweep")
    p.add_argument("--perfdb", action="append", default=[])
    args = p.parse_args()
    if bool(args.points) == bool(args.random):
        p.error("give POINTS.csv or --random N")
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    data = [x for folder in args.perfdb for x in ("--perfdb", folder)]

    def run(*words):
        return subprocess.run([args.program, *words, *data], check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        points = args.points or args.save or pathlib.Path(folder, "points.csv")
        if args.random:
            rows = random_points(run, args.random, args.seed, args.models)
            names = list(dict.fromkeys(name for row in rows for name in row))
            with open(points, "w", newline="") as f:
                writer = csv.DictWriter(f, names)
                writer.writeheader()
                writer.writerows(rows)
        rows = list(csv.DictReader(open(points, newline="")))
        results = str(pathlib.Path(folder, "points.h5"))
        run("run", "--points", str(points), "-o", results, "--quiet")
        lines = subprocess.run([args.program, "export", results, "--format", "jsonl", "--breakdown"], check=True, capture_output=True,
                               text=True).stdout.splitlines()
    reference, counts, failed = Reference(), collections.Counter(), 0
    for row, text in zip(rows, lines, strict=True):
        line = json.loads(text)
        error, answer = reference.ask(row)
        if error in UNKNOWN:
            counts["unknown to the reference"] += 1
            continue
        difference = compare(line, error, answer)
        counts[line["status"] if not difference else "different"] += 1
        if difference:
            failed += 1
            print(f"point {line['point']}: {difference}\n    {json.dumps({k: v for k, v in row.items() if v})}", flush=True)
    print(", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
