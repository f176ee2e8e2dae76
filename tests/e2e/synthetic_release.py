"""A made-up release wheel: the smallest tree that has every feature the importer must cope with."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RELEASE = "0.12.0"
PACKAGE = "aiconfigurator_core"
TAIL = "-cp311-abi3-manylinux_2_28_x86_64.whl"
WHEEL = f"{PACKAGE}-{RELEASE}{TAIL}"

SLOTS = """
schema_version: 1
defaults:
  trtllm: {current: 1.3.0rc2, previous: null}
  vllm: {current: "0.24", previous: "0.20.0"}
overrides:
  old: {trtllm: {current: "1.0.0", previous: null}}
"""
LANES = 'sglang:\n  "0.5.14": {90: fa3, 100: triton}\n'
MANIFEST = """
groups:
- {op_file: gdn_perf.parquet, kernel_source: conv, tier: shared, systems: [x], frameworks: [SGLang, vllm]}
- {op_file: mla_perf.txt, kernel_source: 'default', tier: shared_fallback, systems: [x], frameworks: [trtllm, vllm]}
- {op_file: gdn_perf.parquet, kernel_source: alone, tier: shared, systems: [x], frameworks: [vllm]}
- {op_file: gdn_perf.parquet, kernel_source: absent, tier: absence_load_bearing, systems: [x], frameworks: [sglang, vllm]}
- {op_file: gdn_perf.parquet, kernel_source: '', tier: shared, systems: [x], frameworks: [sglang, vllm]}
"""


def parquet(columns: dict) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def reuse(*pairs: tuple[str, str]) -> bytes:
    return json.dumps({"schema_version": 1, "reuse": [
        {"table": table, "from_version": version, "reason": "r", "approved_by": "a"} for table, version in pairs]}).encode()


GEMM = {
    "gemm_dtype": ["fp8", "bfloat16", "fp8", ""],
    "m": pa.array([1, 256, 65536, 3], pa.int64()),
    "k": pa.array([1, 255, 7, 7], pa.int64()),
    "latency": pa.array([0.1, 1e-300, 3.5, 0.0], pa.float64()),
    "graph": pa.array([True, False, False, True]),
    "kernel_source": pa.array(["b", "a", "b", "b"], pa.large_string()),
}
ONE_ROW = {"latency": pa.array([1.0], pa.float64())}
NO_ROWS = {"name": pa.array([], pa.string()), "m": pa.array([], pa.int64()), "latency": pa.array([], pa.float64())}


def default_tree() -> dict[str, bytes]:
    """Member path below the systems folder -> content."""
    tables = {
        "new/gemm/trtllm/1.3.0rc2/gemm_perf": GEMM,
        "new/gemm/trtllm/1.3.0rc10/gemm_perf": ONE_ROW,
        "new/comm/nccl/2.27/nccl_perf": ONE_ROW,
        "new/comm/trtllm/1.3.0rc2/nccl_perf": ONE_ROW,
        "new/moe/vllm/0.24.0/moe_perf": NO_ROWS,
        "new/moe/vllm/_draft/moe_perf": ONE_ROW,
        "new/moe/vllm/0.30.0/moe_perf": ONE_ROW,  # vetoed below
        "old/gemm/trtllm/1.0.0/gemm_perf": ONE_ROW,
        "old/gemm/trtllm/1.9.0/gemm_perf": ONE_ROW,
    }
    tree = {f"data/{path}.parquet": parquet(columns) for path, columns in tables.items()}
    tree |= {
        "query_versions.yaml": SLOTS.encode(),
        "attention_lane_defaults.yaml": LANES.encode(),
        "perf_data_reuse_manifest.yaml": MANIFEST.encode(),
        "data/new/moe/vllm/0.30.0/INCOMPLETE.txt": b"",
        "data/new/moe/vllm/0.24.0/collection_meta.yaml": b"schema_version: 1\n",
        "data/new/moe/trtllm/1.4.0/reuse.yaml": reuse(("moe_perf", "1.3.0rc2"), ("b_perf", "1.3.0rc10")),
        "data/new/gemm/trtllm/1.4.0/reuse.yaml": reuse(("gemm_perf", "1.3.0rc2")),
        "data/bare/.gitkeep": b"",
    }
    return tree


def write_wheel(folder: Path, tree: dict[str, bytes] | None = None, release: str = RELEASE, package: str = PACKAGE) -> Path:
    """Writes the wheel; its bytes depend on the arguments alone."""
    path = folder / f"{package}-{release}{TAIL}"
    members = {f"{package}-{release}.dist-info/METADATA": f"Version: {release}\n".encode()}
    members |= {f"{package}/systems/{member}": content
                for member, content in (default_tree() if tree is None else tree).items()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(member), content)
    return path
