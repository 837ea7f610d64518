"""Configuration files: validation, and errors that name file, line, key and expectation."""

from pathlib import Path

import pytest

from codecsight.config import CloudConfig, ConfigError, SiteConfig, load_config
from codecsight.core.question import Question, QuestionKind

SITE = """\
site: yard
cloud:
  address: 127.0.0.1:7443
spool: /tmp/spool
archive:
  url: dir:/tmp/archive
cameras:
  gate:
    url: rtsp://10.0.0.7/main
"""


def _load(tmp_path: Path, text: str) -> SiteConfig:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return load_config(path, SiteConfig)


def _error(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    return str(caught.value)


def test_a_valid_file_loads_with_defaults(tmp_path: Path) -> None:
    config = _load(tmp_path, SITE)
    assert config.cameras["gate"].transport == "tcp"
    assert config.cameras["gate"].policy == "tracked"


def test_an_invalid_value_is_reported_with_line_key_and_expectation(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE + "    segment_s: -3\n")
    assert "site.yaml:10: cameras.gate.segment_s" in message
    assert "greater than 0" in message
    assert "-3" in message


def test_an_unknown_key_is_rejected_and_the_known_keys_are_listed(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE + "    segments: 3\n")
    assert "site.yaml:10: cameras.gate.segments: unknown key" in message
    assert "segment_s" in message


def test_a_missing_key_is_reported(tmp_path: Path) -> None:
    assert "spool: missing" in _error(tmp_path, SITE.replace("spool: /tmp/spool\n", ""))


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = SITE.replace("site: yard", "site: 'no spaces please'") + "    policy: 7\n"
    message = _error(tmp_path, text)
    assert "site.yaml:1: site" in message
    assert "site.yaml:10: cameras.gate.policy" in message


def test_invalid_yaml_is_reported_with_its_line(tmp_path: Path) -> None:
    assert "site.yaml:2: not valid YAML" in _error(tmp_path, "site: yard\ncloud: [1, }\n")


def test_a_duplicate_camera_is_reported_with_both_lines(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE + "  gate:\n    url: rtsp://10.0.0.8/main\n")
    assert "site.yaml:10: gate: duplicate key, first set on line 8" in message


def test_an_unknown_policy_is_rejected_and_the_known_ones_are_listed(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE + "    policy: psychic\n")
    assert "site.yaml:10: cameras.gate.policy" in message
    assert "tracked" in message


def test_a_username_without_a_password_is_rejected(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE + "    username: {env: CAMERA_USER}\n")
    assert "'username' and 'password' go together" in message


def test_an_unreadable_key_file_is_reported_by_read_secrets(tmp_path: Path) -> None:
    tls = f"  tls: {{ca: {tmp_path}/ca.pem, cert: {tmp_path}/c.pem, key: {tmp_path}/k.pem}}\n"
    config = _load(tmp_path, SITE.replace("spool:", tls + "spool:"))
    with pytest.raises(ConfigError, match=r"cloud.tls.ca: .*ca.pem can't be read: No such file"):
        config.read_secrets()


def test_a_list_and_an_empty_file_are_rejected(tmp_path: Path) -> None:
    assert "expected a mapping" in _error(tmp_path, "- a\n")
    assert "expected a mapping" in _error(tmp_path, "")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "nowhere.yaml", SiteConfig)


def test_a_password_in_the_url_is_rejected(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE.replace("rtsp://", "rtsp://admin:secret@"))
    assert "contains a password" in message


def test_credentials_are_read_from_environment_or_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("p@ss/word\n")
    extra = f"    username: {{env: CAMERA_USER}}\n    password: {{file: {password_file}}}\n"
    camera = _load(tmp_path, SITE + extra).cameras["gate"]
    with pytest.raises(ConfigError, match=r"cameras.gate.username: .*CAMERA_USER"):
        camera.source_url("gate")
    monkeypatch.setenv("CAMERA_USER", "admin")
    url = "rtsp://admin:p%40ss%2Fword@10.0.0.7/main"  # pragma: allowlist secret
    assert camera.source_url("gate") == url


def test_an_s3_archive_needs_both_keys(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE.replace("dir:/tmp/archive", "s3://video/p?endpoint=h:1"))
    assert "access_key" in message


def test_tls_is_required_except_on_loopback(tmp_path: Path) -> None:
    message = _error(tmp_path, SITE.replace("127.0.0.1:7443", "cloud.example.org:443"))
    assert "site.yaml:2: cloud: needs 'tls'" in message


def test_cloud_questions_may_be_plain_strings(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text(
        "sites: [yard]\nquestions:\n  - Is there a person?\n"
        "  - {text: Weather, kind: choice, choices: [rain, sun]}\n"
    )
    questions = load_config(path, CloudConfig).standing_questions
    assert [q.kind for q in questions] == [QuestionKind.YES_NO, QuestionKind.CHOICE]


def test_cloud_questions_may_have_a_json_schema(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text(
        "sites: [yard]\nquestions:\n"
        "  - text: What is there?\n    kind: json\n"
        "    schema: {type: object, properties: {people: {type: integer}}}\n"
        """  - 'And now? | {"type": "object"}'\n"""
        "  - {text: Nothing, kind: json}\n"
    )
    with pytest.raises(ConfigError, match=r"cloud.yaml:7: questions.2.*schema that is not valid"):
        load_config(path, CloudConfig)
    path.write_text(path.read_text().replace("  - {text: Nothing, kind: json}\n", ""))
    shaped, bare = load_config(path, CloudConfig).standing_questions
    assert shaped == Question.with_schema(
        "What is there?", {"type": "object", "properties": {"people": {"type": "integer"}}}
    )
    assert bare == Question.with_schema("And now?", {"type": "object"})


def test_an_invalid_question_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text("sites: [yard]\nquestions:\n  - {text: Weather, kind: choice}\n")
    with pytest.raises(ConfigError, match=r"cloud.yaml:3: questions.0.*two choices"):
        load_config(path, CloudConfig)


def test_the_stride_must_not_exceed_the_window(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text("sites: [yard]\nengine: {window: 2, stride: 3}\n")
    with pytest.raises(ConfigError, match="'stride' can't be larger"):
        load_config(path, CloudConfig)


def test_memory_is_set_in_blocks_or_in_mib_but_not_both(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text("sites: [yard]\nengine: {memory_mib: 512}\n")
    assert load_config(path, CloudConfig).engine.memory_mib == 512
    path.write_text("sites: [yard]\nengine: {memory_mib: 512, kv_blocks: 64}\n")
    with pytest.raises(ConfigError, match="set either 'memory_mib' or 'kv_blocks'"):
        load_config(path, CloudConfig)


def test_known_keys_are_listed_as_a_file_spells_them(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text("sites: [yard]\nquestions:\n  - {text: Weather, kind: text, sort: 1}\n")
    with pytest.raises(ConfigError, match=r"known keys: text, kind, choices, max_count, schema$"):
        load_config(path, CloudConfig)


def test_a_name_has_one_role(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text("sites: [yard, north]\noperators: [alice@example.org, north]\n")
    with pytest.raises(ConfigError, match="north: both in 'sites' and in 'operators'"):
        load_config(path, CloudConfig)
