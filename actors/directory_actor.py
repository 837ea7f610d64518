"""`directory`: who owns which stream."""

import time

from codecsight.uplink.leases import Lease, LeaseError, NoCapacityError, StreamDirectory


class DirectoryActor:
    """The cluster's one StreamDirectory. Uses the wall clock, which survives a restart."""

    def __init__(self) -> None:
        self._directory = StreamDirectory()

    def claim(self, stream: str) -> Lease | str:
        """A new epoch for a stream that connects, or why no worker can have it."""
        try:
            return self._directory.claim(stream, time.time())
        except NoCapacityError as error:
            return str(error)

    def renew(self, leases: list[Lease]) -> list[str]:
        """Prolong leases; returns the streams whose lease was lost."""
        return [lease.stream for lease in leases if not self._renewed(lease)]

    def expire(self) -> list[Lease]:
        """End and return the leases that nobody prolonged."""
        return self._directory.expire(time.time())

    def report(self, worker: str, used: int, total: int) -> None:
        """A worker is alive and has so many KV blocks in use."""
        self._directory.report(worker, used, total, time.time())

    def _renewed(self, lease: Lease) -> bool:
        try:
            self._directory.renew(lease.stream, lease.owner, lease.epoch, time.time())
        except LeaseError:
            return False
        return True
