"""What a Prometheus server reads at `/metrics`: counts and times, never words or people's names.

Counts begin anew with each start, as Prometheus expects. Workspaces are told by their number.
"""

import shutil
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from assistant.api.door import KeyRing
from assistant.api.errors import ApiError, as_api_error, error_response
from assistant.security import identify, may_administer
from storage.adapters import serving_adapter
from storage.errors import ApprenticeError
from storage.feedback import count_feedback
from storage.jobs import running_jobs
from storage.records import Message
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.app import App

CONTENT = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
"""Upper edges of the histograms: a small model on two cores up to a long reply in a queue."""


class Measures:
    """The figures of one server."""

    def __init__(self, app: "App") -> None:
        self.registry = CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry, "namespace": "apprentice"}
        self._requests = Counter(
            "requests", "Requests over HTTP", ["door", "method", "status"], **kept
        )
        self._replies = Counter("replies", "Replies that ended", ["outcome"], **kept)
        self._tokens = Counter("tokens", "Tokens read and written", ["kind"], **kept)
        self._first = Histogram(
            "first_token_seconds", "Until a reply's first word", buckets=SECONDS, **kept
        )
        self._whole = Histogram(
            "reply_seconds", "Until a reply's last word", buckets=SECONDS, **kept
        )
        for speaking, name, said in (
            (True, "replies_running", "Replies being said now"),
            (False, "replies_waiting", "Replies asked for that have said nothing yet"),
        ):
            gauge = Gauge(name, said, **kept)
            gauge.set_function(partial(app.under_way.count, speaking=speaking))
        ProcessCollector(registry=self.registry)
        self.registry.register(_House(app))
        app.under_way.on_end(self.reply_ended)

    def request_ended(self, door: str, method: str, status: int) -> None:
        """Count a request."""
        self._requests.labels(door, method, status).inc()

    def reply_ended(self, outcome: str, saved: Message | None) -> None:
        """Count a reply with its tokens and times."""
        self._replies.labels(outcome).inc()
        if saved is None:
            return
        self._tokens.labels("prompt").inc(saved.prompt_tokens or 0)
        self._tokens.labels("completion").inc(saved.completion_tokens or 0)
        if saved.ttft_ms:
            self._first.observe(saved.ttft_ms / 1000)
        self._whole.observe((saved.latency_ms or 0) / 1000)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class _House(Collector):
    """What the rows and the disk say at the moment they are asked."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked when this is registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Every figure, read anew."""
        waiting = GaugeMetricFamily(
            "apprentice_feedback_waiting", "Feedback to be reviewed", labels=["workspace"]
        )
        serving = GaugeMetricFamily(
            "apprentice_serving_adapter",
            "Number of the adapter that serves; 0: the base model",
            labels=["workspace"],
        )
        jobs = GaugeMetricFamily("apprentice_jobs", "Jobs by state", labels=["kind", "state"])
        with closing(self._app.db()) as db:
            for item in list_workspaces(db):
                waiting.add_metric([str(item.id)], count_feedback(db, item.id).get("new", 0))
                adapter = serving_adapter(db, item.id)
                serving.add_metric([str(item.id)], adapter.id if adapter else 0)
            counts = {("round", "queued"): 0, ("round", "running"): 0}
            for job in running_jobs(db):
                key = (job.kind, job.state)
                counts[key] = counts.get(key, 0) + 1
        for labels, count in counts.items():
            jobs.add_metric(list(labels), count)
        disk = shutil.disk_usage(self._app.datadir.root)
        size = self._app.datadir.database.stat().st_size
        return [
            waiting,
            serving,
            jobs,
            *self._replicas(),
            GaugeMetricFamily("apprentice_disk_free_bytes", "Of the data's disk", disk.free),
            GaugeMetricFamily("apprentice_database_bytes", "Of the SQLite file", size),
            GaugeMetricFamily(
                "apprentice_ready", "Whether the engine is open", float(self._app.has("engine"))
            ),
        ]

    def _replicas(self) -> Iterable[Metric]:
        """Nothing where one server answers."""
        found = self._app.replicas_with(None)
        if found is None:
            return
        family = GaugeMetricFamily("apprentice_replicas", "Model servers", labels=["state"])
        family.add_metric(["known"], found.known)
        family.add_metric(["up"], found.up)
        yield family
        having = GaugeMetricFamily(
            "apprentice_replicas_with_adapter",
            "Model servers that have what serves",
            labels=["workspace"],
        )
        with closing(self._app.db()) as db:
            for item in list_workspaces(db):
                adapter = serving_adapter(db, item.id)
                if counts := self._app.replicas_with(adapter.id if adapter else None):
                    having.add_metric([str(item.id)], counts.have)
        yield having


def metrics_page(app: "App", ring: KeyRing, measures: Measures, request: Request) -> Response:
    """The figures for an admin's login, or for a key of all workspaces with the scope `metrics`.

    Where the request comes from proves nothing: behind a web server all come from this machine.
    """
    try:
        if not may_administer(identify(request, app)):
            key = ring.admit(request.headers.get("authorization", ""))
            if "metrics" not in key.scopes or key.workspace_id is not None:
                raise ApiError(
                    403,
                    "This key may not read the figures: make one with `apprentice keys create "
                    "NAME --scope metrics --all-workspaces`.",
                    code="missing_scope",
                )
    except (ApiError, ApprenticeError) as error:
        return error_response(as_api_error(error))
    return PlainTextResponse(measures.text(), media_type=CONTENT)
