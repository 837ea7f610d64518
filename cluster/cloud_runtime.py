"""A cloud node: a supervised worker process that holds Ray, the gateway and the GPU workers."""

import sys
import threading
from functools import partial

from cluster.folders import keep_files_private
from cluster.ports import check_port_is_free
from cluster.ray_worker import CONFIG_FAULT_CODE, parse_report, ray_launch
from cluster.supervision.process_spec import ProcessSpec, ProcessState, StopBy
from cluster.supervision.restart_policy import RestartPolicy
from cluster.supervision.supervisor import Supervisor
from codecsight.config import CloudConfig
from codecsight.core.errors import CodecSightError
from codecsight.models.folder import find_folder

POLL_S = 0.2
WORKER = "cloud-worker"
START_TIMEOUT_S = 300.0
SILENCE_S = 60.0
FROZEN_S = 10.0
STOP_TIMEOUT_S = 30.0
POLICY = RestartPolicy(max_delay_s=30.0, max_failures=5, window_s=600.0)


def run_cloud(config: CloudConfig, stop: threading.Event) -> None:
    """Run until `stop`. If Ray fails it is restarted, and sites connect again.

    Raises CodecSightError: before anything is started if the model or a key file is missing, or the
    port is in use; when the start fails for a reason that a restart can't repair; after too many
    failures.
    """
    if config.model is not None:
        find_folder(config.model)
    if config.tls is not None:
        config.tls.check("tls")
    check_port_is_free(config.listen)
    keep_files_private()
    errors: list[str] = []
    with Supervisor() as supervisor:
        supervisor.start(_worker_spec(config, errors))
        while not stop.wait(POLL_S):
            [status] = supervisor.status()
            if status.state is ProcessState.FAILED:
                raise CodecSightError(_why(errors, status.reason))


def _why(errors: list[str], reason: str) -> str:
    if errors:
        return f"the cloud did not start: {errors[-1]}"
    return (
        f"the cloud failed {POLICY.max_failures} times in {POLICY.window_s:.0f} s, last: {reason}"
    )


def _worker_spec(config: CloudConfig, errors: list[str]) -> ProcessSpec:
    """The worker process; the messages of configuration faults are appended to `errors`."""

    def on_line(line: bytes) -> None:
        report = parse_report(line) or {}
        if "error" in report:
            errors.append(report["error"])

    # Without defaults: some fields exclude each other when both are given.
    settings = {"cloud": config.model_dump(mode="json", by_alias=True, exclude_unset=True)}
    return ProcessSpec(
        name=WORKER,
        command=(sys.executable, "-m", "cluster.cloud_worker"),
        prepare=partial(ray_launch, "cs-cloud-", settings),
        on_line=on_line,
        start_timeout_s=START_TIMEOUT_S,
        silence_s=SILENCE_S,
        frozen_s=FROZEN_S,
        fatal_codes=frozenset({CONFIG_FAULT_CODE}),
        policy=POLICY,
        stop_by=StopBy.STDIN_EOF,
        stop_timeout_s=STOP_TIMEOUT_S,
    )
