"""The change policies, tested through their common interface."""

import numpy as np
import pytest

from codecsight.change.policies import POLICIES, RandomPolicy, Reasons, make_policy
from codecsight.core.errors import CodecSightError
from codecsight.core.frame import FrameSignals
from codecsight.core.slot import Reason
from tests.change.synthetic_camera import Image, SyntheticCamera

HEVC = FrameSignals("P", 900)
ALL_INTRA = FrameSignals("I", 9000)
SLIGHT = np.array([5, 5, 3], np.uint8)  # less than five grey levels of luma


def decide(
    camera: SyntheticCamera,
    name: str,
    image: Image | None = None,
    signals: FrameSignals | None = None,
) -> Reasons:
    """Decide on `image` after one frame with `signals`, with the background shipped before."""
    policy = make_policy(name, camera.grid)
    policy.observe(signals or camera.signals(), 128, 96)
    picture = camera.background if image is None else image
    return policy.decide(camera.slot(picture), camera.slot(camera.background))


def test_an_unknown_policy_name_raises_an_error_that_lists_the_known(
    camera: SyntheticCamera,
) -> None:
    with pytest.raises(CodecSightError, match=r"'magic'.*tracked, published"):
        make_policy("magic", camera.grid)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_returns_a_reason_per_cell_and_leaves_its_inputs_unchanged(
    camera: SyntheticCamera, name: str
) -> None:
    policy = make_policy(name, camera.grid)
    pictures, shipped = camera.slot(camera.with_cell(1, 1)), camera.slot(camera.background)
    pictures.flags.writeable = shipped.flags.writeable = False
    reasons = policy.decide(pictures, shipped)
    assert (reasons.shape, reasons.dtype) == ((6, 8), np.uint8)
    assert set(np.unique(reasons)) <= {0, *Reason}


@pytest.mark.parametrize("name", ["tracked", "pixels", "published"])
def test_a_static_scene_keeps_no_cell(camera: SyntheticCamera, name: str) -> None:
    assert not decide(camera, name).any()


class TestPublished:
    def test_half_a_pixel_of_motion_keeps_a_cell(self, camera: SyntheticCamera) -> None:
        reasons = decide(camera, "published", signals=camera.signals(a=(2, 3, 0.5), b=(4, 4, 0.4)))
        assert reasons[2, 3] == Reason.MOTION
        assert np.count_nonzero(reasons) == 1

    def test_cells_stay_active_until_the_anchor(self, camera: SyntheticCamera) -> None:
        policy = make_policy("published", camera.grid)
        static, pictures = camera.signals(), camera.slot(camera.background)
        policy.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
        assert policy.decide(pictures, pictures)[2, 3]
        policy.observe(static, 128, 96)
        assert policy.decide(pictures, pictures)[2, 3]
        policy.on_anchor(pictures)
        policy.observe(static, 128, 96)
        assert not policy.decide(pictures, pictures).any()

    def test_intra_blocks_are_kept(self, camera: SyntheticCamera) -> None:
        signals = camera.signals()
        assert signals.intra is not None
        signals.intra[5, 7] = 1.0
        assert decide(camera, "published", signals=signals)[5, 7] == Reason.INTRA

    def test_changed_pixels_alone_keep_no_cell(self, camera: SyntheticCamera) -> None:
        assert not decide(camera, "published", camera.with_cell(2, 3)).any()

    @pytest.mark.parametrize("signals", [HEVC, ALL_INTRA], ids=["hevc", "all intra"])
    def test_without_motion_signals_pixels_decide(
        self, camera: SyntheticCamera, signals: FrameSignals
    ) -> None:
        assert not decide(camera, "published", signals=signals).any()
        reasons = decide(camera, "published", camera.with_cell(2, 3), signals)
        assert reasons[2, 3] == Reason.PIXELS
        assert np.array_equal(reasons, decide(camera, "pixels", camera.with_cell(2, 3)))


class TestTracked:
    def test_motion_without_changed_pixels_is_not_kept(self, camera: SyntheticCamera) -> None:
        assert not decide(camera, "tracked", signals=camera.signals(a=(2, 3, 8.0))).any()

    def test_a_clear_change_is_kept_without_motion(self, camera: SyntheticCamera) -> None:
        assert decide(camera, "tracked", camera.with_cell(2, 3))[2, 3] == Reason.PIXELS

    def test_a_changed_cell_that_moved_has_the_reason_motion(self, camera: SyntheticCamera) -> None:
        signals = camera.signals(a=(2, 3, 2.0))
        assert decide(camera, "tracked", camera.with_cell(2, 3), signals)[2, 3] == Reason.MOTION

    def test_a_slight_change_is_kept_only_with_codec_motion(self, camera: SyntheticCamera) -> None:
        slight = camera.background.copy()
        slight[36:44, 52:60] += SLIGHT  # cell (2, 3), inside
        assert not decide(camera, "tracked", slight).any()
        signals = camera.signals(a=(2, 3, 1.0))
        assert decide(camera, "tracked", slight, signals)[2, 3] == Reason.MOTION

    def test_slow_motion_counts_once_it_has_added_up(self, camera: SyntheticCamera) -> None:
        slight = camera.background.copy()
        slight[36:44, 52:60] += SLIGHT
        policy = make_policy("tracked", camera.grid)
        for _ in range(5):
            policy.observe(camera.signals(a=(2, 3, 0.3)), 128, 96)
        reasons = policy.decide(camera.slot(slight), camera.slot(camera.background))
        assert reasons[2, 3] == Reason.MOTION

    def test_motion_is_discarded_after_each_slot(self, camera: SyntheticCamera) -> None:
        slight = camera.background.copy()
        slight[36:44, 52:60] += SLIGHT
        policy = make_policy("tracked", camera.grid)
        policy.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
        pictures, shipped = camera.slot(slight), camera.slot(camera.background)
        assert policy.decide(pictures, shipped).any()
        assert not policy.decide(pictures, shipped).any()

    def test_without_signals_it_decides_like_the_pixel_policy(
        self, camera: SyntheticCamera
    ) -> None:
        image = camera.with_cell(2, 3)
        pixels = decide(camera, "pixels", image)
        assert np.array_equal(decide(camera, "tracked", image, HEVC), pixels)


class TestBaselines:
    def test_everything_keeps_every_cell(self, camera: SyntheticCamera) -> None:
        assert decide(camera, "everything").all()

    def test_random_keeps_exactly_its_share_over_many_slots(self, camera: SyntheticCamera) -> None:
        policy = RandomPolicy(camera.grid, share=0.137, seed=3)
        pictures = camera.slot(camera.background)
        kept = sum(np.count_nonzero(policy.decide(pictures, pictures)) for _ in range(100))
        assert kept == int(0.137 * 48 * 100)

    def test_random_keeps_the_same_cells_for_the_same_seed(self, camera: SyntheticCamera) -> None:
        pictures = camera.slot(camera.background)
        a, b, c = (
            RandomPolicy(camera.grid, seed=seed).decide(pictures, pictures) for seed in (1, 1, 2)
        )
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
