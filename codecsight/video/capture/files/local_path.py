"""Paths of local files and pipes, from what users write: `clip.mp4`, `file:///a%20b.mp4`, `-`."""

from pathlib import Path
from urllib.parse import unquote

from codecsight.video.capture.source import SourceError

STDIN = Path("/dev/stdin")
STDIN_NAMES = frozenset({"-", "/dev/stdin", "pipe:", "pipe:0", "/dev/fd/0", "/proc/self/fd/0"})
_LOCAL_HOSTS = ("localhost/", "127.0.0.1/")


def local_path(text: str) -> Path:
    """The path that `text` means: a path as it is, or without blanks around it; a file: URL with
    percent-encoded characters and with or without `localhost`; `-` for standard input.

    Raises SourceError for a file: URL of another machine.
    """
    stripped = text.strip()
    if stripped.lower().startswith("file:"):
        return _of_url(stripped)
    if stripped in STDIN_NAMES:
        return STDIN
    path = Path(text)
    return path if path.exists() else Path(stripped).expanduser()


def _of_url(url: str) -> Path:
    rest = url[len("file:") :]
    if rest.startswith("//"):
        rest = rest[2:]
        for host in _LOCAL_HOSTS:
            if rest.lower().startswith(host):
                rest = rest[len(host) - 1 :]
    path = next((p for p in (Path(rest), Path(unquote(rest))) if p.exists()), Path(unquote(rest)))
    host, slash, _ = rest.partition("/")
    if host and slash and not path.exists() and not Path(host).exists():
        raise SourceError(f"{url}: no such file here; a file: URL is file:///PATH, of this machine")
    return path
