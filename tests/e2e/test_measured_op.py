"""An op kind declared in data: the worked example of docs/examples/convolution.md, and what goes wrong around it."""
import csv
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from program import ROOT, program, write

EXAMPLE = ROOT / "docs" / "examples" / "convolution"
PAGE = (ROOT / "docs" / "examples" / "convolution.md").read_text()
LAYERS = 12


def commands(output):
    """The shell lines of the page, writing to another folder than output/."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S):
        for line in block.splitlines():
            yield shlex.split(line.replace("output/", f"{output}/"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's commands have run."""
    output = tmp_path_factory.mktemp("convolution")
    for words in commands(output):
        if words[0] == "aicfg-sweep":
            program(*words[1:], cwd=ROOT)
        else:
            done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
    return output


def measured():
    with (EXAMPLE / "measured/h200_sxm/trtllm/1.3.0rc20/conv1d_perf.txt").open() as stream:
        rows = list(csv.DictReader(stream))
    return {(r["phase"], int(r["channels"]), int(r["batch_size"]), int(r["seq_len"])): float(r["latency"]) for r in rows}


def convolutions(path):
    """(tp, batch, isl) -> ms of context_conv, over the points of a result file."""
    lines = program("export", path, "--format", "jsonl", "--breakdown").stdout.splitlines()
    points = [json.loads(line) for line in lines]
    assert points and all(p["status"] == "ok" for p in points)
    return {(p["tp"], p["batch"], p["isl"]): next(ms for op, ms, *_ in p["context"] if op == "context_conv") for p in points}


def test_the_page_runs_and_its_figures_hold(folder):
    table, found = measured(), convolutions(folder / "convolution.h5")
    assert found[1, 4, 1024] == LAYERS * table["context", 1536, 4, 1024]
    low, high = table["context", 1536, 4, 1024], table["context", 1536, 16, 1024]
    assert found[1, 6, 1024] == pytest.approx(LAYERS * (low + (high - low) * 2 / 12), rel=1e-12)
    assert 0 < found[2, 4, 1024] < found[1, 4, 1024]
    for tp, batch, isl, ms in re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \|", PAGE, re.M):
        assert float(f"{found[int(tp), int(batch), int(isl)]:.5g}") == float(ms)


def test_without_its_kind_the_model_does_not_load(folder, tmp_path):
    error = program("plan", EXAMPLE / "sweep.yaml", "--models", EXAMPLE / "models", cwd=ROOT, code=2).stderr
    assert 'unknown op kind "Conv1d"' in error and "convhybrid.yaml:8:19" in error


def test_without_its_table_the_points_are_missing(tmp_path):
    out = tmp_path / "none.h5"
    program("run", EXAMPLE / "sweep.yaml", "--ops", EXAMPLE / "ops", "--models", EXAMPLE / "models", "-o", out, cwd=ROOT)
    points = [json.loads(line) for line in program("export", out, "--format", "jsonl").stdout.splitlines()]
    assert all(p["status"] == "missing" and "table conv1d_perf" in p["reason"] for p in points)


def test_a_broken_declaration_is_reported_where_it_stands(tmp_path):
    shutil.copy(EXAMPLE / "ops" / "convolution.yaml", tmp_path / "a.yaml")
    broken = (tmp_path / "a.yaml").read_text().replace("at: channels}", "at: chanels}", 1)
    write(tmp_path / "a.yaml", broken)
    error = program("plan", EXAMPLE / "sweep.yaml", "--ops", tmp_path, "--models", EXAMPLE / "models", cwd=ROOT, code=2).stderr
    line = next(i for i, words in enumerate(broken.splitlines(), 1) if "chanels" in words)
    assert f"a.yaml:{line}:" in error and 'did you mean "channels"?' in error


def test_no_such_folder():
    assert "--ops /nonexistent: no such folder" in program("plan", EXAMPLE / "sweep.yaml", "--ops", "/nonexistent", code=2).stderr
