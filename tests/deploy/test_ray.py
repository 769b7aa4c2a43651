"""A real Ray cluster of several nodes, one of which is killed under load."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.ray
@pytest.mark.skipif(not find_spec("ray"), reason="the extra `ray` is not installed")
def test_killing_a_node_under_load_fails_no_request(root: Path) -> None:
    program = Path(__file__).with_name("ray_cluster.py")
    ended = subprocess.run(
        [sys.executable, program],
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "DCGAN_PROVIDER": "cpu"},
        stdout=subprocess.PIPE,
    )
    found = json.loads(ended.stdout.splitlines()[-1])
    assert "failed" not in found, found
    assert found["different"] == 1  # every replica returns the same image
    assert found["while_healing"] > 0
    assert found["since"] > 0
    assert len(found["nodes_before"]) == len(found["nodes_after"]) == 2
    assert found["nodes_before"] != found["nodes_after"]
