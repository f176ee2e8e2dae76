"""Shards: any number of them, run with any number of threads, merge to the file of the plain run; what is missing, doubled,
foreign or damaged is named before anything is written."""
import os
import shutil
import subprocess
import time

import h5py
import numpy
import pytest
from program import PROGRAM, ROOT, SPEC, SPEC_POINTS, content, nothing_left, program, same_files, write

POINTS = "model,system,backend,tp,batch,isl,osl\n" + "".join(
    f"{model},h200_sxm,{backend},{tp},{batch},1024,{osl}\n"
    for osl in (1, 64) for batch in (1, 0, 16) for model in ("Qwen/Qwen3-8B", "nope") for backend in ("trtllm", "vllm")
    for tp in (1, 2))


def shard_name(out, i, n):
    return out.with_name(f"{out.stem}.shard-{i:0{len(str(n))}}-of-{n}.h5")


def run_shards(out, n, *args, which=None):
    for i in which or range(1, n + 1):
        program("run", *args, "-o", out, "-q", "--shard", f"{i}/{n}")
    return [shard_name(out, i, n) for i in which or range(1, n + 1)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A spec, its plain result, and its shards by their number: made once, never changed."""
    folder = tmp_path_factory.mktemp("shards")
    spec = write(folder / "s.yaml", SPEC)
    program("run", spec, "-o", folder / "plain.h5", "-q", "--threads", "1")
    return folder, spec, {n: run_shards(folder / "s.h5", n, spec) for n in (3, 7)}


def parts(folder, source):
    """Copies of shards that a test may change."""
    return [shutil.copy(p, folder / p.name) for p in source]


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("n", [1, 3, 7])
def test_any_number_of_shards_and_threads_gives_the_plain_file(tmp_path, world, n, threads):
    folder, spec, _ = world
    shards = run_shards(tmp_path / "out.h5", n, spec, "--threads", threads)
    program("merge", tmp_path / "out.h5", "-q", "--threads", threads)
    assert same_files(tmp_path / "out.h5", folder / "plain.h5")
    nothing_left(tmp_path, "out.h5", *(p.name for p in shards))


def test_more_shards_than_deployments_and_than_points(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, tp: [1, 2], batch: [1, 8, 200], isl: [512, 900]}\n")
    program("run", spec, "-o", tmp_path / "plain.h5", "-q")
    for n in (5, 12, 14):
        out = tmp_path / f"n{n}.h5"
        counts = []
        for path in run_shards(out, n, spec, "--threads", "1"):
            with h5py.File(path) as f:
                counts.append(len(f["points/point"]))
                assert list(f["points/point"]) == list(range(f.attrs["first_point"], f.attrs["first_point"] + counts[-1]))
        assert sum(counts) == 12 and min(counts) == (0 if n > 12 else 1)
        program("merge", out, "-q")
        assert same_files(out, tmp_path / "plain.h5")


def test_a_point_list_without_breakdown(tmp_path):
    points = write(tmp_path / "p.csv", POINTS)
    for options in ([], ["--no-breakdown"]):
        name = f"l{len(options)}"
        program("run", "--points", points, "-o", tmp_path / f"{name}-plain.h5", "-q", *options)
        for n in (3, 5):
            run_shards(tmp_path / f"{name}-{n}.h5", n, "--points", points, *options)
            program("merge", tmp_path / f"{name}-{n}.h5", "-q")
            assert same_files(tmp_path / f"{name}-{n}.h5", tmp_path / f"{name}-plain.h5")


def test_shards_of_different_counts_that_partition(tmp_path, world):
    folder, spec, by_n = world
    out = tmp_path / "out.h5"
    # cuts of 3 and 6 shards meet where the cost is halved alike: find them instead of assuming it
    six = run_shards(out, 6, spec)
    ends = {}
    for path in [*by_n[3], *six]:
        with h5py.File(path) as f:
            first = int(f.attrs["first_point"])
            ends[path] = (first, first + int(f.attrs["points"]))
    assert ends[six[0]][0] == 0 and ends[six[1]][1] == ends[by_n[3][0]][1]
    mixed = [six[0], six[1], by_n[3][1], by_n[3][2]]
    program("merge", out, "-q", *mixed)
    assert same_files(out, folder / "plain.h5")


def test_folders_and_patterns(tmp_path, world):
    folder, _, by_n = world
    (tmp_path / "in").mkdir()
    parts(tmp_path / "in", by_n[7])
    plain = content(folder / "plain.h5")
    for i, operand in enumerate([tmp_path / "in", tmp_path / "in" / "*.shard-?-of-7.h5"]):
        program("merge", tmp_path / f"{i}.h5", operand, "-q")
        assert content(tmp_path / f"{i}.h5") == plain


def refused(tmp_path, *args, code=2):
    """The message of a merge that must write nothing."""
    before = sorted(p.name for p in tmp_path.iterdir())
    text = program("merge", tmp_path / "out.h5", *args, code=code).stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    return text


def test_missing_shards_are_named(tmp_path, world):
    _, _, by_n = world
    shards = parts(tmp_path, by_n[7])
    text = refused(tmp_path, *shards[:2], *shards[4:6])
    assert "missing: shards 3 to 4 of 7, points " in text and "missing: shard 7 of 7, points " in text
    assert f"to {SPEC_POINTS - 1}" in text
    assert "missing: shard 1 of 7, points 0 to " in refused(tmp_path, *shards[1:])
    assert "missing" in refused(tmp_path, "--check", *shards[1:])


def test_doubled_shards_are_an_error_unless_allowed_and_equal(tmp_path, world):
    folder, spec, by_n = world
    shards = parts(tmp_path, by_n[3])
    twin = shutil.copy(shards[1], tmp_path / "twin.h5")
    text = refused(tmp_path, *shards, twin)
    assert "twice: points " in text and "shard 2 of 3" in text and "twin.h5" in text and "--allow-duplicates" in text
    assert "twice: " in refused(tmp_path, *shards, by_n[7][3])  # other cuts that overlap
    program("merge", tmp_path / "out.h5", *shards, twin, "--allow-duplicates", "-q")
    assert same_files(tmp_path / "out.h5", folder / "plain.h5")


def test_doubled_shards_with_different_contents(tmp_path, world):
    _, spec, by_n = world
    shards = parts(tmp_path, by_n[3])
    other = tmp_path / "other"
    other.mkdir()
    bare = run_shards(other / "s.h5", 3, spec, "--no-breakdown", which=[2])
    text = program("merge", tmp_path / "out.h5", *shards, *bare, "--allow-duplicates", code=2).stderr
    assert "their options differ" in text and str(bare[0]) in text


@pytest.mark.parametrize("what", ["spec", "override", "database"])
def test_foreign_shards_are_named(tmp_path, world, what):
    _, spec, by_n = world
    shards = parts(tmp_path, by_n[3])
    other = tmp_path / "other"
    other.mkdir()
    args = {"spec": [write(other / "s.yaml", SPEC + "# another\n")], "override": [spec, "--set", "sweep[1].isl=2048"],
            "database": [spec, "--perfdb", other_database(other)]}[what]
    foreign = run_shards(other / "s.h5", 3, *args, which=[2])
    text = program("merge", tmp_path / "out.h5", shards[0], foreign[0], shards[2], code=2).stderr
    assert "not shards of one sweep" in text and str(foreign[0]) in text
    assert {"spec": "spec_sha256", "override": "overrides", "database": "databases"}[what] in text
    assert not (tmp_path / "out.h5").exists()


def other_database(folder):
    """The embedded tables under another digest."""
    shutil.copytree(ROOT / "data" / "perfdb", folder / "db")
    with h5py.File(next((folder / "db").glob("*/h200_sxm.h5")), "r+") as f:
        digest = f.attrs["digest"]
        text = digest.decode() if isinstance(digest, bytes) else str(digest)
        f.attrs.modify("digest", numpy.bytes_(text[::-1]))
    return folder / "db"


def test_other_files_are_refused(tmp_path, world):
    folder, spec, by_n = world
    shards = parts(tmp_path, by_n[3])
    assert "is no shard" in refused(tmp_path, *shards[:2], folder / "plain.h5")
    assert "is not a result file" in refused(tmp_path, *shards[:2], spec)
    assert "no such file" in refused(tmp_path, tmp_path / "nowhere.h5")
    assert "is the output and a shard" in program("merge", shards[0], *shards, "--force", code=2).stderr
    assert "exists" in program("merge", folder / "plain.h5", *shards, code=2).stderr


def test_damage_is_found(tmp_path, world):
    _, _, by_n = world
    shards = parts(tmp_path, by_n[3])
    with h5py.File(shards[1], "r+") as f:  # a value changed by a program that knows the format: it cuts the seal off
        rows = f["points/ttft_ms"]
        rows[3] = rows[3] * 2
    text = refused(tmp_path, *shards)
    assert os.path.basename(shards[1]) in text and "seal" in text
    shards = parts(tmp_path, by_n[3])
    data = bytearray(open(shards[2], "rb").read())
    with h5py.File(shards[2]) as f:
        at = f["breakdown/latency_ms"].id.get_chunk_info(0).byte_offset
    data[at + 100] ^= 4
    open(shards[2], "wb").write(data)
    text = refused(tmp_path, *shards)
    assert "/breakdown/latency_ms" in text and os.path.basename(shards[2]) in text
    open(shards[2], "wb").write(data[:len(data) // 2])
    assert os.path.basename(shards[2]) in refused(tmp_path, *shards)


def test_looking_at_a_shard(tmp_path, world):
    folder, _, by_n = world
    with h5py.File(by_n[3][1]) as f:
        first, count = int(f.attrs["first_point"]), int(f.attrs["points"])
    text = program("report", by_n[3][1]).stdout
    assert f"{count} points, shard 2 of 3: points from {first} on, of {SPEC_POINTS}" in text
    lines = program("export", by_n[3][1], "--format", "jsonl", "--breakdown").stdout.splitlines()
    assert lines == program("export", folder / "plain.h5", "--format", "jsonl", "--breakdown", "--first", first, "--count",
                            count).stdout.splitlines()
    last = first + count - 1
    assert lines[-1:] == program("export", by_n[3][1], "--format", "jsonl", "--breakdown", "--first", last).stdout.splitlines()
    assert program("show", by_n[3][1], last).stdout == program("show", folder / "plain.h5", last).stdout
    assert f"numbered from {first}" in program("show", by_n[3][1], first - 1, code=2).stderr
    assert str(last + 1) not in program("rank", by_n[3][1], "--top", "0", "--columns", "point", "--format", "csv").stdout.split()


def test_a_view_reads_like_the_merged_file(tmp_path, world):
    folder, _, by_n = world
    (tmp_path / "shards").mkdir()
    (tmp_path / "views").mkdir()
    shards = parts(tmp_path / "shards", by_n[7])
    view = tmp_path / "views" / "v.h5"
    program("merge", "--virtual", view, *shards, "-q")
    assert view.stat().st_size < (folder / "plain.h5").stat().st_size
    moved = tmp_path.with_name(tmp_path.name + "-moved")  # the folders move together
    tmp_path.rename(moved)
    view = moved / "views" / "v.h5"
    with h5py.File(view) as v, h5py.File(folder / "plain.h5") as p:
        def same(name, item):
            if isinstance(item, h5py.Dataset):
                assert v[name].dtype == item.dtype and v[name][()].tobytes() == item[()].tobytes(), name
        p.visititems(same)
        assert v["points/ttft_ms"].is_virtual and v["breakdown/latency_ms"].is_virtual
        assert v["points/ttft_ms"].dims[0][0] == v["points/point"]
        assert len(v["points/point"]) == SPEC_POINTS
    assert "a view of shards" in program("rank", view, code=2).stderr
    (moved / "shards").rename(moved / "gone")
    with h5py.File(view) as v:  # nothing that could be taken for a figure
        assert numpy.isnan(v["points/ttft_ms"][()]).all() and (v["points/status"][()] == 255).all()


def test_the_option(tmp_path, world):
    _, spec, _ = world
    for text in ("0/3", "4/3", "3", "1/0", "x/3", "1/3x", "slurm/0", "slurmy", "1/1048577", "-1/3", "1/3/5"):
        assert "--shard" in program("run", spec, "-o", tmp_path / "o.h5", "--shard", text, code=2).stderr
    nothing_left(tmp_path)


def slurm(first, number, count, **more):
    return {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_MIN": str(first), "SLURM_ARRAY_TASK_COUNT": str(count),
            "SLURM_ARRAY_TASK_MAX": str(first + count - 1), **more}


@pytest.mark.parametrize("first", [0, 1])
def test_slurm_arrays(tmp_path, world, first):
    folder, spec, _ = world
    for n, operand in ((3, "slurm"), (8, "slurm/8"), (2, "slurm/2")):
        out = tmp_path / f"n{n}.h5"
        for task in range(first, first + 3):
            text = program("run", spec, "-o", out, "--shard", operand, env=slurm(first, task, 3)).stdout
            if n == 8:
                assert text.count(" points in ") in (2, 3)
        program("merge", out, "-q")
        assert same_files(out, folder / "plain.h5")


def test_slurm_tasks_submitted_again(tmp_path, world):
    _, spec, by_n = world
    again = slurm(2, 5, 2, SLURM_ARRAY_TASK_MAX="5")  # tasks 2 and 5 of 0-6
    text = program("run", spec, "-o", tmp_path / "s.h5", "--shard", "slurm", env=again, code=2).stderr
    assert "AICFG_ARRAY_MIN" in text
    program("run", spec, "-o", tmp_path / "s.h5", "-q", "--shard", "slurm",
            env={**again, "AICFG_ARRAY_MIN": "0", "AICFG_ARRAY_COUNT": "7"})
    assert content(shard_name(tmp_path / "s.h5", 6, 7)) == content(by_n[7][5])
    assert "not a task of an array" in program("run", spec, "--shard", "slurm", code=2,
                                               env={"SLURM_ARRAY_TASK_ID": ""}).stderr


def test_a_finished_shard_is_not_run_again(tmp_path, world):
    _, spec, by_n = world
    shards = parts(tmp_path, by_n[3])
    before = open(shards[1], "rb").read()
    for option in ([], ["--resume"]):
        program("run", spec, "-o", tmp_path / "s.h5", "--shard", "2/3", *option)
        assert open(shards[1], "rb").read() == before
    shutil.copy(shards[0], shards[1])  # another one under its name
    for option in ([], ["--resume"]):
        text = program("run", spec, "-o", tmp_path / "s.h5", "--shard", "2/3", *option, code=2).stderr
        assert "- number of the shard: 1\n  + number of the shard: 2" in text


def killed_and_resumed(out, n, i, *args):
    """Shard i, killed once it has chunk files, then resumed; says how many points were there."""
    path = shard_name(out, i, n)
    args = ["-o", out, "--shard", f"{i}/{n}", "--threads", "1", "--resume", "--block", "64", *args]
    run = subprocess.Popen([PROGRAM, "run", *map(str, args), "--checkpoint", "0", "--plain"], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    chunk = path.with_name(path.name + ".part") / "chunk-000003.h5"
    deadline = time.monotonic() + 60
    while not chunk.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    run.kill()
    run.communicate()
    return "from an earlier run" in program("run", *args).stderr


def test_a_killed_shard_goes_on(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC.replace("isl: [512, 16384]", "isl: {from: 64, to: 16384, step: 512}"))
    rows = [f"Qwen/Qwen3-8B,h200_sxm,{b},{tp},{batch},1024,{osl}\n" for osl in range(1, 90) for batch in (1, 16)
            for b in ("trtllm", "vllm") for tp in (1, 2, 3)]
    points = write(tmp_path / "p.csv", "model,system,backend,tp,batch,isl,osl\n" + "".join(rows))
    for name, args in (("g", [spec]), ("l", ["--points", points])):
        out = tmp_path / f"{name}.h5"
        program("run", *args, "-o", tmp_path / f"{name}-plain.h5", "-q")
        run_shards(out, 2, *args, which=[1])
        assert killed_and_resumed(out, 2, 2, *args)
        program("merge", out, "-q")
        assert same_files(out, tmp_path / f"{name}-plain.h5")
