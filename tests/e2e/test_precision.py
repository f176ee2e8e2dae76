"""run --breakdown and --precision: what is stored of the ops, within the bound, by every path."""
import json
import shutil

import h5py
import numpy
import pytest
from program import ROOT, SPEC, content, program, same_files, write
from test_resume import LONGER, start, wait_for

BOUND = 2.0**-24


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision")
    spec = write(folder / "s.yaml", SPEC)
    program("run", spec, "-o", folder / "f64.h5", "-q")
    program("run", spec, "-o", folder / "f32.h5", "-q", "--precision", "f32")
    return folder, spec


def test_rows_are_within_the_bound_and_figures_the_same(world):
    folder, _ = world
    with h5py.File(folder / "f64.h5") as a, h5py.File(folder / "f32.h5") as b:
        assert b.attrs["breakdown_precision"] == b"f32" and "breakdown_precision" not in a.attrs
        assert b.attrs["options"] == b"breakdown f32"
        for name in ("latency_ms", "energy_wms"):
            exact, rounded = a["breakdown"][name][:], b["breakdown"][name][:]
            assert exact.dtype == "<f8" and rounded.dtype == "<f4"
            assert numpy.array_equal(rounded, exact.astype("<f4"))
            assert (abs(rounded.astype("<f8") - exact) <= BOUND * abs(exact)).all()
        assert (a["breakdown/latency_ms"][:] != b["breakdown/latency_ms"][:]).any()
        first, rows = a["points/breakdown_first"][:], a["points/breakdown_rows"][:]
        phases = a["points/context_latency_ms"][:] + a["points/generation_latency_ms"][:] + a["points/encoder_latency_ms"][:]
        stored = b["breakdown/latency_ms"][:].astype("<f8")
        for i in numpy.flatnonzero(rows):
            assert abs(stored[first[i]:first[i] + rows[i]].sum() - phases[i]) <= 1.001 * BOUND * phases[i]
    exact, rounded = content(folder / "f64.h5"), content(folder / "f32.h5")
    assert {k for k in exact if exact[k] != rounded[k]} == {"/", "breakdown/latency_ms"} | (
        {"breakdown/energy_wms"} if exact["breakdown/energy_wms"] != rounded["breakdown/energy_wms"] else set())


def test_readers_take_both(world):
    folder, _ = world
    assert program("verify", folder / "f32.h5").stdout.startswith("ok ")
    ranked = [program("rank", folder / f"{p}.h5", "--format", "csv").stdout for p in ("f64", "f32")]
    assert ranked[0] == ranked[1]
    exact, rounded = ([json.loads(x) for x in program("export", folder / f"{p}.h5", "--format", "jsonl", "--breakdown").stdout.splitlines()]
                      for p in ("f64", "f32"))
    for a, b in zip(exact, rounded, strict=True):
        for phase in ("context", "generation"):
            for x, y in zip(a.pop(phase, []), b.pop(phase, []), strict=True):
                assert x[0] == y[0] and x[3:] == y[3:] and y[1] == numpy.float32(x[1])
        assert a == b
    shown = [program("show", folder / f"{p}.h5", "0").stdout.split() for p in ("f64", "f32")]
    assert len(shown[0]) == len(shown[1]) and sum(a != b for a, b in zip(*shown)) < 20  # the last digit of some latencies


def test_threads_and_checkpoints_do_not_show(world, tmp_path):
    folder, spec = world
    for options in (["-j", "1"], ["-j", "8", "--block", "5"], ["-j", "2", "--block", "7", "--checkpoint", "0"]):
        program("run", spec, "-o", tmp_path / "b.h5", "-q", "--force", "--precision", "f32", *options)
        assert same_files(tmp_path / "b.h5", folder / "f32.h5"), options


def shards(out, spec, which, *options):
    for i in which:
        program("run", spec, "-o", out, "-q", "--shard", f"{i}/3", *options)
    return [out.with_name(f"{out.stem}.shard-{i}-of-3.h5") for i in which]


def test_merging(world, tmp_path):
    folder, spec = world
    out = tmp_path / "m.h5"
    rounded = shards(out, spec, (1, 2, 3), "--precision", "f32")
    program("merge", out, "-q", *rounded)
    assert same_files(out, folder / "f32.h5")
    program("merge", "--virtual", tmp_path / "v.h5", "-q", *rounded)
    with h5py.File(tmp_path / "v.h5") as v, h5py.File(out) as m:
        assert v["breakdown/latency_ms"].dtype == "<f4" and v.attrs["breakdown_precision"] == b"f32"
        assert numpy.array_equal(v["breakdown/latency_ms"][:], m["breakdown/latency_ms"][:])
    exact = shards(tmp_path / "x.h5", spec, (2,))
    text = program("merge", tmp_path / "n.h5", rounded[0], *exact, rounded[2], code=2).stderr
    assert "their options differ" in text and "breakdown f32" in text


def test_another_precision_is_another_result(world, tmp_path):
    folder, spec = world
    out = tmp_path / "o.h5"
    out.write_bytes((folder / "f32.h5").read_bytes())
    assert "up to date" in program("run", spec, "-o", out, "--precision", "f32").stdout
    text = program("run", spec, "-o", out, code=2).stderr
    assert "\n  - options: breakdown f32\n  + options: breakdown" in text
    assert "+ options: breakdown\n" in program("run", spec, "-o", out, "--resume", code=2).stderr + "\n"


def test_a_run_is_resumed_with_its_precision_only(tmp_path):
    spec, out, whole = write(tmp_path / "s.yaml", LONGER), tmp_path / "out.h5", tmp_path / "whole.h5"
    program("run", spec, "-o", whole, "-q", "--precision", "f32")
    run = start(spec, out, "--precision", "f32")
    wait_for(tmp_path / "out.h5.part" / "chunk-000001.h5")  # the first one is journalled
    run.kill()
    run.communicate()
    text = program("run", spec, "-o", out, "--resume", code=2).stderr
    assert "- options: breakdown f32" in text and "+ options: breakdown\n" in text
    program("run", spec, "-o", out, "--resume", "-q", "--precision", "f32")
    assert same_files(out, whole)


def test_reuse_rounds_but_never_unrounds(world, tmp_path):
    folder, spec = world
    for old in ("f32", "f64"):
        said = program("run", spec, "-o", tmp_path / f"{old}.h5", "-q", "--precision", "f32", "--reuse", folder / f"{old}.h5").stdout
        assert "reused 9 of 10" in said and same_files(tmp_path / f"{old}.h5", folder / "f32.h5")
    text = program("run", spec, "-o", tmp_path / "no.h5", "--reuse", folder / "f32.h5", code=2).stderr
    assert "rounded to f32" in text and "--precision f32" in text
    said = program("run", spec, "-o", tmp_path / "bare.h5", "-q", "--breakdown", "none", "--reuse", folder / "f32.h5").stdout
    assert "reused 9 of 10" in said


def test_comparing(world, tmp_path):
    folder, spec = world
    exact, rounded, changed = folder / "f64.h5", folder / "f32.h5", tmp_path / "changed.h5"
    assert "no differences" in program("compare", exact, rounded, "--tolerance", "0").stdout
    shutil.copytree(ROOT / "data" / "perfdb" / "0.12.0", tmp_path / "db")
    with h5py.File(tmp_path / "db" / "h200_sxm.h5", "r+") as f:
        table = f["moe_perf/trtllm/1.3.0rc20/latency"]
        table[...] = table[...] * 1.01
    program("run", spec, "-o", changed, "-q", "--precision", "f32", "--perfdb", tmp_path / "db")
    note = "One file's breakdown is rounded to float32"
    for a, noted in ((exact, True), (rounded, False)):
        assert (note in program("compare", a, changed, "--tolerance", "0").stdout) == noted
        moved = json.loads(program("compare", a, changed, "--tolerance", "0", "--format", "json").stdout)
        assert moved["ops"] and {op["kind"] for op in moved["ops"]} == {"Moe"}


def test_options(world, tmp_path):
    folder, spec = world
    program("run", spec, "-o", tmp_path / "a.h5", "-q", "--breakdown", "none")
    program("run", spec, "-o", tmp_path / "b.h5", "-q", "--no-breakdown")
    assert same_files(tmp_path / "a.h5", tmp_path / "b.h5")
    program("run", spec, "-o", tmp_path / "c.h5", "-q", "--breakdown", "all", "--precision", "f64")
    assert same_files(tmp_path / "c.h5", folder / "f64.h5")
    for options, message in ((["--precision", "f16"], "expected f64 or f32"), (["--breakdown", "some"], "expected all, none or top:N"),
                             (["--breakdown", "none", "--precision", "f32"], "not stored"),
                             (["--breakdown", "all", "--no-breakdown"], "contradicts")):
        assert message in program("run", spec, "-o", tmp_path / "d.h5", *options, code=2).stderr
        assert message in program("plan", spec, *options, code=2).stderr
    assert not (tmp_path / "d.h5").exists()
    program("bench", spec, "--precision", "f32", "--repeat", "1", "--threads", "1")

    def estimate(*options):
        size, unit = program("plan", spec, *options).stdout.split("file       about ")[1].split()[:2]
        return float(size) * {"kB": 1, "MB": 1000}[unit]
    assert estimate("--breakdown", "none") < estimate("--precision", "f32") <= estimate()
