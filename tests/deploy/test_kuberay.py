"""A provider on Kubernetes: what kustomize builds of deploy/kuberay is what Kubernetes takes, its secrets kept apart.

The schema of RayCluster itself is not at hand here: of it only the pods are checked, which are Kubernetes' own.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERAY = ROOT / "deploy" / "kuberay"
KUBERNETES = "1.37"


@cache
def built(overlay: str) -> list[dict[str, Any]]:
    program = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([program, "kustomize", KUBERAY / overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def cluster_of(overlay: str) -> dict[str, Any]:
    (found,) = (each for each in built(overlay) if each["kind"] == "RayCluster")
    return dict(found["spec"])


def pods_of(cluster: dict[str, Any]) -> dict[str, dict[str, Any]]:
    workers = {group["groupName"]: group["template"]["spec"] for group in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"]["template"]["spec"]} | workers


CLUSTER = yaml.safe_load((KUBERAY / "base" / "raycluster.yaml").read_text())["spec"]
PODS = pods_of(CLUSTER)
CONTAINERS = {
    each["name"]: each for pod in PODS.values() for each in [*pod.get("initContainers", []), *pod["containers"]]
}


def mounts(container: str) -> dict[str, tuple[str, str]]:
    return {
        each["mountPath"]: (each["name"], each.get("subPath", "")) for each in CONTAINERS[container]["volumeMounts"]
    }


def check(pod: dict[str, Any]) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "of-ray"}, "template": {"spec": pod}}
    kubernetes_validate.validate(template, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_kubernetes_takes_what_is_its_own(overlay: str) -> None:
    for document in built(overlay):
        if document["kind"] != "RayCluster":
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    for pod in pods_of(cluster_of(overlay)).values():
        check(pod)


def test_a_pod_with_a_misspelt_field_is_refused() -> None:
    pod = deepcopy(PODS["head"])
    pod["containers"][0]["volumeMount"] = pod["containers"][0].pop("volumeMounts")
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        check(pod)


def test_the_cluster_names_the_version_of_ray_that_the_image_holds() -> None:
    stack = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["stack"]
    assert f"ray=={CLUSTER['rayVersion']}" in stack


def test_only_who_has_the_token_talks_to_ray() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}
    variables = {each["name"] for each in CONTAINERS["agent"]["env"]}
    assert {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} == variables


def test_the_keys_are_the_agents_alone() -> None:
    holders = {name for name in CONTAINERS if {"home", "keys"} & {volume for volume, _ in mounts(name).values()}}
    assert holders == {"agent", "keys"}


def test_agent_and_workers_find_jobs_and_models_under_the_same_paths() -> None:
    shared = {path: volume for path, volume in mounts("agent").items() if volume[0] == "shared"}
    assert shared == {path: volume for path, volume in mounts("ray-worker").items() if volume[0] == "shared"}
    assert set(shared) == {"/var/lib/hallmark/state/work", "/var/cache/hallmark"}


def test_the_agent_is_a_driver_on_the_heads_own_node() -> None:
    head, agent = mounts("ray-head"), mounts("agent")
    assert head.keys() == {"/tmp", "/dev/shm"}
    assert head.items() <= agent.items()
    assert PODS["head"]["volumes"][0] == {"name": "tmp", "emptyDir": {}}


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_container_can_gain_rights(name: str) -> None:
    rights = CONTAINERS[name]["securityContext"]
    assert rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("pod", PODS)
def test_pods_run_as_nobody_special_and_hold_no_credential_of_kubernetes(pod: str) -> None:
    assert PODS[pod]["securityContext"]["runAsUser"] == 10001
    assert PODS[pod]["securityContext"]["runAsNonRoot"]
    assert PODS[pod]["automountServiceAccountToken"] is False


def test_a_worker_reaches_its_cluster_and_names_and_nobody_else() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in built("base") if each["kind"] == "NetworkPolicy"}
    within = {"podSelector": {"matchLabels": {"ray.io/cluster": "hallmark-provider"}}}
    to_cluster, names = policies["hallmark-workers-stay-within"]["egress"]
    assert to_cluster == {"to": [within]}
    assert {each["port"] for each in names["ports"]} == {53}
    assert policies["hallmark-ray-from-within"]["ingress"] == [{"from": [within]}]


def test_the_gpu_overlay_adds_a_gpu_to_workers_and_nothing_else() -> None:
    expected = deepcopy(cluster_of("base"))
    worker = expected["workerGroupSpecs"][0]["template"]["spec"]
    worker["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "1"
    worker["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert cluster_of("gpu") == expected
    assert built("gpu")[:-1] == built("base")[:-1]
