"""scripts/import-perfdb on made-up releases, and the embedded release against its recorded digests."""

from __future__ import annotations

import functools
import json
import random
import sys
from pathlib import Path

import pytest

h5py = pytest.importorskip("h5py")
pa = pytest.importorskip("pyarrow")
yaml = pytest.importorskip("yaml")

import perfdb_files  # noqa: E402 (needs h5py)
import synthetic_release as made_up  # noqa: E402 (needs pyarrow)
from perfdb_files import ROOT, cells, check_file, tables  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts"))

from perfdb_import import packing  # noqa: E402
from perfdb_import.release_facts import version_key  # noqa: E402


run = functools.partial(perfdb_files.run, release=made_up.RELEASE)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("import")
    done = run(made_up.write_wheel(folder), folder / "out")
    assert done.returncode == 0, done.stderr
    return folder / "out" / made_up.RELEASE


def test_groups_and_attributes(imported):
    check_file(imported / "new.h5")
    check_file(imported / "old.h5")
    assert sorted(path.name for path in imported.iterdir()) == ["new.h5", "old.h5", "release.yaml"]
    with h5py.File(imported / "new.h5") as file:
        groups = tables(file)
        assert list(groups) == ["/gemm_perf/trtllm/1.3.0rc10", "/gemm_perf/trtllm/1.3.0rc2", "/moe_perf/vllm/0.24.0",
                                "/nccl_perf/nccl/2.27", "/nccl_perf/trtllm/1.3.0rc2"]
        stray = groups["/nccl_perf/trtllm/1.3.0rc2"].attrs
        assert stray["family"] == b"comm" and stray["source"] == b"data/new/comm/trtllm/1.3.0rc2/nccl_perf.parquet"
        assert made_up.WHEEL.encode() in file.attrs["origin"]


def test_cells_survive_in_narrow_types(imported):
    with h5py.File(imported / "new.h5") as file:
        gemm = file["gemm_perf/trtllm/1.3.0rc2"]
        for name, column in made_up.GEMM.items():
            assert cells(gemm[name]) == (column.to_pylist() if hasattr(column, "to_pylist") else column), name
        assert [gemm[name].dtype.str for name in ("m", "k", "latency", "graph")] == ["<u4", "|u1", "<f8", "|u1"]
        assert h5py.check_enum_dtype(gemm["gemm_dtype"].dtype) == {"fp8": 0, "bfloat16": 1, "<empty>": 2}
        assert h5py.check_enum_dtype(gemm["kernel_source"].dtype) == {"b": 0, "a": 1}
        latency = gemm["latency"]
        assert latency.shuffle and latency.fletcher32 and latency.compression_opts == 9 and latency.chunks == (4,)


def chunks_of_all_kinds():
    """Short and long, noise, repeats and constants of every width."""
    np = pytest.importorskip("numpy")
    source = random.Random(1)
    for rows in (1, 2, 255, packing.APART - 1, packing.APART, 70001):
        noise = np.frombuffer(source.randbytes(8 * rows), "u1").reshape(rows, 8) & 0x7F
        for kind in ("u1", "u2", "u4", "u8", "i8", "f8"):
            yield np.ascontiguousarray(noise[:, :np.dtype(kind).itemsize]).view(kind).ravel()
            yield np.full(rows, 3, kind)
            yield np.arange(rows).astype(kind)


def test_chunks_are_what_hdf5_reads(tmp_path):
    for number, column in enumerate(chunks_of_all_kinds()):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            made = file.create_dataset("x", column.shape, column.dtype, chunks=column.shape, shuffle=True,
                                       compression=packing.DEFLATE_LEVEL, fletcher32=True)
            made.id.write_direct_chunk((0,), packing.chunk_bytes(column))
        with h5py.File(tmp_path / f"{number}.h5") as file:
            assert file["x"][:].tobytes() == column.tobytes()


def test_planes_of_doubles_that_are_nearly_noise_are_stored():
    for column in chunks_of_all_kinds():
        plane = column.tobytes()[::column.itemsize][:1000]
        varied = len(set(plane)) > 100 and list(plane) != sorted(plane)
        if len(column) >= packing.APART and varied:
            assert (plane in packing.chunk_bytes(column)) == (column.dtype == "f8"), column.dtype


def test_table_without_rows(imported):
    with h5py.File(imported / "new.h5") as file:
        group = file["moe_perf/vllm/0.24.0"]
        assert group.attrs["rows"] == 0 and {name: cells(group[name]) for name in group} == dict.fromkeys(made_up.NO_ROWS, [])


@pytest.mark.parametrize(("values", "stored"), [
    ([0, 255], "|u1"), ([0, 256], "<u2"), ([65535], "<u2"), ([65536], "<u4"), ([2**32 - 1], "<u4"), ([2**32], "<u8"),
    ([-1, 5], "<i8")])
def test_integer_width(tmp_path, values, stored):
    tree = made_up.default_tree()
    tree["data/new/gemm/trtllm/1.3.0rc2/gemm_perf.parquet"] = made_up.parquet({"m": pa.array(values, pa.int64())})
    assert run(made_up.write_wheel(tmp_path, tree), tmp_path, "--systems", "new").returncode == 0
    with h5py.File(tmp_path / made_up.RELEASE / "new.h5") as file:
        column = file["gemm_perf/trtllm/1.3.0rc2/m"]
        assert (column.dtype.str, column[:].tolist()) == (stored, values)


def test_many_strings_and_several_chunks(tmp_path):
    rows = (1 << 17) + 5
    names = [f"kernel {index % 300}" for index in range(rows)]
    tree = made_up.default_tree()
    tree["data/new/gemm/trtllm/1.3.0rc2/gemm_perf.parquet"] = made_up.parquet({"kernel_source": names})
    assert run(made_up.write_wheel(tmp_path, tree), tmp_path, "--systems", "new").returncode == 0
    check_file(tmp_path / made_up.RELEASE / "new.h5")
    with h5py.File(tmp_path / made_up.RELEASE / "new.h5") as file:
        column = file["gemm_perf/trtllm/1.3.0rc2/kernel_source"]
        assert column.dtype.itemsize == 2 and column.chunks == (1 << 17,) and cells(column) == names


def test_same_wheel_same_bytes(imported, tmp_path):
    assert run(made_up.write_wheel(tmp_path), tmp_path / "again", "--jobs", "2").returncode == 0
    for name in ("new.h5", "old.h5", "release.yaml"):
        assert (imported / name).read_bytes() == (tmp_path / "again" / made_up.RELEASE / name).read_bytes(), name


def test_resumes(tmp_path):
    wheel, target = made_up.write_wheel(tmp_path), tmp_path / made_up.RELEASE / "new.h5"
    assert "new: 5 tables" in run(wheel, tmp_path, "--systems", "new").stdout
    first = target.stat().st_mtime_ns
    again = run(wheel, tmp_path)
    assert "new: up to date" in again.stdout and "old: 2 tables" in again.stdout
    assert target.stat().st_mtime_ns == first
    target.write_bytes(target.read_bytes()[:1000])
    assert "new: 5 tables" in run(wheel, tmp_path).stdout
    tree = made_up.default_tree()
    tree["data/new/gemm/trtllm/1.5.0/gemm_perf.parquet"] = made_up.parquet(made_up.ONE_ROW)
    assert "new: 6 tables" in run(made_up.write_wheel(tmp_path, tree), tmp_path).stdout


@pytest.mark.parametrize(("columns", "says"), [
    ({"latency": pa.array([1.0, None])}, "column 'latency': 1 empty (null) cells"),
    ({"latency": pa.array([1.0], pa.float32())}, "column 'latency': type float"),
    ({"a/b": pa.array([1.0])}, "not a usable column name"),
    ({"name": pa.array(["<empty>"])}, "cannot be stored"),
    ({"name": pa.array(["a\0b"])}, "cannot be stored"),
])
def test_refuses_what_the_format_cannot_say(tmp_path, columns, says):
    tree = made_up.default_tree()
    tree["data/new/gemm/trtllm/1.3.0rc2/gemm_perf.parquet"] = made_up.parquet(columns)
    done = run(made_up.write_wheel(tmp_path, tree), tmp_path)
    assert done.returncode == 2 and says in done.stderr and "data/new/gemm/trtllm/1.3.0rc2/gemm_perf.parquet" in done.stderr
    assert sorted(path.name for path in (tmp_path / made_up.RELEASE).iterdir()) == ["old.h5", "release.yaml"]


@pytest.mark.parametrize(("content", "says", "code"), [
    (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer", 2), (b"PAR1nonsense", "not a readable Parquet file", 3)])
def test_refuses_what_is_no_table(tmp_path, content, says, code):
    tree = made_up.default_tree() | {"data/old/gemm/trtllm/1.0.0/gemm_perf.parquet": content}
    done = run(made_up.write_wheel(tmp_path, tree), tmp_path, "--systems", "old")
    assert done.returncode == code and says in done.stderr


def test_refuses_one_table_in_two_families(tmp_path):
    tree = made_up.default_tree() | {"data/new/other/trtllm/1.3.0rc2/gemm_perf.parquet": made_up.parquet(made_up.ONE_ROW)}
    done = run(made_up.write_wheel(tmp_path, tree), tmp_path)
    assert done.returncode == 2 and "one table in two places" in done.stderr


def test_usage_errors(tmp_path):
    wheel = made_up.write_wheel(tmp_path)
    for extra, release, says in [(["--systems", "new,h999"], "0.12.0", "no measured tables of system h999; this release has new, old"),
                                 (["--systems", ","], "0.12.0", "(none named)"),
                                 ([], "0.13.0", "this wheel is release 0.12.0, not 0.13.0"),
                                 ([], "0.8.0", "this wheel is release 0.12.0, not 0.8.0"),
                                 ([], "0.0.9", "the oldest it reads is 0.1"),
                                 ([], "latest", "not a release number")]:
        done = run(wheel, tmp_path / "out", *extra, release=release)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()
    assert run(tmp_path / "none.whl", tmp_path).returncode == 2
    assert run(made_up.write_wheel(tmp_path, {}), tmp_path).returncode == 2


def test_damaged_wheel(tmp_path):
    wheel = made_up.write_wheel(tmp_path)
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[: len(whole) // 2])
    done = run(wheel, tmp_path)
    assert done.returncode == 3 and "corrupt wheel" in done.stderr
    flipped = bytearray(whole)
    flipped[whole.index(b"PAR1") + 40] ^= 1
    wheel.write_bytes(flipped)
    done = run(wheel, tmp_path)
    assert done.returncode == 3 and "damaged in" in done.stderr
    assert not list((tmp_path / made_up.RELEASE).glob(".*"))


def test_release_facts(imported):
    facts = yaml.safe_load((imported / "release.yaml").read_text())
    assert [facts[key] for key in ("format", "version", "release")] == ["aicfg-perfdb-release", 1, "0.12.0"]
    # 1.4.0 holds declarations only and 1.9.0 belongs to a system that governs itself: neither can be next.
    assert facts["slots"] == {
        "defaults": {"trtllm": {"current": "1.3.0rc2", "next": "1.3.0rc10"}, "vllm": {"current": "0.24", "previous": "0.20.0"}},
        "overrides": {"old": {"trtllm": {"current": "1.0.0"}}}}
    assert facts["lanes"] == {"sglang": {"0.5.14": {90: "fa3", 100: "triton"}}}
    assert facts["directories"] == {
        "new": {"nccl": ["2.27"], "trtllm": ["1.3.0rc2", "1.3.0rc10", "1.4.0"], "vllm": ["0.24.0"]},
        "old": {"trtllm": ["1.0.0", "1.9.0"]}}
    assert facts["reuse"] == {"new": {"trtllm": {"1.4.0": [
        {"table": "gemm_perf", "from": "1.3.0rc2"}, {"table": "moe_perf", "from": "1.3.0rc2"},
        {"table": "b_perf", "from": "1.3.0rc10"}]}}}
    assert facts["cross_backend"] == [
        {"table": "gdn_perf", "kernel_source": "conv", "tier": "shared", "frameworks": ["sglang", "vllm"]},
        {"table": "mla_perf", "kernel_source": "default", "tier": "shared_fallback", "frameworks": ["trtllm", "vllm"]}]


def test_malformed_release_facts(tmp_path):
    for member, content in [("perf_data_reuse_manifest.yaml", b"groups: [3]"), ("query_versions.yaml", b"a: [b"),
                            ("data/new/moe/trtllm/1.4.0/reuse.yaml", b"reuse: [{table: x}]")]:
        done = run(made_up.write_wheel(tmp_path, made_up.default_tree() | {member: content}), tmp_path)
        assert done.returncode == 2 and member in done.stderr


@pytest.mark.parametrize(("text", "key"), [
    ("1.3.0rc20", (1, 3, 0, 0, 20, 20)), ("0.24.0", (0, 24, 0, 1, 0, 0)), ("2.27", (2, 27, 0, 1, 0, 0)),
    ("0.5.6.post2", (0, 5, 6, 1, 0, 2)), ("1.0RC", (1, 0, 0, 0, 0, 0)), ("0.1.dev19262", (0, 1, 0, 1, 0, 19262)),
    ("main", (0, 0, 0, 0, 0, 0))])
def test_version_order(text, key):
    assert version_key(text) == key


def test_embedded_release():
    recorded = json.loads((ROOT / "tests/data/perfdb_digests.json").read_text())
    for path in sorted((ROOT / "data/perfdb").glob("*/*.h5")):
        want = recorded[path.parent.name][path.stem]
        assert check_file(path) == (want["digest"], want["rows"], want["tables"])
    facts = yaml.safe_load((ROOT / "data/perfdb/0.12.0/release.yaml").read_text())
    assert facts["slots"]["defaults"]["vllm"] == {"current": "0.24.0", "next": "0.27.0"}
    assert set(facts["directories"]) == set(recorded["0.12.0"])
