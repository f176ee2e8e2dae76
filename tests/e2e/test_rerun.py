"""A run onto a result that is there: up to date, or refused with what differs."""
import shutil

import h5py
import numpy
import pytest
from program import ROOT, SPEC, program, same_files, write


@pytest.fixture
def done(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    program("run", spec, "-o", tmp_path / "out.h5", "-q")
    return spec, tmp_path / "out.h5"


def refused(spec, out, *args, env=None):
    before = out.read_bytes()
    text = program("run", spec, "-o", out, *args, code=2, env=env).stderr
    assert f"{out} exists and was made from other inputs; give --force" in text
    assert out.read_bytes() == before
    return text


def test_the_same_inputs_are_up_to_date(done, tmp_path):
    spec, out = done
    before = out.read_bytes()
    for args in ((), ("--threads", "1"), ("--block", "3"), ("-q",)):
        assert f"{out} is up to date: its 100 points" in program("run", spec, "-o", out, *args).stdout
    assert out.read_bytes() == before
    shutil.copy(out, tmp_path / "kept.h5")
    assert "up to date" not in program("run", spec, "-o", out, "--force").stdout
    assert out.read_bytes() != before and same_files(out, tmp_path / "kept.h5")


def test_a_changed_spec_shows_its_lines(done):
    spec, out = done
    write(spec, SPEC.replace("batch: [1, 16]", "batch: [1, 32]"))
    text = refused(spec, out)
    assert "\n  - spec:   batch: [1, 16]\n  + spec:   batch: [1, 32]" in text
    assert "database:" not in text and "build" not in text


def test_changed_options_are_named(done):
    spec, out = done
    assert "\n  + override: sweep[0].batch=2" in refused(spec, out, "--set", "sweep[0].batch=2")
    assert "\n  - options: breakdown" in refused(spec, out, "--no-breakdown")
    assert "\n  + options: breakdown unlisted" in refused(spec, out, "--unlisted")


def test_changed_data_is_named(done, tmp_path):
    spec, out = done
    data = tmp_path / "data"
    shutil.copytree(ROOT / "data", data)
    assert "up to date" in program("run", spec, "-o", out, env={"AICFG_DATA": str(data)}).stdout
    for changed, line in (("systems/h200_sxm.yaml", "system h200_sxm"), ("backends/trtllm.yaml", "backends"),
                          ("models/architectures.yaml", "models")):
        before = (data / changed).read_text()
        (data / changed).write_text(before + "\n# a remark\n")
        text = refused(spec, out, env={"AICFG_DATA": str(data)})
        assert f"- data: {line}" in text and f"+ data: {line}" in text
        (data / changed).write_text(before)
    with h5py.File(data / "perfdb" / "0.12.0" / "h200_sxm.h5", "r+") as f:
        f.attrs.modify("digest", numpy.bytes_("0" * 64))
    assert "+ database: h200_sxm 0.12.0 0000" in refused(spec, out, env={"AICFG_DATA": str(data)})


def test_a_damaged_result_is_not_up_to_date(done):
    spec, out = done
    data = bytearray(out.read_bytes())
    data[len(data) // 2] ^= 1
    out.write_bytes(data)
    assert "force" in program("run", spec, "-o", out, code=2).stderr
    program("run", spec, "-o", out, "--force", "-q")


def test_a_result_says_what_it_was_made_from(done):
    _, out = done
    with h5py.File(out) as f:
        lines = f.attrs["data"].decode().splitlines()
        assert [x.split()[0] for x in lines] == ["models", "ops", "backends", "system"] or \
               [x.split()[0] for x in lines] == ["models", "backends", "system"]
        assert all(len(x.split()[-1]) == 64 for x in lines)
        assert len(f.attrs["build"]) == 64 and f.attrs["options"] == b"breakdown"
        assert f["run"].attrs["command_line"].decode().count("run")
    report = program("report", out).stdout
    assert "build" in report and "system h200_sxm" in report
