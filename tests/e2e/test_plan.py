"""plan: counts without evaluating, refusals with reasons, nothing written."""
from program import SPEC, SPEC_POINTS, nothing_left, program, write


def test_counts_and_refusals(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    text = program("plan", spec, cwd=tmp_path).stdout
    assert f"points     {SPEC_POINTS} in 10 deployments" in text
    assert "refused    1 of 10 deployments, 2 points" in text  # tp 2 against moe_ep 4
    assert "invalid" in text and "coverage" in text and "time" in text and "file" in text
    nothing_left(tmp_path, "s.yaml")


def test_overrides_apply(tmp_path):
    spec = write(tmp_path / "s.yaml", SPEC)
    assert "points     28 in" in program("plan", spec, "--set", "sweep[0].batch=1", "--set", "sweep[0].osl=1",
                                         "--set", "sweep[0].tp=[1,2,4]").stdout


def test_point_lists(tmp_path):
    points = write(tmp_path / "p.csv", "model,system,backend,tp\nQwen/Qwen3-8B,h200_sxm,trtllm,1\nnope,h200_sxm,trtllm,1\n"
                                       "Qwen/Qwen3-8B,h200_sxm,trtllm,0\n")
    text = program("plan", "--points", points).stdout
    assert "points     3 in 3 deployments" in text
    assert "refused    2 of 3 deployments, 2 points" in text


def test_a_huge_sweep_is_planned_at_once(tmp_path):
    spec = write(tmp_path / "s.yaml", "sweep: {model: Qwen/Qwen3-8B, system: h200_sxm, batch: {from: 1, to: 1000, step: 1},\n"
                                      "  isl: {from: 1, to: 8000, step: 1}, osl: {from: 1, to: 500, step: 1}}\n")
    assert "points     4000000000 in 1 deployments" in program("plan", spec).stdout
