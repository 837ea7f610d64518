"""Control calls over gRPC: questions, and the status of the streams and the cloud."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NoReturn

import grpc
import grpc.aio
import structlog

from actors.rpc.authorization import PeerAuthorizer
from actors.rpc.convert_control import from_question, to_answer, to_cloud_status, to_stream_status
from actors.rpc.peer_limits import CallLimit, TooManyCallsError
from actors.rpc.stream_host import StreamHost
from actors.rpc.transport import Context
from actors.wire import control_pb2 as wire
from actors.wire.control_pb2_grpc import ControlServiceServicer
from codecsight.core.answer import PartialAnswer
from codecsight.core.errors import CodecSightError
from codecsight.core.names import check_stream
from codecsight.core.question import Question
from codecsight.uplink.cloud_link import StreamRejected
from codecsight.uplink.leases import LeaseError

log = structlog.get_logger()


class ControlService(ControlServiceServicer):
    """Checks and converts the calls; the host answers them."""

    def __init__(self, host: StreamHost, peers: PeerAuthorizer, max_questions: int) -> None:
        self._host = host
        self._peers = peers
        self._questions = CallLimit(max_questions)

    async def Ask(self, request: wire.AskRequest, context: Context) -> wire.AskResponse:  # noqa: N802
        """Answer a question about a stream."""
        async with self._question(request, context) as question:
            answer = await self._host.ask(request.stream, question, request.max_age_s)
        return wire.AskResponse(answer=to_answer(answer))

    async def AskStream(  # noqa: N802
        self, request: wire.AskStreamRequest, context: Context
    ) -> AsyncIterator[wire.AskStreamResponse]:
        """As `Ask`, with partial answers before the final one."""
        async with self._question(request, context) as question:
            stream, max_age_s = request.stream, request.max_age_s
            async for result in self._host.ask_stream(stream, question, max_age_s):
                if isinstance(result, PartialAnswer):
                    yield wire.AskStreamResponse(partial_text=result.text)
                else:
                    yield wire.AskStreamResponse(answer=to_answer(result))

    @asynccontextmanager
    async def _question(
        self, request: wire.AskRequest | wire.AskStreamRequest, context: Context
    ) -> AsyncIterator[Question]:
        """Convert and authorize a question, and map errors of the body to gRPC status codes."""
        try:
            check_stream(request.stream)
            question = from_question(request.question)
        except CodecSightError as error:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        await _check(context, self._peers.refusal_to_view(context, request.stream))
        try:
            with _hidden_errors(), self._questions.hold(self._peers.caller(context)):
                yield question
        except TooManyCallsError as error:
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except LeaseError as error:
            await _abort(context, grpc.StatusCode.NOT_FOUND, str(error))
        except StreamRejected as error:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, str(error))
        except InternalError as error:
            await _abort(context, grpc.StatusCode.INTERNAL, str(error))
        except CodecSightError as error:
            await _abort(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))

    async def ListStreams(  # noqa: N802
        self,
        request: wire.ListStreamsRequest,  # noqa: ARG002
        context: Context,
    ) -> wire.ListStreamsResponse:
        """List the streams that the caller may view."""
        await _check(context, self._peers.refusal_to_list(context))
        try:
            with _hidden_errors():
                streams = await self._host.streams()
        except InternalError as error:
            await _abort(context, grpc.StatusCode.INTERNAL, str(error))
        visible = self._peers.visible(context, [status.stream for status in streams])
        shown = [to_stream_status(status) for status in streams if status.stream in visible]
        return wire.ListStreamsResponse(streams=shown)

    async def Status(  # noqa: N802
        self,
        request: wire.StatusRequest,  # noqa: ARG002
        context: Context,
    ) -> wire.StatusResponse:
        """Return the status of the cloud, to operators."""
        await _check(context, self._peers.refusal_to_operate(context))
        try:
            with _hidden_errors():
                return to_cloud_status(await self._host.status())
        except InternalError as error:
            await _abort(context, grpc.StatusCode.INTERNAL, str(error))


class InternalError(CodecSightError):
    """A fault of ours. Its details are for the log, not for the caller."""


@contextmanager
def _hidden_errors() -> Iterator[None]:
    """Log an unexpected error of the block, and raise InternalError in its place: its text may hold
    addresses and tracebacks of our processes.
    """
    try:
        yield
    except (CodecSightError, grpc.aio.AbortError):
        raise
    except Exception as error:
        log.exception("call failed")
        raise InternalError("an internal error; the cloud's log says more") from error


async def _check(context: Context, refusal: str) -> None:
    if refusal:
        await _abort(context, grpc.StatusCode.PERMISSION_DENIED, refusal)


async def _abort(context: Context, code: grpc.StatusCode, detail: str) -> NoReturn:
    await context.abort(code, detail)
    raise AssertionError("abort returned")
