"""bench: what it counts, and the script that fills docs/performance.md."""
import json
import subprocess
import sys

from program import PROGRAM, ROOT, program, write


def test_bench(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, batch: [1, 2], isl: [64, 128]}\n")
    figures = json.loads(program("bench", spec, "--repeat", "1", "--json").stdout)
    assert figures["points"] == 4 and figures["with_file"]["points_per_s"] > 0


def queries(spec, *options):
    """Distinct queries by (phase, kind), and the whole object."""
    figures = json.loads(program("bench", spec, "--repeat", "1", "--json", *options).stdout)
    return {(k["phase"], k["kind"]): k for k in figures["sample"]["kinds"]}, figures


def test_bench_counts_distinct_queries(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, batch: [1, 2, 4], isl: [64, 128], osl: [1, 33, 100]}\n")
    by_kind, figures = queries(spec)
    # 3 x 2 prefills; walks of 32 and 99 steps in strides of 32 stand at 4 positions behind each input length, of which 97 to 161 and 129 meet.
    assert by_kind["context", "ContextAttention"]["queries"] == 6
    positions = {isl + 1 + 32 * i for isl in (64, 128) for i in range(4)}
    assert by_kind["generation", "GenerationAttention"]["queries"] == 3 * len(positions)
    assert by_kind["generation", "Embedding"]["queries"] % 3 == 0 and by_kind["context", "Embedding"]["queries"] % 4 == 0
    sample = figures["sample"]
    assert sample["points"] == figures["points"] == 18 and sample["tables"] > 0 and sample["table_rows"] > 0
    assert abs(sum(k["share"] for k in by_kind.values()) - 1) < 1e-3
    assert all(k["mode"] == "SILICON" and k["refused"] == 0 for k in by_kind.values())
    assert figures["store"]["bytes"] < figures["file_bytes"] and figures["store"]["raw_bytes_per_s"] > 0


def test_bench_in_another_mode(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep:\n- {model: Qwen/Qwen3-8B, system: h200_sxm}\n- {model: Qwen/Qwen3-8B, system: h200_sxm, isl: 64}\n")
    by_kind, figures = queries(spec, "--database-mode", "SOL", "--deployments", "1")
    assert figures["deployments"] == 2 and figures["sample"]["deployments"] == 1
    assert {k["mode"] for k in by_kind.values()} == {"SOL"}
    assert "is not one of SILICON" in program("bench", spec, "--database-mode", "SILVER", code=2).stderr


def test_bench_counts_what_is_refused(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep: {model: openai/gpt-oss-120b, system: h200_sxm, layouts: [{tp: 2, moe_tp: 2}]}\n")
    by_kind, _ = queries(spec)
    assert any(k["refused"] for k in by_kind.values())


def test_bench_of_a_point_list(tmp_path):
    points = write(tmp_path / "p.csv", "model,system,backend,batch,isl\nQwen/Qwen3-8B,h200_sxm,vllm,1,64\nQwen/Qwen3-8B,h200_sxm,vllm,1,128\n")
    figures = json.loads(program("bench", "--points", points, "--repeat", "1", "--json").stdout)
    assert figures["points"] == figures["sample"]["points"] == 2 and figures["deployments"] == 1
    assert "without a spec" in program("bench", "--points", points, "--set", "name=x", code=2).stderr


def test_every_table_of_the_performance_page_can_be_measured(tmp_path):
    page = write(tmp_path / "page.md", "before\n<!-- figures: scripts/bench_report -->\n<!-- end of figures -->\nafter\n")
    subprocess.run([sys.executable, ROOT / "scripts" / "bench_report", "--quick", "--program", PROGRAM, "--scratch", tmp_path, "--into", page],
                   check=True, capture_output=True)
    text = page.read_text()
    for title in ("One and two threads", "Cost as a sweep grows", "Reading ", "One point: `estimate`", "Stages", "The store step against HDF5 alone",
                  "Where the nanoseconds go", "The four dearest op kinds of each"):
        assert f"### {title}" in text
    assert text.startswith("before\n") and text.endswith("after\n")
