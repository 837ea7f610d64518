"""Between what the cloud tells of itself and protobuf."""

import json
from typing import Any

from actors.rpc.convert import WireError, checked, fields, plain
from actors.wire import control_pb2 as wire
from codecsight.core.answer import Answer
from codecsight.core.question import Question, QuestionKind
from codecsight.uplink.fleet import CloudStatus, FlopCount, StreamStatus, WorkerStatus
from codecsight.uplink.messages import CameraStats

_KINDS = {kind: wire.QuestionKind.Value(f"QUESTION_KIND_{kind.name}") for kind in QuestionKind}

_FLOPS = ("spent", "recompute", "once")


def to_question(question: Question) -> wire.Question:
    """A question on its way to the cloud."""
    return wire.Question(
        text=question.text,
        kind=_KINDS[question.kind],
        choices=question.choices,
        most=question.max_count,
        schema=question.schema,
    )


def from_question(message: wire.Question) -> Question:
    """A question that came in. Raises CodecSightError if it can't be asked."""
    kind = next((kind for kind, number in _KINDS.items() if number == message.kind), None)
    if kind is None:
        raise WireError(f"the question {message.text!r} is of unknown kind {message.kind}")
    choices = tuple(checked("choices", choice) for choice in message.choices)
    return plain(
        Question, message, kind=kind, choices=choices, max_count=message.most, schema=message.schema
    )


def to_answer(answer: Answer) -> wire.Answer:
    """An answer on its way back."""
    named = fields(answer)
    value = named.pop("value")
    field = {bool: "yes", int: "count", str: "text", dict: "json"}[type(value)]
    given: dict[str, Any] = {field: json.dumps(value) if field == "json" else value}
    return wire.Answer(**named, **given)


def from_answer(message: wire.Answer) -> Answer:
    """An answer that came in."""
    field = message.WhichOneof("value")
    if field is None:
        raise WireError(f"an answer without a value to {message.question!r}")
    value = getattr(message, field)
    return plain(Answer, message, value=_object(value) if field == "json" else value)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise WireError(f"an answer that is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise WireError(f"an answer that is no object: {text}")
    return value


def to_stream(status: StreamStatus) -> wire.StreamStatus:
    """A row of the fleet's table."""
    answers = [to_answer(answer) for answer in status.answers]
    camera = None
    if status.camera is not None:
        camera = wire.StreamStatus.Camera(**fields(status.camera))
    return wire.StreamStatus(**(fields(status) | {"camera": camera, "answers": answers}))


def from_stream(message: wire.StreamStatus) -> StreamStatus:
    """A row that came in."""
    camera = plain(CameraStats, message.camera) if message.HasField("camera") else None
    answers = tuple(from_answer(answer) for answer in message.answers)
    return plain(StreamStatus, message, camera=camera, answers=answers)


def to_status(status: CloudStatus) -> wire.StatusResponse:
    """The cloud's own account."""
    workers = [_to_worker(worker) for worker in status.workers]
    return wire.StatusResponse(software=status.software, model=status.model, workers=workers)


def from_status(message: wire.StatusResponse) -> CloudStatus:
    """The cloud's account that came in."""
    workers = tuple(_from_worker(worker) for worker in message.workers)
    return plain(CloudStatus, message, workers=workers)


def _to_worker(worker: WorkerStatus) -> wire.Worker:
    flops = {name: wire.Flops(**fields(getattr(worker, name))) for name in _FLOPS}
    return wire.Worker(**(fields(worker) | flops))


def _from_worker(message: wire.Worker) -> WorkerStatus:
    flops = {name: plain(FlopCount, getattr(message, name)) for name in _FLOPS}
    return plain(WorkerStatus, message, **flops)
