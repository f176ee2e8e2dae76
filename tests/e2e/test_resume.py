"""Runs that are killed, stopped, starved of space or locked out, and what --resume makes of them.

AICFG_KILLS: how often the program is killed at a random instant (4 by default; scripts/endure sets more).
"""
import os
import random
import signal
import subprocess
import time

import h5py
import pytest
from program import PROGRAM, SPEC, nothing_left, program, write

KILLS = int(os.environ.get("AICFG_KILLS", "4"))
LONGER = SPEC.replace("isl: [512, 16384]", "isl: {from: 64, to: 16384, step: 64}")  # 24,000 points and more
OFTEN = ["--checkpoint", "0", "--block", "512"]


def same_but_run(a, b):
    """Equal byte by byte up to the object header of /run, which is the last of a file."""
    def address(path):
        with h5py.File(path) as f:
            return h5py.h5o.get_info(f["run"].id).addr

    x, y, at = a.read_bytes(), b.read_bytes(), address(a)
    return len(x) == len(y) and at == address(b) and x[:at] == y[:at]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    spec = write(folder / "s.yaml", LONGER)
    program("run", spec, "-o", folder / "whole.h5", "-q")
    return spec, folder / "whole.h5"


def start(spec, out, *args):
    return subprocess.Popen([PROGRAM, "run", str(spec), "-o", str(out), "--resume", *OFTEN, *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert path.exists(), path


def journalled(out):
    """Points the journal promises."""
    journal = out.parent / (out.name + ".part") / "journal"
    if not journal.exists():
        return 0
    lines = [line for line in journal.read_text(errors="replace").split("\n")[:-1] if line.startswith("chunk ")]
    first, count = lines[-1].split(" points=")[1].split(" ")[0].split("+") if lines else (0, 0)
    return int(first) + int(count)


def test_killed_at_random_instants_until_done(undisturbed, tmp_path):
    spec, whole = undisturbed
    rng = random.Random(6)
    kills, lost, wrong, rounds = 0, 0, 0, 0
    longest = 1.5
    while kills < KILLS:
        out = tmp_path / f"out{rounds}.h5"
        rounds += 1
        promised = 0
        for _ in range(30):
            run = start(spec, out)
            try:
                _, err = run.communicate(timeout=rng.uniform(0.05, longest))
                break
            except subprocess.TimeoutExpired:
                run.kill()
                _, err = run.communicate()
                kills += 1
                promised = max(promised, journalled(out))
        if run.returncode != 0:
            err = program("run", spec, "-o", out, "--resume", *OFTEN).stderr
        resumed = [int(line.split()[0]) for line in err.splitlines() if "from an earlier run" in line]
        lost += max(0, promised - (resumed[0] if resumed else 0))
        wrong += not same_but_run(whole, out)
        nothing_left(tmp_path, out.name)
        out.unlink()
    print(f"\nkills {kills}, files {rounds}, points lost {lost}, wrong files {wrong}")
    assert (lost, wrong) == (0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_run_that_can_go_on(undisturbed, tmp_path, number):
    spec, whole = undisturbed
    out = tmp_path / "out.h5"
    for _ in range(5):  # on a busy machine a run may end before the signal reaches it
        run = start(spec, out, "--plain")
        wait_for(tmp_path / "out.h5.part" / "chunk-000001.h5")
        run.send_signal(number)
        _, err = run.communicate(timeout=120)
        if run.returncode != 0:
            break
        out.unlink()
    assert run.returncode == 128 + number, err
    assert "--resume" in err and (tmp_path / "out.h5.partial.h5").exists()
    promised = journalled(out)
    assert "--resume" in program("run", spec, "-o", out, code=2).stderr
    done = program("run", spec, "-o", out, "--resume")
    assert f"{promised} of " in done.stderr
    nothing_left(tmp_path, "out.h5")
    assert same_but_run(whole, out)


def test_a_whole_result_is_left_alone(undisturbed):
    spec, whole = undisturbed
    before = whole.read_bytes()
    done = program("run", spec, "-o", whole, "--resume")
    assert "all of them there already" in done.stdout
    assert whole.read_bytes() == before
    assert "- digest of the spec" in program("run", write(whole.parent / "t.yaml", SPEC), "-o", whole, "--resume", code=2).stderr


def test_other_inputs_are_refused_with_what_differs(undisturbed, tmp_path):
    spec, whole = undisturbed
    out = tmp_path / "out.h5"
    run = start(spec, out)
    wait_for(tmp_path / "out.h5.part" / "chunk-000001.h5")  # the first one is journalled
    run.kill()
    run.communicate()
    other = program("run", spec, "-o", out, "--resume", "--set", "sweep[0].batch=[1]", code=2).stderr
    assert "+ override: sweep[0].batch=[1]" in other and "- points of the sweep: " in other
    assert "- options: breakdown" in program("run", spec, "-o", out, "--resume", "--no-breakdown", code=2).stderr
    program("run", spec, "-o", out, "--resume", "-q")
    assert same_but_run(whole, out)


def test_a_second_run_on_one_output_names_the_first(undisturbed, tmp_path):
    spec, whole = undisturbed
    out = tmp_path / "out.h5"
    run = start(spec, out)
    wait_for(tmp_path / "out.h5.part" / "chunk-000000.h5")
    run.send_signal(signal.SIGSTOP)  # it holds the output and cannot finish meanwhile
    try:
        err = program("run", spec, "-o", out, "--resume", code=2).stderr
        assert "another run is writing" in err and f"process {run.pid}" in err
        assert f"process {run.pid}" in program("run", spec, "-o", out, "--force", code=2).stderr
    finally:
        run.send_signal(signal.SIGCONT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert same_but_run(whole, out)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few MB, where the system lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(*options):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "none", disk], capture_output=True).returncode:
            pytest.skip("mounting is not permitted")
        return disk

    yield mount
    subprocess.run(["umount", disk], capture_output=True)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 1.2, 1.9])
def test_a_full_disk_ends_a_run_that_can_go_on(undisturbed, small_disk, share):
    spec, whole = undisturbed
    needed = whole.stat().st_size
    disk = small_disk(f"size={int(needed * share) // 4096 * 4}k")
    out = disk / "out.h5"
    err = program("run", spec, "-o", out, *OFTEN, code=3).stderr
    assert "No space left on device" in err and str(disk) in err
    assert not out.exists()
    promised = journalled(out)
    subprocess.run(["mount", "-o", "remount,size=512m", disk], check=True)
    done = program("run", spec, "-o", out, "--resume", *OFTEN)
    assert promised == 0 or f"{promised} of " in done.stderr
    assert same_but_run(whole, out)
    nothing_left(disk, "out.h5")


def test_a_read_only_folder_is_named(undisturbed, small_disk):
    spec, _ = undisturbed
    disk = small_disk("size=1m", "ro")
    err = program("run", spec, "-o", disk / "out.h5", code=3).stderr
    assert str(disk) in err and "Read-only" in err
    assert "Read-only" in program("run", spec, "-o", disk / "deep" / "out.h5", code=3).stderr


def test_a_closed_pipe_does_not_end_a_run(undisturbed, tmp_path):
    spec, whole = undisturbed
    out = tmp_path / "out.h5"
    read, wrote = os.pipe()
    run = subprocess.Popen([PROGRAM, "run", str(spec), "-o", str(out), *OFTEN], stdout=wrote, stderr=wrote)
    os.close(wrote)
    os.close(read)
    assert run.wait(timeout=120) == 3  # the points are there, the summary is not
    assert same_but_run(whole, out)
    nothing_left(tmp_path, "out.h5")


def test_checkpoint_takes_seconds(undisturbed, tmp_path):
    spec, _ = undisturbed
    for wrong in ("-1", "soon", ""):
        assert "--checkpoint" in program("run", spec, "-o", tmp_path / "o.h5", f"--checkpoint={wrong}", code=2).stderr
