"""The manifests in docs/deploy say what the code means: names, ports, variables, paths, limits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from assistant.engines.protocol import MAX_ADAPTERS
from assistant.engines.remote_dialects import LOAD, UNLOAD
from assistant.engines.remote_place import remote_place
from assistant.settings import Settings, read_settings
from storage.datadir import DataDir
from tuning.config import RoundConfig

FOLDER = Path(__file__).parents[2] / "docs" / "deploy"
PINNED = re.compile(r"[\w./-]+:v?\d+[\w.-]*")
SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")
USER = "2000"


@dataclass(frozen=True)
class Mount:
    """A volume, or a folder of it, as a container sees it."""

    volume: str
    path: str
    folder: str = ""
    read_only: bool = False

    def there(self, path: str) -> tuple[str, str] | None:
        """The volume and the path in it that `path` is."""
        if not Path(path).is_relative_to(self.path):
            return None
        return self.volume, str(Path(self.folder) / Path(path).relative_to(self.path))


@dataclass(frozen=True)
class Container:
    """What both kinds of files say of one."""

    name: str
    image: str
    words: list[str]
    env: dict[str, str]
    mounts: list[Mount]
    user: str
    limits: dict[str, str]
    ports: set[int]

    def option(self, name: str) -> str:
        (found,) = [word.partition("=")[2] for word in self.words if word.startswith(f"--{name}=")]
        return found

    def holds(self, path: str) -> tuple[str, str, bool]:
        """The volume that `path` is on, the path there and whether it may only be read."""
        fits = [one for one in self.mounts if one.there(path)]
        one = max(fits, key=lambda mount: len(mount.path))
        return (*(one.there(path) or ("", "")), one.read_only)


def compose() -> dict:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def objects() -> list[dict]:
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


def of_kind(kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in objects() if one["kind"] == kind}


def in_compose() -> Iterator[Container]:
    image_user = re.search(r"^USER (\d+)", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    for name, said in compose()["services"].items():
        mounts = []
        for one in said.get("volumes", []):
            if isinstance(one, str):
                volume, path, *more = one.split(":")
                mounts.append(Mount(volume, path, read_only=more == ["ro"]))
            else:
                folder = one.get("volume", {}).get("subpath", "")
                mounts.append(
                    Mount(one["source"], one["target"], folder, one.get("read_only", False))
                )
        health = " ".join(said.get("healthcheck", {}).get("test", []))
        yield Container(
            name,
            said["image"],
            list(said.get("command") or []),
            said.get("environment", {}),
            mounts,
            said.get("user", image_user[1] if "apprentice" in said["image"] else "").split(":")[0],
            said["deploy"]["resources"]["limits"],
            {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", health)},
        )


def in_kubernetes() -> Iterator[Container]:
    for kind in ("Deployment", "StatefulSet"):
        for one in of_kind(kind).values():
            pod = one["spec"]["template"]["spec"]
            claims = {
                each["name"]: each["persistentVolumeClaim"]["claimName"]
                for each in pod["volumes"]
                if "persistentVolumeClaim" in each
            }
            for said in [*pod.get("initContainers", []), *pod["containers"]]:
                yield Container(
                    said["name"],
                    said["image"],
                    said.get("args", said.get("command", [])),
                    {each["name"]: each.get("value", "") for each in said.get("env", [])},
                    [
                        Mount(
                            claims.get(each["name"], each["name"]),
                            each["mountPath"],
                            each.get("subPath", ""),
                            each.get("readOnly", False),
                        )
                        for each in said.get("volumeMounts", [])
                    ],
                    str(pod["securityContext"]["runAsUser"]),
                    said["resources"]["limits"],
                    {each["containerPort"] for each in said.get("ports", [])},
                )


def parts(kind: str) -> tuple[Container, list[Container], list[Container]]:
    """Apprentice, the model servers, and all."""
    found = list(in_compose() if kind == "compose" else in_kubernetes())
    (own,) = [one for one in found if one.name == "apprentice"]
    return own, [one for one in found if one.image.startswith("vllm/")], found


def settings_in(own: Container) -> Settings:
    """As the server would read them; every name must be one that it reads."""
    env = {name: value for name, value in own.env.items() if name.startswith("APPRENTICE_")}
    given = {name.removeprefix("APPRENTICE_").lower(): value for name, value in env.items()}
    assert set(given) <= set(Settings.model_fields)
    return read_settings(**{name: value for name, value in given.items() if value})


both = pytest.mark.parametrize("kind", ["compose", "kubernetes"])


@both
def test_the_settings_are_those_of_the_model_servers(kind):
    own, servers, _ = parts(kind)
    settings = settings_in(own)
    assert settings.engine == "remote" and servers
    for one in servers:
        assert one.env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
        assert "--enable-lora" in one.words and not any("api-server" in word for word in one.words)
        assert one.option("model") == settings.base_model == settings.remote_model
        assert int(one.option("max-model-len")) == settings.context
        # one more than are kept: a round's candidate
        assert int(one.option("max-cpu-loras")) > MAX_ADAPTERS
        assert int(one.option("max-lora-rank")) >= RoundConfig().rank
        assert one.ports == {8000}
    assert own.ports == {settings.port}


@both
def test_what_is_loaded_is_where_the_model_servers_look(kind):
    own, servers, _ = parts(kind)
    settings = settings_in(own)
    place, data = remote_place(settings), DataDir(settings.data)
    for folder in (data.adapters / "3", data.rounds / "4" / "out" / "adapter"):
        volume, path, read_only = own.holds(str(folder))
        assert not read_only
        for one in servers:
            assert one.holds(place.seen(folder)) == (volume, path, True)
            assert not any(mount.there(place.seen(data.database)) for mount in one.mounts) or (
                one.holds(place.seen(data.database))[0] != own.holds(str(data.database))[0]
            )
    keys = own.holds(settings.signing_key)[0]
    assert keys != own.holds(str(data.database))[0]


@both
def test_no_secret_is_written_down_and_every_image_is_pinned(kind):
    _, _, found = parts(kind)
    for one in found:
        assert PINNED.fullmatch(one.image), one.image
        for name, value in one.env.items():
            if SECRET.search(name) and name != "APPRENTICE_SIGNING_KEY":
                assert value == "" or value.startswith("${"), name
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert PINNED.fullmatch(re.search(r"^FROM (\S+)", dockerfile, re.MULTILINE)[1])


@both
def test_limits_and_one_user_whose_files_both_can_read(kind):
    own, servers, found = parts(kind)
    assert {one.user for one in (own, *servers)} == {USER}
    for one in found:
        assert set(one.limits) >= {"memory"} and {"cpu", "cpus"} & set(one.limits), one.name


def test_the_balancer_has_the_replicas_and_lets_nobody_load():
    own, servers, _ = parts("compose")
    settings = settings_in(own)
    told = (FOLDER / "balancer.conf").read_text()
    behind = re.findall(r"^    server (\S+:\d+) ", told, re.MULTILINE)
    assert [f"http://{one}" for one in behind] == settings.remote_replicas.split(",")
    assert {one.partition(":")[0] for one in behind} == {one.name for one in servers}
    assert urlsplit(settings.remote_url).netloc == "balancer:8000" and "listen 8000;" in told
    let_by = re.compile(re.search(r"location ~ (\S+) \{", told)[1])
    for path in ("/v1/completions", "/v1/models", "/version", "/tokenize", "/health"):
        assert let_by.match(path)
    for path in (LOAD, UNLOAD, "/v1/completions/../load_lora_adapter"):
        assert not let_by.match(path)
    silence = int(re.search(r"proxy_read_timeout (\d+)s", told)[1])
    assert silence > settings.remote_timeout


def test_compose_starts_in_order_and_every_service_is_watched():
    services = compose()["services"]
    for name, one in services.items():
        assert set(one.get("depends_on", {})) <= set(services)
        assert name == "folders" or one["healthcheck"]["test"]
        assert one["cap_drop"] == ["ALL"]
    assert "/healthz" in services["apprentice"]["healthcheck"]["test"][-1]
    gpus = [
        one["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        for name, one in services.items()
        if name.startswith("vllm")
    ]
    assert gpus == [["0"], ["1"]]
    assert set(compose()["volumes"]) == {
        mount.volume for one in in_compose() for mount in one.mounts if mount.volume[0] != "."
    }


def test_kubernetes_names_fit_together():
    pods = {**of_kind("Deployment"), **of_kind("StatefulSet")}
    labels = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in pods.items()}
    claims = set(of_kind("PersistentVolumeClaim"))
    for name, one in pods.items():
        assert one["spec"]["selector"]["matchLabels"] == labels[name]
        pod = one["spec"]["template"]["spec"]
        assert pod["enableServiceLinks"] is False and pod["securityContext"]["runAsNonRoot"]
        volumes = {each["name"] for each in pod["volumes"]}
        volumes |= {
            each["metadata"]["name"] for each in one["spec"].get("volumeClaimTemplates", [])
        }
        for each in pod["volumes"]:
            assert each.get("persistentVolumeClaim", {}).get("claimName") in {None, *claims}
        for each in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in each.get("volumeMounts", [])} <= volumes
            assert not each["securityContext"]["allowPrivilegeEscalation"]
        (main,) = pod["containers"]
        ports = {each["name"] for each in main["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = main[probe]["httpGet"]
            assert asked["port"] in ports
            assert asked["path"] == ("/healthz" if name == "apprentice" else "/health")
    for service in of_kind("Service").values():
        assert service["spec"]["selector"] in labels.values()
        assert service["spec"]["ports"][0]["targetPort"] in ports


def test_kubernetes_asks_a_balancer_and_each_pod_by_itself():
    own, _, _ = parts("kubernetes")
    settings, services = settings_in(own), of_kind("Service")
    url, each = urlsplit(settings.remote_url), urlsplit(settings.remote_replicas)
    one, headless = services[url.hostname], services[each.hostname]
    assert "clusterIP" not in one["spec"]
    assert headless["spec"]["clusterIP"] == "None" and headless["spec"]["publishNotReadyAddresses"]
    assert of_kind("StatefulSet")["vllm"]["spec"]["serviceName"] == each.hostname
    assert url.port == one["spec"]["ports"][0]["port"]
    # a headless service has no port of its own: the address is the pod's
    assert each.port == headless["spec"]["ports"][0]["port"] == 8000
    assert of_kind("Deployment")["apprentice"]["spec"]["replicas"] == 1
    assert of_kind("Deployment")["apprentice"]["spec"]["strategy"]["type"] == "Recreate"
    (policy,) = of_kind("NetworkPolicy").values()
    (allowed,) = policy["spec"]["ingress"][0]["from"]
    labels = of_kind("Deployment")["apprentice"]["spec"]["template"]["metadata"]["labels"]
    assert allowed["podSelector"]["matchLabels"] == labels
