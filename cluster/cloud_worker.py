"""`python -m cluster.cloud_worker`: directory, GPU workers and gateway as actors of a private Ray.

Reports a sign of life every HEALTH_CHECK_S seconds (see `cluster.ray_worker`), also while models
are loaded.
"""

import contextlib
import re
import socket
import threading
import time
from typing import Any

import structlog

from cluster.private_ray import RayDaemons, start_named_actor
from cluster.ray_worker import ConfigFaultError, Report, WriteReport, run_ray_worker
from cluster.supervision.actor_watch import ActorWatch
from codecsight.config import CloudConfig
from codecsight.core.errors import CodecSightError

log = structlog.get_logger()

HEALTH_CHECK_S = 2.0
START_TIMEOUT_S = 1900.0  # above MODEL_LOAD_S + STRAGGLER_S
"""A large model is read from a slow disk, or downloaded."""
STOP_TIMEOUT_S = 10.0


_ERROR_CLASS = re.compile(r"^[\w.]+(Error|Refused|Busy): ")


def main() -> None:
    """Run until standard input closes."""
    run_ray_worker("cloud", _serve)


def _serve(settings: Report, stop: threading.Event, write: WriteReport) -> None:
    # Imported here: Ray reads its token on import, and private_ray must write it first.
    import ray
    from ray.exceptions import RayError

    from actors.directory_actor import DirectoryActor
    from actors.gateway_actor import GatewayActor
    from actors.gpu_worker import GpuWorker

    config = CloudConfig.model_validate(settings["cloud"])
    node = socket.gethostname()
    gpu_share = gpus_per_worker(int(ray.cluster_resources().get("GPU", 0)), config.workers)
    workers = [f"gpu:{node}:{index}" for index in range(config.workers)]
    # Ray ends an actor when its last handle is deleted.
    limits = config.limits
    directory = start_named_actor(DirectoryActor, "directory", config.sites, limits.streams)
    actors = {"directory": directory}
    actors |= {
        name: start_named_actor(GpuWorker, name, name, config, gpus=gpu_share) for name in workers
    }
    gateway = start_named_actor(GatewayActor, f"gateway:{node}", config, "directory", workers)
    daemons = RayDaemons()
    watch = ActorWatch({**actors, f"gateway:{node}": gateway})
    port = _start(gateway, stop, write)
    if port is None:
        return
    log.info("serving", address=config.listen, port=port, workers=workers)
    while not stop.wait(HEALTH_CHECK_S):
        if daemon := daemons.dead():
            raise CodecSightError(f"Ray's {daemon} has died")
        _check(gateway)
        watch.poll()
        write({"time": time.time(), "serving": True})
    with contextlib.suppress(RayError):  # it may be down already
        ray.get(gateway.stop.remote(), timeout=STOP_TIMEOUT_S)


def gpus_per_worker(gpus: int, workers: int) -> int:
    """GPUs of each worker: one, or none on a machine without. Raises ConfigFaultError if there are
    some, but too few.
    """
    if 0 < gpus < workers:
        raise ConfigFaultError(
            f"workers: {workers} workers, but {gpus} GPUs; each worker has a GPU of its own"
        )
    return 1 if gpus else 0


def _start(gateway: Any, stop: threading.Event, write: WriteReport) -> int | None:
    """Start the gateway, which waits for the models. Returns its port, or None if stopped.

    Raises ConfigFaultError if an actor reported an error, CodecSightError if Ray failed.
    """
    import ray
    from ray.exceptions import RayError

    call = gateway.start.remote()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not stop.is_set():
        write({"time": time.time(), "serving": False})
        ready, _ = ray.wait([call], timeout=HEALTH_CHECK_S)
        try:
            if ready:
                return int(ray.get(call, timeout=HEALTH_CHECK_S))
        except RayError as error:
            # Only the last line: the message has a traceback of every process it passed through.
            reason = _ERROR_CLASS.sub("", str(error).strip().splitlines()[-1])
            kind = ConfigFaultError if _is_config_fault(error) else CodecSightError
            raise kind(reason) from error
        if time.monotonic() > deadline:
            raise CodecSightError(f"the gateway did not start within {START_TIMEOUT_S:.0f} s")
    return None


def _is_config_fault(error: Exception) -> bool:
    """Whether our code raised the error, in a method or in an actor's constructor.

    Otherwise a process or Ray itself has died, which a restart may repair.
    """
    from ray.exceptions import RayActorError, RayTaskError

    if isinstance(error, RayTaskError) and not isinstance(error.cause, RayActorError):
        return True
    return "creation task" in str(error)


def _check(gateway: Any) -> None:
    """Check that the gateway serves. Raises CodecSightError if Ray itself has died."""
    import ray
    from ray.exceptions import ActorDiedError, RayError

    try:
        # A no-op unless Ray has restarted the gateway.
        ray.get(gateway.start.remote(), timeout=HEALTH_CHECK_S)
    except ActorDiedError as error:  # with max_restarts=-1 this means that Ray itself is down
        raise CodecSightError("Ray has stopped; the cloud's actors are gone") from error
    except RayError as error:
        log.warning("gateway not available", error=type(error).__name__)


if __name__ == "__main__":
    main()
