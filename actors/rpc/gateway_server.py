"""The cloud's gRPC server: uplinks, control and health on one port. It knows no GPU and no Ray;
what a stream means is the business of its `StreamHost`.
"""

from collections.abc import Collection

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from actors.rpc.authorization import PeerAuthorizer
from actors.rpc.control_service import ControlService
from actors.rpc.stream_host import StreamHost
from actors.rpc.transport import TlsCredentials, aio_server
from actors.rpc.uplink_service import UplinkService
from actors.wire.control_pb2_grpc import add_ControlServiceServicer_to_server
from actors.wire.uplink_pb2_grpc import add_UplinkServiceServicer_to_server
from codecsight.uplink.cloud_link import WINDOW


class GatewayServer:
    """Serves `host` at `address` (host:port; port 0 takes a free one) to the named `sites`.

    With `tls` only certificates of the same authority get in, and a site must carry its own name.
    """

    def __init__(
        self,
        host: StreamHost,
        address: str,
        sites: Collection[str],
        tls: TlsCredentials | None = None,
        *,
        heartbeat_s: float = 10.0,
        window: int = WINDOW,
    ) -> None:
        self.port = 0
        self._address = address
        self._tls = tls
        peers = PeerAuthorizer(sites, secure=tls is not None)
        self._uplink = UplinkService(host, peers, heartbeat_s, window)
        self._control = ControlService(host, peers)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Begin to serve; `port` is then known. Raises CodecSightError if the address is taken."""
        self._server, self.port = aio_server(self._address, self._tls)
        add_UplinkServiceServicer_to_server(self._uplink, self._server)
        add_ControlServiceServicer_to_server(self._control, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float = 2.0) -> None:
        """Stop taking calls, and end those that remain after `grace_s` seconds."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(grace_s)
