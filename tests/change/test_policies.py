"""The policies, through their one interface."""

import numpy as np
import pytest

from codecsight.change.policies import POLICIES, RandomPolicy, Reasons, make_policy
from codecsight.core.errors import CodecSightError
from codecsight.core.frame import FrameSignals
from codecsight.core.slot import Reason
from tests.change.synthetic_camera import Image, SyntheticCamera

HEVC = FrameSignals("P", 900)
FAINT = np.array([5, 5, 3], np.uint8)  # less than five grey levels


def decide(
    camera: SyntheticCamera,
    name: str,
    image: Image | None = None,
    signals: FrameSignals | None = None,
) -> Reasons:
    """One decision on `image` after one frame with `signals`, the background being shipped."""
    policy = make_policy(name, camera.grid)
    policy.observe(signals or camera.signals(), 128, 96)
    shown = camera.background if image is None else image
    return policy.decide(camera.slot(shown), camera.slot(camera.background))


def test_an_unknown_policy_is_refused_by_name(camera: SyntheticCamera) -> None:
    with pytest.raises(CodecSightError, match=r"'magic'.*tracked, published"):
        make_policy("magic", camera.grid)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_gives_a_reason_per_cell_and_does_not_write_to_what_it_sees(
    camera: SyntheticCamera, name: str
) -> None:
    policy = make_policy(name, camera.grid)
    shown, shipped = camera.slot(camera.with_cell(1, 1)), camera.slot(camera.background)
    shown.flags.writeable = shipped.flags.writeable = False
    reasons = policy.decide(shown, shipped)
    assert (reasons.shape, reasons.dtype) == ((6, 8), np.uint8)
    assert set(np.unique(reasons)) <= {0, *Reason}


@pytest.mark.parametrize("name", ["tracked", "pixels", "published"])
def test_a_still_scene_keeps_nothing(camera: SyntheticCamera, name: str) -> None:
    assert not decide(camera, name).any()


class TestPublished:
    def test_half_a_pixel_of_motion_keeps_a_cell(self, camera: SyntheticCamera) -> None:
        reasons = decide(camera, "published", signals=camera.signals(a=(2, 3, 0.5), b=(4, 4, 0.4)))
        assert reasons[2, 3] == Reason.MOTION
        assert np.count_nonzero(reasons) == 1

    def test_cells_stay_active_until_the_anchor(self, camera: SyntheticCamera) -> None:
        policy = make_policy("published", camera.grid)
        still, view = camera.signals(), camera.slot(camera.background)
        policy.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
        assert policy.decide(view, view)[2, 3]
        policy.observe(still, 128, 96)
        assert policy.decide(view, view)[2, 3]
        policy.on_anchor(view)
        policy.observe(still, 128, 96)
        assert not policy.decide(view, view).any()

    def test_intra_blocks_are_kept(self, camera: SyntheticCamera) -> None:
        signals = camera.signals()
        assert signals.intra is not None
        signals.intra[5, 7] = 1.0
        assert decide(camera, "published", signals=signals)[5, 7] == Reason.INTRA

    def test_it_is_blind_to_pixels(self, camera: SyntheticCamera) -> None:
        assert not decide(camera, "published", camera.with_cell(2, 3)).any()

    def test_without_motion_from_the_codec_everything_is_kept(
        self, camera: SyntheticCamera
    ) -> None:
        assert decide(camera, "published", signals=HEVC).all()


class TestTracked:
    def test_motion_without_any_change_of_pixels_is_not_kept(self, camera: SyntheticCamera) -> None:
        assert not decide(camera, "tracked", signals=camera.signals(a=(2, 3, 8.0))).any()

    def test_a_clear_change_is_kept_without_motion(self, camera: SyntheticCamera) -> None:
        assert decide(camera, "tracked", camera.with_cell(2, 3))[2, 3] == Reason.PIXELS

    def test_a_moving_cell_names_motion(self, camera: SyntheticCamera) -> None:
        signals = camera.signals(a=(2, 3, 2.0))
        assert decide(camera, "tracked", camera.with_cell(2, 3), signals)[2, 3] == Reason.MOTION

    def test_a_faint_change_is_kept_only_where_the_codec_saw_motion(
        self, camera: SyntheticCamera
    ) -> None:
        faint = camera.background.copy()
        faint[36:44, 52:60] += FAINT  # cell (2, 3), inside
        assert not decide(camera, "tracked", faint).any()
        signals = camera.signals(a=(2, 3, 1.0))
        assert decide(camera, "tracked", faint, signals)[2, 3] == Reason.MOTION

    def test_slow_motion_counts_once_it_has_summed_up(self, camera: SyntheticCamera) -> None:
        faint = camera.background.copy()
        faint[36:44, 52:60] += FAINT
        policy = make_policy("tracked", camera.grid)
        for _ in range(5):
            policy.observe(camera.signals(a=(2, 3, 0.3)), 128, 96)
        reasons = policy.decide(camera.slot(faint), camera.slot(camera.background))
        assert reasons[2, 3] == Reason.MOTION

    def test_motion_is_forgotten_with_each_slot(self, camera: SyntheticCamera) -> None:
        faint = camera.background.copy()
        faint[36:44, 52:60] += FAINT
        policy = make_policy("tracked", camera.grid)
        policy.observe(camera.signals(a=(2, 3, 1.0)), 128, 96)
        view, shipped = camera.slot(faint), camera.slot(camera.background)
        assert policy.decide(view, shipped).any()
        assert not policy.decide(view, shipped).any()

    def test_without_signals_it_is_the_pixel_policy(self, camera: SyntheticCamera) -> None:
        image = camera.with_cell(2, 3)
        alone = decide(camera, "pixels", image)
        assert np.array_equal(decide(camera, "tracked", image, HEVC), alone)


class TestControls:
    def test_everything_keeps_everything(self, camera: SyntheticCamera) -> None:
        assert decide(camera, "everything").all()

    def test_chance_keeps_its_share_exactly_over_many_slots(self, camera: SyntheticCamera) -> None:
        policy = RandomPolicy(camera.grid, share=0.137, seed=3)
        view = camera.slot(camera.background)
        kept = sum(np.count_nonzero(policy.decide(view, view)) for _ in range(100))
        assert kept == int(0.137 * 48 * 100)

    def test_chance_repeats_itself_by_seed(self, camera: SyntheticCamera) -> None:
        view = camera.slot(camera.background)
        a, b, c = (RandomPolicy(camera.grid, seed=seed).decide(view, view) for seed in (1, 1, 2))
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
