"""The readable data files: system descriptions, and the catalogue of models with the script that makes it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "data/models/catalogue.json"
SYSTEMS = sorted((ROOT / "data/systems").glob("*.yaml"))
PACKAGE = "aiconfigurator_core/model_configs/"


def documented_keys() -> set[str]:
    """The keys in the table of the format page, as section.key."""
    rows = [line.split("|")[1] for line in (ROOT / "docs/formats/systems.md").read_text().splitlines() if line.startswith("| `")]
    return {name.strip(" `") for row in rows for name in row.split(",")}


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_system_description(path):
    description = yaml.safe_load(path.read_text())
    keys = {f"{section}.{key}": value for section, values in description.items() for key, value in values.items()}
    assert keys.keys() <= documented_keys()
    assert {"gpu.mem_bw", "node.num_gpus_per_node", "node.intra_node_bw", "node.inter_node_bw"} <= keys.keys()
    assert all(value > 0 for value in keys.values() if isinstance(value, (int, float)))
    assert set(keys["misc.nccl_mem"]) == {1, 2, 4, 8}
    assert isinstance(keys["misc.nccl_version"], str)  # 2.27 unquoted would be a number


def test_every_measured_system_is_described():
    names = {path.stem for path in SYSTEMS}
    assert len(names) == 14
    for release in (ROOT / "data/perfdb").glob("*/release.yaml"):
        assert set(yaml.safe_load(release.read_text())["directories"]) <= names


def test_catalogue_file():
    text = CATALOGUE.read_text()
    document = json.loads(text)
    assert (document["format"], document["version"]) == ("aicfg-model-catalogue", 1)
    models = document["models"]
    assert len(models) == 89 and list(models) == sorted(models) and len(text.encode()) < 300_000
    for name, entry in models.items():
        facts = entry.get("text_config", entry)
        assert len(entry["architectures"]) == 1, name
        assert {"hidden_size", "num_attention_heads", "vocab_size", "max_position_embeddings"} <= facts.keys(), name


def make(folder: Path, files: dict[str, dict | str]) -> dict:
    """Runs make_catalogue.py on a wheel that ships these configurations."""
    wheel, out = folder / "some.whl", folder / "catalogue.json"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("aiconfigurator_core-0.12.0.dist-info/METADATA", "")
        for name, content in files.items():
            archive.writestr(PACKAGE + name, content if isinstance(content, str) else json.dumps(content))
    subprocess.run([sys.executable, ROOT / "scripts/make_catalogue.py", "--release", "0.12.0", "--wheel", wheel, "--out", out],
                   check=True, capture_output=True)
    return json.loads(out.read_text())["models"]


def test_keeps_what_an_architecture_reads(tmp_path):
    llama = {"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_experts": None, "layer_types": ["x"], "rope_theta": 1}
    qwen = {"architectures": ["Qwen3_5ForConditionalGeneration"], "vision_config": {"depth": 3},
            "text_config": {"hidden_size": 8, "layer_types": ["linear_attention"], "mamba_ssm_dtype": "float32", "dtype": "bfloat16"}}
    models = make(tmp_path, {"b--Qwen--x_config.json": qwen, "a--Llama_config.json": llama})
    assert list(models) == ["a/Llama", "b/Qwen--x"]
    assert models["a/Llama"] == {"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_experts": None}
    assert models["b/Qwen--x"] == {"architectures": qwen["architectures"], "text_config": qwen["text_config"]}


def test_reads_the_dialect_of_checkpoints(tmp_path):
    models = make(tmp_path, {"a--b_config.json": '{"architectures": ["LlamaForCausalLM"], "hidden_size": 1, "limit": [0, Infinity]}'})
    assert models["a/b"]["hidden_size"] == 1


def test_thins_lists_of_module_names(tmp_path):
    layers = {f"model.layers.{index}.mlp.experts": {"quant_algo": "NVFP4", "group_size": 16} for index in range(9)}
    layers |= {f"model.layers.{index}.self_attn.q_proj": {"quant_algo": "FP8" if index % 2 else "NVFP4"} for index in range(9)}
    excluded = ["lm_head", *(f"model.layers.{index}.self_attn.o_proj" for index in range(9)), "model.layers.0.mlp.gate"]
    config = {"architectures": ["LlamaForCausalLM"],
              "quantization_config": {"config_groups": {"g": {"weights": {"num_bits": 4, "type": "float", "observer": "x"},
                                                              "targets": ["Linear"]}}, "ignore": excluded, "producer": {}}}
    quant = {"producer": {"name": "x"}, "quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}}
    entry = make(tmp_path, {"a--b_config.json": config, "a--b_hf_quant_config.json": quant})["a/b"]
    assert entry["quantization_config"] == {
        "config_groups": {"g": {"weights": {"num_bits": 4, "type": "float"}, "targets": ["Linear"]}},
        "ignore": ["lm_head", "model.layers.0.self_attn.o_proj", "model.layers.0.mlp.gate"]}
    # The last of each kind, in the order of the last ones: a later entry overrides an earlier one.
    assert list(entry["hf_quant_config"]["quantization"]["quantized_layers"].items()) == [
        ("model.layers.8.mlp.experts", {"quant_algo": "NVFP4"}), ("model.layers.7.self_attn.q_proj", {"quant_algo": "FP8"}),
        ("model.layers.8.self_attn.q_proj", {"quant_algo": "NVFP4"})]
    assert entry["_reduced"].endswith("ignore 3 of 11, quantized_layers 3 of 18")
