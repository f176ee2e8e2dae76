"""aicfg-sweep db: import, export, diff and coverage of measured tables, and systems measured as another one."""
import hashlib
import json
import time

import h5py
import numpy
import pytest
from program import ROOT, program, write

EMBEDDED = ROOT / "data" / "perfdb" / "0.12.0" / "h200_sxm.h5"
GEMM = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n"
TABLES = {  # of the embedded release: every kind of cell, tables of a family and of a library
    "gemm": "gemm_perf/trtllm/1.3.0rc20", "comm": "nccl_perf/nccl/2.26.2", "moe": "wideep_moe_perf/trtllm/1.3.0rc10",
    "attention": "generation_attention_perf/sglang/0.5.14"}


def put(folder, path, text):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    return write(folder / path, text)


def gemm(rows):
    return GEMM + "".join(f"T,1.0,H200,gemm,k,fp8,{m},128,{k},{ms}\n" for m, k, ms in rows)


def imported(folder, name, tables, system="h200_sxm"):
    """Imports a tree of path -> text into folder/name/<system>.h5."""
    for path, text in tables.items():
        put(folder / f"{name}-tree", path, text)
    target = folder / name / f"{system}.h5"
    target.parent.mkdir(exist_ok=True)
    program("db", "import", folder / f"{name}-tree", "-o", target)
    return target


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory):
    """Some embedded tables, printed and imported again; the tree and the file."""
    folder = tmp_path_factory.mktemp("round")
    for family, group in TABLES.items():
        table, backend, version = group.split("/")
        put(folder, f"tree/{family}/{backend}/{version}/{table}.txt", program("db", "export", EMBEDDED, group).stdout)
    (folder / "r1").mkdir()
    done = program("db", "import", folder / "tree", "-o", folder / "r1" / "h200_sxm.h5", "--system", "h200_sxm")
    assert "4 tables" in done.stdout and "release r1" in done.stdout
    return folder


def test_what_was_printed_reads_back(round_trip):
    with h5py.File(round_trip / "r1" / "h200_sxm.h5") as file, h5py.File(EMBEDDED) as original:
        for group in TABLES.values():
            assert file[group].attrs["digest"] == original[group].attrs["digest"]
            assert file[group].attrs["family"] == original[group].attrs["family"]
            for column in original[group]:
                assert numpy.array_equal(file[group][column][()], original[group][column][()])
                assert file[group][column].dtype == original[group][column].dtype
    program("db", "verify", "h200_sxm", "--perfdb", round_trip / "r1")


def test_file_is_as_documented(round_trip):
    with h5py.File(round_trip / "r1" / "h200_sxm.h5") as file:
        assert file.attrs["format"] == b"aicfg-perfdb" and file.attrs["format_version"] == 1
        assert file.attrs["system"] == b"h200_sxm" and file.attrs["release"] == b"r1"
        assert file.attrs["tables"] == 4 and file.attrs["origin"].startswith(b"aicfg-sweep db import")
        groups = sorted("/" + group for group in TABLES.values())
        total = hashlib.sha256()
        for group in groups:
            total.update(group.encode() + b"\0" + file[group].attrs["digest"] + b"\0")
            source = file[group].attrs["source"].decode()
            assert source.endswith(f"/{group.split('/')[1]}.txt")
            for column in file[group].values():
                assert column.shuffle and column.compression == "gzip" and column.fletcher32
                assert column.chunks == (min(len(column), 131072),)
        assert file.attrs["digest"] == total.hexdigest().encode()


def test_import_twice_gives_the_same_bytes(round_trip):
    first = (round_trip / "r1" / "h200_sxm.h5").read_bytes()
    assert "--force" in program("db", "import", round_trip / "tree", "-o", round_trip / "r1" / "h200_sxm.h5", code=2).stderr
    program("db", "import", round_trip / "tree", "-o", round_trip / "r1" / "h200_sxm.h5", "--force")
    assert (round_trip / "r1" / "h200_sxm.h5").read_bytes() == first
    assert sorted(p.name for p in (round_trip / "r1").iterdir()) == ["h200_sxm.h5", "release.yaml"]


def test_imported_tables_answer(round_trip):
    point = ["estimate", "--model", "Qwen/Qwen3-32B-FP8", "--system", "h200_sxm", "--tp", "2", "--batch", "4"]
    text = program(*point, "--perfdb", round_trip / "r1", code=1).stdout  # only some tables are there
    assert "context_attention_perf" in text
    listed = program("db", "info", "h200_sxm", "--perfdb", round_trip / "r1").stdout
    assert "gemm_perf" in listed and "100668" in listed


def test_faults_have_lines(tmp_path):
    put(tmp_path, "tree/trtllm/1.0/gemm_perf.txt", gemm([(1, 2, 0.5), (2, 2, "fast")]))
    put(tmp_path, "tree/trtllm/1.0/moe_perf.txt", "moe_dtype,latency\r\nfp8,1.0\r\n")
    put(tmp_path, "tree/trtllm/1.0/mla_bmm_perf.txt", GEMM + "T,1.0\n")
    done = program("db", "import", tmp_path / "tree", "-o", tmp_path / "box.h5", code=2)
    assert 'gemm_perf.txt:3: column latency: expected a finite number, found "fast"' in done.stderr
    assert "moe_perf.txt:1: table moe_perf lacks the column" in done.stderr
    assert "mla_bmm_perf.txt:2: 2 fields, the header names 10" in done.stderr
    assert "3 of 3 tables cannot be read; nothing was written" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["tree"]


def test_oddities_are_warned_of(tmp_path):
    seconds = [(m, 128, f"{m}e-9") for m in range(1, 50)]
    done_tree = {"trtllm/1.0/gemm_perf.txt": gemm([*seconds, (1, 128, 0.5)]),
                 "vllm/1.0/gemm_perf.txt": gemm([(1, 2, -0.5)]).replace("fp8", "float16")}
    for path, text in done_tree.items():
        put(tmp_path / "tree", path, text)
    done = program("db", "import", tmp_path / "tree", "-o", tmp_path / "box.h5", "--release", "mine")
    assert "1 of 50 rows repeat the key of an earlier row" in done.stderr
    assert "the median of column latency is 2.6e-08: is it in milliseconds?" in done.stderr
    assert "column latency is negative in 1 rows" in done.stderr
    assert "box has no spec sheet yet" in done.stderr
    assert "0 tables and 1 cells had the names of old releases and were given today's" in done.stdout
    assert "warning" not in program("db", "import", tmp_path / "tree", "-o", tmp_path / "box.h5", "--force", "-q").stderr


def test_import_is_quick(tmp_path):
    rows = [(m, k, f"0.{m * 1000 + k}") for m in range(1, 317) for k in range(1, 317)]
    put(tmp_path, "tree/trtllm/1.0/gemm_perf.txt", gemm(rows))
    start = time.perf_counter()
    program("db", "import", tmp_path / "tree", "-o", tmp_path / "h200_sxm.h5", "--release", "r1")
    assert len(rows) > 99000 and time.perf_counter() - start < 5  # far above the 0.3 s it takes, for busy machines


def test_diff(tmp_path):
    a = imported(tmp_path, "a", {"trtllm/1.0/gemm_perf.txt": gemm([(1, 2, 1.0), (2, 2, 2.0), (3, 2, 3.0)]),
                                 "vllm/1.0/gemm_perf.txt": gemm([(1, 2, 1.0)])})
    b = imported(tmp_path, "b", {"trtllm/1.0/gemm_perf.txt": gemm([(1, 2, 1.5), (2, 2, 2.0), (4, 2, 3.0)]),
                                 "trtllm/2.0/gemm_perf.txt": gemm([(1, 2, 1.0)])})
    text = program("db", "diff", a, b, code=1).stdout
    assert "changed  gemm_perf/trtllm/1.0: rows 3 -> 3, 1 added, 1 removed, 1 changed (median +50 %, worst +50 %)" in text
    assert "worst: op_name=gemm, kernel_source=k, gemm_dtype=fp8" not in text  # columns stand in byte order
    assert "m=1" in text and "latency 1 -> 1.5" in text
    assert "added    gemm_perf/trtllm/2.0: 1 rows" in text and "removed  gemm_perf/vllm/1.0: 1 rows" in text
    assert "tables: 0 same, 1 added, 1 removed, 1 changed; rows: 2 added, 2 removed, 1 changed" in text
    found = json.loads(program("db", "diff", tmp_path / "a", tmp_path / "b", "--json", code=1).stdout)
    changed = next(t for t in found["tables"] if t["change"] == "changed")
    assert (changed["worst"], changed["median"], changed["rows_a"]) == (0.5, 0.5, 3)
    assert found["added"] == 1 and found["rows_changed"] == 1
    assert json.loads(program("db", "diff", a, a, "--json").stdout)["same"] == 2
    assert "neither side holds system none" in program("db", "diff", a, b, "--system", "none", code=2).stderr
    program("db", "diff", a, tmp_path / "c.h5", code=3)


def test_coverage():
    text = program("db", "coverage", "h200_sxm", "--backend", "trtllm").stdout
    assert text.startswith("h200_sxm trtllm 1.3.0rc20, release 0.12.0\n")
    assert "gemm_perf: 100,668 points in 3 slices (Gemm)" in text and "bfloat16, fp8, fp8_block" in text
    one = program("db", "coverage", "h200_sxm", "--backend", "trtllm", "--table", "gemm_perf").stdout
    assert "    gemm_dtype=fp8: m 1..32768 (74), n 32..65536 (22), k 32..65536 (22)\n" in one
    lines = program("db", "coverage", "h200_sxm", "--backend", "trtllm", "--table", "gemm_perf", "--csv").stdout.splitlines()
    assert lines[0] == "system,backend,version,table,slice,slice_points,axis,low,high,points"
    assert "h200_sxm,trtllm,1.3.0rc20,gemm_perf,gemm_dtype=fp8,35700,m,1,32768,74" in lines and len(lines) == 1 + 9


def test_coverage_follows_sources():
    ask = ["db", "coverage", "h200_sxm", "--backend", "vllm", "--version", "next", "--json"]
    shared = {t["table"]: t for t in json.loads(program(*ask).stdout)}
    own = {t["table"] for t in json.loads(program(*ask, "--own").stdout)}
    assert shared["gemm_perf"]["sources"] == [{"backend": "vllm", "version": "0.24.0", "channel": "fallback"}]
    assert own == {"nccl_perf"}  # version 0.27.0 was measured on other systems only
    assert "no op reads a table gem_perf; did you mean gemm_perf?" in program(*ask, "--table", "gem_perf", code=2).stderr
    assert "trtllm 9.9" in program("db", "coverage", "h200_sxm", "--backend", "trtllm", "--version", "9.9", code=2).stderr
    versions = program("db", "coverage", "h200_sxm", "--backend", "sglang", "--version", "all", "--table", "gemm_perf").stdout
    assert "h200_sxm sglang 0.5.9" in versions and "h200_sxm sglang 0.5.14" in versions


def what_if(folder, more):
    sheet = (ROOT / "data" / "systems" / "h200_sxm.yaml").read_text()
    assert "  mem_bw: " in sheet
    lines = ["  mem_bw: 9.6e12" if line.startswith("  mem_bw:") else line for line in sheet.splitlines()]
    folder.mkdir(exist_ok=True)
    return write(folder / "wish.yaml", "\n".join(lines) + "\n" + more)


def test_what_if_system(tmp_path):
    what_if(tmp_path / "systems", "measured_as: h200_sxm\n")
    spec = write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-8B, systems: [h200_sxm, wish], batch: 2, isl: 64}\n")
    program("run", spec, "--systems", tmp_path / "systems", "-o", tmp_path / "o.h5", "-q")
    with h5py.File(tmp_path / "o.h5") as file:
        lines = file.attrs["databases"].decode().splitlines()
        assert len(lines) == 2 and lines[1] == lines[0].replace("h200_sxm", "wish") + " measured as h200_sxm"
        assert b"wish" in file["axes/system"][()].tolist()
        assert set(file["points/status"][()].tolist()) == {0}
    assert "wish: spec sheet, measured as h200_sxm" in program("db", "info", "--systems", tmp_path / "systems").stdout
    covered = program("db", "coverage", "wish", "--backend", "vllm", "--table", "gemm_perf", "--systems", tmp_path / "systems")
    assert covered.stdout.startswith("wish vllm 0.24.0, release 0.12.0, measured as h200_sxm\n")


def test_what_if_without_tables(tmp_path):
    what_if(tmp_path / "systems", "")
    point = ["estimate", "--model", "Qwen/Qwen3-8B", "--system", "wish", "--systems", tmp_path / "systems"]
    assert "no perfdb folder holds wish.h5" in program(*point, code=1).stdout
    sol = [*point, "--database-mode", "SOL", "--version", "1.0", "--unlisted"]
    assert "ttft_ms" in program(*sol).stdout


def test_verbs_and_their_options():
    assert 'did you mean "coverage"?' in program("db", "coverge", code=2).stderr
    assert "db diff: expected A B" in program("db", "diff", "a", code=2).stderr
    assert "db info: --own does not apply" in program("db", "info", "--own", code=2).stderr
    assert "no data folders" in program("db", "diff", "a", "b", "--perfdb", ".", code=2).stderr
    assert "give the file to write" in program("db", "import", ".", code=2).stderr
    assert "give --json or --csv, not both" in program("db", "coverage", "--json", "--csv", code=2).stderr
    assert "holds no table gemm_perf/trtllm/1.0" in program("db", "export", EMBEDDED, "gemm_perf/trtllm/1.0", code=2).stderr
