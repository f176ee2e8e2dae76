"""A test per kind of mistake: exit code, message, and nothing written half."""
import json
import shutil

import h5py
import pytest
from program import ROOT, nothing_left, program, write

GOOD = "sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, batch: [1, 2]}\n"
SPECS = {
    "empty": ("", "1:1: a spec: expected a mapping"),
    "no yaml": ("sweep: [1\n", "2:1: "),
    "unknown key": ("sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, bacth: 1}\n", '1:49: a sweep block: unknown key "bacth"'),
    "duplicate key": ("name: a\nname: b\n" + GOOD, '2:1: the key "name"'),
    "wrong type": (GOOD.replace("[1, 2]", "{a: 1}"), 'unknown key "a"'),
    "text for number": (GOOD.replace("[1, 2]", "many"), '1:56: batch: expected an integer from 1 to 4294967295, found the text "many"'),
    "zero": (GOOD.replace("[1, 2]", "0"), "1:56: batch: expected an integer from 1 to 4294967295, found 0"),
    "negative": (GOOD.replace("[1, 2]", "-1"), "found -1"),
    "fraction": (GOOD.replace("[1, 2]", "1.5"), "found 1.5"),
    "NaN": (GOOD.replace("[1, 2]", ".nan"), "batch"),
    "octal": (GOOD.replace("[1, 2]", "010"), "without leading zeros"),
    "boolean": (GOOD.replace("[1, 2]", "yes"), "batch: expected an integer"),
    "empty list": (GOOD.replace("[1, 2]", "[]"), "expected at least one value"),
    "listed twice": (GOOD.replace("[1, 2]", "[1, 1]"), "1 is listed twice"),
    "unknown model": (GOOD.replace("Qwen3-8B", "Qwen3-8"), "Qwen/Qwen3-8B"),
    "unknown system": (GOOD.replace("h200_sxm", "h200"), "h200_sxm"),
    "unknown backend": (GOOD.replace("batch", "backend: trtlm, batch"), 'did you mean "trtllm"?'),
    "unknown version": (GOOD.replace("batch", "version: 0.0.1, batch"), "0.0.1"),
    "unknown mode": (GOOD.replace("batch", "mode: disagg, batch"), "static_ctx"),
    "unknown quant": (GOOD.replace("batch", "quants: {gemm: fp7}, batch"), "is no GEMM mode"),
    "bad filter": (GOOD.replace("batch", "where: 'isl >', batch"), "1:"),
    "filter with unknown name": (GOOD.replace("batch", "where: 'ttft_ms > 1', batch"), "unknown name"),
    "filter of text and number": (GOOD.replace("batch", "where: 'model > 1', batch"), "1:"),
    "no points": (GOOD.replace("batch", "where: 'isl < 0', batch"), "its filters leave none"),
    "unknown ranking column": (GOOD + "rank: {by: speed}\n", "2:12: "),
    "alias bomb": ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)), "alias"),
    "two documents": (GOOD + "---\n" + GOOD, "document"),
    "not UTF-8": (GOOD.encode() + b"\xff\xfe", ""),
    "points and sweep": (GOOD + "points: x.csv\n", "not both"),
}


@pytest.mark.parametrize("kind", SPECS)
def test_specs(tmp_path, kind):
    text, expected = SPECS[kind]
    spec = tmp_path / "s.yaml"
    spec.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = program("run", spec, "-o", tmp_path / "o.h5", code=2)
    assert "s.yaml" in done.stderr and expected in done.stderr, done.stderr
    nothing_left(tmp_path, "s.yaml")


POINTS = {
    "empty": ("", "the point list is empty"),
    "no rows": ("model,system,backend\n", "no rows"),
    "unknown column": ("model,system,backend,bach\na,b,c,1\n", 'p.csv:1: unknown column "bach"; did you mean "batch"?'),
    "column twice": ("model,system,backend,tp,tp\na,b,c,1,1\n", "p.csv:1: "),
    "required column missing": ("model,system\na,b\n", '"backend" is missing'),
    "too few fields": ("model,system,backend\na,b,c\na,b\n", "p.csv:3: 2 fields"),
    "too many fields": ("model,system,backend\na,b,c,d\n", "p.csv:2: 4 fields"),
    "not a number": ("model,system,backend,tp\na,b,c,one\n", 'p.csv:2: tp: expected a number, found "one"'),
    "NaN": ("model,system,backend,nextn_accepted\na,b,c,nan\n", "p.csv:2: nextn_accepted: expected a number"),
    "open quote": ('model,system,backend\n"a,b,c\n', "p.csv"),
}


@pytest.mark.parametrize("kind", POINTS)
def test_point_lists(tmp_path, kind):
    text, expected = POINTS[kind]
    points = write(tmp_path / "p.csv", text)
    done = program("run", "--points", points, "-o", tmp_path / "o.h5", code=2)
    assert expected.replace("'", '"') in done.stderr.replace("'", '"'), done.stderr
    nothing_left(tmp_path, "p.csv")


def test_impossible_rows_are_invalid_points(tmp_path):
    rows = ["agg,Qwen/Qwen3-8B,h200_sxm,trtllm,,1,1,64,8", ",Qwen/Qwen3-8,h200_sxm,trtllm,,1,1,64,8", ",Qwen/Qwen3-8B,h900,trtllm,,1,1,64,8",
            ",Qwen/Qwen3-8B,h200_sxm,tgi,,1,1,64,8", ",Qwen/Qwen3-8B,h200_sxm,trtllm,0.0,1,1,64,8",
            ",Qwen/Qwen3-8B,h200_sxm,trtllm,,0,1,64,8", ",Qwen/Qwen3-8B,h200_sxm,trtllm,,1,0,64,8",
            ",Qwen/Qwen3-8B,h200_sxm,trtllm,,1,1,64,-8", ",Qwen/Qwen3-8B,h200_sxm,trtllm,,1,1,64,8"]
    points = write(tmp_path / "p.csv", "\n".join(["mode,model,system,backend,version,tp,batch,isl,osl", *rows, ""]))
    program("run", "--points", points, "-o", tmp_path / "o.h5", "-q")
    lines = [json.loads(x) for x in program("export", tmp_path / "o.h5", "--format", "jsonl").stdout.splitlines()]
    assert [x["status"] for x in lines] == ["invalid"] * (len(rows) - 1) + ["ok"]
    for line, word in zip(lines, ["agg", "Qwen/Qwen3-8", "h900", "tgi", "0.0", "tp", "batch", "osl"]):
        assert word in line["reason"], line["reason"]


# ---- model folders ---------------------------------------------------------------------------------------------------------

CONFIG = {"architectures": ["Qwen3ForCausalLM"], "head_dim": 128, "hidden_size": 1024, "intermediate_size": 3072,
          "max_position_embeddings": 40960, "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
          "torch_dtype": "bfloat16", "vocab_size": 151936}
MODELS = {
    "no config": None,
    "truncated": json.dumps(CONFIG)[:100],
    "no mapping": "[]",
    "no architecture": json.dumps({k: v for k, v in CONFIG.items() if k != "architectures"}),
    "unknown architecture": json.dumps({**CONFIG, "architectures": ["NoSuchModel"]}),
    "a fact missing": json.dumps({k: v for k, v in CONFIG.items() if k != "num_hidden_layers"}),
    "text for a number": json.dumps({**CONFIG, "hidden_size": "wide"}),
    "negative": json.dumps({**CONFIG, "num_hidden_layers": -28}),
    "NaN": json.dumps({**CONFIG, "hidden_size": float("nan")}),
    "zero heads": json.dumps({**CONFIG, "num_attention_heads": 0}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_model_folders(tmp_path, kind):
    folder = tmp_path / "model"
    folder.mkdir()
    if MODELS[kind] is not None:
        write(folder / "config.json", MODELS[kind])
    spec = write(tmp_path / "s.yaml", f"sweep: {{model: {folder}, system: h200_sxm}}\n")
    done = program("run", spec, "-o", tmp_path / "o.h5", code=2)
    assert "model" in done.stderr
    nothing_left(tmp_path, "s.yaml", "model")


def test_a_good_model_folder_runs(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder / "config.json", json.dumps(CONFIG))
    spec = write(tmp_path / "s.yaml", f"sweep: {{model: {folder}, system: h200_sxm, batch: 4}}\n")
    program("run", spec, "-o", tmp_path / "o.h5", "-q")
    assert json.loads(program("export", tmp_path / "o.h5", "--format", "jsonl").stdout)["status"] == "ok"


# ---- measured tables -------------------------------------------------------------------------------------------------------

def database(tmp_path):
    """A copy of the embedded release that a test may damage."""
    source = next((ROOT / "data" / "perfdb").iterdir())
    target = tmp_path / "db" / source.name
    target.mkdir(parents=True)
    for path in source.iterdir():
        shutil.copy(path, target)
    return tmp_path / "db", target


def run_on(tmp_path, folder, code):
    spec = write(tmp_path / "s.yaml", GOOD)
    return program("run", spec, "-o", tmp_path / "out" / "o.h5", "--perfdb", folder, code=code)


def test_a_truncated_database_is_refused(tmp_path):
    folder, release = database(tmp_path)
    path = release / "h200_sxm.h5"
    path.write_bytes(path.read_bytes()[:100000])
    done = run_on(tmp_path, folder, 3)
    assert "h200_sxm.h5" in done.stderr
    assert not (tmp_path / "out" / "o.h5").exists()


def test_a_foreign_database_is_refused(tmp_path):
    folder, release = database(tmp_path)
    write(release / "h200_sxm.h5", "no HDF5 at all")
    assert "h200_sxm.h5" in run_on(tmp_path, folder, 2).stderr


def test_a_database_of_another_format_version_is_refused(tmp_path):
    folder, release = database(tmp_path)
    with h5py.File(release / "h200_sxm.h5", "r+") as f:
        f.attrs["format_version"] = f.attrs["format_version"] + 1 if "format_version" in f.attrs else 99
    done = run_on(tmp_path, folder, 2)
    assert "version" in done.stderr


def test_a_missing_system_file_leaves_points_missing_or_the_embedded_one(tmp_path):
    folder, release = database(tmp_path)
    (release / "h200_sxm.h5").unlink()
    run_on(tmp_path, folder, 0)  # the embedded database is searched last


@pytest.mark.parametrize("value", [float("nan"), -1.0])
def test_impossible_measurements_are_found(tmp_path, value):
    folder, release = database(tmp_path)
    with h5py.File(release / "h200_sxm.h5", "r+") as f:
        group = f["gemm_perf/trtllm"]
        table = group[sorted(group)[0]]
        column = table["latency"]
        values = column[:]
        values[::2] = value
        column[...] = values
    assert "gemm_perf" in program("db", "verify", "h200_sxm", "--perfdb", folder, code=1).stdout
    run_on(tmp_path, folder, 0)
    lines = program("export", tmp_path / "out" / "o.h5", "--format", "jsonl").stdout.splitlines()
    for line in map(json.loads, lines):
        assert line["status"] == "missing" or line["ttft_ms"] > 0
