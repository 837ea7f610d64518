"""The commands of docs/tls.md make certificates that the gateway accepts by their names."""

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from actors.rpc.control_client import ControlClient, ControlError
from actors.rpc.transport import TlsCredentials
from tests.actors.rpc.memory_host import MemoryHost, serving, site, welcomed

PAGE = Path(__file__).parents[2] / "docs" / "tls.md"


def _streams(port: int, keys: TlsCredentials) -> set[str]:
    with ControlClient(f"127.0.0.1:{port}", keys) as control:
        return {row.stream for row in control.streams()}


def test_the_commands_make_a_cloud_a_site_and_an_operator(tmp_path: Path) -> None:
    [script] = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = script.replace("yard-7", "north").replace("me DNS:me", "operator DNS:operator")
    script += "\nissue west DNS:west\n"
    subprocess.run(
        ["bash", "-ec", script], cwd=tmp_path, check=True, capture_output=True, timeout=60
    )

    def keys(name: str) -> TlsCredentials:
        ca = (tmp_path / "ca.pem").read_bytes()
        pair = [(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("pem", "key")]
        return TlsCredentials(ca, *pair)

    async def scene() -> None:
        async with (
            serving(MemoryHost(), keys("cloud")) as server,
            site(server.port, "north", keys("north")) as client,
        ):
            await welcomed(client.open("north.gate", 640, 360))
            seen = await asyncio.to_thread(_streams, server.port, keys("operator"))
            assert seen == {"north.gate"}
            with pytest.raises(ControlError, match="names 'west'"):
                await asyncio.to_thread(_streams, server.port, keys("west"))

    asyncio.run(scene())
