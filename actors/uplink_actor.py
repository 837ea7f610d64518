"""`uplink:SITE`: the Ray actor that sends a site's streams over one outbound gRPC connection."""

from actors.rpc.transport import load_tls_files
from actors.rpc.uplink_client import LinkStatus, OfferResult, StreamLink, UplinkClient
from codecsight.config.site_config import SiteConfig
from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.logs import configure_logs
from codecsight.uplink.messages import CameraStats


class UplinkActor:
    """An UplinkClient behind an async actor.

    After a restart each stream reconnects at the next call of its camera.
    """

    def __init__(self, config: SiteConfig) -> None:
        configure_logs("uplink")
        self._config = config
        self._client: UplinkClient | None = None

    async def spec(self, stream: str, width: int, height: int) -> GridSpec | None:
        """Open a stream. Returns the grid of the cloud's model, None before the first Welcome."""
        return self._open(stream, width, height).spec

    async def offer(self, chunk: Chunk, width: int, height: int) -> OfferResult:
        """Queue a chunk for sending. Returns what the camera needs for its next slot."""
        return self._open(chunk.stream, width, height).offer(chunk)

    async def report(self, stream: str, stats: CameraStats) -> None:
        """Set the counters that the stream's next heartbeats carry."""
        client = self._get_client()
        if stream in client.links:
            client.links[stream].stats = stats

    async def status(self) -> dict[str, LinkStatus]:
        """The status of every stream's link."""
        links = self._client.links if self._client is not None else {}
        return {stream: link.status() for stream, link in links.items()}

    async def close(self, drain_s: float) -> None:
        """Send queued chunks for at most `drain_s` seconds, then close the connection."""
        if self._client is not None:
            await self._client.close(drain_s)

    def _open(self, stream: str, width: int, height: int) -> StreamLink:
        camera = self._config.cameras[stream.partition(".")[2]]
        return self._get_client().open(stream, width, height, procedural=camera.is_procedural)

    def _get_client(self) -> UplinkClient:
        if self._client is None:
            link = self._config.cloud
            tls = load_tls_files(link.tls.ca, link.tls.cert, link.tls.key) if link.tls else None
            self._client = UplinkClient(link.address, self._config.site, tls)
        return self._client
