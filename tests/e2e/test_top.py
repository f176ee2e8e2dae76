"""run --breakdown top:N: the slowest ops of each point, by every path; the others leave no trace."""
import json

import h5py
import numpy
import pytest
from program import SPEC, program, same_files, write

TOP = 3


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("top")
    spec = write(folder / "s.yaml", SPEC)
    program("run", spec, "-o", folder / "all.h5", "-q")
    program("run", spec, "-o", folder / "top.h5", "-q", "--breakdown", f"top:{TOP}")
    return folder, spec


def test_the_slowest_rows_stand_and_no_others(world):
    folder, _ = world
    with h5py.File(folder / "all.h5") as a, h5py.File(folder / "top.h5") as t:
        assert t.attrs["options"] == f"breakdown top:{TOP}".encode()
        for name in a["points"]:
            assert numpy.array_equal(a["points"][name][:], t["points"][name][:], equal_nan=a["points"][name].dtype.kind == "f"), name
        latency, energy = a["breakdown/latency_ms"][:], a["breakdown/energy_wms"][:]
        kept, kept_energy = t["breakdown/latency_ms"][:], t["breakdown/energy_wms"][:]
        first, rows = a["points/breakdown_first"][:], a["points/breakdown_rows"][:]
        seen = 0
        assert all(numpy.array_equal(a["breakdown"][c][:], t["breakdown"][c][:]) for c in ("source", "tier", "carried"))
        for f, n in zip(first, rows):
            order = sorted(range(n), key=lambda r: (-latency[f + r], r))
            for place, r in enumerate(order):
                if place < TOP:
                    assert kept[f + r] == latency[f + r] and kept_energy[f + r] == energy[f + r]
                else:
                    assert numpy.isnan(kept[f + r]) and kept_energy[f + r] == 0
                seen += 1
        assert seen == len(latency) > 100


def test_readers(world):
    folder, _ = world
    assert program("verify", folder / "top.h5").stdout.startswith("ok ")
    points = [json.loads(x) for x in program("export", folder / "top.h5", "--format", "jsonl", "--breakdown").stdout.splitlines()]
    counts = {sum(len(p.get(phase, [])) for phase in ("encoder", "context", "generation")) for p in points}
    assert counts <= {0, TOP} and TOP in counts
    best = program("rank", folder / "top.h5", "--format", "csv", "--top", "1").stdout
    assert best == program("rank", folder / "all.h5", "--format", "csv", "--top", "1").stdout
    shown = program("show", folder / "top.h5", best.splitlines()[1].split(",")[0]).stdout
    assert "leaves out other ops of the point" in shown
    assert "leaves out" not in program("show", folder / "all.h5", best.splitlines()[1].split(",")[0]).stdout
    assert "no differences" in program("compare", folder / "all.h5", folder / "top.h5").stdout


def test_threads_shards_and_precision(world, tmp_path):
    folder, spec = world
    for options in (["-j", "1"], ["-j", "8", "--block", "5"], ["-j", "2", "--block", "7", "--checkpoint", "0"], ["--plain"]):
        program("run", spec, "-o", tmp_path / "b.h5", "-q", "--force", "--breakdown", f"top:{TOP}", *options)
        assert same_files(tmp_path / "b.h5", folder / "top.h5"), options
    for i in (1, 2):
        program("run", spec, "-o", tmp_path / "m.h5", "-q", "--shard", f"{i}/2", "--breakdown", f"top:{TOP}")
    program("merge", tmp_path / "m.h5", "-q", *(tmp_path / f"m.shard-{i}-of-2.h5" for i in (1, 2)))
    assert same_files(tmp_path / "m.h5", folder / "top.h5")
    program("run", spec, "-o", tmp_path / "f32.h5", "-q", "--breakdown", f"top:{TOP}", "--precision", "f32")
    with h5py.File(folder / "top.h5") as t, h5py.File(tmp_path / "f32.h5") as r:
        assert numpy.array_equal(t["breakdown/latency_ms"][:].astype("<f4"), r["breakdown/latency_ms"][:], equal_nan=True)


def test_reuse_takes_what_is_there(world, tmp_path):
    folder, spec = world
    said = program("run", spec, "-o", tmp_path / "a.h5", "-q", "--breakdown", f"top:{TOP}", "--reuse", folder / "all.h5").stdout
    assert "reused" in said and same_files(tmp_path / "a.h5", folder / "top.h5")
    said = program("run", spec, "-o", tmp_path / "b.h5", "-q", "--breakdown", f"top:{TOP}", "--reuse", folder / "top.h5").stdout
    assert "reused" in said and same_files(tmp_path / "b.h5", folder / "top.h5")
    for wants in ("all", f"top:{TOP + 1}"):
        text = program("run", spec, "-o", tmp_path / "c.h5", "--breakdown", wants, "--reuse", folder / "top.h5", code=2).stderr
        assert f"keeps the {TOP} slowest ops" in text
    text = program("run", spec, "-o", folder / "top.h5", code=2).stderr
    assert f"- options: breakdown top:{TOP}" in text


@pytest.mark.parametrize("wrong", ["top", "top:", "top:0", "top:-1", "top:1001", "top:x", "some"])
def test_wrong_numbers_are_refused(world, tmp_path, wrong):
    text = program("run", world[1], "-o", tmp_path / "x.h5", "--breakdown", wrong, code=2).stderr
    assert "expected all, none or top:N with N from 1 to 1000" in text
