"""Conversion of control messages between dataclasses and protobuf."""

import json
from typing import Any

from actors.rpc.convert import WireError, check_value, to_dataclass, to_fields
from actors.wire import control_pb2 as wire
from codecsight.core.answer import Answer
from codecsight.core.question import Question, QuestionKind
from codecsight.uplink.fleet import CloudStatus, FlopCount, StreamStatus, WorkerStatus
from codecsight.uplink.messages import CameraStats

_KINDS = {kind: wire.QuestionKind.Value(f"QUESTION_KIND_{kind.name}") for kind in QuestionKind}

_FLOPS = ("spent", "recompute", "once")

MAX_SCHEMA_LENGTH = 20_000
MAX_SCHEMA_DEPTH = 32


def to_question(question: Question) -> wire.Question:
    """Convert a question to send."""
    return wire.Question(
        text=question.text,
        kind=_KINDS[question.kind],
        choices=question.choices,
        max_count=question.max_count,
        schema=question.schema,
    )


def from_question(message: wire.Question) -> Question:
    """Convert a received question. Raises CodecSightError if it is invalid."""
    kind = next((kind for kind, number in _KINDS.items() if number == message.kind), None)
    if kind is None:
        raise WireError(f"the question {message.text!r} is of unknown kind {message.kind}")
    choices = tuple(check_value("choices", choice) for choice in message.choices)
    _check_schema(message.schema)
    return to_dataclass(Question, message, kind=kind, choices=choices, schema=message.schema)


def _check_schema(schema: str) -> None:
    """Bound a JSON schema before anything parses it. Raises WireError."""
    if len(schema) > MAX_SCHEMA_LENGTH:
        raise WireError(
            f"schema: {len(schema)} characters; at most {MAX_SCHEMA_LENGTH} are allowed"
        )
    depth = deepest = 0
    for character in schema:  # brackets within strings count, too: it is only a bound
        depth += (character in "{[") - (character in "}]")
        deepest = max(deepest, depth)
    if deepest > MAX_SCHEMA_DEPTH:
        raise WireError(f"schema: {deepest} levels; at most {MAX_SCHEMA_DEPTH} are allowed")


def to_answer(answer: Answer) -> wire.Answer:
    """Convert an answer to send."""
    named = to_fields(answer)
    value = named.pop("value")
    field = {bool: "yes", int: "count", str: "text", dict: "json"}[type(value)]
    given: dict[str, Any] = {field: json.dumps(value) if field == "json" else value}
    return wire.Answer(**named, **given)


def from_answer(message: wire.Answer) -> Answer:
    """Convert a received answer. Raises WireError."""
    field = message.WhichOneof("value")
    if field is None:
        raise WireError(f"an answer without a value to {message.question!r}")
    value = getattr(message, field)
    return to_dataclass(Answer, message, value=_parse_object(value) if field == "json" else value)


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise WireError(f"an answer that is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise WireError(f"an answer that is not a JSON object: {text}")
    return value


def to_stream_status(status: StreamStatus) -> wire.StreamStatus:
    """Convert a stream's status to send."""
    answers = [to_answer(answer) for answer in status.answers]
    camera = None
    if status.camera is not None:
        camera = wire.StreamStatus.Camera(**to_fields(status.camera))
    return wire.StreamStatus(**(to_fields(status) | {"camera": camera, "answers": answers}))


def from_stream_status(message: wire.StreamStatus) -> StreamStatus:
    """Convert a received stream's status. Raises WireError."""
    camera = to_dataclass(CameraStats, message.camera) if message.HasField("camera") else None
    answers = tuple(from_answer(answer) for answer in message.answers)
    return to_dataclass(StreamStatus, message, camera=camera, answers=answers)


def to_cloud_status(status: CloudStatus) -> wire.StatusResponse:
    """Convert the cloud's status to send."""
    workers = [_to_worker(worker) for worker in status.workers]
    return wire.StatusResponse(software=status.software, model=status.model, workers=workers)


def from_cloud_status(message: wire.StatusResponse) -> CloudStatus:
    """Convert the received status of a cloud. Raises WireError."""
    workers = tuple(_from_worker(worker) for worker in message.workers)
    return to_dataclass(CloudStatus, message, workers=workers)


def _to_worker(worker: WorkerStatus) -> wire.Worker:
    flops = {name: wire.Flops(**to_fields(getattr(worker, name))) for name in _FLOPS}
    fields = to_fields(worker) | flops
    del fields["kv_by_site"]  # between workers and directory only
    return wire.Worker(**fields)


def _from_worker(message: wire.Worker) -> WorkerStatus:
    flops = {name: to_dataclass(FlopCount, getattr(message, name)) for name in _FLOPS}
    return to_dataclass(WorkerStatus, message, **flops, kv_by_site={})
