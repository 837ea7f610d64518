"""Blocking client of the cloud's control service, for the command line, scripts and tests."""

from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn, Self

import grpc

from actors.deadlines import CLIENT_ASK_S, CLIENT_STATUS_S
from actors.rpc.convert_control import (
    from_answer,
    from_cloud_status,
    from_stream_status,
    to_question,
)
from actors.rpc.transport import TlsCredentials, blocking_channel, load_tls_files
from actors.wire import control_pb2 as wire
from actors.wire.control_pb2_grpc import ControlServiceStub
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from codecsight.uplink.fleet import CloudStatus, StreamStatus

__all__ = ["ControlClient", "ControlError", "load_tls_files"]


class ControlError(CodecSightError):
    """A control call failed."""


class ControlClient:
    """Control calls to the gateway at `address` (host:port). Every call has a deadline."""

    def __init__(self, address: str, tls: TlsCredentials | None = None) -> None:
        self._address = address
        self._channel = blocking_channel(address, tls)
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
        """Close the channel."""
        self._channel.close()

    def ask(
        self,
        stream: str,
        question: Question,
        timeout_s: float = CLIENT_ASK_S,
        max_age_s: float = 0.0,
    ) -> Answer:
        """Ask a question about a stream's current window. Raises ControlError, also if the newest
        slot of the window is older than `max_age_s` seconds (0: no limit).
        """
        request = wire.AskRequest(
            stream=stream, question=to_question(question), max_age_s=max_age_s
        )
        try:
            return from_answer(self._stub.Ask(request, timeout=timeout_s).answer)
        except grpc.RpcError as error:
            self._raise_error(error)

    def ask_stream(
        self,
        stream: str,
        question: Question,
        timeout_s: float = CLIENT_ASK_S,
        max_age_s: float = 0.0,
    ) -> Iterator[PartialAnswer | Answer]:
        """As `ask`, but yields the partial answer after each token of a free-form answer.

        The last item is the Answer. Raises ControlError.
        """
        request = wire.AskStreamRequest(
            stream=stream, question=to_question(question), max_age_s=max_age_s
        )
        try:
            for response in self._stub.AskStream(request, timeout=timeout_s):
                final = response.WhichOneof("result") == "answer"
                yield (
                    from_answer(response.answer) if final else PartialAnswer(response.partial_text)
                )
        except grpc.RpcError as error:
            self._raise_error(error)

    def streams(self, timeout_s: float = CLIENT_STATUS_S) -> list[StreamStatus]:
        """The status of every stream that the caller may view. Raises ControlError."""
        try:
            response = self._stub.ListStreams(wire.ListStreamsRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            self._raise_error(error)
        return [from_stream_status(status) for status in response.streams]

    def status(self, timeout_s: float = CLIENT_STATUS_S) -> CloudStatus:
        """The status of the cloud. Raises ControlError."""
        try:
            return from_cloud_status(self._stub.Status(wire.StatusRequest(), timeout=timeout_s))
        except grpc.RpcError as error:
            self._raise_error(error)

    def _raise_error(self, error: grpc.RpcError) -> NoReturn:
        detail = error.details() or error.code().name
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            detail += " (is the cloud running, and did one authority sign both certificates?)"
        raise ControlError(f"{self._address}: {detail}") from error
