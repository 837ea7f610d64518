"""Names: what may be part of a path, a key and a log line, and how all else is shown."""

import pytest

from codecsight.core.names import NameFormError, check_recording, check_stream, shown

BAD = ["", ".", "a", "a.", ".a", "a.b.c", "a/b.c", "../a.b", "a.b\n", "a.b ", "a.\x1b[1m", "a.b\0",
       "ä.b", "a.b" + "c" * 63, "-a.b", "a.-b"]  # fmt: skip


@pytest.mark.parametrize("name", ["north.gate", "N-1.cam_2", "a.b", "a" * 63 + "." + "b" * 63])
def test_a_stream_is_a_site_and_a_camera(name: str) -> None:
    assert check_stream(name) == check_recording(name) == name


@pytest.mark.parametrize("name", BAD)
def test_every_other_text_is_refused_and_shown_escaped(name: str) -> None:
    with pytest.raises(NameFormError) as error:
        check_stream(name)
    assert str(error.value).isprintable()
    assert str(error.value).isascii()


def test_a_recording_may_have_one_name() -> None:
    assert check_recording("cam1") == "cam1"
    for name in BAD:
        if name != "a":
            with pytest.raises(NameFormError):
                check_recording(name)


def test_long_text_is_cut() -> None:
    assert shown("x" * 10_000) == repr("x" * 80 + "...")
