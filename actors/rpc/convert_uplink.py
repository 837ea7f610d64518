"""Conversion of uplink messages between dataclasses and protobuf."""

import dataclasses

from actors.rpc.convert import MAX_TEXT, WireError, checked, fields, plain
from actors.wire import uplink_pb2 as wire
from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import SlotKind
from codecsight.uplink.messages import (
    Ack,
    CameraStats,
    CloudMessage,
    Dropped,
    EdgeMessage,
    Heartbeat,
    Hello,
    NeedAnchor,
    Reject,
    RejectReason,
    Welcome,
)


def to_request(message: EdgeMessage) -> wire.StreamRequest:
    """What the edge sends."""
    match message:
        case Hello():
            return wire.StreamRequest(hello=wire.Hello(**fields(message)))
        case Chunk():
            return wire.StreamRequest(chunk=wire.Chunk(**fields(message)))
        case Heartbeat():
            return wire.StreamRequest(heartbeat=_heartbeat(message))
        case Dropped():
            return wire.StreamRequest(dropped=wire.Dropped(**fields(message)))


def from_request(request: wire.StreamRequest) -> EdgeMessage | None:
    """What the cloud got; None for a message of a newer edge. Raises WireError."""
    match request.WhichOneof("message"):
        case "hello":
            return plain(Hello, request.hello)
        case "chunk":
            kind = _slot_kind(request.chunk.kind)
            times = tuple(checked("times", time) for time in request.chunk.times)
            return plain(Chunk, request.chunk, kind=kind, times=times)
        case "heartbeat":
            return _plain_heartbeat(request.heartbeat)
        case "dropped":
            return plain(Dropped, request.dropped)
        case _:
            return None


def to_response(message: CloudMessage) -> wire.StreamResponse:
    """What the cloud sends."""
    match message:
        case Welcome():
            spec = wire.GridSpec(**fields(message.spec))
            return wire.StreamResponse(welcome=wire.Welcome(**(fields(message) | {"spec": spec})))
        case Ack():
            return wire.StreamResponse(ack=wire.Ack(**fields(message)))
        case NeedAnchor():
            return wire.StreamResponse(need_anchor=wire.NeedAnchor(**fields(message)))
        case Heartbeat():
            return wire.StreamResponse(heartbeat=_heartbeat(message))
        case Reject():
            short = dataclasses.replace(message, detail=message.detail[:MAX_TEXT])
            return wire.StreamResponse(reject=wire.Reject(**fields(short)))


def from_response(response: wire.StreamResponse) -> CloudMessage | None:
    """What the edge got; None for a message of a newer cloud. Raises WireError."""
    match response.WhichOneof("message"):
        case "welcome":
            return plain(Welcome, response.welcome, spec=_spec(response.welcome.spec))
        case "ack":
            return plain(Ack, response.ack)
        case "need_anchor":
            return plain(NeedAnchor, response.need_anchor)
        case "heartbeat":
            return _plain_heartbeat(response.heartbeat)
        case "reject":
            return plain(Reject, response.reject, reason=_reject_reason(response.reject.reason))
        case _:
            return None


def _heartbeat(message: Heartbeat) -> wire.Heartbeat:
    stats = None if message.stats is None else wire.CameraStats(**fields(message.stats))
    return wire.Heartbeat(wall_time=message.wall_time, stats=stats)


def _plain_heartbeat(message: wire.Heartbeat) -> Heartbeat:
    stats = plain(CameraStats, message.stats) if message.HasField("stats") else None
    return plain(Heartbeat, message, stats=stats)


def _spec(message: wire.GridSpec) -> GridSpec:
    spec = plain(GridSpec, message)
    if min(spec.cell, spec.frames, spec.rate, spec.max_cells) <= 0:
        raise WireError(f"a grid of cells that can't be: {spec}")
    return spec


def _slot_kind(number: int) -> SlotKind:
    try:
        return SlotKind(number)
    except ValueError as error:
        raise WireError(f"a chunk of unknown kind {number}") from error


def _reject_reason(number: int) -> RejectReason:
    """A newer cloud may have reasons that we don't know; its detail still says them."""
    known = number in RejectReason.__members__.values()
    return RejectReason(number) if known else RejectReason.PROTOCOL
