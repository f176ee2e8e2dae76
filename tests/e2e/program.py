"""Runs the real program (path in AICFG_SWEEP) and helps looking at what it wrote."""
import os
import pathlib
import subprocess

import h5py
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("AICFG_SWEEP", str(ROOT / "build" / "release" / "aicfg-sweep"))

SPEC = """\
name: small
sweep:
- models: [Qwen/Qwen3-32B-FP8, Qwen/Qwen3-8B]
  systems: h200_sxm
  backends: [trtllm, vllm]
  tp: [1, 4]
  batch: [1, 8, 200]
  isl: [512, 16384]
  osl: [1, 200]
- models: Qwen/Qwen3-30B-A3B
  systems: h200_sxm
  layouts: [{tp: 4, moe_ep: 4}, {tp: 2, moe_ep: 4}]
  batch: [1, 16]
  isl: 1024
"""
SPEC_POINTS = 2 * 2 * 2 * 12 + 2 * 2


def program(*args, code=0, env=None, cwd=None):
    """Runs the program; fails unless it ends with the exit code. Returns the finished process."""
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})},
                          timeout=600)
    assert done.returncode == code, f"exit code {done.returncode}, not {code}: {' '.join(map(str, args))}\n{done.stdout}{done.stderr}"
    return done


def write(path, text):
    path.write_text(text)
    return path


def content(path):
    """Every dataset of a result file except the group /run, as bytes, and the root's attributes."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("run/"):
            found[name] = (str(item.dtype), item.shape, numpy.asarray(item[()]).tobytes())

    with h5py.File(path) as f:
        f.visititems(visit)
        found["/"] = sorted((k, str(v)) for k, v in f.attrs.items())
    return found


def same_files(a, b):
    """Byte by byte, but for what lies in the object header of /run, the last object, and the seal behind it."""
    def before_run(path):
        with h5py.File(path) as f:
            end = h5py.h5o.get_info(f["run"].id).addr
        data = path.read_bytes()
        return len(data), data[:end]

    return before_run(a) == before_run(b)


def nothing_left(folder, *allowed):
    """Only what the test itself put there is in the folder."""
    names = sorted(p.name for p in folder.iterdir())
    assert names == sorted(allowed), names
