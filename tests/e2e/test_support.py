"""What can be swept: situations and their exit codes, gaps with table, key and shapes, the matrix; two models side by side."""
import csv
import io
import json

import pytest
import yaml
from program import ROOT, program, write

H200 = ["--system", "h200_sxm"]
EXPERTS = {"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 3584, "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 4,
           "head_dim": 128, "intermediate_size": 8192, "moe_intermediate_size": 896, "num_experts": 96, "num_experts_per_tok": 5, "vocab_size": 151936,
           "max_position_embeddings": 40960}


def records(*args, code=0):
    return [json.loads(line) for line in program("support", *args, "--format", "jsonl", code=code).stdout.splitlines()]


@pytest.fixture
def experts(tmp_path):
    write(tmp_path / "config.json", json.dumps(EXPERTS))
    return tmp_path


@pytest.fixture(scope="module")
def matrix():
    return list(csv.DictReader(io.StringIO(program("support", "--matrix", *H200, "--format", "csv").stdout)))


# ---- one model

def test_covered(tmp_path):
    cells = records("Qwen/Qwen3-32B", *H200)
    assert [(c["backend"], c["situation"], len(c["layouts"])) for c in cells] == [(b, "S1", 4) for b in ("sglang", "trtllm", "vllm")]
    for c in cells:
        assert c["reason"] is None and c["gaps"] == []
        assert abs(sum(c[k] for k in ("measured", "interpolated", "extrapolated", "formula")) - 1) < 1e-3
    text = program("support", "Qwen/Qwen3-32B", *H200, "--backend", "trtllm").stdout
    assert "family          LLAMA" in text and "4 of 4" in text and "context_attention" in text
    shapes = tmp_path / "none.yaml"
    program("support", "Qwen/Qwen3-32B", *H200, "--shapes", shapes)
    assert yaml.safe_load(shapes.read_text())["gaps"] == []


def test_what_is_swept_is_what_was_promised(tmp_path):
    """Every layout that support calls covered gives points, every other none."""
    for name in ("Qwen/Qwen3-30B-A3B", "openai/gpt-oss-120b", "nvidia/Qwen3-235B-A22B-NVFP4", "meta-llama/Meta-Llama-3.1-405B"):
        for cell in records(name, *H200, code=records_code(name)):
            for layout in cell["layouts"]:
                sizes = [part for size in layout["layout"].split(", ") for part in ("--" + size.split()[0].replace("_", "-"), size.split()[1])]
                if name != "meta-llama/Meta-Llama-3.1-405B" and not any(s.startswith("--moe") for s in sizes):
                    sizes += ["--moe-ep", "1"]
                done = program("estimate", "--model", name, *H200, "--backend", cell["backend"], *sizes, "--batch", "1", "--isl", "1024", "--osl", "2",
                               "--json", code=0 if layout["situation"] == "S1" else 1)
                status = json.loads(done.stdout)["status"]
                assert (layout["situation"], status) in {("S1", "ok"), ("S2", "missing"), ("refused", "oom"), ("refused", "missing"), ("refused", "invalid")}


def records_code(name):
    return 10 if "NVFP4" in name else 0


def test_missing_measurements(experts):
    cell, = records(experts, *H200, "--backend", "trtllm", code=10)
    assert cell["situation"] == "S2" and len(cell["layouts"]) == 5 and all(layout["situation"] == "S2" for layout in cell["layouts"])
    gap, = cell["gaps"]
    assert (gap["kind"], gap["table"], gap["ops"]) == ("Moe", "moe_perf", ["context_moe", "generation_moe"])
    assert "has no rows with topk 5 at" in gap["reason"] and "measured:" in gap["reason"] and not gap["alternative"]
    text = program("support", experts, *H200, "--backend", "trtllm", code=10).stdout
    assert "prefill     25 shapes, tokens 128 to 32768" in text and "0 of 5" in text


def test_shapes_files(experts, tmp_path):
    ask = ["support", experts, *H200, "--backend", "trtllm", "--tp", "4", "--moe-ep", "4"]
    program(*ask, "--shapes", tmp_path / "s.csv", code=10)
    program(*ask, "--shapes", tmp_path / "s.yml", code=10)
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    gap, = yaml.safe_load((tmp_path / "s.yml").read_text())["gaps"]
    assert len(rows) == len(gap["shapes"]) == 9
    assert {r["phase"] for r in rows} == {"context", "generation"} and {r["layouts"] for r in rows} == {"tp 4, moe_ep 4"}
    for row, shape in zip(rows, gap["shapes"]):
        op = json.loads(row["op"])["Moe"]
        assert (op["num_experts"], op["moe_ep_size"], row["table"], row["batch"]) == (96, 4, "moe_perf", "")
        assert int(row["tokens"]) == shape["tokens"] and shape["op"]["Moe"] == op


def test_estimates_may_stand_in(experts):
    cell, = records(experts, *H200, "--backend", "trtllm", "--database-mode", "HYBRID")
    assert cell["situation"] == "S1" and cell["formula"] > 0.01


def test_refused_by_hardware_and_memory(tmp_path):
    sheet = (ROOT / "data" / "systems" / "h200_sxm.yaml").read_text()
    write(tmp_path / "h200_sxm.yaml", "".join(line for line in sheet.splitlines(True) if "fp8_tc_flops" not in line))
    cell, = records("Qwen/Qwen3-32B-FP8", *H200, "--backend", "trtllm", "--systems", tmp_path, code=1)
    assert cell["situation"] == "refused" and "the spec sheet of h200_sxm lacks" in cell["reason"] and cell["gaps"] == []
    cell, = records("moonshotai/Kimi-K3", *H200, "--backend", "vllm", code=1)
    assert "do not fit" in cell["reason"]


def test_layouts_that_cannot_run():
    ask = ["Qwen/Qwen3-30B-A3B", *H200, "--backend", "trtllm"]
    cell, = records(*ask, "--tp", "2", "--moe-ep", "4", code=1)
    assert cell["layouts"][0]["situation"] == "refused" and "moe_tp" in cell["reason"]
    cell, = records(*ask, "--tp", "64", "--moe-ep", "64", code=10)  # across nodes: kernels that nobody measured
    assert cell["gaps"][0]["kind"] == "" and "all-to-all" in cell["reason"]


def test_unknown_architecture(tmp_path):
    write(tmp_path / "config.json", json.dumps({**EXPERTS, "architectures": ["NewMoeForCausalLM"], "rope_theta": 1, "new_rank": 4, "text": {"new_size": 1}}))
    text = program("support", tmp_path, code=11).stdout
    assert "none runs this architecture" in text and "nearest family  MOE: 100 %" in text
    assert "new_rank, text.new_size " in text and "rope_theta" not in text
    assert {c["situation"] for c in records(tmp_path, *H200, code=11)} == {"S3"}


def test_nested_text_config(tmp_path):
    write(tmp_path / "config.json", json.dumps({"architectures": ["NewForConditionalGeneration"], "text_config": {**EXPERTS, "new_rank": 4},
                                                "vision_config": {"any": 1}}))
    text = program("support", tmp_path, code=11).stdout
    assert "unexplained     new_rank " in text and "MOE" in text.split("nearest family")[1]


def test_bad_questions(tmp_path):
    ask = ["support", "Qwen/Qwen3-8B"]
    assert "expected a model, or --matrix" in program("support", code=2).stderr
    assert "did you mean" in program("support", "Qwen/Qwen3-8", code=2).stderr
    assert "has no meaning here" in program(*ask, "--batch", "4", code=2).stderr
    assert "did you mean" in program(*ask, "--backend", "trtlm", code=2).stderr
    assert "did you mean" in program(*ask, "--system", "h200_sx", code=2).stderr
    assert "expected text, csv or jsonl" in program(*ask, *H200, "--format", "xml", code=2).stderr
    assert "must end in .csv or .yaml" in program(*ask, *H200, "--shapes", tmp_path / "x.txt", code=2).stderr
    assert "cannot write" in program(*ask, *H200, "--shapes", tmp_path / "no" / "x.csv", code=3).stderr
    assert "has no config.json" in program("support", tmp_path, code=2).stderr


def test_a_version_without_data():
    cell, = records("Qwen/Qwen3-8B", *H200, "--backend", "vllm", "--version", "9.9.9", code=1)
    assert cell["situation"] == "absent" and "9.9.9" in cell["reason"]


# ---- the matrix

def test_matrix_covers_catalogue_backends_and_versions(matrix):
    catalogue = json.loads((ROOT / "data" / "models" / "catalogue.json").read_text())["models"]
    columns = [(r["backend"], r["version"]) for r in matrix if r["model"] == matrix[0]["model"]]
    assert len(set(columns)) == len(columns) == 6
    assert [r["model"] for r in matrix] == [m for m in sorted(catalogue) for _ in columns]
    assert {r["situation"] for r in matrix} <= {"S1", "S2", "refused"}
    assert sum(r["situation"] == "S1" for r in matrix) > len(matrix) / 3
    for r in matrix:
        assert bool(r["reason"]) == (r["situation"] != "S1")
        assert int(r["layouts_covered"]) <= int(r["layouts_admitted"]) <= int(r["layouts_tried"])


def test_matrix_agrees_with_single_questions(matrix):
    for r in matrix[::97]:
        cell, = records(r["model"], *H200, "--backend", r["backend"], "--version", r["version"],
                        code={"S1": 0, "S2": 10, "refused": 1}[r["situation"]])
        assert cell["situation"] == r["situation"] and (cell["reason"] or "") == r["reason"]


def test_matrix_does_not_depend_on_threads():
    ask = ["support", "Qwen/Qwen3-30B-A3B", "--matrix", *H200, "--format", "jsonl"]
    assert program(*ask, "-j", "1").stdout == program(*ask, "-j", "3").stdout


def test_matrix_as_text():
    text = program("support", "Qwen/Qwen3-8B", "--matrix", *H200).stdout
    assert "Qwen/Qwen3-8B" + " " * 39 + "111111" in text and "h200_sxm             sglang" in text


# ---- two models side by side, one model layer by layer

def test_diff(tmp_path):
    text = program("model", "diff", "Qwen/Qwen3-32B", "Qwen/Qwen3-30B-A3B", *H200, "--osl", "32", "--b", "tp=2,moe_ep=2").stdout
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in text.splitlines() if line.startswith(("context", "generation"))}
    assert rows["context", "context_moe"][1] == "-" and rows["context", "context_ffn2_gemm"][2] == "-"
    assert rows["generation", "generation_attention"][-2:] == ["1.000", "1.000"]
    assert "tp 1" in text.splitlines()[0] and "tp 2" in text.splitlines()[1]


def test_diff_of_equals():
    text = program("model", "diff", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B", *H200).stdout
    totals = [line.split() for line in text.splitlines() if " total " in line]
    assert len(totals) == 2 and all(t[2] == t[3] and t[4] == "1.000" for t in totals)


def test_diff_refusals():
    done = program("model", "diff", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B", *H200, "--b", "gemm-quant=nvfp4", code=1)
    assert "nvfp4" in done.stdout
    assert "--system is missing" in program("model", "diff", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B", code=2).stderr
    assert "expected two models" in program("model", "diff", "Qwen/Qwen3-8B", code=2).stderr
    assert "no such option" in program("model", "diff", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B", *H200, "--b", "tq=2", code=2).stderr
    assert "expected NAME=VALUE" in program("model", "diff", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B", *H200, "--b", "tp", code=2).stderr


def test_show_per_layer(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep: {models: Qwen/Qwen3-8B, systems: h200_sxm, batch: 4, isl: 512, osl: 9}\n")
    program("run", spec, "-o", tmp_path / "s.h5", "-q")

    def rows(*more):
        lines = program("show", tmp_path / "s.h5", "0", *more).stdout.splitlines()
        return {line.split()[1]: line.split() for line in lines if line.startswith(("context ", "generation "))}

    totals, layers = rows(), rows("--per-layer")
    assert totals.keys() == layers.keys()
    for name, steps in (("context_qkv_gemm", 1), ("generation_qkv_gemm", 8)):
        total = float(totals[name][4])
        assert layers[name][3] == "1.0000" and abs(float(layers[name][4]) - 1000 * total / 36 / steps) < 1e-3 * total


# ---- the gate

def test_gate_names_every_model_and_measured_system():
    gate = yaml.safe_load((ROOT / "sweeps" / "gate.yaml").read_text())
    catalogue = json.loads((ROOT / "data" / "models" / "catalogue.json").read_text())["models"]
    release = yaml.safe_load((ROOT / "data" / "perfdb" / "0.12.0" / "release.yaml").read_text())
    assert gate["defaults"]["models"] == sorted(catalogue)
    assert gate["defaults"]["systems"] == sorted(release["directories"])


def test_gate_runs_on_one_system(tmp_path):
    """Two models of each kind of layout; every point is priced or explained."""
    models = "[Qwen/Qwen3-8B, openai/gpt-oss-20b, nvidia/Gemma-4-31B-IT-NVFP4]"
    out = tmp_path / "gate.h5"
    program("run", ROOT / "sweeps" / "gate.yaml", "-o", out, "-q", "--set", "defaults.systems=h200_sxm", "--set", f"defaults.models={models}")
    rows = list(csv.DictReader(io.StringIO(program("export", out, "--columns", "model,gemm_quant,status,reason").stdout)))
    assert len(rows) == 3 * 3 * 3 * 2 * 9
    assert all(r["reason"] or r["status"] == "ok" for r in rows) and {r["status"] for r in rows} >= {"ok", "missing"}
