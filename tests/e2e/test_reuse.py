"""run --reuse: points of an earlier result stand where nothing they depend on has changed, and nowhere else."""
import random
import re
import shutil

import h5py
import numpy
import pytest
from program import ROOT, SPEC, SPEC_POINTS, program, same_files, write

DENSE, ALL = 8, 10  # deployments of SPEC; of the other two, with experts, the second is refused
PRICED = SPEC_POINTS - 2
RELEASE = ROOT / "data" / "perfdb" / "0.12.0"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The spec, a first result, and a release in which one table of the experts differs."""
    folder = tmp_path_factory.mktemp("reuse")
    write(folder / "s.yaml", SPEC)
    program("run", folder / "s.yaml", "-o", folder / "old.h5", "-q")
    shutil.copytree(RELEASE, folder / "changed")
    with h5py.File(folder / "changed" / "h200_sxm.h5", "r+") as f:
        table = f["moe_perf/trtllm/1.3.0rc20/latency"]
        table[...] = table[...] * 1.01
    return folder


def run(world, out, *args, spec="s.yaml"):
    """Runs with and without the earlier result; the files are the same. Returns deployments and points reused."""
    said = program("run", world / spec, "-o", out, "-q", "--reuse", world / "old.h5", *args).stdout
    plain = out.with_name("plain.h5")
    program("run", world / spec, "-o", plain, "-q", "--force", *args)
    assert same_files(out, plain)
    found = re.match(r"reused ([\d,]+) of ([\d,]+) deployments and ([\d,]+) points of .*?(?: \((\d+) more deployments in part\))?\n", said)
    return tuple(int((g or "0").replace(",", "")) for g in found.groups())


def test_an_unchanged_sweep_is_taken_over(world, tmp_path):
    for i, threads in enumerate((1, 2, 8)):
        assert run(world, tmp_path / f"{i}.h5", "--threads", threads, "--block", 5) == (DENSE + 1, ALL, PRICED, 0)
    assert same_files(world / "old.h5", tmp_path / "0.h5")


def test_only_deployments_that_read_a_changed_table_are_evaluated(world, tmp_path):
    reused = run(world, tmp_path / "new.h5", "--perfdb", world / "changed")
    assert reused == (DENSE, ALL, SPEC_POINTS - 4, 0)
    with h5py.File(world / "old.h5") as old, h5py.File(tmp_path / "new.h5") as new:
        before, after = old["points/ttft_ms"][:], new["points/ttft_ms"][:]
        moved = (before != after) & ~numpy.isnan(before)
        assert set(old["points/deployment"][moved]) == {DENSE}
        same = old["deployments/inputs"][:] == new["deployments/inputs"][:]
        assert list(same) == [True] * DENSE + [False, True]  # the refused one has none


def test_a_change_of_a_table_nobody_reads_changes_nothing(world, tmp_path):
    shutil.copytree(RELEASE, tmp_path / "db")
    with h5py.File(tmp_path / "db" / "h200_sxm.h5", "r+") as f:
        for table in ("mamba2_perf/trtllm/1.3.0rc20", "context_mla_perf/trtllm/1.3.0rc20"):
            f[table]["latency"][...] = 1.0
    assert run(world, tmp_path / "new.h5", "--perfdb", tmp_path / "db")[0] == DENSE + 1


def test_a_changed_sheet_or_constant_is_noticed(world, tmp_path):
    shutil.copytree(ROOT / "data" / "systems", tmp_path / "systems")
    sheet = tmp_path / "systems" / "h200_sxm.yaml"
    sheet.write_text(sheet.read_text() + "\n# another word\n")
    assert run(world, tmp_path / "a.h5", "--systems", tmp_path / "systems")[0] == 0


def test_points_are_matched_by_workload(world, tmp_path):
    write(world / "more.yaml", SPEC.replace("batch: [1, 8, 200]", "batch: [200, 4, 1]").replace("osl: [1, 200]", "osl: [200]"))
    assert run(world, tmp_path / "more.h5", spec="more.yaml") == (1, ALL, DENSE * 4 + 2, DENSE)


def test_lists_of_points_are_served_too(world, tmp_path):
    rows = [f"{m},h200_sxm,{b},{tp},{batch},{isl},{osl}" for m in ("Qwen/Qwen3-32B-FP8", "Qwen/Qwen3-8B") for b in ("trtllm", "vllm", "nope")
            for tp in (1, 4) for batch in (1, 8, 200, 7) for isl in (512, 16384) for osl in (1, 200)]
    random.Random(3).shuffle(rows)
    points = write(tmp_path / "p.csv", "\n".join(["model,system,backend,tp,batch,isl,osl", *rows, ""]))
    said = program("run", "--points", points, "-o", tmp_path / "a.h5", "-q", "--reuse", world / "old.h5").stdout
    program("run", "--points", points, "-o", tmp_path / "b.h5", "-q")
    assert same_files(tmp_path / "a.h5", tmp_path / "b.h5")
    assert f"reused 0 of 12 deployments and {DENSE * 12} points" in said and "(8 more deployments in part)" in said


def test_breakdowns_that_are_not_there_are_made(world, tmp_path):
    program("run", world / "s.yaml", "-o", tmp_path / "bare.h5", "-q", "--no-breakdown")
    said = program("run", world / "s.yaml", "-o", tmp_path / "full.h5", "-q", "--reuse", tmp_path / "bare.h5").stdout
    assert "reused 0 of 10" in said and same_files(tmp_path / "full.h5", world / "old.h5")
    said = program("run", world / "s.yaml", "-o", tmp_path / "b.h5", "-q", "--no-breakdown", "--reuse", world / "old.h5").stdout
    assert "reused 9 of 10" in said and same_files(tmp_path / "b.h5", tmp_path / "bare.h5")


def test_modes_with_estimates(world, tmp_path):
    for mode in ("HYBRID", "EMPIRICAL", "SOL"):
        write(world / f"{mode}.yaml", SPEC.replace("  systems:", f"  database_modes: {mode}\n  systems:"))
        old = tmp_path / f"{mode}.h5"
        program("run", world / f"{mode}.yaml", "-o", old, "-q")
        with h5py.File(old) as f:
            assert list(f["deployments/inputs"][:] == b"") == [False] * (DENSE + 1) + [True]
        for db in ((), ("--perfdb", world / "changed")):
            out, plain = tmp_path / "new.h5", tmp_path / "plain.h5"
            program("run", world / f"{mode}.yaml", "-o", out, "-q", "--force", "--reuse", old, *db)
            program("run", world / f"{mode}.yaml", "-o", plain, "-q", "--force", *db)
            assert same_files(out, plain), (mode, db)


def test_points_with_images(tmp_path):
    spec = """\
name: images
sweep:
- models: Qwen/Qwen3-VL-32B-Instruct
  systems: h200_sxm
  tp: [1, 4]
  batch: [1, 8]
  isl: 1024
  osl: [1, 64]
  workloads: %s
"""
    some = "[{images: 0, image_height: 448}, {images: 1, image_height: 448}, {images: 3, image_height: 1000}]"
    more = "[{images: 3, image_height: 448}, {images: 1, image_height: 448}, {images: 0, image_height: 0}]"
    for name, loads in (("old", some), ("new", more)):
        write(tmp_path / f"{name}.yaml", (spec % loads).replace("  workloads:", "  image_width: 700\n  workloads:"))
    program("run", tmp_path / "old.yaml", "-o", tmp_path / "old.h5", "-q")
    program("run", tmp_path / "new.yaml", "-o", tmp_path / "plain.h5", "-q")
    said = program("run", tmp_path / "new.yaml", "-o", tmp_path / "new.h5", "-q", "--reuse", tmp_path / "old.h5").stdout
    assert same_files(tmp_path / "new.h5", tmp_path / "plain.h5")
    assert "(2 more deployments in part)" in said and " and 0 points" not in said


def test_a_file_that_cannot_be_reused_is_refused(world, tmp_path):
    (tmp_path / "cut.h5").write_bytes((world / "old.h5").read_bytes()[:-1])
    done = program("run", world / "s.yaml", "-o", tmp_path / "x.h5", "-q", "--reuse", tmp_path / "cut.h5", code=2)
    assert "cut.h5" in done.stderr and not (tmp_path / "x.h5").exists() and not (tmp_path / "x.h5.part").exists()
    program("run", world / "s.yaml", "-o", tmp_path / "x.h5", "-q", "--reuse", tmp_path / "none.h5", code=3)
