"""Which worker owns which stream: leases with an epoch, and placement by KV load."""

from dataclasses import dataclass, replace

from codecsight.core.errors import CodecSightError


class LeaseError(CodecSightError):
    """A lease that does not exist, or that somebody else holds by now."""


class NoCapacityError(CodecSightError):
    """No worker is there that could take one more stream."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`owner` alone may work on `stream` until the time `until`. Every claim gives the stream a
    higher `epoch`; whoever still holds a lower one has lost it.
    """

    stream: str
    owner: str
    epoch: int
    until: float


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker last said of itself: KV blocks used and there, at the time `seen`; `fresh`
    counts the streams placed on it since, whose blocks it has not reported yet.
    """

    name: str
    used: int
    total: int
    seen: float
    fresh: int = 0


class StreamDirectory:
    """Leases streams to workers. Plain values and no clock: the caller passes wall-clock seconds.

    Epochs start from the clock, so that a directory that lost its memory in a restart never gives
    out an epoch that was used before. A worker that has not reported for `worker_s` gets no
    streams, and its leases do not outlive `lease_s`.
    """

    def __init__(self, lease_s: float = 30.0, worker_s: float = 15.0) -> None:
        self._lease_s = lease_s
        self._worker_s = worker_s
        self._leases: dict[str, Lease] = {}
        self._epochs: dict[str, int] = {}
        self._workers: dict[str, Worker] = {}

    def report(self, worker: str, used: int, total: int, now: float) -> None:
        """A worker is alive and has `used` of `total` KV blocks in use."""
        self._workers[worker] = Worker(worker, used, total, now)

    def forget(self, worker: str) -> list[Lease]:
        """A worker is gone: its leases end now and are returned."""
        self._workers.pop(worker, None)
        return self._end([lease for lease in self._leases.values() if lease.owner == worker])

    def claim(self, stream: str, now: float) -> Lease:
        """A new epoch for a stream that connects: with its owner if that one lives, else with
        the worker whose KV is least used. Raises NoCapacityError.
        """
        held = self._leases.get(stream)
        if held is not None and held.until > now and self._alive(held.owner, now):
            owner = held.owner
        else:
            owner = self._place(now)
        epoch = max(self._epochs.get(stream, 0) + 1, int(now))
        self._epochs[stream] = epoch
        self._leases[stream] = Lease(stream, owner, epoch, now + self._lease_s)
        return self._leases[stream]

    def renew(self, stream: str, owner: str, epoch: int, now: float) -> Lease:
        """Prolong a lease. Raises LeaseError if it was lost, even if nobody else has it."""
        lease = self.lease(stream, now)
        if (lease.owner, lease.epoch) != (owner, epoch):
            raise LeaseError(
                f"stream {stream}: epoch {epoch} of {owner} is over; "
                f"{lease.owner} owns it with epoch {lease.epoch}"
            )
        self._leases[stream] = replace(lease, until=now + self._lease_s)
        return self._leases[stream]

    def release(self, stream: str, epoch: int) -> None:
        """Give a lease back; one that was lost meanwhile is left alone."""
        if stream in self._leases and self._leases[stream].epoch == epoch:
            del self._leases[stream]

    def lease(self, stream: str, now: float) -> Lease:
        """Who owns a stream. Raises LeaseError if nobody does."""
        lease = self._leases.get(stream)
        if lease is None or lease.until <= now:
            known = ", ".join(sorted(self._leases)) or "none"
            raise LeaseError(f"nobody watches the stream {stream!r}; watched: {known}")
        return lease

    def expire(self, now: float) -> list[Lease]:
        """End and return the leases that have run out."""
        return self._end([lease for lease in self._leases.values() if lease.until <= now])

    def leases(self) -> tuple[Lease, ...]:
        """All leases, by stream."""
        return tuple(self._leases[stream] for stream in sorted(self._leases))

    def workers(self, now: float) -> tuple[Worker, ...]:
        """The workers that are alive, by name."""
        return tuple(w for _, w in sorted(self._workers.items()) if self._alive(w.name, now))

    def _end(self, leases: list[Lease]) -> list[Lease]:
        for lease in leases:
            del self._leases[lease.stream]
        return leases

    def _alive(self, worker: str, now: float) -> bool:
        return worker in self._workers and self._workers[worker].seen + self._worker_s > now

    def _place(self, now: float) -> str:
        """The worker with the least KV load; streams it was given since its last report count as
        much as an average one.
        """
        alive = self.workers(now)
        average = sum(w.used for w in alive) / max(1, len(self._leases))
        load = {w.name: (w.used + w.fresh * max(average, 1)) / max(w.total, 1) for w in alive}
        free = [w for w in alive if load[w.name] < 1]
        if not free:
            raise NoCapacityError(
                f"none of {len(alive)} workers has KV memory left; add workers or raise kv_blocks"
            )
        best = min(free, key=lambda w: load[w.name])
        self._workers[best.name] = replace(best, fresh=best.fresh + 1)
        return best.name
