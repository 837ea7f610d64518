"""The cloud's gRPC server: uplinks, control calls and health checks on one port.

It does not depend on Ray or a GPU; a `StreamHost` serves the streams.
"""

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from actors.rpc.authorization import PeerAuthorizer, Roles
from actors.rpc.control_service import ControlService
from actors.rpc.stream_host import StreamHost
from actors.rpc.transport import TlsCredentials, aio_server
from actors.rpc.uplink_service import UplinkService
from actors.wire.control_pb2_grpc import add_ControlServiceServicer_to_server
from actors.wire.uplink_pb2_grpc import add_UplinkServiceServicer_to_server
from codecsight.uplink.cloud_link import CREDIT_BYTES

MAX_QUESTIONS = 32
"""Default number of questions of one caller that may wait at the same time."""


class GatewayServer:
    """Serves `host` at `address` (host:port; port 0 selects a free one).

    With `tls` it accepts only certificates of the same authority; the names in a certificate must
    have one of the `roles`.
    """

    def __init__(
        self,
        host: StreamHost,
        address: str,
        roles: Roles,
        tls: TlsCredentials | None = None,
        *,
        heartbeat_s: float = 10.0,
        credit_bytes: int = CREDIT_BYTES,
        max_questions: int = MAX_QUESTIONS,
    ) -> None:
        self.port = 0
        self._address = address
        self._tls = tls
        peers = PeerAuthorizer(roles, secure=tls is not None)
        self._uplink = UplinkService(host, peers, heartbeat_s, credit_bytes)
        self._control = ControlService(host, peers, max_questions)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Start serving, and set `port`. Raises CodecSightError if the address can't be bound."""
        self._server, self.port = aio_server(self._address, self._tls)
        add_UplinkServiceServicer_to_server(self._uplink, self._server)
        add_ControlServiceServicer_to_server(self._control, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def set_serving(self, serving: bool) -> None:
        """What the health service reports: whether any worker can serve."""
        status = health_pb2.HealthCheckResponse
        await self._health.set("", status.SERVING if serving else status.NOT_SERVING)

    async def stop(self, grace_s: float = 2.0) -> None:
        """Reject new calls, and cancel those that still run after `grace_s` seconds."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(grace_s)
