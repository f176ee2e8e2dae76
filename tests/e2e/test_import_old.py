"""scripts/import-perfdb on made-up releases from before tables had families: text up to 0.8, Parquet in 0.10."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

h5py = pytest.importorskip("h5py")
pa = pytest.importorskip("pyarrow")
yaml = pytest.importorskip("yaml")

import synthetic_release as made_up  # noqa: E402 (needs pyarrow)
from perfdb_files import ROOT, cells, check_file, run, tables  # noqa: E402 (needs h5py)
from program import program, write  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts"))

from perfdb_import import import_facts  # noqa: E402

PACKAGE = "aiconfigurator"
HEAD = "framework,version,device,op_name,kernel_source,"


def text(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


GEMM = ["framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency",
        "TRTLLM,1.0,H,gemm,torch_flow,float16,1,128,4096,0.012345678901234567",
        "TRTLLM,1.0,H,gemm,torch_flow,fp8,1,128,4096,1e-3",
        "TRTLLM,1.0,H,gemm,torch_flow,awq,1,128,4096,5",
        "TRTLLM,1.0,H,gemm,torch_flow,bfloat16,2,128,4096,2"]
MLA = ["mla_dtype,kv_cache_dtype,batch_size,isl,tp_size,step,latency",
       "float16,float16,1,16,1,0,0.5", "float16,fp8,1,16,8,0,0.25", "float16,fp8,1,16,128,0,0.125"]
WIDE_MLA = [HEAD + "mla_dtype,kv_cache_dtype,num_heads,batch_size,isl,tp_size,step,latency",
            "SGLang,0.5.0,H,mla_context,fa3,fp8_block,fp8,128,1,4,1,0,0.84"]
ALLREDUCE = ["float16,8,2048,AUTO,/<module>_L1/x_93,0.0089", "float16,8,2048,NCCL,/<module>_L1/x_94,0.019",
             "float16,8,4096,AUTO,/<module>_L1/x_93,0.0091"]
ALLTOALL = [HEAD + "moe_dtype,num_tokens,hidden_size,topk,num_experts,moe_ep_size,distribution,latency",
            "TRTLLM,1.2.0rc5,G,alltoall_dispatch,{kernel},float16,1,7168,8,256,4,balanced,0.03"]
NCCL = ["nccl_dtype,num_gpus,message_size,kernel_source,op_name,latency", "half,8,17179869184,NCCL,all_gather,7.5"]
DEEPEP = [HEAD + "node_num,hidden_size,num_token,num_topk,num_experts,combine_avg_t_us,combine_bandwidth_gbps,"
          "dispatch_avg_t_us,dispatch_bandwidth_gbps", "sglang,0.5.0,H,ll,deepep,2,7168,4,8,256,41,0.5,33.25,7"]
MOE = [HEAD + "moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,distribution,latency",
       "VLLM,0.14.0,R,moe,vllm_fused_moe,float16,1,4096,1536,8,128,1,1,power_law_1.2,0.2"]


def mla(first: str, row: str) -> bytes:
    """The MLA table with columns put in front."""
    return text(first + MLA[0], *(row + line for line in MLA[1:]))


def text_tree() -> dict[str, bytes]:
    named = (HEAD, "SGLang,0.5.1.post1,H,mla_context,default,")
    alltoall = {kernel: text(*(line.format(kernel=kernel) for line in ALLTOALL)) for kernel in ("MnnvlMoe", "NVLinkOneSided")}
    return {
        "h200_sxm.yaml": b"gpu: {}\n",
        "data/h200_sxm/trtllm/0.20.0/gemm_perf.txt": text(*GEMM).replace(b"\n", b"\r\n"),
        "data/h200_sxm/trtllm/0.20.0/context_mla_perf.txt": mla("framework,version,device,op_name,", "TRTLLM,0.20.0,H,context_mla,"),
        "data/h200_sxm/trtllm/0.20.0/custom_allreduce_perf.txt": text(*ALLREDUCE),
        "data/h200_sxm/trtllm/1.0.0rc3/gemm_perf.txt": text(*GEMM).rstrip(b"\n"),
        "data/h200_sxm/sglang/0.5.0/context_mla_perf.txt": text(*WIDE_MLA),
        "data/h200_sxm/sglang/0.5.0/deepep_ll_perf.txt": text(*DEEPEP),
        "data/h200_sxm/sglang/0.5.1.post1/context_mla_perf.txt": mla(*named),
        "data/h200_sxm/nccl/2.26.2/nccl_perf.txt": text(*NCCL),
        "data/gb200_sxm/trtllm/1.2.0rc5/wideep_alltoall_perf.txt": alltoall["MnnvlMoe"],
        "data/gb200_sxm/trtllm/1.2.0rc6/wideep_alltoall_perf.txt": alltoall["MnnvlMoe"],
        "data/gb200_sxm/trtllm/1.2.0rc6/trtllm_alltoall_perf.txt": alltoall["NVLinkOneSided"],
        "data/gb200_sxm/vllm/0.14.0/gemm_perf.txt": text(*GEMM),
        "data/gb200_sxm/vllm/0.14.0/INCOMPLETE.txt": b"most points failed\n",
        "data/rtxpro6000_blackwell_server/vllm/0.14.0/moe_perf.txt": text(*MOE),
    }


def import_text(folder: Path, tree: dict[str, bytes], *extra: str, release: str = "0.7.0"):
    return run(made_up.write_wheel(folder, tree, release, PACKAGE), folder / "out", *extra, release=release)


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    done = import_text(folder, text_tree())
    assert done.returncode == 0, done.stderr
    return folder / "out" / "0.7.0"


def test_text_tables_get_todays_names(imported):
    found = {}
    for path in imported.glob("*.h5"):
        check_file(path)
        with h5py.File(path) as file:
            assert file.attrs["origin"].startswith(b"aiconfigurator 0.7.0, aiconfigurator-0.7.0-")
            found |= {path.stem + name: (group.attrs["family"].decode(), group.attrs["source"].decode())
                      for name, group in tables(file).items()}
    old = "data/h200_sxm/sglang/0.5.0/"
    assert found == {
        "h200_sxm/gemm_perf/trtllm/0.20.0": ("gemm", "data/h200_sxm/trtllm/0.20.0/gemm_perf.txt"),
        "h200_sxm/gemm_perf/trtllm/1.0.0rc3": ("gemm", "data/h200_sxm/trtllm/1.0.0rc3/gemm_perf.txt"),
        "h200_sxm/context_mla_perf/trtllm/0.20.0": ("mla", "data/h200_sxm/trtllm/0.20.0/context_mla_perf.txt"),
        "h200_sxm/context_mla_perf/sglang/0.5.1.post1": ("mla", "data/h200_sxm/sglang/0.5.1.post1/context_mla_perf.txt"),
        "h200_sxm/custom_allreduce_perf/trtllm/0.20.0": ("comm", "data/h200_sxm/trtllm/0.20.0/custom_allreduce_perf.txt"),
        "h200_sxm/wideep_context_mla_perf/sglang/0.5.0": ("mla", old + "context_mla_perf.txt"),
        "h200_sxm/wideep_deepep_ll_perf/sglang/0.5.0": ("comm", old + "deepep_ll_perf.txt"),
        "h200_sxm/nccl_perf/nccl/2.26.2": ("comm", "data/h200_sxm/nccl/2.26.2/nccl_perf.txt"),
        "gb200/trtllm_alltoall_perf/trtllm/1.2.0rc5": ("comm", "data/gb200_sxm/trtllm/1.2.0rc5/wideep_alltoall_perf.txt"),
        "gb200/trtllm_alltoall_perf/trtllm/1.2.0rc6": ("comm", "data/gb200_sxm/trtllm/1.2.0rc6/trtllm_alltoall_perf.txt"),
        "gb200/wideep_alltoall_perf/trtllm/1.2.0rc6": ("comm", "data/gb200_sxm/trtllm/1.2.0rc6/wideep_alltoall_perf.txt"),
        "rtx_pro_6000_server/moe_perf/vllm/0.14.0": ("moe", "data/rtxpro6000_blackwell_server/vllm/0.14.0/moe_perf.txt"),
    }


def test_families_are_those_of_later_releases():
    for path in sorted((ROOT / "data/perfdb").glob("*/*.h5")):
        with h5py.File(path) as file:
            for name, group in tables(file).items():
                assert import_facts.family(name.split("/")[1], name) == group.attrs["family"].decode()


def columns(folder: Path, system: str, group: str) -> dict:
    with h5py.File(folder / f"{system}.h5") as file:
        return {name: cells(dataset) for name, dataset in file[group].items()}


def test_text_tables_say_what_later_ones_say(imported):
    gemm = columns(imported, "h200_sxm", "gemm_perf/trtllm/0.20.0")
    assert gemm["gemm_dtype"] == ["bfloat16", "fp8", "bfloat16"] and gemm["m"] == [1, 1, 2]  # awq is gone
    assert gemm["latency"] == [0.012345678901234567, 0.001, 2.0] and gemm["version"] == ["1.0"] * 3
    assert gemm == columns(imported, "h200_sxm", "gemm_perf/trtllm/1.0.0rc3")  # whatever ends a line
    mla_first = columns(imported, "h200_sxm", "context_mla_perf/trtllm/0.20.0")
    assert mla_first["num_heads"] == [128, 16, 1] and mla_first["kv_cache_dtype"] == ["bfloat16", "fp8", "fp8"]
    assert "kernel_source" not in mla_first and mla_first["tp_size"] == [1, 8, 128]
    wide = columns(imported, "h200_sxm", "wideep_context_mla_perf/sglang/0.5.0")
    assert wide["kernel_source"] == ["fa3"] and wide["num_heads"] == [128] and wide["mla_dtype"] == ["fp8_block"]
    assert columns(imported, "h200_sxm", "custom_allreduce_perf/trtllm/0.20.0") == {
        "allreduce_dtype": ["bfloat16"] * 2, "num_gpus": [8, 8], "message_size": [2048, 4096], "latency": [0.0089, 0.0091]}
    nccl = columns(imported, "h200_sxm", "nccl_perf/nccl/2.26.2")
    assert nccl["nccl_dtype"] == ["half"] and nccl["message_size"] == [1 << 34]
    deepep = columns(imported, "h200_sxm", "wideep_deepep_ll_perf/sglang/0.5.0")
    assert deepep["combine_avg_t_us"] == [41.0] and isinstance(deepep["combine_avg_t_us"][0], float)
    alltoall = {(table, version): columns(imported, "gb200", f"{table}_perf/trtllm/{version}") for table, version in
                [("trtllm_alltoall", "1.2.0rc5"), ("trtllm_alltoall", "1.2.0rc6"), ("wideep_alltoall", "1.2.0rc6")]}
    assert [table["kernel_source"] for table in alltoall.values()] == [["NVLinkTwoSided"], ["NVLinkOneSided"], ["MnnvlMoe"]]
    assert all(table["moe_dtype"] == ["bfloat16"] for table in alltoall.values())


def test_text_releases_share_nothing(imported):
    assert yaml.safe_load((imported / "release.yaml").read_text()) == {
        "format": "aicfg-perfdb-release", "version": 1, "release": "0.7.0", "shared_rows": False,
        "directories": {
            "gb200": {"trtllm": ["1.2.0rc5", "1.2.0rc6"]},
            "h200_sxm": {"nccl": ["2.26.2"], "sglang": ["0.5.0", "0.5.1.post1"], "trtllm": ["0.20.0", "1.0.0rc3"]},
            "rtx_pro_6000_server": {"vllm": ["0.14.0"]}}}


@pytest.mark.parametrize(("member", "content", "says", "code"), [
    ("gemm_perf", text(*GEMM, "TRTLLM,1.0,H,gemm"), "Row #6: Expected 10 columns, got 4", 2),
    ("gemm_perf", text(*GEMM, ""), "invalid value ''", 2),
    ("gemm_perf", text(*GEMM).replace(b",2,128,", b",2.5,128,"), "invalid value '2.5'", 2),
    ("gemm_perf", text(*GEMM).replace(b",1e-3", b","), "conversion error to double: invalid value ''", 2),
    ("gemm_perf", text(GEMM[0].replace("gemm_dtype", "dtype"), *GEMM[1:]), "invalid value 'float16'", 2),
    ("gemm_perf", text(GEMM[0].replace(",n,", ",m,"), *GEMM[1:]), "does not name the columns", 2),
    ("gemm_perf", text(*GEMM[1:]), "does not name the columns", 2),
    ("gemm_perf", b"", "does not name the columns", 2),
    ("gemm_perf", b"\xff\xfe,op_name\n", "not a text file", 3),
    ("context_mla_perf", mla(HEAD, "S,1,H,o,d,").replace(b",16,128,", b",16,0,"), "column 'tp_size': expected 1 to 128", 2),
    ("custom_allreduce_perf", text("float16,8,2048,AUTO,0.0089"), "does not name the columns", 2),
    ("softmax_perf", text(*GEMM), "no release is known to have a table of this name", 2),
])
def test_refuses_text_that_is_no_table(tmp_path, member, content, says, code):
    path = f"data/h200_sxm/vllm/0.11.0/{member}.txt"
    done = import_text(tmp_path, {path: content})
    assert done.returncode == code and says in done.stderr and path in done.stderr, done.stderr


def test_refuses_one_table_under_two_names(tmp_path):
    tree = {f"data/h200_sxm/sglang/0.5.0/{name}_perf.txt": text(*DEEPEP) for name in ("deepep_ll", "wideep_deepep_ll")}
    done = import_text(tmp_path, tree)
    assert done.returncode == 2 and "one table in two places" in done.stderr


@pytest.mark.parametrize("release", ["0.9.0", "0.11.0"])
def test_releases_without_tables(tmp_path, release):
    done = import_text(tmp_path, text_tree(), release=release)
    assert done.returncode == 2 and f"release {release} was published without its measured tables" in done.stderr
    assert not (tmp_path / "out").exists()


def parquet_tree() -> dict[str, bytes]:
    table = made_up.parquet(made_up.ONE_ROW | {"kernel_source": ["default"], "gemm_dtype": ["float16"]})
    manifest = made_up.MANIFEST.replace("mla_perf.txt", "mla_bmm_perf.parquet")
    return {
        "op_kernel_source_manifest.yaml": manifest.encode(),
        "data/l4/.gitkeep": b"",
        "data/h200_sxm/vllm/0.18.0/gemm_perf.parquet": table,
        "data/h200_sxm/vllm/0.19.0/mla_bmm_perf.parquet": table,
        "data/h200_sxm/vllm/0.22.0/SHARED_LAYER_REUSE.txt": b"declared\n",
        "data/h200_sxm/trtllm/1.3.0rc10/nccl_perf.parquet": table,
        "data/h200_sxm/trtllm/1.3.0rc11/gemm_perf.parquet": table,
        "data/h200_sxm/trtllm/1.3.0rc11/INCOMPLETE.txt": b"bring-up\n",
        "data/h200_sxm/nccl/2.26.2/nccl_perf.parquet": table,
    }


def test_parquet_without_families(tmp_path):
    done = import_text(tmp_path, parquet_tree(), release="0.10.0")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "0.10.0"
    check_file(folder / "h200_sxm.h5")
    with h5py.File(folder / "h200_sxm.h5") as file:
        assert {name: group.attrs["family"] for name, group in tables(file).items()} == {
            "/gemm_perf/vllm/0.18.0": b"gemm", "/mla_bmm_perf/vllm/0.19.0": b"mla_bmm",
            "/nccl_perf/trtllm/1.3.0rc10": b"comm", "/nccl_perf/nccl/2.26.2": b"comm"}
    assert columns(folder, "h200_sxm", "gemm_perf/vllm/0.18.0")["gemm_dtype"] == ["float16"]  # text alone is old
    assert yaml.safe_load((folder / "release.yaml").read_text()) == {
        "format": "aicfg-perfdb-release", "version": 1, "release": "0.10.0",
        "directories": {"h200_sxm": {"nccl": ["2.26.2"], "trtllm": ["1.3.0rc10"], "vllm": ["0.18.0", "0.19.0", "0.22.0"]}},
        "cross_backend": [
            {"table": "gdn_perf", "kernel_source": "conv", "tier": "shared", "frameworks": ["sglang", "vllm"]},
            {"table": "mla_bmm_perf", "kernel_source": "default", "tier": "shared_fallback", "frameworks": ["trtllm", "vllm"]}]}


SPEC = "sweep: {models: Qwen/Qwen3-32B, systems: h200_sxm, backends: %s, batch: 1, isl: 1024, osl: 2}\n"


def missing(folder: Path, release: str, backend: str) -> str:
    """What the program says of a model that needs more tables than there are."""
    out = folder / f"{backend}.h5"
    program("run", write(folder / "spec.yaml", SPEC % backend), "-o", out, "--perfdb", folder / "out", "--release", release, "-q")
    with h5py.File(out) as file:
        return b" ".join(file["reasons/text"][:]).decode()


def test_program_reads_old_releases(tmp_path):
    assert import_text(tmp_path, text_tree()).returncode == 0
    assert import_text(tmp_path, parquet_tree(), release="0.10.0").returncode == 0
    for release, count in (("0.7.0", 3), ("0.10.0", 1)):
        done = program("db", "verify", "--perfdb", tmp_path / "out", "--release", release)
        assert done.stdout.count("ok ") == count
    # No version named: the newest that has tables of its own.
    assert "h200_sxm/trtllm/1.0.0rc3" in missing(tmp_path, "0.7.0", "trtllm")
    assert "h200_sxm/vllm/0.19.0" in missing(tmp_path, "0.10.0", "vllm")
