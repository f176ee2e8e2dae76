#!/usr/bin/env python3
"""Writes data/models/catalogue.json: the checkpoints a release ships, each reduced to the facts this program reads.

    scripts/make_catalogue.py --release 0.12.0 --out data/models/catalogue.json [--wheel FILE]

A model entry is its config.json, with hf_quant_config.json under the key hf_quant_config, less everything that no
rule of docs/model/ looks at. Lists of module names (hundreds per checkpoint) keep one name per way a rule can see it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from perfdb_import.problems import ImportProblem
from perfdb_import.wheel import default_cache, open_wheel, read_member, release_number

FORMAT, VERSION = "aicfg-model-catalogue", 1
CONFIG, QUANT_CONFIG = "_config.json", "_hf_quant_config.json"
MAX_BYTES_PER_LINE = 160

# Keys every architecture reads, at the top level and in a nested text_config, in the order entries list them.
COMMON = """
    architectures dtype torch_dtype quant_algo kv_cache_quant_algo quant_dynamic num_hidden_layers hidden_size
    num_attention_heads num_key_value_heads head_dim attention_head_dim vocab_size max_position_embeddings
    intermediate_size num_nextn_predict_layers
    num_experts_per_tok top_k_experts moe_top_k num_local_experts n_routed_experts moe_num_experts num_experts
    moe_intermediate_size n_shared_experts num_shared_experts shared_expert_intermediate_size
    moe_shared_expert_intermediate_size first_k_dense_replace moe_layer_freq
""".split()

_MLA = "q_lora_rank kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim"
_INDEXER = "index_head_dim index_n_heads index_topk"

# Keys read besides, by the beginning of the architecture's name.
EXTRA = {
    "DeciLM": "block_configs",
    "DeepSeek": _MLA,
    "DeepseekV3For": _MLA,
    "DeepseekV32": f"{_MLA} {_INDEXER} index_topk_freq index_topk_pattern index_skip_topk_offset",
    "DeepseekV4": f"{_MLA} {_INDEXER} o_lora_rank o_groups sliding_window compress_ratios compress_rope_theta "
                  "num_hash_layers hc_mult hc_sinkhorn_iters hc_eps expert_dtype",
    "Gemma4": "layer_types num_global_key_value_heads global_head_dim sliding_window attention_k_eq_v",
    "GlmMoeDsa": f"{_MLA} {_INDEXER} index_topk_freq index_topk_pattern index_skip_topk_offset",
    "KimiK25": _MLA,
    "KimiK3": f"{_MLA} linear_attn_config num_experts_per_token routed_expert_hidden_size attn_res_block_size",
    "Llama4": "interleave_moe_layer_step attention_chunk_size intermediate_size_mlp",
    "MiMoV2Flash": "hybrid_layer_pattern swa_num_key_value_heads swa_head_dim swa_v_head_dim v_head_dim "
                   "sliding_window_size",
    "NemotronH": "hybrid_override_pattern layers_block_type mamba_num_heads mamba_head_dim ssm_state_size conv_kernel "
                 "n_groups chunk_size moe_latent_size",
    "Qwen3_5": "layer_types linear_num_key_heads linear_key_head_dim linear_num_value_heads linear_value_head_dim "
               "linear_conv_kernel_dim mamba_ssm_dtype",
    "Step3p": "attention_other_setting layer_types moe_layers_enum sliding_window sliding_window_size "
              "use_head_wise_attn_gate share_expert_dim",
}

# Maps among the keys, and the keys of the maps inside.
NESTED = ["text_config", "vision_config", "quantization_config"]
VISION = """depth hidden_size num_heads intermediate_size patch_size temporal_patch_size spatial_merge_size
    out_hidden_size deepstack_visual_indexes""".split()
LINEAR_ATTENTION = "kda_layers num_heads head_dim short_conv_kernel_size".split()
OTHER_ATTENTION = "num_attention_heads head_dim".split()
BLOCK = {"attention": ["n_heads_in_group", "no_op"], "ffn": ["ffn_mult", "no_op"]}
ALGORITHM = "quant_algo quantization_algo quant_method".split()
QUANTIZATION = [*ALGORITHM, *"""quantization_method kv_cache_quant_algo kv_cache_quant_method kv_cache_dtype
    kv_cache_scheme activation_scheme weight_block_size config_groups quantized_layers""".split()]
EXCLUSIONS = "modules_to_not_convert exclude_modules ignore".split()
WEIGHTS = [*ALGORITHM, *"num_bits type strategy block_structure group_size dynamic".split()]
KV_SCHEME = "type num_bits".split()

# What the exclusion and mixed-precision rules look for inside a module name, or in its lower-case form.
MARKERS = """self_attn linear_attn .self_attn. .linear_attn. .mlp .mlp. mlp _proj expert shared_expert .experts.
    routing_expert lm_head indexer q_a_proj q_b_proj q_proj kv_a_proj kv_b_proj kv_proj k_proj v_proj o_proj""".split()


class Reduction:
    """Reduces one model and remembers which lists it thinned."""

    def __init__(self, architecture: str):
        extra = [keys for prefix, keys in EXTRA.items() if architecture.startswith(prefix)]
        nested = [key for key in NESTED if key != "vision_config" or architecture.startswith("Qwen3VL")]
        self._keys = [*COMMON, *" ".join(extra).split(), *nested]
        self._thinned: dict[str, None] = {}  # a set that keeps its order

    def config(self, config: dict[str, Any], quant: dict[str, Any] | None) -> dict[str, Any]:
        entry = self._model(config)
        if quant is not None:
            inner = quant.get("quantization")
            entry["hf_quant_config"] = {"quantization": self._quantization(inner)} if isinstance(inner, dict) else {}
        if self._thinned:
            entry["_reduced"] = "one name kept per way a rule can see it: " + ", ".join(self._thinned)
        return entry

    def _model(self, config: dict[str, Any]) -> dict[str, Any]:
        inner = {
            "text_config": self._model,
            "quantization_config": self._quantization,
            "vision_config": lambda value: _pick(value, VISION),
            "linear_attn_config": lambda value: _pick(value, LINEAR_ATTENTION),
            "attention_other_setting": lambda value: _pick(value, OTHER_ATTENTION),
        }
        entry = {}
        for key in self._keys:
            if key in config:
                value = config[key]
                entry[key] = inner[key](value) if key in inner and isinstance(value, dict) else value
        if isinstance(entry.get("block_configs"), list):
            entry["block_configs"] = [{part: _pick(block.get(part) or {}, keys) for part, keys in BLOCK.items()}
                                      for block in entry["block_configs"]]
        return entry

    def _quantization(self, config: dict[str, Any]) -> dict[str, Any]:
        entry = _pick(config, QUANTIZATION)
        if isinstance(entry.get("kv_cache_scheme"), dict):
            entry["kv_cache_scheme"] = _pick(entry["kv_cache_scheme"], KV_SCHEME)
        if isinstance(entry.get("quantized_layers"), dict):
            entry["quantized_layers"] = self._layers(entry["quantized_layers"])
        if isinstance(entry.get("config_groups"), dict):
            entry["config_groups"] = {name: self._group(group) if isinstance(group, dict) else group
                                      for name, group in entry["config_groups"].items()}
        for key in EXCLUSIONS:
            if key in config:
                entry[key] = self._names(key, config[key])
        return entry

    def _layers(self, layers: dict[str, Any]) -> dict[str, Any]:
        # A later entry overrides an earlier one of its kind, so the last of each is the one to keep.
        kept = {}
        for name, meta in layers.items():
            meta = _pick(meta, ALGORITHM) if isinstance(meta, dict) else meta
            seen_as = (_signature(name), json.dumps(meta))
            kept.pop(seen_as, None)
            kept[seen_as] = (name, meta)
        self._note("quantized_layers", len(kept), len(layers))
        return dict(kept.values())

    def _group(self, group: dict[str, Any]) -> dict[str, Any]:
        entry = {}
        for key, value in group.items():
            if key in ("weights", "input_activations"):
                entry[key] = _pick(value, WEIGHTS if key == "weights" else ["dynamic"]) if isinstance(value, dict) else value
            elif key == "targets":
                entry[key] = self._names(key, value)
        return entry

    def _names(self, key: str, names: Any) -> Any:
        if not isinstance(names, list):
            return names
        kept = list({_signature(name): name for name in reversed(names)}.values())[::-1]
        self._note(key, len(kept), len(names))
        return kept

    def _note(self, key: str, kept: int, total: int) -> None:
        if kept < total:
            self._thinned[f"{key} {kept} of {total}"] = None


def _pick(value: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key in keys}


def _signature(name: str) -> tuple[bool, ...]:
    """Everything the rules can learn from a module name."""
    lower = name.lower()
    return (*(marker in name for marker in MARKERS), *(marker in lower for marker in MARKERS),
            lower.endswith(".experts"))


def catalogue(archive: zipfile.ZipFile) -> dict[str, dict[str, Any]]:
    """Model id -> reduced configuration, for every configuration in the archive."""
    members = {Path(name).name: name for name in archive.namelist() if "/model_configs/" in name}
    models = {}
    for name, member in members.items():
        if not name.endswith(CONFIG) or name.endswith(QUANT_CONFIG):
            continue
        stem = name.removesuffix(CONFIG)
        config = _load(archive, member)
        quant = members.get(stem + QUANT_CONFIG)
        reduction = Reduction(config["architectures"][0])
        models[stem.replace("--", "/", 1)] = reduction.config(config, _load(archive, quant) if quant else None)
    if not models:
        raise ImportProblem(f"{archive.filename}: holds no model configurations")
    return dict(sorted(models.items()))


def _load(archive: zipfile.ZipFile, member: str) -> dict[str, Any]:
    # Some checkpoints write the bare words Infinity and NaN, which are not JSON; no rule reads those values.
    return json.loads(re.sub(r"\b(Infinity|NaN)\b", "null", read_member(archive, member).decode()))


def render(models: dict[str, dict[str, Any]]) -> str:
    """JSON with one model per paragraph: lines hold whole members and stay short where they can."""
    entries = [f"{json.dumps(name)}: {{\n" + _lines(entry) + "\n}" for name, entry in models.items()]
    return f'{{"format": "{FORMAT}", "version": {VERSION}, "models": {{\n' + ",\n".join(entries) + "\n}}\n"


def _lines(entry: dict[str, Any]) -> str:
    """The members of a mapping on lines of their own where they nest, several to a line where they don't."""
    lines: list[str] = [""]
    for key, value in entry.items():
        member = f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        alone = isinstance(value, dict)
        if lines[-1] and (alone or len(lines[-1]) + len(member) > MAX_BYTES_PER_LINE):
            lines.append("")
        lines[-1] += (", " if lines[-1] else "") + member
        if alone:
            lines.append("")
    return ",\n".join("  " + line for line in lines if line)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the catalogue of model facts from a published release.")
    parser.add_argument("--release", required=True, type=release_number)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="read this wheel, download nothing")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR")
    options = parser.parse_args()
    try:
        with open_wheel(options.release, options.wheel, options.cache).open() as archive:
            models = catalogue(archive)
    except ImportProblem as problem:
        print(f"make_catalogue.py: {problem}", file=sys.stderr)
        return problem.exit_code
    text = render(models)
    options.out.write_text(text, encoding="utf-8")
    print(f"{len(models)} models, {len(text.encode())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
