"""A model is data: the page on adding one is run as it stands; own folders override and extend the installed ones."""
import json
import re
import shlex

import pytest
from program import ROOT, program, write

PAGE = ROOT / "docs" / "adding-a-model.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^aicfg-sweep (.*?)(?:\s+# exit code (\d+))?$")


def blocks():
    return BLOCK.findall(PAGE.read_text())


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Writes the page's files and runs its commands, in order; the output of each by its text."""
    folder = tmp_path_factory.mktemp("page")
    outputs = {}
    for language, name, text in blocks():
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        for line in text.splitlines() if language == "sh" else []:
            command, code = COMMAND.match(line).groups()
            outputs[command] = program(*shlex.split(command), code=int(code or 0), cwd=folder).stdout
    return folder, outputs


def test_page_runs(walked):
    folder, outputs = walked
    assert len(outputs) >= 15
    assert "CustomAllReduce" in outputs["show mine.h5 0 --per-layer"]
    variant = outputs["support my-variant"]
    assert "nearest family  LLAMA: 100 %" in variant and "unexplained     variant_gate_rank " in variant
    assert "TokenScan" in outputs["support my-scan --models scan"]
    assert "nothing found" in outputs["model check my-parallel --models parallel --system h200_sxm"]
    assert "4  ok" in outputs["report parallel.h5"]
    assert "moe_perf" in (folder / "shapes.csv").read_text() and "num_experts\": 96" in (folder / "shapes.yaml").read_text()


def test_exit_codes_on_the_page_are_those_of_help():
    text = program("help", "support").stdout
    assert "0 S1 somewhere, 10 S2 at best, 11 S3, 1 refused" in text


# ---- search paths

LLAMA = {"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
         "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 8192}
HEAD = "format: aicfg-architectures\nversion: 1\n"
GRAPH = """\
format: aicfg-graph
version: 1
family: {family}
include: [common.yaml]
kv:
  - {{per_token: kv_plain}}
ops:
  - Gemm      | {{p}}_only_gemm | layers * sf | n = hidden; k = hidden
{more}"""


def model(folder, architecture="LlamaForCausalLM", **more):
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "config.json", json.dumps({**LLAMA, "architectures": [architecture], **more}))
    return folder


def family(folder, name, architecture, more=""):
    (folder / "graphs").mkdir(parents=True, exist_ok=True)
    write(folder / "architectures.yaml", f"{HEAD}families: {{{name}: false}}\narchitectures: {{{architecture}: {{family: {name}}}}}\n")
    write(folder / "graphs" / f"{name.lower()}.yaml", GRAPH.format(family=name, more=more))
    return folder


def spec(path, model_path):
    return write(path, f"sweep: {{models: {model_path}, systems: h200_sxm, tp: [1, 2], batch: [1, 8], isl: 512, osl: 16}}\n")


def ops(model_path, *args):
    shown = program("model", "show", model_path, "--system", "h200_sxm", "--json", *args).stdout
    return [next(iter(op.values()))["name"] for op in json.loads(shown)["context_ops"]]


def test_alias_and_family_are_swept_without_rebuild(tmp_path):
    own, more = tmp_path / "own", family(tmp_path / "more", "TINY", "TinyForCausalLM")
    own.mkdir()
    write(own / "architectures.yaml", f"{HEAD}architectures: {{AliasForCausalLM: {{family: LLAMA}}}}\n")
    alias, tiny = model(tmp_path / "alias", "AliasForCausalLM"), model(tmp_path / "tiny", "TinyForCausalLM")
    for name, path in (("alias", alias), ("tiny", tiny)):
        program("run", spec(tmp_path / f"{name}.yaml", path), "-o", tmp_path / f"{name}.h5", "--models", own, "--models", more)
        assert "4  ok" in program("report", tmp_path / f"{name}.h5").stdout
    assert ops(alias, "--models", own) == ops(model(tmp_path / "llama"))
    assert ops(tiny, "--models", more) == ["context_only_gemm"]


def test_variable_names_folders_too(tmp_path):
    more = family(tmp_path / "more", "TINY", "TinyForCausalLM")
    tiny = model(tmp_path / "tiny", "TinyForCausalLM")
    env = {"AICFG_MODELS": f"{tmp_path}:{more}"}
    program("support", tiny, "--system", "h200_sxm", env=env)
    program("support", tiny, "--system", "h200_sxm", code=11)
    assert "no such folder" in program("model", "list", env={"AICFG_MODELS": str(tmp_path / "none")}, code=2).stderr


def test_the_first_folder_that_names_something_counts(tmp_path):
    first, second = family(tmp_path / "first", "TINY", "LlamaForCausalLM"), tmp_path / "second"
    second.mkdir()
    write(second / "architectures.yaml", f"{HEAD}architectures: {{LlamaForCausalLM: {{family: MOE}}, NewForCausalLM: {{family: LLAMA}}}}\n")
    llama = model(tmp_path / "llama")
    assert ops(llama, "--models", first, "--models", second) == ["context_only_gemm"]
    assert "context_ffn2_gemm" in ops(llama)
    program("support", model(tmp_path / "new", "NewForCausalLM"), "--models", first, "--models", second, "--system", "h200_sxm")


def test_an_own_graph_overrides_the_installed_one(tmp_path):
    own = tmp_path / "own"
    (own / "graphs").mkdir(parents=True)
    write(own / "graphs" / "llama.yaml", GRAPH.format(family="LLAMA", more=""))
    assert ops("Qwen/Qwen3-8B", "--models", own) == ["context_only_gemm"]


def test_a_catalogue_entry_overrides_and_adds(tmp_path):
    write(tmp_path / "catalogue.json", json.dumps({"format": "aicfg-model-catalogue", "version": 1, "models": {
        "Qwen/Qwen3-8B": {**LLAMA, "num_hidden_layers": 7}, "me/new": LLAMA}}))
    listed = program("model", "list", "--models", tmp_path).stdout
    assert re.search(r"^me/new +LLAMA +no +32 ", listed, re.M) and re.search(r"^Qwen/Qwen3-8B +LLAMA +no +7 ", listed, re.M)


def test_folder_and_catalogue_are_the_same(tmp_path):
    catalogue = json.loads((ROOT / "data" / "models" / "catalogue.json").read_text())["models"]
    for name in ("Qwen/Qwen3-32B-FP8", "nvidia/Llama-3.1-70B-Instruct-FP8", "openai/gpt-oss-20b"):
        entry = dict(catalogue[name])
        quant = entry.pop("hf_quant_config", None)
        folder = tmp_path / name.replace("/", "--")
        folder.mkdir()
        write(folder / "config.json", json.dumps(entry))
        if quant:
            write(folder / "hf_quant_config.json", json.dumps(quant))
        same = ["--system", "h200_sxm", "--tp", "2", "--moe-ep", "2", "--json"]
        assert program("model", "show", folder, *same).stdout == program("model", "show", name, *same).stdout


@pytest.mark.parametrize("text, message", [
    ("families: {X: false}\narchitectures: {A: {family: Y}}\n", 'family "Y" is not among families:'),
    ("families: [X]\n", "families: expected a mapping"),
    ("architectures: {A: {family: LLAMA, txt: x}}\n", 'did you mean "text"'),
    ("on_build: {mode: moe}\n", "on_build: expected a list"),
])
def test_faults_of_an_own_file_have_a_position(tmp_path, text, message):
    path = write(tmp_path / "architectures.yaml", HEAD + text)
    stderr = program("model", "list", "--models", tmp_path, code=2).stderr
    assert str(path) in stderr and message in stderr


@pytest.mark.parametrize("files, message", [
    ({}, "has no config.json"),
    ({"config.json": "{"}, "config.json"),
    ({"config.json": "[]"}, "expected a mapping"),
    ({"config.json": "{}"}, "names no class"),
    ({"config.json": json.dumps({"architectures": ["LlamaForCausalLM"]})}, "num_hidden_layers"),
    ({"config.json": json.dumps(LLAMA), "hf_quant_config.json": "{"}, "hf_quant_config.json"),
])
def test_folders_that_are_no_models(tmp_path, files, message):
    for name, text in files.items():
        write(tmp_path / name, text)
    assert message in program("model", "show", tmp_path, code=2).stderr


# ---- model check

DOUBLE = """\
  - MlaModuleContext | context_module | layers | num_heads = heads // tp; kv_cache_dtype = kv_quant; fmha_quant_mode = fmha_quant; gemm_quant_mode = gemm_quant | p == 'context'
  - ContextMla | context_latent | layers | num_heads = heads // tp; kv_cache_dtype = kv_quant; fmha_quant_mode = fmha_quant | p == 'context'
"""


def test_check_finds_work_that_is_counted_twice(tmp_path):
    own = family(tmp_path / "own", "TWICE", "TwiceForCausalLM", DOUBLE)
    done = program("model", "check", model(tmp_path / "twice", "TwiceForCausalLM"), "--models", own, "--system", "h200_sxm", code=1)
    assert "context_module (MlaModuleContext, 32 times) contains what context_latent (ContextMla, 32 times) counts again" in done.stdout


@pytest.mark.parametrize("more, message", [
    ("  - Gemm | {p}_only_gemm | layers * sf | n = hidden; k = hidden\n", "is listed 2 times alike, 64 times over 32 layers"),
    ("  - Elementwise | {p}_only_gemm | layers | bytes_per_token = 2\n", "is the name of a Gemm and of a Elementwise"),
    ("  - Gemm | {p}_never | 0.0 | n = hidden; k = hidden\n", "generation_never (Gemm) costs nothing in any layout"),
])
def test_check_finds_more(tmp_path, more, message):
    own = family(tmp_path / "own", "ODD", "OddForCausalLM", more)
    done = program("model", "check", model(tmp_path / "odd", "OddForCausalLM"), "--models", own, "--system", "h200_sxm", code=1)
    assert message in done.stdout


def test_check_takes_branches_of_a_group_one_at_a_time(tmp_path):
    module, latent = (line[4:] for line in DOUBLE.splitlines())
    more = f"  - {{fallback: context_block, primary: \"{module.rsplit('|', 1)[0]}\", else: [\"{latent.rsplit('|', 1)[0]}\"], when: p == 'context'}}\n"
    own = family(tmp_path / "own", "EITHER", "EitherForCausalLM", more)
    program("model", "check", model(tmp_path / "either", "EitherForCausalLM"), "--models", own, "--system", "h200_sxm")
