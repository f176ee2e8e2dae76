"""export, rank, show and report on a real result file."""
import csv
import io
import json

import pytest
from program import SPEC, SPEC_POINTS, program, write


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    out = folder / "o.h5"
    program("run", write(folder / "s.yaml", SPEC + "rank: {by: tpot_ms, top: 2}\n"), "-o", out, "-q")
    return out


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_point_in_order(result):
    table = rows(program("export", result, "--format", "csv").stdout)
    assert [int(r["point"]) for r in table] == list(range(SPEC_POINTS))
    assert {r["status"] for r in table} == {"ok", "oom", "invalid"}
    assert all(r["reason"] for r in table if r["status"] != "ok")
    assert all(float(r["ttft_ms"]) > 0 for r in table if r["status"] == "ok")


def test_jsonl_equals_csv(result):
    table = rows(program("export", result, "--format", "csv").stdout)
    lines = [json.loads(line) for line in program("export", result, "--format", "jsonl", "--breakdown").stdout.splitlines()]
    for row, line in zip(table, lines, strict=True):
        for name in ("ttft_ms", "tokens_per_s", "memory_gib"):
            assert (float(row[name]) if row[name] else None) == line[name]
        if line["status"] in ("ok", "oom"):
            total = 0.0
            for _, ms, *_ in line["context"]:
                total += ms
            assert total == line["context_latency_ms"]


def test_filters_and_columns(result):
    table = rows(program("export", result, "--columns", "model,tp,batch", "--where", "tp == 4 and batch == 200").stdout)
    assert table and set(table[0]) == {"model", "tp", "batch"}
    assert {(r["tp"], r["batch"]) for r in table} == {("4", "200")}
    assert len(rows(program("export", result, "--first", "3", "--count", "4").stdout)) == 4


def test_rank_uses_the_spec_and_its_options(result):
    default = rows(program("rank", result, "--format", "csv").stdout)
    assert len(default) == 2
    everything = rows(program("export", result, "--where", "status == 'ok'").stdout)
    best = min(float(r["tpot_ms"]) for r in everything)
    assert float(default[0]["tpot_ms"]) == best
    worst = rows(program("rank", result, "--format", "csv", "--by", "tpot_ms", "--descending", "--top", "1").stdout)
    assert float(worst[0]["tpot_ms"]) == max(float(r["tpot_ms"]) for r in everything)
    grouped = rows(program("rank", result, "--format", "csv", "--group", "model", "--top", "1").stdout)
    assert len(grouped) == 3


def test_pareto_points_are_not_dominated(result):
    front = rows(program("rank", result, "--format", "csv", "--pareto", "tokens_per_s_per_gpu,tpot_ms", "--top", "0").stdout)
    pairs = [(float(r["tokens_per_s_per_gpu"]), float(r["tpot_ms"])) for r in front]
    everything = rows(program("export", result, "--where", "status == 'ok'").stdout)
    for x, y in pairs:
        assert not any((float(r["tokens_per_s_per_gpu"]) >= x and float(r["tpot_ms"]) < y) or
                       (float(r["tokens_per_s_per_gpu"]) > x and float(r["tpot_ms"]) <= y) for r in everything)


def test_show_explains_a_point(result):
    text = program("show", result, 0).stdout
    assert "context_qkv_gemm" in text and "SOL %" in text and "silicon" in text
    refused = rows(program("export", result, "--where", "status == 'invalid'").stdout)[0]
    text = program("show", result, refused["point"]).stdout
    assert "invalid" in text and refused["reason"] in text
    assert "numbered from 0" in program("show", result, SPEC_POINTS, code=2).stderr
    assert "expected the number of a point" in program("show", result, "x", code=2).stderr


def test_report_counts(result):
    text = program("report", result).stdout
    assert f"{SPEC_POINTS} points" in text and "invalid" in text


def test_unknown_columns_are_named(result):
    assert "unknown column" in program("rank", result, "--by", "speed", code=2).stderr
    assert "did you mean" in program("export", result, "--columns", "ttft_m", code=2).stderr
    assert "unknown name" in program("export", result, "--where", "tttt > 1", code=2).stderr
    assert "csv" in program("export", result, "--format", "xml", code=2).stderr
