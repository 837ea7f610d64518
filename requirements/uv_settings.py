"""Prints pip's settings as shell commands that set uv's, which doesn't read them itself.

`pip config list | python uv_settings.py`: one `export NAME=VALUE` a line. What is set for uv
already stays.
"""

import ast
import os
import shlex
import sys

NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "no-index": "UV_NO_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "cache-dir": "",  # a different cache
}
SECTIONS = ("global", "install", ":env:")
"""In the order in which pip lets later ones win."""


def main() -> None:
    """Read standard input, write standard output."""
    found: dict[str, str] = {}
    rows = [line.strip().partition("=") for line in sys.stdin]
    for section in SECTIONS:
        for key, _, quoted in rows:
            name = NAMES.get(key.removeprefix(f"{section}."))
            if key.startswith(f"{section}.") and name:
                found[name] = _join(name, ast.literal_eval(quoted))
    for name, value in found.items():
        if name not in os.environ and value:
            print(f"export {name}={shlex.quote(value)}")


def _join(name: str, value: str) -> str:
    """The values, which pip separates by white space, as uv separates them."""
    if name == "UV_NO_INDEX":
        return "1" if value.lower() in ("1", "true", "yes", "on") else ""
    return ("," if name == "UV_FIND_LINKS" else " ").join(value.split())


if __name__ == "__main__":
    main()
