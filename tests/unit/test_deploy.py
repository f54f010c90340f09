"""What is kept for running Seekpoint elsewhere: its names are the app's own, and its parts fit."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from starlette.applications import Starlette

from components.health import health_routes

OURS = re.compile(r"\b(?:SEEKPOINT_[A-Z_]+|TWELVELABS_[A-Z_]+|MILVUS_[A-Z_]+|DATABASE_URL)\b")
SHARED = {"MILVUS_URI", "DATABASE_URL", "SEEKPOINT_MEDIA_URL", "SEEKPOINT_SECRET"}
FILES = ["docker-compose.yml", "Dockerfile", "deploy/kubernetes.yaml", "docs/deploy.md"]


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    return yaml.safe_load((project / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def manifests(project: Path) -> dict[str, Any]:
    """The Kubernetes objects by kind and name."""
    text = (project / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")
    return {f"{each['kind']} {each['metadata']['name']}": each for each in yaml.safe_load_all(text)}


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_is_named_is_one_of_the_app(project: Path, file: str) -> None:
    settings = (project / "core" / "settings.py").read_text(encoding="utf-8")
    named = set(OURS.findall((project / file).read_text(encoding="utf-8")))
    assert named
    assert named - set(OURS.findall(settings)) == set()


def test_the_servers_of_compose_share_what_must_be_shared_and_nothing_else(
    compose: dict[str, Any],
) -> None:
    first, second = compose["services"]["app1"], compose["services"]["app2"]
    assert first["environment"] == second["environment"]
    assert set(first["environment"]) == SHARED
    shared = set(first["volumes"]) & set(second["volumes"])
    assert shared == {f"media:{first['environment']['SEEKPOINT_MEDIA_URL']}"}
    assert len(first["volumes"]) == len(second["volumes"]) == 2


def test_every_host_and_volume_that_compose_names_is_there(
    compose: dict[str, Any], project: Path
) -> None:
    services, volumes = compose["services"], compose["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (project / source).exists() if source.startswith(".") else source in volumes
    environment = services["app1"]["environment"]
    for address in (environment["MILVUS_URI"], environment["DATABASE_URL"]):
        assert urlsplit(re.sub(r"\$\{.*?\}", "chosen", address)).hostname in services
    proxied = re.findall(
        r"(\w+):8501", (project / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    )
    assert proxied == [name for name in services if name.startswith("app")]


def test_only_the_proxy_is_reached_from_outside_and_by_this_machine_unless_told_otherwise(
    compose: dict[str, Any],
) -> None:
    reached = {name for name, service in compose["services"].items() if "ports" in service}
    assert reached == {"proxy"}
    assert all(
        port.startswith("${LISTEN:-127.0.0.1}:") for port in compose["services"]["proxy"]["ports"]
    )


def test_the_servers_of_kubernetes_are_given_what_must_be_shared(manifests: dict[str, Any]) -> None:
    (container,) = manifests["Deployment seekpoint"]["spec"]["template"]["spec"]["containers"]
    given: set[str] = set()
    for source in container["envFrom"]:
        ((kind, reference),) = source.items()
        if kind == "secretRef":
            given |= set(manifests[f"Secret {reference['name']}"]["stringData"])
        else:
            given |= set(manifests[f"ConfigMap {reference['name']}"]["data"])
    assert given >= SHARED
    labels = manifests["Deployment seekpoint"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service seekpoint"]["spec"]["selector"] == labels


def test_probes_ask_for_routes_that_the_app_has(project: Path, manifests: dict[str, Any]) -> None:
    (container,) = manifests["Deployment seekpoint"]["spec"]["template"]["spec"]["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    caddy = (project / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    asked = dict(re.findall(r"health_(uri|body) (\S+)", caddy))
    routes = health_routes(nobody_asks, nobody_asks)
    paths = {route.path for route in routes}
    assert {asked["uri"], *(probe["path"] for probe in probes)} <= paths
    assert {probe["port"] for probe in probes} == {container["ports"][0]["containerPort"]}
    answer = asyncio.run(ask(Starlette(routes=routes), asked["uri"]))
    assert re.search(asked["body"], answer.text)


async def ask(app: Starlette, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app1") as client:
        return await client.get(path)


def nobody_asks() -> Any:
    raise AssertionError("whether a process lives depends on nothing else")


def test_commands_of_the_guide_are_there(project: Path) -> None:
    guide = (project / "docs" / "deploy.md").read_text(encoding="utf-8")
    for module in set(re.findall(r"python -m ([\w.]+)", guide)):
        assert (project / module.replace(".", "/")).with_suffix(".py").exists()
    for figure in set(re.findall(r"`(seekpoint_\w+?)(?:_total)?[`{]", guide)):
        exposition = (project / "components" / "exposition.py").read_text(encoding="utf-8")
        assert f'"{figure}"' in exposition
