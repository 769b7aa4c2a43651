"""A Ray cluster of four nodes on this machine, one of which is killed under load.

``python tests/deploy/ray_cluster.py`` prints a report of its clients as JSON.
"""

import io
import json
import os
import threading
import time
from collections import Counter
from contextlib import redirect_stdout

import httpx
import ray
from ray import serve
from ray._private.state import actors  # Ray's public function needs its dashboard
from ray.cluster_utils import Cluster

from app.deploy.ray_serve import Options, build
from tests.bench.serving import free_port

REQUEST = "/generate?n=2&seed=7"


class Clients:
    """Clients that send requests without pause, and repeat those that fail."""

    def __init__(self, address: str, number: int) -> None:
        self.address, self.found = address, Counter[str]()
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.bodies: set[bytes] = set()
        self.threads = [threading.Thread(target=self.ask, daemon=True) for _ in range(number)]

    def count(self, outcome: str) -> None:
        with self.lock:
            self.found[outcome] += 1

    def ask(self) -> None:
        with httpx.Client(base_url=self.address, timeout=20) as client:
            while not self.stop.is_set():
                self.count("answered" if self.ask_repeatedly(client) else "failed")

    def ask_repeatedly(self, client: httpx.Client, tries: int = 5) -> bool:
        for _ in range(tries):
            try:
                response = client.post(REQUEST, headers={"Accept": "image/png"})
            except httpx.TransportError:
                self.count("tries")
                continue
            if response.status_code == 200:
                self.bodies.add(response.content)
                return True
            self.count("tries")
            time.sleep(0.2)
        return False


def replica_nodes() -> list[str]:
    """Return the ids of the nodes on which replicas run."""
    return sorted(
        actor["Address"]["NodeID"]
        for actor in actors().values()
        if "ServeReplica" in actor["ActorClassName"] and actor["State"] == "ALIVE"
    )


def await_replicas(wanted: int, without: str = "", seconds: float = 120) -> list[str]:
    until = time.monotonic() + seconds
    while True:
        nodes = replica_nodes()
        if len(nodes) >= wanted and without not in nodes:
            return nodes
        assert time.monotonic() < until, nodes
        time.sleep(0.5)


def run() -> dict[str, object]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    ray.init(address=cluster.address, log_to_driver=False)
    port = free_port()
    serve.start(proxy_location="HeadOnly", http_options={"port": port})
    serve.run(build(Options(min_replicas=2, max_replicas=2, cpus=1)))
    before = await_replicas(2)
    clients = Clients(f"http://127.0.0.1:{port}", 4)
    for thread in clients.threads:
        thread.start()
    time.sleep(2)
    (lost,) = (node for node in nodes if node.node_id == before[0])
    at_the_kill = clients.found["answered"]
    cluster.remove_node(lost, allow_graceful=False)
    after = await_replicas(2, without=before[0])
    healed = clients.found["answered"]
    time.sleep(2)
    clients.stop.set()
    for thread in clients.threads:
        thread.join()
    found = {
        **clients.found,
        "different": len(clients.bodies),
        "nodes_before": before,
        "nodes_after": after,
        "while_healing": healed - at_the_kill,
        "since": clients.found["answered"] - healed,
    }
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()
    return found


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with redirect_stdout(io.StringIO()):
        report = run()
    print(json.dumps(report))
