"""`codecsight cloud`: run a cloud node."""

from codecsight.cli.options import ConfigFile


def cloud(config: ConfigFile) -> None:
    """Run a cloud node: a gateway for the sites, a directory of streams, and GPU workers.

    Runs until SIGTERM or Ctrl-C. At the start it prints the address of the Ray dashboard, whose
    actor list shows the workers.

    Example: `codecsight cloud -c cloud.yaml`
    """
    from cluster.cloud_runtime import run_cloud
    from cluster.shutdown import stop_on_signals
    from codecsight.config import load_cloud

    run_cloud(load_cloud(config), stop_on_signals())
