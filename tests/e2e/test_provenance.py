"""Whose rows and which calibrations a figure rests on: in the file, in exports, in show and report."""
import csv
import io
import json

import h5py
import numpy
import pytest

from program import ROOT, program, write

# h200's trtllm has no measurements of the gated delta rule: the rows of kernels it shares with sglang stand in.
# The next versions are measured in small part only: older ones of the same framework fill them.
SPEC = """\
name: provenance
defaults: {systems: h200_sxm, tp: 8, batch: [8, 64], isl: 1000, osl: [1, 100]}
sweep:
- {models: Qwen/Qwen3-8B, backends: [trtllm, sglang]}
- {models: Qwen/Qwen3.5-27B, backends: [trtllm, sglang]}
- {models: Qwen/Qwen3.5-27B, backends: trtllm, versions: next}
- {models: Qwen/Qwen3-8B, backends: trtllm, database_modes: [HYBRID, EMPIRICAL, SOL]}
- {models: Qwen/Qwen3-32B, backends: trtllm, database_modes: HYBRID, quants: [{gemm: sq}, {gemm: int8_wo}]}
- {models: Qwen/Qwen3-32B, backends: trtllm, versions: next, database_modes: HYBRID, quants: {gemm: sq}}
"""
TIERS = ["none", "empirical", "xshape", "xquant", "xprofile", "xop"]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("provenance")
    program("run", write(folder / "s.yaml", SPEC), "-o", folder / "o.h5", "-q")
    return folder / "o.h5"


@pytest.fixture(scope="module")
def lines(result):
    return [json.loads(line) for line in program("export", result, "--format", "jsonl", "--breakdown").stdout.splitlines()]


def of(lines, model, backend="trtllm", mode="SILICON", version=None, osl=100):
    return next(p for p in lines if (p["model"], p["backend"], p["database_mode"], p["osl"]) == (model, backend, mode, osl)
                and version in (None, p["version"]))


def test_own_rows(lines):
    for backend in ("trtllm", "sglang"):
        point = of(lines, "Qwen/Qwen3-8B", backend)
        assert (point["tier"], point["carried"]) == ("none", "own")
        assert all(row[4:] == ["none", "own"] for row in point["context"] + point["generation"])


def test_rows_of_another_backend(lines):
    point = of(lines, "Qwen/Qwen3.5-27B")
    assert point["carried"] == "other_backend"
    foreign = {row[0] for row in point["context"] + point["generation"] if row[5] != "own"}
    assert foreign == {"context_gdn_conv1d", "context_gdn_scan", "generation_gdn_conv1d"}
    assert of(lines, "Qwen/Qwen3.5-27B", "sglang")["carried"] == "own"


def test_rows_of_another_version_and_backend(lines):
    point = of(lines, "Qwen/Qwen3.5-27B", version="1.3.0rc23")
    assert point["carried"] == "both"
    rows = {row[0]: row[5] for row in point["context"] + point["generation"]}
    assert rows["context_gdn_scan"] == "other_backend"
    assert rows["context_qkv_gemm"] == rows["generation_attention"] == "other_version"
    assert rows["context_embedding"] == "own"  # a formula has no rows


def test_tiers(lines):
    assert of(lines, "Qwen/Qwen3-8B", mode="HYBRID")["tier"] == "none"  # all of it is measured
    point = of(lines, "Qwen/Qwen3-8B", mode="EMPIRICAL")
    assert point["tier"] == "empirical"
    assert {row[4] for row in point["context"] if row[3] == "empirical"} == {"none", "empirical"}
    assert of(lines, "Qwen/Qwen3-8B", mode="SOL")["tier"] == "none"
    transferred = {(p["gemm_quant"], p["version"]): p["tier"] for p in lines if p["model"] == "Qwen/Qwen3-32B"}
    # h200 has measured GEMMs of neither mode
    assert transferred == {("sq", "1.3.0rc20"): "xquant", ("int8_wo", "1.3.0rc20"): "xprofile", ("sq", "1.3.0rc23"): "xquant"}


def test_estimates_calibrated_from_another_version(lines):
    rows = {row[0]: row for row in of(lines, "Qwen/Qwen3-32B", mode="HYBRID", version="1.3.0rc23")["context"]}
    assert rows["context_qkv_gemm"][3:] == ["empirical", "xquant", "other_version"]


def test_a_point_has_what_its_rows_have(result, lines):
    with h5py.File(result) as f:
        names = h5py.check_enum_dtype(f["points/carried"].dtype)
        assert names == {"own": 0, "other_version": 1, "other_backend": 2, "both": 3}
        assert h5py.check_enum_dtype(f["breakdown/tier"].dtype) == {name: i for i, name in enumerate(TIERS)}
        first, rows = f["points/breakdown_first"][:], f["points/breakdown_rows"][:]
        for i in range(len(first)):
            part = slice(int(first[i]), int(first[i]) + int(rows[i]))
            assert f["points/carried"][i] == numpy.bitwise_or.reduce(f["breakdown/carried"][part])
            assert f["points/tier"][i] == f["breakdown/tier"][part].max()


def test_nothing_foreign_takes_no_space(tmp_path, result):
    spec = write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, batch: [1, 8], isl: 1000, osl: 100}\n")
    program("run", spec, "-o", tmp_path / "own.h5", "-q")
    with h5py.File(tmp_path / "own.h5") as own, h5py.File(result) as some:
        for name in ("breakdown/carried", "breakdown/tier"):
            assert own[name].id.get_storage_size() == 0 and own[name].shape[0] > 0
            assert some[name].id.get_storage_size() > 0


def test_csv_filters_and_ranking(result, lines):
    rows = list(csv.DictReader(io.StringIO(program("export", result, "--format", "csv", "--breakdown", "--columns", "point").stdout)))
    listed = [row for p in lines for row in p["context"] + p["generation"]]
    assert [(r["op"], r["tier"], r["carried"]) for r in rows] == [(r[0], r[4], r[5]) for r in listed]
    where = program("rank", result, "--where", "carried == 'both'", "--columns", "point,carried", "--format", "jsonl", "--top", 0).stdout
    found = {json.loads(line)["point"] for line in where.splitlines()}
    assert found == {p["point"] for p in lines if p["carried"] == "both" and p["status"] == "ok"}
    best = program("rank", result, "--group", "carried", "--columns", "carried", "--top", 1, "--format", "csv").stdout.split()
    assert sorted(best[1:]) == sorted({p["carried"] for p in lines if p["status"] == "ok"})


def test_report_counts_them(result, lines):
    text = program("report", result).stdout
    priced = [p for p in lines if p["status"] in ("ok", "oom")]
    for column in ("carried", "tier"):
        for value in {p[column] for p in priced}:
            n = sum(p[column] == value for p in priced)
            assert f"{n:>12}  {column} {value}\n" in text


def test_show_names_sources_and_splits_speed_of_light(result, lines):
    point = of(lines, "Qwen/Qwen3.5-27B", version="1.3.0rc23")["point"]
    text = program("show", result, point).stdout
    scan = next(line for line in text.splitlines() if "context_gdn_scan" in line)
    gemm = next(line for line in text.splitlines() if "context_qkv_gemm" in line)
    assert scan.endswith("other_backend: h200_sxm/sglang/0.5.14")
    assert gemm.endswith("other_version: h200_sxm/trtllm/1.3.0rc20")
    assert "SOL math" in text and "SOL memory" in text
    shown = json.loads(program("show", result, point, "--json").stdout)
    ops = {op["op"]: op for op in shown["ops"]}
    assert shown["carried"] == "both" and shown["refusals"] == []
    assert ops["context_gdn_scan"]["from"] == [{"system": "h200_sxm", "backend": "sglang", "version": "0.5.14"}]
    assert ops["context_embedding"]["from"] == []
    for name in ("context_qkv_gemm", "generation_qkv_gemm", "context_embedding", "context_gdn_ffn_norm"):
        op = ops[name]
        assert op["sol_ms"] == pytest.approx(max(op["sol_math_ms"], op["sol_mem_ms"]), rel=1e-12)
    assert ops["context_p2p"]["sol_math_ms"] is None
    assert "SOL math" in program("show", result, point, "--per-layer").stdout


def test_show_without_tables_still_says_the_kind(result, lines, tmp_path):
    point = of(lines, "Qwen/Qwen3.5-27B")["point"]
    (tmp_path / "data").mkdir()
    for part in ("systems", "models", "backends"):
        (tmp_path / "data" / part).symlink_to(ROOT / "data" / part)
    text = program("show", result, point, env={"AICFG_DATA": str(tmp_path / "data")}).stdout
    scan = next(line for line in text.splitlines() if "context_gdn_scan" in line)
    assert scan.endswith("other_backend") and "not at hand" in text


@pytest.mark.parametrize("system", ["a100_pcie", "a30", "h100_pcie", "l4"])
def test_a_spec_sheet_alone(system):
    """Speed of light needs no tables; the other modes say what would."""
    point = ["--model", "Qwen/Qwen3-8B", "--system", system, "--batch", "1", "--isl", "1000", "--osl", "100", "--json"]
    for backend in ("trtllm", "sglang", "vllm"):
        sol = json.loads(program("estimate", *point, "--backend", backend, "--database-mode", "SOL").stdout)
        assert sol["status"] == "ok" and sol["version"] == "estimate" and sol["ttft_ms"] > 0
        assert (sol["tier"], sol["carried"]) == ("none", "own")
    for mode in ("SILICON", "HYBRID", "EMPIRICAL"):
        refused = json.loads(program("estimate", *point, "--database-mode", mode, code=1).stdout)
        assert refused["status"] == "invalid"
        assert f"{system} has no measured tables" in refused["reason"] and "only database mode SOL" in refused["reason"]
