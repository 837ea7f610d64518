"""The policies, through their one interface."""

import numpy as np
import pytest

from codecsight.change.policies import POLICIES, RandomPolicy, Reasons, make_policy
from codecsight.core.errors import CodecSightError
from codecsight.core.frame import FrameSignals
from codecsight.core.slot import Reason
from tests.change.studio import Image, Studio

HEVC = FrameSignals("P", 900)
FAINT = np.array([5, 5, 3], np.uint8)  # less than five grey levels


def decide(
    studio: Studio, name: str, image: Image | None = None, signals: FrameSignals | None = None
) -> Reasons:
    """One decision on `image` after one frame with `signals`, the backdrop being shipped."""
    policy = make_policy(name, studio.grid)
    policy.observe(signals or studio.signals(), 128, 96)
    shown = studio.backdrop if image is None else image
    return policy.decide(studio.slot(shown), studio.slot(studio.backdrop))


def test_an_unknown_policy_is_refused_by_name(studio: Studio) -> None:
    with pytest.raises(CodecSightError, match=r"'magic'.*tracked, published"):
        make_policy("magic", studio.grid)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_gives_a_reason_per_cell_and_does_not_write_to_what_it_sees(
    studio: Studio, name: str
) -> None:
    policy = make_policy(name, studio.grid)
    shown, shipped = studio.slot(studio.with_cell(1, 1)), studio.slot(studio.backdrop)
    shown.flags.writeable = shipped.flags.writeable = False
    reasons = policy.decide(shown, shipped)
    assert (reasons.shape, reasons.dtype) == ((6, 8), np.uint8)
    assert set(np.unique(reasons)) <= {0, *Reason}


@pytest.mark.parametrize("name", ["tracked", "pixels", "published"])
def test_a_still_scene_keeps_nothing(studio: Studio, name: str) -> None:
    assert not decide(studio, name).any()


class TestPublished:
    def test_half_a_pixel_of_motion_keeps_a_cell(self, studio: Studio) -> None:
        reasons = decide(studio, "published", signals=studio.signals(a=(2, 3, 0.5), b=(4, 4, 0.4)))
        assert reasons[2, 3] == Reason.MOTION
        assert np.count_nonzero(reasons) == 1

    def test_cells_stay_active_until_the_anchor(self, studio: Studio) -> None:
        policy = make_policy("published", studio.grid)
        still, view = studio.signals(), studio.slot(studio.backdrop)
        policy.observe(studio.signals(a=(2, 3, 1.0)), 128, 96)
        assert policy.decide(view, view)[2, 3]
        policy.observe(still, 128, 96)
        assert policy.decide(view, view)[2, 3]
        policy.anchored(view)
        policy.observe(still, 128, 96)
        assert not policy.decide(view, view).any()

    def test_intra_blocks_are_kept(self, studio: Studio) -> None:
        signals = studio.signals()
        assert signals.intra is not None
        signals.intra[5, 7] = 1.0
        assert decide(studio, "published", signals=signals)[5, 7] == Reason.INTRA

    def test_it_is_blind_to_pixels(self, studio: Studio) -> None:
        assert not decide(studio, "published", studio.with_cell(2, 3)).any()

    def test_without_motion_from_the_codec_everything_is_kept(self, studio: Studio) -> None:
        assert decide(studio, "published", signals=HEVC).all()


class TestTracked:
    def test_motion_without_any_change_of_pixels_is_not_kept(self, studio: Studio) -> None:
        assert not decide(studio, "tracked", signals=studio.signals(a=(2, 3, 8.0))).any()

    def test_a_clear_change_is_kept_without_motion(self, studio: Studio) -> None:
        assert decide(studio, "tracked", studio.with_cell(2, 3))[2, 3] == Reason.PIXELS

    def test_a_moving_cell_names_motion(self, studio: Studio) -> None:
        signals = studio.signals(a=(2, 3, 2.0))
        assert decide(studio, "tracked", studio.with_cell(2, 3), signals)[2, 3] == Reason.MOTION

    def test_a_faint_change_is_kept_only_where_the_codec_saw_motion(self, studio: Studio) -> None:
        faint = studio.backdrop.copy()
        faint[36:44, 52:60] += FAINT  # cell (2, 3), inside
        assert not decide(studio, "tracked", faint).any()
        signals = studio.signals(a=(2, 3, 1.0))
        assert decide(studio, "tracked", faint, signals)[2, 3] == Reason.MOTION

    def test_slow_motion_counts_once_it_has_summed_up(self, studio: Studio) -> None:
        faint = studio.backdrop.copy()
        faint[36:44, 52:60] += FAINT
        policy = make_policy("tracked", studio.grid)
        for _ in range(5):
            policy.observe(studio.signals(a=(2, 3, 0.3)), 128, 96)
        reasons = policy.decide(studio.slot(faint), studio.slot(studio.backdrop))
        assert reasons[2, 3] == Reason.MOTION

    def test_motion_is_forgotten_with_each_slot(self, studio: Studio) -> None:
        faint = studio.backdrop.copy()
        faint[36:44, 52:60] += FAINT
        policy = make_policy("tracked", studio.grid)
        policy.observe(studio.signals(a=(2, 3, 1.0)), 128, 96)
        view, shipped = studio.slot(faint), studio.slot(studio.backdrop)
        assert policy.decide(view, shipped).any()
        assert not policy.decide(view, shipped).any()

    def test_without_signals_it_is_the_pixel_policy(self, studio: Studio) -> None:
        image = studio.with_cell(2, 3)
        alone = decide(studio, "pixels", image)
        assert np.array_equal(decide(studio, "tracked", image, HEVC), alone)


class TestControls:
    def test_everything_keeps_everything(self, studio: Studio) -> None:
        assert decide(studio, "everything").all()

    def test_chance_keeps_its_share_exactly_over_many_slots(self, studio: Studio) -> None:
        policy = RandomPolicy(studio.grid, share=0.137, seed=3)
        view = studio.slot(studio.backdrop)
        kept = sum(np.count_nonzero(policy.decide(view, view)) for _ in range(100))
        assert kept == int(0.137 * 48 * 100)

    def test_chance_repeats_itself_by_seed(self, studio: Studio) -> None:
        view = studio.slot(studio.backdrop)
        a, b, c = (RandomPolicy(studio.grid, seed=seed).decide(view, view) for seed in (1, 1, 2))
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)
