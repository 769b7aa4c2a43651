"""The pods of every overlay satisfy the Pod Security Standard `restricted`, and the check works."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import CLUSTERS, rendered
from tests.deploy.pod_security import violations


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_the_pods_of_every_overlay_are_restricted(
    root: Path, tmp_path: Path, cluster: tuple[str, ...]
) -> None:
    template = rendered(root, tmp_path, *cluster)["Deployment"]["spec"]["template"]
    assert violations(template["spec"], template["metadata"].get("annotations")) == []


CONTEXT = ("securityContext",)
CONTAINER = ("containers", 0)
WITHIN = (*CONTAINER, "securityContext")


@pytest.mark.parametrize(
    ("place", "value", "violated"),
    [
        (("hostNetwork",), True, "Host Namespaces: hostNetwork"),
        (("hostPID",), True, "Host Namespaces: hostPID"),
        (("volumes", 0), {"name": "tmp", "hostPath": {"path": "/"}}, "Volume Types: tmp"),
        (("volumes", 0), {"name": "tmp", "nfs": {"server": "one"}}, "Volume Types: tmp"),
        ((*CONTEXT, "sysctls"), [{"name": "kernel.msgmax"}], "Sysctls: kernel.msgmax"),
        ((*CONTEXT, "windowsOptions"), {"hostProcess": True}, "HostProcess: pod"),
        ((*CONTEXT, "runAsUser"), 0, "Running as Non-root user: pod"),
        ((*CONTEXT, "runAsNonRoot"), None, "Running as Non-root: server"),
        ((*CONTEXT, "seccompProfile"), {"type": "Unconfined"}, "Seccomp: server"),
        ((*CONTEXT, "seLinuxOptions"), {"type": "spc_t"}, "SELinux: pod"),
        ((*CONTEXT, "appArmorProfile"), {"type": "Unconfined"}, "AppArmor: pod"),
        ((*WITHIN, "runAsUser"), 0, "Running as Non-root user: server"),
        ((*WITHIN, "runAsNonRoot"), False, "Running as Non-root: server"),
        ((*WITHIN, "seccompProfile"), {"type": "Unconfined"}, "Seccomp: server"),
        ((*WITHIN, "privileged"), True, "Privileged Containers: server"),
        ((*WITHIN, "procMount"), "Unmasked", "/proc Mount Type: server"),
        ((*WITHIN, "capabilities"), {}, "Capabilities: server"),
        (
            (*WITHIN, "capabilities"),
            {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
            "Capabilities: server",
        ),
        ((*WITHIN, "allowPrivilegeEscalation"), None, "Privilege Escalation: server"),
        ((*CONTAINER, "ports", 0, "hostPort"), 80, "Host Ports: server"),
        (
            (*CONTAINER, "livenessProbe", "httpGet", "host"),
            "10.0.0.1",
            "Host Probes / Lifecycle Hooks: server",
        ),
    ],
)
def test_every_control_can_fail(
    root: Path, place: tuple[Any, ...], value: object, violated: str
) -> None:
    manifest = root / "app" / "deploy" / "kubernetes" / "base" / "deployment.yaml"
    pod = yaml.safe_load(manifest.read_text())["spec"]["template"]["spec"]
    assert violations(pod) == []
    part = broken = deepcopy(pod)
    *parents, last = place
    for key in parents:
        part = part[key]
    part[last] = value
    assert violations(broken) == [violated]


def test_an_init_container_is_checked_too(root: Path) -> None:
    manifest = root / "app" / "deploy" / "kubernetes" / "base" / "deployment.yaml"
    pod = yaml.safe_load(manifest.read_text())["spec"]["template"]["spec"]
    pod["initContainers"] = [{"name": "first"}]
    assert violations(pod) == ["Capabilities: first", "Privilege Escalation: first"]


def test_an_unconfined_apparmor_annotation_is_refused() -> None:
    name = "container.apparmor.security.beta.kubernetes.io/server"
    assert violations({}, {name: "unconfined"}) == [f"AppArmor: {name}"]
    assert violations({}, {name: "runtime/default"}) == []
