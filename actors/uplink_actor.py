"""`uplink:SITE`: all of a site's streams on one outbound gRPC connection."""

from actors.rpc.transport import load_tls_files
from actors.rpc.uplink_client import OfferResult, UplinkClient
from codecsight.config.site_config import SiteConfig
from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.uplink.messages import CameraStats


class UplinkActor:
    """An UplinkClient behind an async actor. When it dies the streams connect again by themselves,
    since the cameras keep calling.
    """

    def __init__(self, config: SiteConfig) -> None:
        self._config = config
        self._client: UplinkClient | None = None

    async def spec(self, stream: str, width: int, height: int) -> GridSpec | None:
        """The grid the cloud's model asks for, None before it was heard of. Opens the stream."""
        return self._connected().open(stream, width, height).spec

    async def offer(self, chunk: Chunk, width: int, height: int) -> OfferResult:
        """Take a chunk to be sent, and tell the camera what it must know for the next."""
        return self._connected().open(chunk.stream, width, height).offer(chunk)

    async def report(self, stream: str, stats: CameraStats) -> None:
        """Numbers that ride on the stream's next heartbeat."""
        client = self._connected()
        if stream in client.links:
            client.links[stream].stats = stats

    async def close(self, drain_s: float) -> None:
        """Send what waits, for at most `drain_s` seconds, and hang up."""
        if self._client is not None:
            await self._client.close(drain_s)

    def _connected(self) -> UplinkClient:
        if self._client is None:
            link = self._config.cloud
            tls = load_tls_files(link.tls.ca, link.tls.cert, link.tls.key) if link.tls else None
            self._client = UplinkClient(link.address, self._config.site, tls)
        return self._client
