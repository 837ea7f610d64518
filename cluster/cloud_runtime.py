"""The cloud: a directory, GPU workers and a gateway, in one Ray."""

import contextlib
import threading

import structlog

from cluster.folders import temporary_folder
from cluster.private_ray import private_ray, start_named_actor
from codecsight.config import CloudConfig
from codecsight.core.errors import CodecSightError
from codecsight.models.folder import find_folder

log = structlog.get_logger()

STOP_S = 10.0
WATCH_S = 2.0


def run_cloud(config: CloudConfig, stop: threading.Event) -> None:
    """Run until `stop`. Raises before anything is started if the model can't be there."""
    if config.model is not None:
        find_folder(config.model)
    if config.tls is not None:
        config.tls.check("tls")
    with temporary_folder("cs-cloud-") as folder, private_ray(folder, "cloud") as info:
        log.info("ray", dashboard=info.dashboard, token_file=str(info.token_file))
        _serve(config, stop)


def _serve(config: CloudConfig, stop: threading.Event) -> None:
    # Ray reads its token while it is imported: only after private_ray has written it.
    import ray
    from ray.exceptions import ActorDiedError, RayError

    from actors.directory_actor import DirectoryActor
    from actors.gateway_actor import GatewayActor
    from actors.gpu_worker import GpuWorker

    node = ray.util.get_node_ip_address()
    gpu_share = 1 if ray.cluster_resources().get("GPU", 0) >= config.workers else 0
    workers = [f"gpu:{node}:{index}" for index in range(config.workers)]
    kept = [start_named_actor(DirectoryActor, "directory")]  # an actor lives as long as its handle
    kept += [start_named_actor(GpuWorker, name, name, config, gpus=gpu_share) for name in workers]
    gateway = start_named_actor(GatewayActor, f"gateway:{node}", config, "directory", workers)
    try:
        port = ray.get(gateway.start.remote())
    except RayError as error:  # it holds a traceback per process it came through
        reason = str(error).strip().splitlines()[-1]
        raise CodecSightError(f"the cloud could not start: {reason}") from error
    log.info("serving", address=config.listen, port=port, workers=workers)
    while not stop.wait(WATCH_S):
        try:
            ray.get(gateway.start.remote())  # does nothing, unless Ray had to restart it
        except ActorDiedError as error:  # for good, though Ray should start it again
            raise CodecSightError("Ray has died under the cloud; start it again") from error
        except RayError as error:
            log.warning("the gateway is away", error=type(error).__name__)
    with contextlib.suppress(RayError):  # what is away need not be stopped
        ray.get(gateway.stop.remote(), timeout=STOP_S)
