"""The Kubernetes manifests as `kubectl apply -k` would send them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]

OVERLAYS = ("cpu", "gpu")
CLUSTERS = (*((name,) for name in OVERLAYS), ("cpu", "models-volume"))
"""What can be applied: an overlay, and the components that are commented out in it."""


def rendered(root: Path, folder: Path, overlay: str, *components: str) -> dict[str, Manifest]:
    """Return the manifests of an overlay, by kind; ``folder`` takes the copy that is rendered."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed; it renders the overlays")
    copy = folder / "kubernetes"
    shutil.copytree(root / "app" / "deploy" / "kubernetes", copy, dirs_exist_ok=True)
    chosen = copy / "overlays" / overlay
    text = (chosen / "kustomization.yaml").read_text()
    for name in components:
        off, on = f"# - ../../components/{name}", f"- ../../components/{name}"
        assert off in text
        text = text.replace(off, on)
    (chosen / "kustomization.yaml").write_text(text)
    command = ["kubectl", "kustomize", str(chosen)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    return {one["kind"]: one for one in yaml.safe_load_all(ended.stdout)}
