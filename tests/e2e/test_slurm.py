"""scripts/slurm without Slurm: the job scripts one after the other. tests/slurm/run is the same on a real cluster."""
import os
import pathlib
import signal
import subprocess
import time

import pytest
from program import PROGRAM, ROOT, SPEC, content, program, write

SUBMIT = ROOT / "scripts" / "slurm" / "submit"


def submit(*args, code=0, cwd=None):
    done = subprocess.run([SUBMIT, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=600,
                          env={**os.environ, "AICFG_SWEEP": PROGRAM})
    assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    program("run", write(folder / "small.yaml", SPEC), "-o", folder / "small.h5", "-q")
    return folder / "small.h5"


@pytest.mark.parametrize("options", [["-n", 8], ["-n", 12, "--array-max", 5], ["-n", 1]])
def test_local_equals_one_run(tmp_path, plain, options):
    spec = write(tmp_path / "small.yaml", SPEC)
    submit(spec, "--local", "-o", tmp_path / "all.h5", *options)
    assert content(tmp_path / "all.h5") == content(plain)
    assert len(list(tmp_path.glob("all.shard-*.h5"))) == options[1]


def test_options_reach_run_and_merge(tmp_path):
    spec = write(tmp_path / "small.yaml", SPEC)
    submit(spec.name, "--local", "-n", 2, "--run", "--no-breakdown -j 1", "--merge", "-q", cwd=tmp_path)
    program("run", spec, "-o", tmp_path / "plain.h5", "-q", "--no-breakdown")
    assert content(tmp_path / "output" / "small.h5") == content(tmp_path / "plain.h5")


def test_interrupted_task_ends_the_chain_and_goes_on(tmp_path, plain):
    """A stopped task keeps its exit code, nothing is merged; the same command again finishes."""
    spec = write(tmp_path / "small.yaml", SPEC)
    fake = write(tmp_path / "program", f'#!/bin/sh\n[ "$1" = run ] && [ "$SLURM_ARRAY_TASK_ID" = 1 ] && exit 143\nexec {PROGRAM} "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run([SUBMIT, spec, "--local", "-n", "3", "-o", tmp_path / "all.h5"], capture_output=True, text=True,
                          env={**os.environ, "AICFG_SWEEP": str(fake)})
    assert done.returncode == 143 and "task 1: stopped early, finished points are kept" in done.stderr
    assert [p.name for p in tmp_path.glob("all*.h5")] == ["all.shard-1-of-3.h5"]
    submit(spec, "--local", "-n", 3, "-o", tmp_path / "all.h5")
    assert content(tmp_path / "all.h5") == content(plain)


def test_job_script_passes_the_signal_on(tmp_path):
    """Slurm signals the script alone: the program gets its chance, and its exit code is the script's."""
    fake = write(tmp_path / "program", "#!/usr/bin/env bash\ntrap 'echo told; sleep 0.3; exit 143' TERM\n"
                                       f"touch {tmp_path}/ready\nwhile :; do sleep 0.05; done\n")
    fake.chmod(0o755)
    job = subprocess.Popen(["bash", ROOT / "scripts/slurm/shards.sbatch", fake, "spec", "out.h5", "1"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, "SLURM_ARRAY_TASK_ID": "0"})
    while not pathlib.Path(tmp_path / "ready").exists():
        time.sleep(0.02)
    job.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=30)
    assert job.returncode == 143 and "told" in out and "task 0: stopped early" in err


def test_refusals(tmp_path):
    spec = write(tmp_path / "small.yaml", SPEC)
    bad = write(tmp_path / "bad.yaml", SPEC.replace("models:", "modles:"))
    assert "modles" in submit(bad, "--local", code=2, cwd=tmp_path).stderr
    assert "expected a whole number" in submit(spec, "-n", "0", code=2).stderr
    assert "unknown option" in submit(spec, "--lokal", code=2).stderr
    assert "needs a value" in submit(spec, "-o", code=2).stderr
    assert "ends in .h5" in submit(spec, "-o", "x.hdf", code=2).stderr
    assert "cannot read" in submit(tmp_path / "none.yaml", code=2).stderr
    assert "give a spec" in submit(code=2).stderr
    write(tmp_path / "there.h5", "")
    assert "exists already" in submit(spec, "-o", tmp_path / "there.h5", code=2).stderr
    assert "SPEC [OPTION...]" in submit("--help").stdout
