"""Spans: one for each room, below the caller's own; nothing imported and nothing recorded when off."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from running_service import Running
from scripted_fleet import GREEDY, PROMPT, ScriptedFleet, image, well
from small_calls import score_body

from edit_rrm.prompts import ImageSlot
from edit_rrm_server.observe import tracing

TRACE_ID, CALLER_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE_ID}-{CALLER_ID}-01"}


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Every span that ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.stop()


def ways(spans: InMemorySpanExporter) -> list[str]:
    """Each span with those above it, the topmost first."""
    found = {span.context.span_id: span for span in spans.get_finished_spans() if span.context}

    def way(span: ReadableSpan) -> str:
        above = found.get(span.parent.span_id) if span.parent else None
        return f"{way(above)}/{span.name}" if above else span.name

    return sorted(way(span) for span in found.values())


async def test_a_score_has_a_span_in_every_room(running: Running, spans: InMemorySpanExporter) -> None:
    assert (await running.score(principles=None)).status_code == 200
    assert ways(spans) == [
        "request",
        "request/images",
        "request/room",
        "request/scoring",
        "request/scoring/decomposition",
        "request/scoring/decomposition/engine",
        "request/scoring/decomposition/queue",
        "request/scoring/engine",
        "request/scoring/judging",
        "request/scoring/queue",
    ]


async def test_spans_say_sizes_and_ids_and_never_content(
    running: Running, spans: InMemorySpanExporter
) -> None:
    response = await running.score()
    by_name = {span.name: span for span in spans.get_finished_spans()}
    request, engine = (dict(by_name[name].attributes or {}) for name in ("request", "engine"))
    assert request == {
        "edit_rrm.request_id": response.headers["X-Request-ID"],
        "edit_rrm.route": "/v1/score",
        "edit_rrm.status": 200,
        "edit_rrm.code": "ok",
    }
    assert (engine["edit_rrm.prompt_tokens"], engine["edit_rrm.cached_prompt_tokens"]) == (100, 64)
    everything = "".join(span.to_json() for span in spans.get_finished_spans())
    assert not any(word in everything for word in ("circle", "background", "evidence"))


async def test_the_callers_trace_goes_on(running: Running, spans: InMemorySpanExporter) -> None:
    await running.http.post("/v1/score", json=score_body(), headers=TRACEPARENT)
    found = spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in found if span.context} == {TRACE_ID}
    (request,) = (span for span in found if span.name == "request")
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == CALLER_ID


async def test_an_upstream_is_told_of_the_span_that_asks_it(spans: InMemorySpanExporter) -> None:
    fleet = ScriptedFleet(a=well)
    engine = await fleet.engine()
    await engine.generate(PROMPT, {ImageSlot.SOURCE: image()}, GREEDY)
    (span,) = spans.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("upstream", {"edit_rrm.server": "a"})
    assert span.context is not None
    told = fleet.asked[0].headers["traceparent"]
    assert told.startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-")
    await engine.stop()


async def test_a_failure_is_shown_by_its_code_alone(running: Running, spans: InMemorySpanExporter) -> None:
    running.engine.script = lambda _: "a secret wish"
    await running.score()
    judging = [span for span in spans.get_finished_spans() if span.name == "judging"]
    assert [span.status.description for span in judging] == ["trace_unparseable"] * 2
    assert not any(span.events for span in spans.get_finished_spans())


async def test_probes_and_metrics_have_no_spans(running: Running, spans: InMemorySpanExporter) -> None:
    for path in ("/health", "/ready", "/metrics"):
        await running.http.get(path)
    assert spans.get_finished_spans() == ()


async def test_off_there_is_no_header_and_every_span_is_the_same_nothing(running: Running) -> None:
    assert (await running.score()).status_code == 200
    assert tracing.headers() is None
    assert tracing.span("queue") is tracing.span("engine", size=1)


def test_off_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys, edit_rrm_server.process.serving, edit_rrm_server.api.app\n"
        "from edit_rrm_server.observe import tracing\n"
        "with tracing.span('queue') as span: span.note(size=1)\n"
        "tracing.stop()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_it_starts_and_stops_with_either_protocol(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol)
    tracing.start("http://127.0.0.1:9")
    tracing.stop()
    assert tracing.headers() is None


def test_another_protocol_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier pigeon")
    with pytest.raises(ValueError, match="carrier pigeon"):
        tracing.start("http://127.0.0.1:9")
