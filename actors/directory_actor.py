"""`directory`: the Ray actor that leases streams to workers."""

import time
from collections.abc import Sequence

from codecsight.logs import configure_logs
from codecsight.uplink.fleet import WorkerStatus
from codecsight.uplink.leases import Lease, LeaseError, NoCapacityError, StreamDirectory


class DirectoryActor:
    """The cluster's one StreamDirectory. Uses the wall clock, which survives a restart."""

    def __init__(self, sites: Sequence[str], max_streams: int) -> None:
        configure_logs("directory")
        self._directory = StreamDirectory(sites, max_streams)

    def claim(self, stream: str) -> Lease | str:
        """Lease a connecting stream under a new epoch; a text if no worker has capacity."""
        try:
            return self._directory.claim(stream, time.time())
        except NoCapacityError as error:
            return str(error)

    def renew(self, leases: list[Lease]) -> list[str]:
        """Extend leases. Returns the streams whose lease has ended."""
        return [lease.stream for lease in leases if not self._renew(lease)]

    def expire(self) -> list[Lease]:
        """End and return the leases that have expired."""
        return self._directory.expire(time.time())

    def report(self, status: WorkerStatus) -> None:
        """Record that a worker is alive, and which KV blocks it has reserved."""
        used, total = status.kv_used, status.kv_total
        self._directory.report(status.name, used, total, time.time(), status.kv_by_site)

    def _renew(self, lease: Lease) -> bool:
        try:
            self._directory.renew(lease.stream, lease.owner, lease.epoch, time.time())
        except LeaseError:
            return False
        return True
