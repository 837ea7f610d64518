"""Conversion between dataclasses and protobuf, and rejection of invalid messages."""

import contextlib
from dataclasses import replace

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from actors.rpc.convert import MAX_TEXT_LENGTH, WireError
from actors.rpc.convert_control import from_answer, from_question, to_answer, to_question
from actors.rpc.convert_uplink import from_request, from_response, to_request, to_response
from actors.wire import control_pb2, uplink_pb2
from codecsight.core.answer import Answer, Value
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec
from codecsight.core.question import Question, QuestionKind
from codecsight.uplink.messages import (
    Ack,
    CameraStats,
    Dropped,
    Heartbeat,
    Hello,
    NeedAnchor,
    Reject,
    RejectReason,
    Welcome,
)

number = st.integers(0, 2**40)
small = st.integers(1, 2**31)
real = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
stats = st.builds(
    CameraStats, text, number, real, *[number] * 8
)  # state, frames, fps, and eight counts
heartbeats = st.builds(Heartbeat, real, st.none() | stats)
specs = st.builds(GridSpec, small, small, st.floats(0.01, 60), small, st.booleans())

from_edge = st.one_of(
    st.builds(Hello, text, text, small, text, text, small, small, number),
    st.builds(Chunk, epoch=number, seq=number, rows=small, cols=small, stream=text,
              fingerprint=text, codec=text, bitmap=st.binary(max_size=9),
              mosaic=st.binary(max_size=99), reasons=st.binary(max_size=9), capture_time=real,
              times=st.lists(real, max_size=4).map(tuple)),
    heartbeats,
    st.builds(Dropped, number, number, text),
)  # fmt: skip
from_cloud = st.one_of(
    st.builds(Welcome, number, number, st.booleans(), number, real, specs),
    st.builds(Ack, number, st.integers(-1, 2**40), number),
    st.builds(NeedAnchor, number, text),
    heartbeats,
    st.builds(Reject, st.sampled_from(RejectReason), text, real),
)


@given(from_edge)
def test_edge_messages_survive_a_round_trip(message: Hello | Chunk | Heartbeat | Dropped) -> None:
    data = to_request(message).SerializeToString()
    assert from_request(uplink_pb2.StreamRequest.FromString(data)) == message


@given(from_cloud)
def test_cloud_messages_survive_a_round_trip(
    message: Welcome | Ack | NeedAnchor | Heartbeat | Reject,
) -> None:
    data = to_response(message).SerializeToString()
    assert from_response(uplink_pb2.StreamResponse.FromString(data)) == message


@given(st.binary(max_size=200))
def test_random_bytes_give_a_message_or_a_wire_error(data: bytes) -> None:
    for kind, convert in (
        (uplink_pb2.StreamRequest, from_request),
        (uplink_pb2.StreamResponse, from_response),
    ):
        with contextlib.suppress(DecodeError, WireError):
            convert(kind.FromString(data))


def test_an_unknown_reason_keeps_its_detail() -> None:
    newer = uplink_pb2.StreamResponse(
        reject=uplink_pb2.Reject(reason=99, detail="moon phase")  # type: ignore[arg-type]
    )
    assert from_response(newer) == Reject(RejectReason.PROTOCOL, "moon phase", 0.0)


def test_a_grid_with_a_zero_size_is_rejected() -> None:
    welcome = Welcome(1, 0, True, 10, 10.0, GridSpec(0, 2, 2.0, 48))
    with pytest.raises(WireError, match="not positive"):
        from_response(to_response(welcome))


def test_a_long_detail_is_cut_before_it_is_sent() -> None:
    long = Reject(RejectReason.MALFORMED, "x" * 10 * MAX_TEXT_LENGTH, 0.0)
    back = from_response(to_response(long))
    assert back == replace(long, detail="x" * MAX_TEXT_LENGTH)


@pytest.mark.parametrize(
    "question",
    [
        Question("Is it open?", QuestionKind.YES_NO),
        Question("How many cars?", QuestionKind.COUNT, max_count=40),
        Question("Which?", QuestionKind.CHOICE, ("red", "blue")),
        Question("What happens?", QuestionKind.TEXT),
        Question.with_schema("What is there?", {"type": "object"}),
    ],
    ids=str,
)
def test_questions_survive_a_round_trip(question: Question) -> None:
    assert from_question(to_question(question)) == question


def test_invalid_questions_are_rejected() -> None:
    with pytest.raises(CodecSightError, match="unknown kind 0"):
        from_question(control_pb2.Question(text="Is it?"))
    choice = control_pb2.Question(text="Which?", kind=control_pb2.QUESTION_KIND_CHOICE)
    with pytest.raises(CodecSightError, match="two choices"):
        from_question(choice)


@pytest.mark.parametrize("value", [True, False, 0, 7, "red", "", {"people": 2, "seen": ["a"]}])
def test_answers_keep_value_and_type(value: Value) -> None:
    answer = Answer("north.gate", "What?", value, 0.5, 1.0, 2.0, 3.0, 4.0, 5, 6)
    back = from_answer(to_answer(answer))
    assert back == answer
    assert type(back.value) is type(value)


def test_an_answer_without_a_value_is_rejected() -> None:
    with pytest.raises(WireError, match="without a value"):
        from_answer(control_pb2.Answer(question="Is it?"))


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 9000])
def test_a_json_answer_that_is_not_an_object_is_rejected(text: str) -> None:
    with pytest.raises(WireError, match="an answer that is not"):
        from_answer(control_pb2.Answer(question="What?", json=text))
