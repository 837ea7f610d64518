"""No URL in a configuration makes its error message show a secret."""

import json
from pathlib import Path

import pytest

from codecsight.config import ConfigError, load_any
from tests.core.urls.test_redaction import PARAMETERS, SECRET, TOKENS, USER_PARTS

URLS = [url for url, _ in [*USER_PARTS, *PARAMETERS, *TOKENS]]


def _errors(folder: Path, **urls: str) -> str:
    values = {"address": "127.0.0.1:7443", "archive": "dir:/a", "url": "rtsp://cam/x", **urls}
    path = folder / "site.yaml"
    path.write_text(
        f"site: {json.dumps(values.get('site', 'yard'))}\n"
        f"cloud: {{address: {json.dumps(values['address'])}}}\n"
        f"spool: {folder}\n"
        f"archive: {{url: {json.dumps(values['archive'])}}}\n"
        f"cameras: {{gate: {{url: {json.dumps(values['url'])}}}}}\n"
    )
    try:
        load_any(path)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", ["address", "archive", "url", "site"])
def test_no_message_shows_a_secret(tmp_path: Path, key: str) -> None:
    messages = {url: _errors(tmp_path, **{key: url}) for url in URLS}
    assert not {url: text for url, text in messages.items() if SECRET in text}
    assert sum(bool(text) for text in messages.values()) >= 15


def test_a_password_in_a_url_is_refused_in_every_form(tmp_path: Path) -> None:
    for url, _ in USER_PARTS:
        if url.lower().strip().startswith("rtsp://") and ":" in url[7:].partition("@")[0]:
            expected = "not a valid URL" if "%40" in url else "contains a password"
            text = _errors(tmp_path, url=url)
            assert expected in text or "expected rtsp://" in text, url
