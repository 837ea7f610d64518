"""Ownership of streams by workers: leases with epochs, and placement by KV load."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from codecsight.core.errors import CodecSightError
from codecsight.uplink.fair_share import refusal


class LeaseError(CodecSightError):
    """The lease does not exist, has expired, or is held by another owner."""


class NoCapacityError(CodecSightError):
    """No worker can take another stream."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Exclusive right of `owner` to work on `stream` until `expires_at` (wall-clock seconds).

    Every claim gives the stream a higher `epoch`, and so ends the lease of the previous one.
    """

    stream: str
    owner: str
    epoch: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """Last report of a worker: KV blocks reserved and in total, at the time `reported_at`, and
    those reserved by site.

    `placed` are the sites of the streams placed on it since then. The report does not include
    their blocks.
    """

    name: str
    kv_used: int
    kv_total: int
    reported_at: float
    by_site: Mapping[str, int] = field(default_factory=dict)
    placed: tuple[str, ...] = ()


class StreamDirectory:
    """Leases streams to workers. It has no clock: the caller passes wall-clock seconds.

    Epochs start from the clock, so a directory that lost its state in a restart never reissues an
    epoch. A worker that has not reported for `worker_timeout_s` gets no streams, and its leases end
    after at most `lease_s`.

    Each of the `sites` has at most `max_streams` streams, and a fair share of the KV blocks (see
    `fair_share`).
    """

    def __init__(
        self,
        sites: Collection[str] = (),
        max_streams: int | None = None,
        lease_s: float = 30.0,
        worker_timeout_s: float = 15.0,
    ) -> None:
        self._sites, self._max_streams = sites, max_streams
        self._lease_s = lease_s
        self._worker_timeout_s = worker_timeout_s
        self._leases: dict[str, Lease] = {}
        self._epochs: dict[str, int] = {}
        self._reports: dict[str, WorkerReport] = {}

    def report(
        self,
        worker: str,
        kv_used: int,
        kv_total: int,
        now: float,
        by_site: Mapping[str, int] | None = None,
    ) -> None:
        """Record that a worker is alive, with `kv_used` of `kv_total` KV blocks reserved, those of
        each site in `by_site`.
        """
        self._reports[worker] = WorkerReport(worker, kv_used, kv_total, now, by_site or {})

    def remove_worker(self, worker: str) -> list[Lease]:
        """Remove a worker. Its leases end now and are returned."""
        self._reports.pop(worker, None)
        return self._end([lease for lease in self._leases.values() if lease.owner == worker])

    def claim(self, stream: str, now: float) -> Lease:
        """Lease a connecting stream under a new epoch.

        The owner stays the same while it is alive; otherwise the worker with the lowest KV load
        gets the stream. Raises NoCapacityError.
        """
        current = self._leases.get(stream)
        if current is not None and current.expires_at > now and self._alive(current.owner, now):
            owner = current.owner
        else:
            self._check_share(stream, now)
            owner = self._place(stream, now)
        epoch = max(self._epochs.get(stream, 0) + 1, int(now))
        self._epochs[stream] = epoch
        self._leases[stream] = Lease(stream, owner, epoch, now + self._lease_s)
        return self._leases[stream]

    def renew(self, stream: str, owner: str, epoch: int, now: float) -> Lease:
        """Extend a lease. Raises LeaseError if it has ended, even without a new owner."""
        lease = self.lease(stream, now)
        if (lease.owner, lease.epoch) != (owner, epoch):
            raise LeaseError(
                f"stream {stream}: epoch {epoch} of {owner} has ended; "
                f"{lease.owner} owns the stream with epoch {lease.epoch}"
            )
        self._leases[stream] = replace(lease, expires_at=now + self._lease_s)
        return self._leases[stream]

    def release(self, stream: str, epoch: int) -> None:
        """End a lease before it expires. Does nothing if the stream has a newer epoch."""
        if stream in self._leases and self._leases[stream].epoch == epoch:
            del self._leases[stream]

    def lease(self, stream: str, now: float) -> Lease:
        """The current lease of a stream. Raises LeaseError without one."""
        lease = self._leases.get(stream)
        if lease is None or lease.expires_at <= now:
            raise unknown_stream(stream, self._leases)
        return lease

    def expire(self, now: float) -> list[Lease]:
        """End and return the leases that have expired."""
        return self._end([lease for lease in self._leases.values() if lease.expires_at <= now])

    def leases(self) -> tuple[Lease, ...]:
        """All leases, sorted by stream."""
        return tuple(self._leases[stream] for stream in sorted(self._leases))

    def live_workers(self, now: float) -> tuple[WorkerReport, ...]:
        """The reports of all live workers, sorted by name."""
        return tuple(w for _, w in sorted(self._reports.items()) if self._alive(w.name, now))

    def _end(self, leases: list[Lease]) -> list[Lease]:
        for lease in leases:
            del self._leases[lease.stream]
        return leases

    def _alive(self, worker: str, now: float) -> bool:
        report = self._reports.get(worker)
        return report is not None and report.reported_at + self._worker_timeout_s > now

    def _check_share(self, stream: str, now: float) -> None:
        """Raise NoCapacityError if the stream's site has enough already."""
        site = _site(stream)
        streams = sum(_site(name) == site and name != stream for name in self._leases)
        if self._max_streams is not None and streams >= self._max_streams:
            raise NoCapacityError(
                f"the site {site} has {streams} streams, its limit; raise limits.streams"
            )
        workers, average = self.live_workers(now), self._average(now)
        used: Counter[str] = Counter()
        for worker in workers:
            used.update(worker.by_site)
            for placed in worker.placed:
                used[placed] += average  # type: ignore[assignment]
        total = sum(worker.kv_total for worker in workers)
        if self._sites and (reason := refusal(site, average, used, total, self._sites)):
            raise NoCapacityError(reason)

    def _average(self, now: float) -> float:
        """KV blocks that a stream holds on average, at least one."""
        workers = self.live_workers(now)
        streams = len(self._leases) - sum(len(worker.placed) for worker in workers)
        return max(1.0, sum(worker.kv_used for worker in workers) / max(1, streams))

    def _place(self, stream: str, now: float) -> str:
        """The live worker with the lowest KV load.

        A stream placed since a worker's last report counts as much as an average stream. Otherwise
        many streams that connect at once would all go to the same worker.
        """
        workers, average = self.live_workers(now), self._average(now)
        load = {w.name: (w.kv_used + len(w.placed) * average) / max(w.kv_total, 1) for w in workers}
        free = [w for w in workers if load[w.name] < 1]
        if not free:
            raise NoCapacityError(
                f"none of {len(workers)} workers has free KV memory; add workers or raise kv_blocks"
            )
        best = min(free, key=lambda w: load[w.name])
        self._reports[best.name] = replace(best, placed=(*best.placed, _site(stream)))
        return best.name


def _site(stream: str) -> str:
    return stream.partition(".")[0]


def unknown_stream(stream: str, served: Iterable[str]) -> LeaseError:
    """The error for a stream that no worker serves. It lists those of the same site only: who may
    view one site must not learn the names of another's cameras.
    """
    names = ", ".join(sorted(name for name in served if _site(name) == _site(stream))) or "none"
    return LeaseError(f"no worker serves the stream {stream!r}; of that site are served: {names}")
