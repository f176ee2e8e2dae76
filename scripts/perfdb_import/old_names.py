"""What releases before 0.12 called otherwise: systems and tables; and the families they did not have."""

from __future__ import annotations

from collections.abc import Collection

from .problems import ImportProblem

SYSTEMS = {"gb200_sxm": "gb200", "rtxpro6000_blackwell_server": "rtx_pro_6000_server"}

# Release 0.3: tables of wide expert parallelism before their names said so.
TABLES = {
    "context_moe_perf": "wideep_context_moe_perf",
    "generation_moe_perf": "wideep_generation_moe_perf",
    "context_mlp_perf": "wideep_context_mlp_perf",
    "generation_mlp_perf": "wideep_generation_mlp_perf",
    "deepep_ll_perf": "wideep_deepep_ll_perf",
    "deepep_normal_perf": "wideep_deepep_normal_perf",
}

# The first SGLang measured, likewise; its successors' tables of these names are what the names say.
FIRST_SGLANG = ("sglang", "0.5.0")
TABLES_OF_FIRST_SGLANG = {
    "context_mla_perf": "wideep_context_mla_perf",
    "generation_mla_perf": "wideep_generation_mla_perf",
}

# The two-sided NVLink all-to-all under its first name, measured again under the later one where both are there.
FIRST_ALLTOALL, ALLTOALL = "wideep_alltoall_perf", "trtllm_alltoall_perf"

FAMILIES = {
    "attention": "context_attention generation_attention",
    "comm": "custom_allreduce moe_a2a nccl oneccl trtllm_alltoall wideep_alltoall wideep_deepep_ll "
            "wideep_deepep_normal",
    "encoder_attention": "encoder_attention",
    "gemm": "gemm",
    "kda": "kda",
    "linear_attention": "gdn mamba2",
    "mhc": "mhc_module",
    "mla": "context_mla generation_mla mla_context_module mla_generation_module wideep_context_mla "
           "wideep_generation_mla",
    "mla_bmm": "mla_bmm",
    "mlp": "prefill_mlp wideep_context_mlp wideep_generation_mlp",
    "moe": "dsv4_megamoe_module moe wideep_context_moe wideep_generation_moe wideep_moe",
    "msa": "msa_context_module msa_generation_module",
    "quantize": "computescale scale_matrix",
    "sparse_attention": "dsa_context_module dsa_generation_module dsv4_csa_context_module dsv4_csa_generation_module "
                        "dsv4_csa_topk_calib dsv4_hca_attn_module dsv4_hca_context_module "
                        "dsv4_hca_generation_module dsv4_paged_mqa_logits_module glm5_dsa_attn_module "
                        "glm5_mqa_logits_module glm5_topk_module",
}
_FAMILY_OF = {f"{table}_perf": family for family, tables in FAMILIES.items() for table in tables.split()}


def system(name: str) -> str:
    """Today's name of a system."""
    return SYSTEMS.get(name, name)


def table(name: str, backend: str, version: str, siblings: Collection[str]) -> str:
    """Today's name of a table that lies beside ``siblings`` in the directory of a backend version."""
    if name == FIRST_ALLTOALL and ALLTOALL not in siblings:
        return ALLTOALL
    if (backend, version) == FIRST_SGLANG:
        name = TABLES_OF_FIRST_SGLANG.get(name, name)
    return TABLES.get(name, name)


def family(name: str, member: str) -> str:
    """The family that later releases keep the table ``name`` in; ``member`` is for messages."""
    if name not in _FAMILY_OF:
        raise ImportProblem(f"{member}: no release is known to have a table of this name")
    return _FAMILY_OF[name]
