"""The command line as such: help, documents kept in step, unknown words, exit codes."""
import json
import time

import pytest
from program import ROOT, program, write

COMMANDS = ["run", "plan", "rank", "show", "export", "report", "estimate", "model", "support", "db", "bench", "help"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command):
    text = program("help", command).stdout
    assert text == program(command, "--help").stdout
    assert "examples" in text and f"aicfg-sweep {command}" in text


def test_overview_and_version():
    text = program("help").stdout
    assert all(f"  {c} " in text for c in COMMANDS)
    assert program("--help").stdout == text
    assert program(code=2).stderr == text
    assert program("--version").stdout.startswith("aicfg-sweep ")


def test_written_documents_are_in_step():
    assert (ROOT / "docs" / "cli.md").read_text() == program("help", "--markdown").stdout
    assert (ROOT / "docs" / "man" / "aicfg-sweep.1").read_text() == program("help", "--man").stdout


def test_unknown_words():
    assert 'did you mean "export"?' in program("exprot", code=2).stderr
    assert 'did you mean "--threads"?' in program("run", "x.yaml", "--treads", "2", code=2).stderr
    assert 'did you mean "--moe-tp"?' in program("estimate", "--moe-tq", "2", code=2).stderr
    assert "give a spec or --points" in program("run", code=2).stderr


def test_files_that_are_not_there(tmp_path):
    assert "none.yaml" in program("run", tmp_path / "none.yaml", code=3).stderr
    assert "none.csv" in program("run", "--points", tmp_path / "none.csv", code=3).stderr
    assert "none.h5" in program("rank", tmp_path / "none.h5", code=3).stderr
    write(tmp_path / "text.h5", "this is no HDF5 file")
    assert "text.h5" in program("rank", tmp_path / "text.h5", code=2).stderr


def test_estimate_exit_codes():
    point = ["estimate", "--model", "Qwen/Qwen3-32B", "--system", "h200_sxm"]
    assert "ttft_ms" in program(*point, "--tp", "4").stdout
    assert "oom" in program(*point, "--batch", "5000", code=1).stdout
    assert "--model is missing" in program("estimate", "--system", "h200_sxm", code=2).stderr
    assert "expected an integer from 1 to 1024" in program(*point, "--tp", "0", code=2).stderr
    assert "expected a number" in program(*point, "--tp", "two", code=2).stderr


def test_models():
    assert "Qwen/Qwen3-32B " in program("model", "list").stdout
    text = program("model", "show", "Qwen/Qwen3-30B-A3B", "--system", "h200_sxm", "--tp", "4", "--moe-ep", "4").stdout
    assert "experts         128" in text and "context_moe" in text
    ops = json.loads(program("model", "show", "Qwen/Qwen3-8B", "--system", "h200_sxm", "--json").stdout)
    assert ops["context_ops"] and ops["generation_ops"]
    assert "did you mean" in program("model", "show", "Qwen/Qwen3-8", code=2).stderr
    refused = program("model", "show", "Qwen/Qwen3-30B-A3B", "--system", "h200_sxm", "--tp", "2", "--moe-ep", "4", code=1)
    assert "refused" in refused.stderr


def test_databases():
    assert "h200_sxm" in program("db", "info").stdout
    program("db", "verify", "h200_sxm")
    assert "did you mean" in program("db", "info", "h200_sx", code=2).stderr


def test_start_to_first_point_is_quick():
    start = time.perf_counter()
    program("estimate", "--model", "Qwen/Qwen3-32B", "--system", "h200_sxm", "--tp", "4")
    assert time.perf_counter() - start < 5  # far above the 0.3 s it takes, for busy machines
