"""OpenTelemetry spans, one for each room of a score's way. Off, nothing of it is imported or recorded.

Spans carry ids, sizes and codes, never content; the message of an error is content. The provider is this
service's own, not the process's: vLLM sets that one for itself.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from edit_rrm_server import __version__

Attribute = str | int | float | bool
_PROTOCOL_VARIABLE = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"


class Span(Protocol):
    """What a room may do with its span."""

    def note(self, **attributes: Attribute) -> None:
        """Adds what is known only now."""
        ...


class _Nothing:
    def note(self, **attributes: Attribute) -> None:
        pass


class _Recorded:
    def __init__(self, span: Any) -> None:
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(f"edit_rrm.{name}", value)


_OFF: AbstractContextManager[Span] = nullcontext(_Nothing())
_provider: Any = None
_tracer: Any = None


def start(endpoint: str) -> None:
    """Sends spans to the OTLP endpoint, by gRPC or as OTEL_EXPORTER_OTLP_TRACES_PROTOCOL says.

    Raises ImportError without the extra `otel`, ValueError for a protocol that is neither.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "edit-rrm-server")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(endpoint)))
    use(provider)


def use(provider: Any) -> None:
    """Records spans with this TracerProvider from now on; None records none."""
    global _provider, _tracer
    _provider = provider
    _tracer = None if provider is None else provider.get_tracer("edit_rrm_server", __version__)


def stop() -> None:
    """Sends what is left and records no more."""
    if _provider is not None:
        _provider.shutdown()
    use(None)


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Span]:
    """A span of this room, below that of whoever called it."""
    return _OFF if _tracer is None else _record(name, None, attributes)


def caller_span(
    name: str, headers: Mapping[str, str], **attributes: Attribute
) -> AbstractContextManager[Span]:
    """The span of a whole request, below the caller's own where its `traceparent` came with the request."""
    return _OFF if _tracer is None else _record(name, headers, attributes)


def headers() -> Mapping[str, str] | None:
    """What tells another service of the current span; None while nothing is recorded."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier


@contextmanager
def _record(
    name: str, incoming: Mapping[str, str] | None, attributes: Mapping[str, Attribute]
) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = None if incoming is None else TraceContextTextMapPropagator().extract(incoming)
    kind = SpanKind.INTERNAL if incoming is None else SpanKind.SERVER
    with _tracer.start_as_current_span(
        name, context, kind, record_exception=False, set_status_on_exception=False
    ) as recorded:
        shown = _Recorded(recorded)
        shown.note(**attributes)
        try:
            yield shown
        except BaseException as error:
            code = getattr(error, "code", type(error).__name__)
            recorded.set_status(StatusCode.ERROR, str(code))
            raise


def _exporter(endpoint: str) -> Any:
    protocol = os.environ.get(_PROTOCOL_VARIABLE, "grpc")
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        return Grpc(endpoint=endpoint, insecure=not endpoint.startswith("https:"))
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

        return Http(endpoint=endpoint)
    raise ValueError(f"{_PROTOCOL_VARIABLE} is {protocol!r}; grpc and http/protobuf are known")
