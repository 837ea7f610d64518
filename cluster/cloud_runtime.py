"""A cloud node: directory, GPU workers and gateway as actors of a private Ray."""

import contextlib
import threading

import structlog

from cluster.folders import temporary_folder
from cluster.private_ray import private_ray, start_named_actor
from codecsight.config import CloudConfig
from codecsight.core.errors import CodecSightError
from codecsight.models.folder import find_folder

log = structlog.get_logger()

STOP_TIMEOUT_S = 10.0
HEALTH_CHECK_S = 2.0


def run_cloud(config: CloudConfig, stop: threading.Event) -> None:
    """Run until `stop`.

    Raises CodecSightError before anything is started if the model or a key file is missing.
    """
    if config.model is not None:
        find_folder(config.model)
    if config.tls is not None:
        config.tls.check("tls")
    with temporary_folder("cs-cloud-") as folder, private_ray(folder, "cloud") as info:
        log.info("ray", dashboard=info.dashboard, token_file=str(info.token_file))
        _serve(config, stop)


def _serve(config: CloudConfig, stop: threading.Event) -> None:
    # Imported here: Ray reads its token on import, and private_ray must write it first.
    import ray
    from ray.exceptions import ActorDiedError, RayError

    from actors.directory_actor import DirectoryActor
    from actors.gateway_actor import GatewayActor
    from actors.gpu_worker import GpuWorker

    node = ray.util.get_node_ip_address()
    gpu_share = 1 if ray.cluster_resources().get("GPU", 0) >= config.workers else 0
    workers = [f"gpu:{node}:{index}" for index in range(config.workers)]
    # Ray ends an actor when its last handle is deleted.
    handles = [start_named_actor(DirectoryActor, "directory")]
    handles += [
        start_named_actor(GpuWorker, name, name, config, gpus=gpu_share) for name in workers
    ]
    gateway = start_named_actor(GatewayActor, f"gateway:{node}", config, "directory", workers)
    try:
        port = ray.get(gateway.start.remote())
    except RayError as error:
        # Only the last line: the message contains a traceback of every process it passed through.
        reason = str(error).strip().splitlines()[-1]
        raise CodecSightError(f"the cloud did not start: {reason}") from error
    log.info("serving", address=config.listen, port=port, workers=workers)
    while not stop.wait(HEALTH_CHECK_S):
        try:
            ray.get(gateway.start.remote())  # a no-op unless Ray has restarted the gateway
        except ActorDiedError as error:  # with max_restarts=-1 this means that Ray itself is down
            raise CodecSightError("Ray has stopped; restart the cloud") from error
        except RayError as error:
            log.warning("gateway not available", error=type(error).__name__)
    with contextlib.suppress(RayError):  # it may be down already
        ray.get(gateway.stop.remote(), timeout=STOP_TIMEOUT_S)
