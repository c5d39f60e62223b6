"""The runner `ray`: its sentences here, and in the long form rounds on a real cluster."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from itertools import pairwise

import pytest

from storage.errors import BadInput, Refused
from tests.tuning.runners.conftest import make_bundle, train
from tests.tuning.runners.ray_cluster import may_be_apart, running
from tuning.adapter_files import verify_adapter
from tuning.bundle import bundle_hash
from tuning.checkpoint import last_checkpoint
from tuning.child import RoundCancelled, RoundFailed
from tuning.runners.local import Local
from tuning.runners.ray import RECORD, Ray, RaySettings
from tuning.runners.ray_job import ATTEMPTS

NEEDS_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")


@contextmanager
def answering(status, body):
    """A server that answers any question so; what it was asked with is in its `seen`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen = self.headers.get("Authorization")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *what):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            server.url = f"http://127.0.0.1:{server.server_port}"
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_without_an_address_it_says_which_setting():
    with pytest.raises(Refused, match="set APPRENTICE_RAY_ADDRESS"):
        Ray().ready()


@pytest.mark.parametrize(
    "address", ["auto", "ray://head:10001", "os://x", "http://", "http://ada:word@head:8265"]
)
def test_an_address_that_is_none_is_refused_before_anybody_is_asked(address, bundle):
    """Ray's own client would import a module of that name."""
    for ask in (Ray(RaySettings(address)).ready, lambda: Ray(RaySettings(address)).place(bundle)):
        with pytest.raises(BadInput, match="no address of Ray's dashboard"):
            ask()


def test_a_cluster_that_is_not_there_or_is_none_is_named():
    said = "No Ray cluster answers at .* .KeyError"
    with answering(200, b"{}") as other, pytest.raises(Refused, match=said):
        Ray(RaySettings(other.url)).ready()
    with pytest.raises(Refused, match="No Ray cluster answers at .* .ConnectError"):
        Ray(RaySettings(other.url)).ready()


def test_one_that_wants_a_token_gets_it_and_the_token_is_not_told():
    with answering(401, b"") as cluster:
        with pytest.raises(Refused, match="set APPRENTICE_RAY_TOKEN") as refused:
            Ray(RaySettings(cluster.url, token="sesame")).ready()
        assert cluster.seen == "Bearer sesame"
    assert "sesame" not in str(refused.value) + repr(RaySettings(token="sesame"))


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("tuning.runners.ray.find_spec", lambda name: None)
    cluster, said = answering(200, b'{"ray_version": "2.60.0"}'), "apprentice-chat.ray."
    with cluster as there, pytest.raises(Refused, match=said):
        Ray(RaySettings(there.url)).ready()


@NEEDS_RAY
def test_what_a_round_takes_and_where_it_goes_is_said(bundle):
    with answering(200, b'{"ray_version": "2.60.0"}') as cluster:
        runner = Ray(RaySettings(cluster.url, cpus=4, gpus=1))
        assert "Ray 2.60.0, 4 CPUs and 1 GPUs" in runner.ready()
        assert runner.place(bundle.folder) == f"{cluster.url} (Ray cluster)"


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of a CPU."""
    with running() as cluster:
        yield cluster


def runner(cluster, **more):
    return Ray(RaySettings(cluster.address, token=cluster.token, **more))


def losses(out):
    return json.loads((out / "training.json").read_text())["losses"]


@NEEDS_RAY
@pytest.mark.slow
def test_a_bundle_goes_to_a_node_and_the_same_adapter_comes_back(
    cluster, tmp_path, tiny_base, bundle
):
    said, out = [], tmp_path / "out"
    result = train(runner(cluster), bundle, out, tiny_base, said=said)
    assert [one["step"] for one in said if "step" in one] == list(range(1, 13)), "said twice"
    manifest = verify_adapter(out / "adapter", tiny_base.fingerprint)
    assert manifest.extra["bundle"] == bundle_hash(bundle.folder)
    assert json.loads((out / "training.json").read_text()) == result
    assert not (out / RECORD).exists()
    train(Local(), bundle, tmp_path / "here", tiny_base)
    assert losses(out) == pytest.approx(losses(tmp_path / "here"), rel=1e-3)


@NEEDS_RAY
@pytest.mark.slow
def test_what_people_wrote_is_not_left_in_rays_folders(cluster, tmp_path, tiny_base, bundle):
    train(runner(cluster), bundle, tmp_path / "out", tiny_base)
    left = [path for path in cluster.folder.rglob("*") if path.name == "train.jsonl"]
    parcels = [path for path in cluster.folder.rglob("parcel.tar.gz")]
    assert left == parcels == []


@NEEDS_RAY
@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True])
def test_a_node_that_is_lost_amid_a_round_costs_no_more_than_a_checkpoint(
    apart, tmp_path, tiny_base, rows
):
    """The power of one of two nodes goes; the loss is that of a round that nothing disturbed."""
    if apart and not may_be_apart():
        pytest.skip("network namespaces may not be made here")
    # at the small bundle's own rate rounding grows until two rounds' losses have little in common
    dials = {"epochs": 150, "checkpoint_steps": 20, "learning_rate": 1e-3}
    taken = make_bundle(tmp_path / "b", tiny_base, rows, **dials)
    said, out, killed = [], tmp_path / "out", []
    with running(apart=apart) as cluster:

        def heard(one):
            said.append(one)
            if one.get("step") == 60:
                (at,) = [number for number in (1, 2) if cluster.trains(number)]
                cluster.kill(at)
                killed.append(at)

        runner(cluster).train(
            taken.folder,
            out,
            tiny_base.folder,
            on_progress=heard,
            cancelled=lambda: False,
        )
    steps = [one["step"] for one in said if "step" in one]
    assert killed and set(steps) == set(range(1, 301))
    assert len(steps) < 300 + 60, "it went on from a checkpoint"
    assert sum(later <= earlier for earlier, later in pairwise(steps)) <= 1
    assert any("the node was lost" in one.get("note", "") for one in said)
    verify_adapter(out / "adapter", tiny_base.fingerprint)
    train(Local(), taken, tmp_path / "here", tiny_base)
    assert losses(out) == pytest.approx(losses(tmp_path / "here"), rel=1e-2, abs=1e-4)


@NEEDS_RAY
@pytest.mark.slow
def test_a_cancel_ends_the_job_there_and_its_checkpoint_comes_home(
    cluster, tmp_path, tiny_base, rows
):
    taken = make_bundle(tmp_path / "b", tiny_base, rows, epochs=2000, checkpoint_steps=5)
    said, out = [], tmp_path / "out"
    with pytest.raises(RoundCancelled):
        train(
            runner(cluster),
            taken,
            out,
            tiny_base,
            said=said,
            cancelled=lambda: any(one.get("step", 0) > 20 for one in said),
        )
    deadline = time.monotonic() + 20
    while any(cluster.trains(number) for number in (1, 2)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(cluster.trains(number) for number in (1, 2)), "the training goes on there"
    assert last_checkpoint(out, bundle_hash(taken.folder)).step >= 5


@NEEDS_RAY
@pytest.mark.slow
def test_a_round_whose_server_was_ended_takes_up_its_job_again(
    cluster, tmp_path, tiny_base, bundle
):
    first, out = runner(cluster), tmp_path / "out"
    out.mkdir()
    client = first._client()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    job = first._started(client, scratch, bundle.folder, out, tiny_base.folder, ())
    said = []
    result = train(runner(cluster), bundle, out, tiny_base, said=said, options=["--resume"])
    assert result["steps"] == 12
    assert [info.submission_id for info in client.list_jobs() if info.submission_id == job] == [job]
    assert any(job in one.get("note", "") for one in said), "another job was started"


@NEEDS_RAY
@pytest.mark.slow
def test_rounds_train_beside_each_other(cluster, tmp_path, tiny_base, rows):
    """Two rounds, two nodes: each has a training at the same moment."""
    both, failed = threading.Event(), []

    def one(name):
        taken = make_bundle(tmp_path / name, tiny_base, rows, epochs=100)
        try:
            runner(cluster).train(
                taken.folder,
                tmp_path / f"{name}-out",
                tiny_base.folder,
                on_progress=lambda said: (
                    both.set() if cluster.trains(1) and cluster.trains(2) else None
                ),
                cancelled=lambda: False,
            )
        except Exception as error:  # noqa: BLE001  a thread's would be lost
            failed.append(error)

    threads = [threading.Thread(target=one, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and both.is_set()
    for name in ("a", "b"):
        verify_adapter(tmp_path / f"{name}-out" / "adapter", tiny_base.fingerprint)


@NEEDS_RAY
@pytest.mark.slow
def test_a_base_that_is_not_the_bundles_is_refused_in_a_sentence(
    cluster, tmp_path, tiny_base, bundle
):
    with pytest.raises(RoundFailed, match="holds no .safetensors file"):
        train(runner(cluster, base=str(tmp_path)), bundle, tmp_path / "out", tiny_base)


@NEEDS_RAY
@pytest.mark.slow
def test_a_round_whose_nodes_are_all_lost_waits_and_says_so(tmp_path, tiny_base, rows):
    """No node is left: a new one takes the round over from the last checkpoint."""
    taken = make_bundle(tmp_path / "b", tiny_base, rows, epochs=60, checkpoint_steps=10)
    said, out = [], tmp_path / "out"
    with running(cpus=(1,)) as cluster:

        def heard(one):
            said.append(one)
            if one.get("step") == 30 and len(cluster.nodes) == 2:
                cluster.kill(1)
                cluster.add()

        runner(cluster).train(
            taken.folder, out, tiny_base.folder, on_progress=heard, cancelled=lambda: False
        )
    assert ATTEMPTS > 1 and sum("node was lost" in one.get("note", "") for one in said) == 1
    verify_adapter(out / "adapter", tiny_base.fingerprint)
