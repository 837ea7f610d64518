"""Temporary folders, and the removal of those of killed runs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.folders import MIN_AGE_S, sweep, temporary_folder

HOLDER = (
    "import time; from cluster.folders import temporary_folder\n"
    "with temporary_folder('cs-x-') as folder: print(folder, flush=True); time.sleep(600)"
)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of the test and its processes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def _age(folder: Path) -> None:
    """Make the folder old enough to be swept."""
    old = folder.stat().st_mtime - MIN_AGE_S - 1
    os.utime(folder, (old, old))


def test_a_temporary_folder_is_removed_at_the_end() -> None:
    with temporary_folder("cs-x-") as folder:
        (folder / "file").touch()
    assert not folder.exists()


def test_only_the_folder_of_a_killed_process_is_swept(temporary: Path) -> None:
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        assert held.parent == temporary
        _age(held)
        sweep("cs-x-")
        assert held.exists()
        holder.kill()
    with temporary_folder("cs-x-"):
        assert not held.exists()


def test_young_folders_files_links_and_other_prefixes_stay(temporary: Path) -> None:
    young, other, file = temporary / "cs-x-young", temporary / "other", temporary / "cs-x-file"
    young.mkdir()
    other.mkdir()
    file.touch()
    link = temporary / "cs-x-link"
    link.symlink_to(other)
    for path in (other, file):
        _age(path)
    os.utime(link, (0, 0), follow_symlinks=False)
    sweep("cs-x-")
    assert {path.name for path in temporary.iterdir()} == {
        *("cs-x-young", "other", "cs-x-file", "cs-x-link"),
    }
    _age(young)
    sweep("cs-x-")
    assert not young.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_folders_of_another_user_stay(temporary: Path) -> None:
    folder = temporary / "cs-x-theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    _age(folder)
    sweep("cs-x-")
    assert folder.exists()


def test_files_of_private_processes_are_for_their_user_only(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; from cluster.folders import keep_files_private;"
        "keep_files_private();"
        "subprocess.run(['sh', '-c', 'touch $0; mkdir $1', *sys.argv[1:]], check=True)"
    )
    file, folder = tmp_path / "file", tmp_path / "folder"
    subprocess.run([sys.executable, "-c", code, file, folder], check=True, timeout=60)
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
