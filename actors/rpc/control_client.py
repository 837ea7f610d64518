"""Asking the cloud, from a program that blocks: the command line, scripts, tests."""

from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn, Self

import grpc

from actors.rpc.convert_control import from_answer, from_status, from_stream, to_question
from actors.rpc.transport import TlsCredentials, channel, load_tls_files
from actors.wire import control_pb2 as wire
from actors.wire.control_pb2_grpc import ControlServiceStub
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from codecsight.uplink.fleet import CloudStatus, StreamStatus

__all__ = ["ControlClient", "ControlError", "load_tls_files"]


class ControlError(CodecSightError):
    """The cloud did not answer, or said no."""


class ControlClient:
    """Control calls to the gateway at `address` (host:port). Every call has a deadline."""

    def __init__(self, address: str, tls: TlsCredentials | None = None) -> None:
        self._address = address
        self._channel = channel(address, tls)
        self._stub = ControlServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def ask(self, stream: str, question: Question, timeout_s: float = 30.0) -> Answer:
        """The answer to a question about what a stream shows now. Raises ControlError."""
        request = wire.AskRequest(stream=stream, question=to_question(question))
        try:
            return from_answer(self._stub.Ask(request, timeout=timeout_s).answer)
        except grpc.RpcError as error:
            self._fail(error)

    def ask_stream(
        self, stream: str, question: Question, timeout_s: float = 30.0
    ) -> Iterator[PartialAnswer | Answer]:
        """The same, with each new word of a spoken answer before it. Raises ControlError."""
        request = wire.AskStreamRequest(stream=stream, question=to_question(question))
        try:
            for said in self._stub.AskStream(request, timeout=timeout_s):
                whole = said.WhichOneof("result") == "answer"
                yield from_answer(said.answer) if whole else PartialAnswer(said.partial_text)
        except grpc.RpcError as error:
            self._fail(error)

    def streams(self, timeout_s: float = 10.0) -> list[StreamStatus]:
        """The fleet, stream by stream. Raises ControlError."""
        try:
            response = self._stub.ListStreams(wire.ListStreamsRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            self._fail(error)
        return [from_stream(one) for one in response.streams]

    def status(self, timeout_s: float = 10.0) -> CloudStatus:
        """The cloud itself. Raises ControlError."""
        try:
            return from_status(self._stub.Status(wire.StatusRequest(), timeout=timeout_s))
        except grpc.RpcError as error:
            self._fail(error)

    def _fail(self, error: grpc.RpcError) -> NoReturn:
        said = error.details() or error.code().name
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            said += " (is the cloud running there, and are both certificates of one authority?)"
        raise ControlError(f"{self._address}: {said}") from error
