"""Conversion of uplink messages between dataclasses and protobuf."""

import dataclasses

from actors.rpc.convert import MAX_TEXT_LENGTH, WireError, check_value, to_dataclass, to_fields
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
    """Convert a message that the edge sends."""
    match message:
        case Hello():
            return wire.StreamRequest(hello=wire.Hello(**to_fields(message)))
        case Chunk():
            return wire.StreamRequest(chunk=wire.Chunk(**to_fields(message)))
        case Heartbeat():
            return wire.StreamRequest(heartbeat=_to_heartbeat(message))
        case Dropped():
            return wire.StreamRequest(dropped=wire.Dropped(**to_fields(message)))


def from_request(request: wire.StreamRequest) -> EdgeMessage | None:
    """Convert a message that the cloud received; None for an unknown kind, which only a newer edge
    sends. Raises WireError.
    """
    match request.WhichOneof("message"):
        case "hello":
            return to_dataclass(Hello, request.hello)
        case "chunk":
            kind = _from_slot_kind(request.chunk.kind)
            times = tuple(check_value("times", time) for time in request.chunk.times)
            return to_dataclass(Chunk, request.chunk, kind=kind, times=times)
        case "heartbeat":
            return _from_heartbeat(request.heartbeat)
        case "dropped":
            return to_dataclass(Dropped, request.dropped)
        case _:
            return None


def to_response(message: CloudMessage) -> wire.StreamResponse:
    """Convert a message that the cloud sends."""
    match message:
        case Welcome():
            spec = wire.GridSpec(**to_fields(message.spec))
            return wire.StreamResponse(
                welcome=wire.Welcome(**(to_fields(message) | {"spec": spec}))
            )
        case Ack():
            return wire.StreamResponse(ack=wire.Ack(**to_fields(message)))
        case NeedAnchor():
            return wire.StreamResponse(need_anchor=wire.NeedAnchor(**to_fields(message)))
        case Heartbeat():
            return wire.StreamResponse(heartbeat=_to_heartbeat(message))
        case Reject():
            cut = dataclasses.replace(message, detail=message.detail[:MAX_TEXT_LENGTH])
            return wire.StreamResponse(reject=wire.Reject(**to_fields(cut)))


def from_response(response: wire.StreamResponse) -> CloudMessage | None:
    """Convert a message that the edge received; None for an unknown kind, which only a newer cloud
    sends. Raises WireError.
    """
    match response.WhichOneof("message"):
        case "welcome":
            return to_dataclass(
                Welcome, response.welcome, spec=_from_grid_spec(response.welcome.spec)
            )
        case "ack":
            return to_dataclass(Ack, response.ack)
        case "need_anchor":
            return to_dataclass(NeedAnchor, response.need_anchor)
        case "heartbeat":
            return _from_heartbeat(response.heartbeat)
        case "reject":
            return to_dataclass(
                Reject, response.reject, reason=_from_reject_reason(response.reject.reason)
            )
        case _:
            return None


def _to_heartbeat(message: Heartbeat) -> wire.Heartbeat:
    stats = None if message.stats is None else wire.CameraStats(**to_fields(message.stats))
    return wire.Heartbeat(wall_time=message.wall_time, stats=stats)


def _from_heartbeat(message: wire.Heartbeat) -> Heartbeat:
    stats = to_dataclass(CameraStats, message.stats) if message.HasField("stats") else None
    return to_dataclass(Heartbeat, message, stats=stats)


def _from_grid_spec(message: wire.GridSpec) -> GridSpec:
    spec = to_dataclass(GridSpec, message)
    if min(spec.cell, spec.frames, spec.rate, spec.max_cells) <= 0:
        raise WireError(f"a grid with sizes that are not positive: {spec}")
    return spec


def _from_slot_kind(number: int) -> SlotKind:
    try:
        return SlotKind(number)
    except ValueError as error:
        raise WireError(f"a chunk of unknown kind {number}") from error


def _from_reject_reason(number: int) -> RejectReason:
    """The reason; PROTOCOL for one that only a newer cloud has. The detail still explains it."""
    known = number in RejectReason.__members__.values()
    return RejectReason(number) if known else RejectReason.PROTOCOL
