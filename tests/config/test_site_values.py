"""Values of site.yaml and cloud.yaml: what is accepted, and how a wrong one is reported."""

from pathlib import Path

import pytest

from codecsight.config import (
    CloudConfig,
    ConfigError,
    SiteConfig,
    check_readable,
    load_any,
    load_cloud,
    load_config,
    load_site,
)

SITE = """\
site: yard
cloud: {address: "127.0.0.1:7443"}
spool: ~/spool
archive: {url: "dir:/tmp/archive"}
cameras:
  gate: {url: "rtsp://10.0.0.7/main"}
"""
TLS = "tls: {ca: ca.pem, cert: c.pem, key: k.pem}"


def _site(tmp_path: Path, *changes: tuple[str, str]) -> SiteConfig:
    text = SITE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return load_config(path, SiteConfig)


def _cloud(tmp_path: Path, text: str) -> CloudConfig:
    path = tmp_path / "cloud.yaml"
    path.write_text(text)
    return load_config(path, CloudConfig)


def test_a_tilde_in_a_path_is_the_home_folder(tmp_path: Path) -> None:
    assert _site(tmp_path).spool == Path.home() / "spool"


def test_cameras_may_be_called_on_or_1(tmp_path: Path) -> None:
    config = _site(tmp_path, ("  gate:", "  1: {url: a.mp4}\n  on: {url: b.mp4}\n  gate:"))
    assert list(config.cameras) == ["1", "on", "gate"]


@pytest.mark.parametrize("address", ["[::1]:7443", "localhost:7443", "127.8.0.1:1"])
def test_plaintext_is_for_loopback(tmp_path: Path, address: str) -> None:
    assert _site(tmp_path, ("127.0.0.1:7443", address)).cloud.address == address


@pytest.mark.parametrize("address", ["127.evil.com:7443", "[2001:db8::7]:7443", "10.0.0.1:7443"])
def test_another_address_needs_tls(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=r"site.yaml:2: cloud: needs 'tls'"):
        _site(tmp_path, ("127.0.0.1:7443", address))
    with pytest.raises(ConfigError, match=r"'listen' needs 'tls'"):
        _cloud(tmp_path, f"sites: [yard]\nlisten: '{address}'\n")
    secured = ('7443"}', f'7443", {TLS}}}')
    assert _site(tmp_path, secured, ("127.0.0.1:7443", address)).cloud.address == address


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("127.0.0.1:7443", "cloud:70000", ":2: cloud.address: cloud:70000: the port 70000"),
        ("127.0.0.1:7443", "cloud", "site.yaml:2: cloud.address: expected HOST:PORT"),
        ("rtsp://", "rtps://", "site.yaml:6: cameras.gate.url: unknown scheme 'rtps'"),
        ("rtsp://10.0.0.7/main", "", "site.yaml:6: cameras.gate.url: the URL is empty"),
        ("dir:/tmp", "dri:/tmp", "site.yaml:4: archive.url: unknown archive scheme 'dri:'"),
        ("dir:/tmp", "ftp:/tmp", "site.yaml:4: archive.url: unknown archive scheme 'ftp:'"),
        ("dir:/tmp/archive", "s3://video", "site.yaml:4: archive.url: the endpoint is missing"),
        ("site: yard", "site: true", "site.yaml:1: site: expected text, got True; put it in"),
        ("site: yard", "site: a.b", "site.yaml:1: site: String should match pattern"),
        ("  gate:", "  a b:", "site.yaml:6: cameras.a b"),
        ("main\"}", "main\", password: hunter2}", "password: expected a mapping of keys and values;"
         " known keys: env, file"),
        ("main\"}", "main\", pass_word: hunter2}", "cameras.gate.pass_word: unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_with_line_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _site(tmp_path, (old, new))
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("{text: Gate, kind: choice, choices: [open, closed, Open]}", "the choice 'Open' twice"),
        ("'Gate? | open, closed, open'", "the choice 'open' twice"),
        (
            "{text: Who, kind: json, schema: {type: object, properties: {n: {type: whole}}}}",
            "schema: Invalid type: whole",
        ),
        ("{text: Who, kind: choice, choices: [true, false]}", "got True; put it in quotes"),
        ("{text: Who, kind: guess}", "kind: Input should be 'yes-no', 'count'"),
    ],
)
def test_a_wrong_question_is_reported(tmp_path: Path, question: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _cloud(tmp_path, f"sites: [yard]\nquestions:\n  - {question}\n")
    assert "cloud.yaml:3: questions.0" in str(caught.value)
    assert message in str(caught.value)


def test_choices_that_yaml_1_1_takes_for_booleans_are_text(tmp_path: Path) -> None:
    text = "sites: [yard]\nquestions:\n  - {text: Light, kind: choice, choices: [on, off]}\n"
    assert _cloud(tmp_path, text).standing_questions[0].choices == ("on", "off")


def test_the_top_level_keys_say_which_file_it_is(tmp_path: Path) -> None:
    cloud = tmp_path / "cloud.yaml"
    cloud.write_text("sites: [yard]\nquestions: ['Which cameras: see anything? | a, b']\n")
    assert isinstance(load_any(cloud), CloudConfig)
    site = tmp_path / "site.yaml"
    site.write_text(SITE.replace("cameras:", '"cameras":'))
    assert isinstance(load_any(site), SiteConfig)
    other = tmp_path / "other.yaml"
    other.write_text("services: {}\n")
    with pytest.raises(ConfigError, match=r"other.yaml:1: neither a site.yaml \(keys site, cloud"):
        load_any(other)


def test_every_secret_that_can_not_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_USER", raising=False)
    (tmp_path / "latin1").write_bytes("pässword".encode("latin-1"))
    secrets = f'main", username: {{env: NO_SUCH_USER}}, password: {{file: {tmp_path}/latin1}}}}'
    config = _site(tmp_path, ('main"}', secrets), ('7443"}', f'7443", {TLS}}}'))
    with pytest.raises(ConfigError) as caught:
        check_readable(tmp_path / "site.yaml", config)
    assert [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()] == [
        "site.yaml:6: cameras.gate.username: the environment variable NO_SUCH_USER is empty or "
        "not set",
        f"site.yaml:6: cameras.gate.password: the file {tmp_path}/latin1 is not UTF-8 text",
        "site.yaml:2: cloud.tls.ca: ca.pem can't be read: No such file or directory",
        "site.yaml:2: cloud.tls.cert: c.pem can't be read: No such file or directory",
        "site.yaml:2: cloud.tls.key: k.pem can't be read: No such file or directory",
    ]


def test_a_file_of_the_other_role_is_named_with_the_right_command(tmp_path: Path) -> None:
    _site(tmp_path)
    _cloud(tmp_path, "sites: [yard]\n")
    with pytest.raises(ConfigError, match=r"this is a cloud.yaml; run it with `codecsight cloud`"):
        load_site(tmp_path / "cloud.yaml")
    with pytest.raises(ConfigError, match=r"this is a site.yaml; run it with `codecsight site`"):
        load_cloud(tmp_path / "site.yaml")


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    secrets = f'main", username: {{file: {file}}}, password: {{file: {file}}}}}'
    camera = _site(tmp_path, ('main"}', secrets)).cameras["gate"]
    url = "rtsp://s3cret:s3cret@10.0.0.7/main"  # pragma: allowlist secret
    assert camera.source_url("gate") == url
