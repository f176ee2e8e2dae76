"""verify: whole files pass, damaged ones are named with exit code 1."""
import shutil
import zlib

import h5py
import numpy
import pytest
from program import ROOT, SPEC, SPEC_POINTS, program, write

SEAL = 64


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify")
    program("run", write(folder / "s.yaml", SPEC), "-o", folder / "good.h5", "-q")
    return folder / "good.h5"


def damaged(result, tmp_path, at, bit=0):
    """A copy with one bit flipped; negative: from the end."""
    data = bytearray(result.read_bytes())
    data[at] ^= 1 << bit
    path = tmp_path / "bad.h5"
    path.write_bytes(data)
    return path


def test_a_whole_file_passes(result):
    for threads in (1, 4):
        out = program("verify", result, "--threads", threads).stdout
        assert out.startswith(f"ok   {result}  {SPEC_POINTS} points, ") and f"{result.stat().st_size} bytes as sealed" in out
    with h5py.File(result) as f:
        assert f.attrs["content_sha256"].decode()[:16] in out


def test_the_seal_is_a_crc32_of_all_before_it(result):
    data = result.read_bytes()
    body, line = data[:-SEAL], data[-SEAL:]
    assert line == b"aicfg-end 1 length=%016x crc32=%08x crc=%08x\n" % (len(body), zlib.crc32(body), zlib.crc32(line[:50]))


def test_the_dataset_and_chunk_are_named(result, tmp_path):
    with h5py.File(result) as f:
        chunk = f["points/ttft_ms"].id.get_chunk_info(0)
    bad = damaged(result, tmp_path, chunk.byte_offset + chunk.size // 2)
    done = program("verify", bad, code=1)
    assert done.stdout.splitlines() == [f"BAD  {bad}", "  its bytes are not those that were sealed", "  /points/ttft_ms: chunk 0 is damaged"]
    assert f"{bad} is damaged: 2 faults" in done.stderr


def test_damage_outside_datasets_shows(result, tmp_path):
    data = result.read_bytes()
    gap = data.index(b"GCOL") + 40  # references of dimension scales: HDF5 keeps no checksum of them
    done = program("verify", damaged(result, tmp_path, gap), code=1)
    assert "every dataset is whole: the damage lies in bytes outside of them" in done.stdout
    for at in (-1, -10, -20, -40, -60, -64):  # the seal itself
        done = program("verify", damaged(result, tmp_path, at), code=1)
        assert "seal" in done.stdout
    program("verify", damaged(result, tmp_path, 0), code=1)  # HDF5's signature


def test_a_cut_file_is_refused(result, tmp_path):
    data = result.read_bytes()
    for cut in (1, SEAL - 1, SEAL, SEAL + 1, len(data) // 2):
        (tmp_path / "cut.h5").write_bytes(data[:-cut])
        program("verify", tmp_path / "cut.h5", code=1)
        for command in (["rank"], ["report"], ["export", "--format", "csv"], ["show"]):
            end = program(command[0], tmp_path / "cut.h5", *command[1:], *(["0"] if command[0] == "show" else []), code=2)
            assert "cut.h5" in end.stderr


def test_a_file_changed_by_another_program_is_refused(result, tmp_path):
    copy = tmp_path / "edited.h5"
    shutil.copy(result, copy)
    with h5py.File(copy, "r+") as f:
        f["points/ttft_ms"][0] = 1.0
    assert "the seal at its end is missing" in program("rank", copy, code=2).stderr
    assert "the seal at its end is missing" in program("verify", copy, code=1).stdout


def test_all_files_are_looked_at(result, tmp_path):
    bad = damaged(result, tmp_path, -1)
    done = program("verify", tmp_path / "none.h5", bad, result, code=1)
    assert "BAD" in done.stdout and "ok " in done.stdout and "none.h5" in done.stderr
    program("verify", tmp_path / "none.h5", code=3)
    write(tmp_path / "text.h5", "no such thing as HDF5")
    program("verify", tmp_path / "text.h5", code=1)
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f.attrs["format"] = numpy.bytes_("something else")
    program("verify", tmp_path / "other.h5", code=1)


def test_perfdb_files(tmp_path):
    good = ROOT / "data" / "perfdb" / "0.12.0" / "h200_sxm.h5"
    assert program("verify", good).stdout.startswith(f"ok   {good}  105 tables")
    with h5py.File(good) as f:
        chunk = f["gemm_perf/trtllm/1.3.0rc20/latency"].id.get_chunk_info(0)
    data = bytearray(good.read_bytes())
    data[chunk.byte_offset + 100] ^= 4
    bad = tmp_path / "h200_sxm.h5"
    bad.write_bytes(data)
    assert "gemm_perf/trtllm/1.3.0rc20" in program("verify", bad, code=1).stdout
