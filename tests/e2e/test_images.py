"""Requests with images: a multimodal model through a spec, and what every command says of the encoder's phase."""
import csv
import io
import json

import h5py
import numpy
import pytest
from program import content, program, write

MODEL = "Qwen/Qwen3-VL-8B-Instruct"
SPEC = f"""\
name: images
sweep:
- models: [{MODEL}, Qwen/Qwen3-8B]
  modes: [static, static_ctx, static_gen]
  systems: h200_sxm
  backends: [vllm, sglang]
  layouts: [{{tp: 1}}, {{tp: 4}}]
  options: [{{}}, {{encoder_tp: true}}]
  batch: [1, 32]
  isl: 1024
  osl: 64
  workloads: [{{images: 0, image_height: 448}}, {{images: 1, image_height: 448}}, {{images: 3, image_height: 1000}}, {{images: 9, image_height: 8}}]
  image_width: 700
  where: image_height != 8
"""
TEXT = f"""\
name: text
sweep:
  models: [{MODEL}, Qwen/Qwen3-8B]
  modes: [static, static_ctx, static_gen]
  systems: h200_sxm
  backends: [vllm, sglang]
  layouts: [{{tp: 1}}, {{tp: 4}}]
  options: [{{}}, {{encoder_tp: true}}]
  batch: [1, 32]
  isl: 1024
  osl: 64
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    results = folder / "images.h5"
    program("run", write(folder / "images.yaml", SPEC), "-o", results, "-q")
    lines = [json.loads(x) for x in program("export", results, "--format", "jsonl", "--breakdown").stdout.splitlines()]
    return results, lines


def key(line, *without):
    names = ("model", "mode", "backend", "tp", "encoder_tp", "batch", "images", "image_height")
    return tuple(line[name] for name in names if name not in without)


def test_points_with_images_have_an_encoder_phase(swept):
    _, lines = swept
    assert {x["status"] for x in lines} == {"ok"}
    for x in lines:
        encodes = x["images"] > 0 and x["model"] == MODEL and x["mode"] != "static_gen"
        assert ("encoder" in x) == encodes == (x["encoder_latency_ms"] > 0) == (x["encoder_gib"] > 0)
        assert x["encoder_latency_ms"] == sum(op[1] for op in x.get("encoder", []))
        assert x["ttft_ms"] == x["encoder_latency_ms"] + x["context_latency_ms"]
        tokens = {0: 0, 448: 14 * 22, 1000: 31 * 22}[x["image_height"]] * x["images"]
        assert x["visual_tokens"] == (tokens if x["model"] == MODEL else 0)
        assert x["isl"] == 1024


def test_the_split_encoder_differs_where_there_are_ranks(swept):
    found = {key(x): x for x in swept[1]}
    for x in swept[1]:
        if x["encoder_tp"] or x["model"] != MODEL:
            continue
        other = found[tuple({**x, "encoder_tp": 1}[n] for n in ("model", "mode", "backend", "tp", "encoder_tp", "batch", "images",
                                                                 "image_height"))]
        same = x["encoder_latency_ms"] == other["encoder_latency_ms"]
        assert same == (x["tp"] == 1 or x["encoder_latency_ms"] == 0)


def test_points_without_images_are_those_of_a_text_sweep(swept, tmp_path):
    text = tmp_path / "text.h5"
    program("run", write(tmp_path / "text.yaml", TEXT), "-o", text, "-q")
    want = [json.loads(x) for x in program("export", text, "--format", "jsonl", "--breakdown").stdout.splitlines()]
    got = [x for x in swept[1] if x["images"] == 0]
    assert len(want) == len(got)
    for a, b in zip(want, got):
        assert {**a, "point": 0} == {**b, "point": 0}
    with h5py.File(text) as f:
        for name in ("images", "image_height", "image_width", "image_tokens", "visual_tokens", "encoder_latency_ms", "encoder_gib"):
            assert not numpy.any(f["points"][name][()])
            assert f["points"][name].id.get_storage_size() < 700  # of 16,384 values


def test_files_do_not_depend_on_threads_or_path(swept, tmp_path):
    spec = write(tmp_path / "images.yaml", SPEC)
    first = content(swept[0])
    for options in (["--threads", "1"], ["--threads", "5", "--block", "7"]):
        program("run", spec, "-o", tmp_path / "b.h5", "-q", "--force", *options)
        assert content(tmp_path / "b.h5") == first


def test_commands_name_the_phase(swept):
    results, lines = swept
    point = next(x for x in lines if x["images"] == 3 and x["mode"] == "static" and x["tp"] == 4 and not x["encoder_tp"])
    shown = program("show", results, point["point"]).stdout
    assert "encoder    encoder_attention" in shown and "visual_tokens" in shown
    assert "in the encoder" in program("show", results, point["point"], "--per-layer").stdout
    rows = list(csv.DictReader(io.StringIO(program("export", results, "--breakdown", "--where", f"point == {point['point']}").stdout)))
    phases = [r["phase"] for r in rows]
    assert phases == sorted(phases, key=["encoder", "context", "generation"].index) and len(set(phases)) == 3

    words = ["--model", MODEL, "--system", "h200_sxm", "--backend", point["backend"], "--tp", "4", "--batch", point["batch"], "--isl", "1024",
             "--osl", "64", "--images", "3", "--image-height", "1000", "--image-width", "700"]
    again = json.loads(program("estimate", *words, "--json").stdout)
    assert {k: v for k, v in point.items() if k != "point"} == again

    shared = [w for w in words[2:]]
    diff = program("model", "diff", MODEL, MODEL, *shared, "--b", "encoder_tp=1").stdout
    assert "encoder    encoder_qkv_gemm" in diff and "encoder    total" in diff
    assert "encoder_ops" in program("model", "show", MODEL, "--system", "h200_sxm", "--json").stdout
    support = program("support", MODEL, "--system", "h200_sxm", "--backend", "vllm").stdout
    assert "encoder    encoder_attention" in support


@pytest.mark.parametrize("options, word", [
    (["--image-height", "448"], "sides of an image"),
    (["--images", "100000", "--image-height", "4096", "--image-width", "4096"], "images of a request"),
    (["--image-height", "448", "--image-width", "448", "--batch", "4294967295", "--isl", "1"], "patches"),
])
def test_impossible_images_are_invalid(options, word):
    out = json.loads(program("estimate", "--model", MODEL, "--system", "h200_sxm", *options, "--json", code=1).stdout)
    assert out["status"] == "invalid" and word in out["reason"]


def test_a_size_needs_no_number_and_a_number_a_size():
    def point(*options):
        return json.loads(program("estimate", "--model", MODEL, "--system", "h200_sxm", *options, "--json").stdout)
    assert point("--image-tokens", "256")["images"] == 1
    assert point("--images", "7") == point() == point("--images", "0", "--image-tokens", "9")
