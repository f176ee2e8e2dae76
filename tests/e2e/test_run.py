"""Running a sweep: file, summary, defaults, overrides, interruption."""
import json
import os
import signal
import subprocess
import time

import h5py
from program import PROGRAM, ROOT, SPEC, SPEC_POINTS, content, nothing_left, program, write


def test_a_spec_becomes_one_file(tmp_path):
    spec = write(tmp_path / "small.yaml", SPEC)
    done = program("run", spec, "-o", tmp_path / "deep" / "er" / "out.h5")
    assert f"{SPEC_POINTS} points in" in done.stdout
    assert f"next: aicfg-sweep rank {tmp_path}/deep/er/out.h5" in done.stdout
    nothing_left(tmp_path / "deep" / "er", "out.h5")
    with h5py.File(tmp_path / "deep" / "er" / "out.h5") as f:
        assert len(f["points/status"]) == SPEC_POINTS
        assert f["deployments/tp"].shape == (10,)
        assert bytes(f["spec"][:]).decode().rstrip("\0") == SPEC
        assert f.attrs["complete"]


def test_the_name_run_may_be_left_out_and_the_output_has_a_default(tmp_path):
    write(tmp_path / "mine.yaml", SPEC)
    program("mine.yaml", "--quiet", cwd=tmp_path)
    nothing_left(tmp_path / "output", "small.h5")
    program("mine.yaml", "--set", "name=other", "--set", "output=here.h5", "--quiet", cwd=tmp_path)
    assert (tmp_path / "here.h5").exists()


def test_quiet_says_nothing(tmp_path):
    done = program("run", write(tmp_path / "s.yaml", SPEC), "-o", tmp_path / "o.h5", "-q")
    assert done.stdout == "" and done.stderr == ""


def test_an_existing_file_is_kept_unless_forced(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    out = write(tmp_path / "o.h5", "mine")
    done = program("run", spec, "-o", out, code=2)
    assert "--force" in done.stderr or "exists" in done.stderr
    assert out.read_text() == "mine"
    program("run", spec, "-o", out, "--force", "-q")
    assert h5py.is_hdf5(out)


def test_overrides_change_the_sweep_and_are_recorded(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    program("run", spec, "-o", tmp_path / "o.h5", "-q", "--set", "sweep[0].batch=[4]", "--set", "sweep.isl=64")
    with h5py.File(tmp_path / "o.h5") as f:
        assert len(f["points/status"]) == 2 * 2 * 2 * 2 + 4
        assert set(f["points/isl"][:]) == {64}
        overrides = f.attrs["overrides"]
    text = overrides.decode() if isinstance(overrides, bytes) else str(overrides)
    assert text.splitlines() == ["sweep[0].batch=[4]", "sweep.isl=64"]


def test_without_breakdown_the_points_are_the_same(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    program("run", spec, "-o", tmp_path / "a.h5", "-q")
    program("run", spec, "-o", tmp_path / "b.h5", "-q", "--no-breakdown")
    with h5py.File(tmp_path / "a.h5") as a, h5py.File(tmp_path / "b.h5") as b:
        assert a["breakdown/latency_ms"].shape[0] > 0
        assert b["breakdown/latency_ms"].shape[0] == 0
        for name in ("ttft_ms", "tpot_ms", "memory_gib", "status"):
            assert a["points"][name][:].tobytes() == b["points"][name][:].tobytes()


def test_the_reference_path_gives_the_same_file(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    program("run", spec, "-o", tmp_path / "a.h5", "-q")
    program("run", spec, "-o", tmp_path / "b.h5", "-q", "--plain")
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")


def test_an_interruption_keeps_finished_blocks(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC.replace("isl: [512, 16384]", "isl: {from: 1, to: 60000, step: 1}"))
    run = subprocess.Popen([PROGRAM, "run", spec, "-o", tmp_path / "o.h5", "--plain", "--block", "64"], stderr=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not (tmp_path / "o.h5.part").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.5)  # some blocks in; the whole list takes many seconds on any machine
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 130, out + err
    assert "interrupted after" in err
    assert not (tmp_path / "o.h5").exists()
    kept = tmp_path / "o.h5.partial.h5"
    assert kept.exists(), sorted(p.name for p in tmp_path.iterdir())
    with h5py.File(kept) as f:
        assert not f.attrs["complete"]
        done = len(f["points/status"])
    assert 0 < done < 2 * 2 * 2 * 3 * 60000 * 2 + 4
    assert "unfinished" in program("report", kept).stdout


def test_every_command_gives_one_answer(tmp_path):
    """The same point through estimate, a spec and a point list."""
    point = ["--model", "Qwen/Qwen3-32B-FP8", "--system", "h200_sxm", "--tp", "2", "--batch", "32", "--isl", "3000", "--osl", "300"]
    estimated = json.loads(program("estimate", *point, "--json").stdout)
    write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-32B-FP8, system: h200_sxm, tp: 2, batch: 32, isl: 3000, osl: 300}\n")
    write(tmp_path / "p.csv", "model,system,backend,tp,batch,isl,osl\nQwen/Qwen3-32B-FP8,h200_sxm,trtllm,2,32,3000,300\n")
    program("run", tmp_path / "s.yaml", "-o", tmp_path / "s.h5", "-q")
    program("run", "--points", tmp_path / "p.csv", "-o", tmp_path / "p.h5", "-q")
    lines = [json.loads(program("export", tmp_path / f"{n}.h5", "--format", "jsonl", "--breakdown").stdout) for n in "sp"]
    assert lines[0] == lines[1]
    for name, value in estimated.items():
        assert lines[0][name] == value, name
    assert [list(row) for row in lines[0]["context"]] == estimated["context"]


def test_a_missing_database_is_named(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    done = program("run", spec, "-o", tmp_path / "o.h5", "--perfdb", tmp_path / "none", code=2)
    assert "no such folder" in done.stderr
    nothing_left(tmp_path, "s.yaml")


def test_the_shipped_specs_are_valid():
    for spec in sorted((ROOT / "sweeps").glob("*.yaml")):
        done = program("plan", spec, "--threads", "2")
        assert "points" in done.stdout
