"""The Pod Security Standard `restricted`, checked without a cluster.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards (Kubernetes 1.34), whose
tables of "baseline" and "restricted" list every control here with its fields and allowed values.
An undefined field is checked as None. The exceptions for Windows and for pods with
``hostUsers: false`` are left out, so this is never more lenient than Kubernetes.
"""

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"}
VOLUMES |= {"persistentVolumeClaim", "projected", "secret"}
SECCOMP = {"RuntimeDefault", "Localhost"}
SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
}

Part = dict[str, Any]


def violations(pod: Part, annotations: Part | None = None) -> list[str]:
    """Return the controls that a pod's ``spec`` violates, with the place; empty if it conforms."""
    shared = pod.get("securityContext", {})
    found = [*_of_pod(pod, annotations or {}), *(f"{one}: pod" for one in _of_any_context(shared))]
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(kind, []):
            found += [f"{control}: {container['name']}" for control in _of(container, shared)]
    return found


def _of_pod(pod: Part, annotations: Part) -> Iterator[str]:
    """Yield what a pod violates outside its containers and securityContext."""
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield f"Host Namespaces: {name}"
    for volume in pod.get("volumes", []):
        if not volume.keys() - {"name"} <= VOLUMES:
            yield f"Volume Types: {volume['name']}"
    for sysctl in pod.get("securityContext", {}).get("sysctls", []):
        if sysctl["name"] not in SYSCTLS:
            yield f"Sysctls: {sysctl['name']}"
    for name, value in annotations.items():
        confined = value == "runtime/default" or value.startswith("localhost/")
        if name.startswith("container.apparmor.security.beta.kubernetes.io/") and not confined:
            yield f"AppArmor: {name}"


def _of_any_context(context: Part) -> Iterator[str]:
    """Yield what a securityContext, of a pod or of a container, violates by itself."""
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield "HostProcess"
    if context.get("appArmorProfile", {}).get("type") not in {None, *SECCOMP}:
        yield "AppArmor"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield "SELinux"
    if context.get("runAsUser") == 0:
        yield "Running as Non-root user"


def _of(container: Part, shared: Part) -> Iterator[str]:
    """Yield what a container violates; ``shared`` is its pod's securityContext."""
    context = container.get("securityContext", {})
    yield from _of_any_context(context)
    if context.get("privileged"):
        yield "Privileged Containers"
    if context.get("procMount") not in {None, "Default"}:
        yield "/proc Mount Type"
    capabilities = context.get("capabilities", {})
    added, dropped = set(capabilities.get("add", [])), capabilities.get("drop", [])
    if "ALL" not in dropped or not added <= {"NET_BIND_SERVICE"}:
        yield "Capabilities"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "Privilege Escalation"
    if context.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield "Running as Non-root"
    profile = context.get("seccompProfile", shared.get("seccompProfile", {}))
    if profile.get("type") not in SECCOMP:
        yield "Seccomp"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "Host Ports"
    if any(handler.get("host") for handler in _handlers(container)):
        yield "Host Probes / Lifecycle Hooks"


def _handlers(container: Part) -> Iterator[Part]:
    """Yield the HTTP and TCP actions of all probes and lifecycle hooks."""
    probes = [container.get(f"{kind}Probe", {}) for kind in ("startup", "liveness", "readiness")]
    for one in [*probes, *container.get("lifecycle", {}).values()]:
        yield one.get("httpGet", {})
        yield one.get("tcpSocket", {})
