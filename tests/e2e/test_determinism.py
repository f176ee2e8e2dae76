"""The same file for any number of threads and any block size, point lists included."""
import random

from program import SPEC, content, program, write


def test_threads_and_blocks_do_not_show(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    program("run", spec, "-o", tmp_path / "a.h5", "-q", "--threads", "1")
    first = content(tmp_path / "a.h5")
    for options in (["--threads", "2"], ["--threads", "8"], ["--threads", "3", "--block", "5"], ["--threads", "8", "--block", "1"]):
        program("run", spec, "-o", tmp_path / "b.h5", "-q", "--force", *options)
        assert content(tmp_path / "b.h5") == first, options


def test_provenance_is_the_same_by_any_path(tmp_path):
    """Foreign rows and estimates: threads, blocks, and the evaluation without shared work."""
    spec = write(tmp_path / "s.yaml", """\
defaults: {systems: h200_sxm, backends: [trtllm, vllm], tp: [1, 4], batch: [1, 8, 200], isl: [512, 3000], osl: [1, 2, 100]}
sweep:
- {models: Qwen/Qwen3.5-27B, versions: [current, next], database_modes: [SILICON, HYBRID, EMPIRICAL]}
- {models: Qwen/Qwen3-8B, database_modes: HYBRID, quants: [{gemm: sq}, {gemm: int8_wo}]}
""")
    program("run", spec, "-o", tmp_path / "a.h5", "-q", "--threads", "1")
    first = content(tmp_path / "a.h5")
    assert set(first["points/carried"][2]) >= {0, 1, 2, 3} and set(first["points/tier"][2]) >= {0, 1, 3, 4}
    for options in (["--plain"], ["--threads", "8", "--block", "5"]):
        program("run", spec, "-o", tmp_path / "b.h5", "-q", "--force", *options)
        assert content(tmp_path / "b.h5") == first, options


def test_a_shuffled_point_list_gives_the_same_points(tmp_path):
    rows = [f"Qwen/Qwen3-8B,h200_sxm,{b},{tp},{batch},{isl},100" for b in ("trtllm", "sglang", "vllm", "nope") for tp in (1, 2, 3)
            for batch in (1, 0, 300) for isl in (100, 9000)]
    header = "model,system,backend,tp,batch,isl,osl"
    shuffled = rows[:]
    random.Random(7).shuffle(shuffled)
    write(tmp_path / "a.csv", "\n".join([header, *rows, ""]))
    write(tmp_path / "b.csv", "\n".join([header, *shuffled, ""]))
    lines = {}
    for name in "ab":
        for threads in (1, 8):
            out = tmp_path / f"{name}{threads}.h5"
            program("run", "--points", tmp_path / f"{name}.csv", "-o", out, "-q", "--threads", threads, "--block", 7)
            lines[name, threads] = program("export", out, "--format", "jsonl", "--breakdown").stdout.splitlines()
        assert lines[name, 1] == lines[name, 8]

    def by_row(order, exported):
        found = {}
        for row, line in zip(order, exported, strict=True):
            found[row] = line.split('"point":', 1)[-1].split(",", 1)[-1]
        return found

    assert by_row(rows, lines["a", 1]) == by_row(shuffled, lines["b", 1])
