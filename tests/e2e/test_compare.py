"""aicfg-sweep compare: real sweeps against changed copies of the measured tables."""
import csv
import hashlib
import io
import json
import shutil

import h5py
import numpy
import pytest
from perfdb_files import digest_of, tables
from program import ROOT, program, write

RELEASE = ROOT / "data" / "perfdb" / "0.12.0"
GEMM = "gemm_perf/trtllm/1.3.0rc20"
CHANGED = {GEMM, "encoder_attention_perf/trtllm/1.3.0rc20"}
QKV = (10240, 5120)  # n, k of the QKV GEMM of Qwen3-32B at tp 1
CELL = 512           # tokens of the cell that changes
# What reads it: at tp 1 the GEMM itself; at tp 4 one of n 12800, which is not measured and lies between its neighbours.
OPS = {"1": "context_qkv_gemm", "4": "context_gate_ffn1_gemm"}
TOKENS = [64, 200, 256, 300, 384, 450, 512, 600, 768, 900, 1024, 8192]
SPEC = f"""\
name: small
sweep:
- mode: static_ctx
  models: [Qwen/Qwen3-32B-FP8, Qwen/Qwen3-8B]
  systems: h200_sxm
  backends: [trtllm, vllm]
  tp: [1, 4]
  batch: 1
  isl: {TOKENS}
  osl: 8
"""
POINTS = 2 * 2 * 2 * len(TOKENS)


def database(folder, change):
    """A copy of the embedded release with change(file) applied, digests and counts made to fit again."""
    shutil.copytree(RELEASE, folder)
    with h5py.File(folder / "h200_sxm.h5", "r+") as file:
        change(file)
        total = hashlib.sha256()
        groups = tables(file)
        for name in sorted(groups, key=str.encode):
            digest = digest_of(groups[name]) if name[1:] in CHANGED else groups[name].attrs["digest"].decode()
            groups[name].attrs["digest"] = numpy.bytes_(digest)
            total.update(name.encode() + b"\0" + digest.encode() + b"\0")
        file.attrs["digest"] = numpy.bytes_(total.hexdigest())
        file.attrs["tables"] = numpy.uint64(len(groups))
        file.attrs["rows"] = numpy.uint64(sum(int(group.attrs["rows"]) for group in groups.values()))
    return folder


def qkv_rows(file):
    """Row numbers and token counts of the QKV GEMM's rows."""
    group = file[GEMM]
    dtype = h5py.check_enum_dtype(group["gemm_dtype"].dtype)["fp8_block"]
    rows = numpy.flatnonzero((group["gemm_dtype"][:] == dtype) & (group["n"][:] == QKV[0]) & (group["k"][:] == QKV[1]))
    return rows, group["m"][:][rows]


def slower(file):
    rows, tokens = qkv_rows(file)
    file[GEMM]["latency"][int(rows[tokens == CELL][0])] *= 1.5


def without_attention(file):
    del file["context_attention_perf/trtllm/1.3.0rc20"]


def run(folder, name, *options, spec=SPEC):
    out = folder / f"{name}.h5"
    program("run", write(folder / f"{name}.yaml", spec), "-o", out, "--quiet", *options)
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    dbs = {"cell": database(folder / "cell" / "0.12.0", slower), "lost": database(folder / "lost" / "0.12.0", without_attention)}
    files = {"old": run(folder, "old")} | {name: run(folder, name, "--perfdb", db) for name, db in dbs.items()}
    return folder, dbs, files


def compared(a, b, *options, code=0):
    return json.loads(program("compare", a, b, "--format", "json", *options, code=code).stdout)


def counts(report):
    return {row["difference"]: row["points"] for row in report["differences"] if row["points"]}


def rows_of(a, b, *options, code=0):
    return list(csv.DictReader(io.StringIO(program("compare", a, b, "--format", "csv", *options, code=code).stdout)))


# ---- one file, one cell, one table

def test_self_is_empty(world):
    _, _, files = world
    report = compared(files["old"], files["old"], "--tolerance", "0", "--by", "all")
    assert counts(report) == {"same": POINTS} and report["same_order"]
    assert not any(report[name] for name in ("ops", "tables", "regressions", "gains", "status_changes", "points"))
    assert rows_of(files["old"], files["old"]) == []
    assert program("compare", files["old"], files["old"]).stdout.startswith("no differences")


def test_one_cell(world):
    """Points that read the cell move, and no others; op, table and row are named."""
    _, dbs, files = world
    with h5py.File(RELEASE / "h200_sxm.h5") as file:
        measured = sorted(set(qkv_rows(file)[1].tolist()))
    at = measured.index(CELL)
    low, high = measured[at - 1], measured[at + 1]
    reads = {m for m in TOKENS if low < m < high}
    assert CELL in reads and len(reads) < len(TOKENS)
    moved = rows_of(files["old"], files["cell"])
    assert {(row["difference"], row["model"], row["backend"]) for row in moved} == {("drift", "Qwen/Qwen3-32B-FP8", "trtllm")}
    assert {(row["tp"], int(row["isl"]), row["op"]) for row in moved} == {(tp, m, op) for tp, op in OPS.items() for m in reads}
    assert len(moved) == len(OPS) * len(reads)
    for row in moved:
        assert float(row["request_latency_ms_change"]) > 0 and row["op_phase"] == "context"
        assert float(row["op_ms_b"]) <= 1.5 * float(row["op_ms_a"]) * (1 + 1e-12)
    report = compared(files["old"], files["cell"], "--db", RELEASE, "--db", dbs["cell"])
    assert counts(report) == {"same": POINTS - len(moved), "drift": len(moved)}
    assert {(row["phase"], row["op"], row["points"]) for row in report["ops"]} == {("context", op, len(reads)) for op in OPS.values()}
    (table,) = report["tables"]
    assert "gemm_perf" in table["tables"].split() and table["backend"] == "trtllm" and table["moved_share"] == 1
    (row,) = report["measured"]
    assert (row["table_a"], row["table_b"], row["changed"], row["added"], row["removed"]) == (GEMM, GEMM, 1, 0, 0)
    assert row["worst_change"] == pytest.approx(0.5)
    for part in ("gemm_dtype=fp8_block", f"m={CELL}", f"n={QKV[0]}", f"k={QKV[1]}"):
        assert part in row["worst_at"]
    assert any("db diff" in command and GEMM in command for command in report["commands"])


def test_mirror(world):
    _, _, files = world
    there, back = compared(files["old"], files["cell"]), compared(files["cell"], files["old"])
    assert counts(there) == counts(back)
    for name in ("ops", "tables"):
        assert [row["ms_change"] for row in there[name]] == [-row["ms_change"] for row in back[name]]
        assert [row["mean_effect"] for row in there[name]] == [-row["mean_effect"] for row in back[name]]
    there, back = compared(files["old"], files["lost"], code=1), compared(files["lost"], files["old"])
    assert counts(there)["regression"] == counts(back)["gain"] and "gain" not in counts(there)
    assert [row["points"] for row in there["regressions"]] == [row["points"] for row in back["gains"]]


def test_removed_table(world):
    _, _, files = world
    report = compared(files["old"], files["lost"], code=1)
    assert counts(report) == {"same": POINTS // 2, "regression": POINTS // 2}
    assert all(row["status_b"] == "missing" and "context_attention_perf" in row["reason_b"] for row in report["regressions"])
    assert {row["backend"] for row in rows_of(files["old"], files["lost"], code=1)} == {"trtllm"}
    text = program("compare", files["old"], files["lost"], code=1).stdout
    assert text.startswith(f"{POINTS // 2} regressions") and "context_attention_perf" in text
    assert counts(compared(files["lost"], files["old"])) == {"same": POINTS // 2, "gain": POINTS // 2}


def test_exit_codes(world):
    _, _, files = world
    program("compare", files["old"], files["cell"])
    program("compare", files["old"], files["cell"], "--fail-drift", code=1)
    program("compare", files["old"], files["cell"], "--fail-drift", "--tolerance", "0.9")
    program("compare", files["old"], files["old"], "--fail-drift")


def test_markdown_is_bounded(world):
    _, _, files = world
    text = program("compare", files["old"], files["lost"], "--format", "markdown", "--top", "2", code=1).stdout
    lines = text.splitlines()
    assert lines[0].startswith("## ") and len(lines) < 120 and max(map(len, lines)) < 1200
    widths = [line.count("|") - line.count("\\|") for line in lines if line.startswith("|")]
    assert widths and min(widths) >= 4


IMAGES = """\
name: images
sweep:
- mode: static_ctx
  models: Qwen/Qwen3-VL-8B-Instruct
  systems: h200_sxm
  backends: [trtllm, vllm]
  batch: 1
  isl: [512, 1024]
  osl: 8
  images: [0, 2]
  image_height: 1024
  image_width: 1024
"""


def slower_encoder(file):
    file["encoder_attention_perf/trtllm/1.3.0rc20"]["latency"][:] *= 2


def test_phases_that_a_point_lacks(world):
    """Points with and without images have other rows of one deployment; ops are told apart by phase."""
    folder, _, _ = world
    db = database(folder / "images" / "0.12.0", slower_encoder)
    old, new = run(folder, "images-old", spec=IMAGES), run(folder, "images-new", "--perfdb", db, spec=IMAGES)
    report = compared(old, new)
    assert counts(report) == {"same": 6, "drift": 2}
    assert {(row["phase"], row["kind"]) for row in report["ops"]} == {("encoder", "EncoderAttention")}
    assert {(row["backend"], row["images"], row["op_phase"]) for row in rows_of(old, new)} == {("trtllm", "2", "encoder")}
    (row,) = report["ops"]
    assert row["points"] == 2 and row["ms_b"] == pytest.approx(2 * row["ms_a"])


# ---- other grids

def test_other_grids(world):
    folder, _, files = world
    fewer = run(folder, "fewer", spec=SPEC.replace("tp: [1, 4]", "tp: [1, 2]"))
    report = compared(files["old"], fewer)
    assert counts(report) == {"same": POINTS // 2, "removed": POINTS // 2, "added": POINTS // 2}
    assert not report["same_order"]
    rows = rows_of(files["old"], fewer)
    assert {(row["difference"], row["tp"]) for row in rows} == {("removed", "4"), ("added", "2")}
    assert all(bool(row["point_a"]) == (row["difference"] == "removed") for row in rows)


def test_shuffled(world):
    """Another order of the axes changes nothing but the numbers of the points."""
    folder, dbs, files = world
    turned = SPEC.replace("tp: [1, 4]", "tp: [4, 1]").replace("[trtllm, vllm]", "[vllm, trtllm]").replace(str(TOKENS), str(TOKENS[::-1]))
    other = run(folder, "turned", "--perfdb", dbs["cell"], spec=turned)
    assert counts(compared(files["cell"], other)) == {"same": POINTS}
    straight, shuffled = rows_of(files["old"], files["cell"]), rows_of(files["old"], other)
    for row in straight + shuffled:
        del row["point_b"]
    assert straight == shuffled
    there, back = compared(files["old"], other), compared(files["old"], files["cell"])
    assert not there["same_order"] and back["same_order"]
    assert counts(there) == counts(back)


def test_versions(world):
    folder, _, files = world
    spec = SPEC.replace("backends: [trtllm, vllm]", "backends: trtllm\n  versions: 1.3.0rc10")
    older = run(folder, "older", "--unlisted", spec=spec)
    report = compared(older, files["old"], code=0)
    assert counts(report)["added"] == POINTS // 2 and "removed" not in counts(report)
    strict = compared(older, files["old"], "--match-version")
    assert counts(strict) == {"removed": POINTS // 2, "added": POINTS}


# ---- both sides by itself

def test_runs_both_sides(world):
    folder, dbs, files = world
    spec = write(folder / "both.yaml", SPEC)
    common = ["compare", "--spec", spec, "--db", RELEASE, "--db", dbs["cell"], "--quiet", "--format", "json"]
    report = json.loads(program(*common).stdout)
    want = compared(files["old"], files["cell"], "--db", RELEASE, "--db", dbs["cell"])
    for name in ("differences", "ops", "tables", "measured", "groups"):
        assert report[name] == want[name]
    kept = folder / "kept"
    program(*common, "-o", kept, "--set", "sweep.tp=[1]")
    assert sorted(p.name for p in kept.iterdir()) == ["a.h5", "b.h5"]
    half = {name: n // 2 for name, n in counts(want).items()}
    assert counts(compared(kept / "a.h5", kept / "b.h5")) == half
    assert "--force" in program(*common, "-o", kept, code=2).stderr


def test_mistakes_are_named(world):
    folder, dbs, files = world
    assert "expected A.h5 B.h5" in program("compare", files["old"], code=2).stderr
    assert "measured tables with --db" in program("compare", files["old"], files["old"], "--perfdb", RELEASE, code=2).stderr
    assert "needs the two databases" in program("compare", "--spec", folder / "old.yaml", code=2).stderr
    assert "twice or not at all" in program("compare", files["old"], files["old"], "--db", RELEASE, code=2).stderr
    assert "not both" in program("compare", files["old"], "--spec", folder / "old.yaml", code=2).stderr
    assert "belong to --spec" in program("compare", files["old"], files["old"], "-o", "x", code=2).stderr
    assert "found \"much\"" in program("compare", files["old"], files["old"], "--tolerance", "much", code=2).stderr
    assert "unknown format" in program("compare", files["old"], files["old"], "--format", "html", code=2).stderr
    left_out = compared(files["old"], files["cell"], "--db", dbs["lost"], "--db", dbs["lost"])
    assert left_out["measured"] == []  # not the tables that the files were made of
