"""Selection of frames by stream time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.change.sampler import FrameSampler, SamplingRange

RANGE = SamplingRange(0.5, 4.0)


def sampled(times: list[float], rate: float = 2.0) -> list[float]:
    sampler = FrameSampler(rate)
    return [time for time in times if sampler.should_sample(time)]


@pytest.mark.parametrize("fps", [2, 5, 7, 10, 12.5, 15, 25, 29.97, 30, 60])
def test_the_sampling_rate_does_not_depend_on_the_camera_frame_rate(fps: float) -> None:
    times = [n / fps for n in range(int(100 * fps))]
    assert len(sampled(times)) == pytest.approx(200, abs=1)


def test_the_frame_nearest_to_the_due_time_is_sampled() -> None:
    assert sampled([0.0, 0.1, 0.2, 0.3, 0.4, 0.49, 0.6, 0.7]) == [0.0, 0.49]
    assert sampled([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]) == [0.0, 0.6, 1.0]


@given(st.integers(0, 2**32 - 1))
def test_jitter_does_not_change_the_rate(seed: int) -> None:
    jitter = np.random.default_rng(seed).uniform(-0.02, 0.02, 1000)
    times = (np.arange(1000) / 10 + jitter).tolist()
    assert len(sampled(times)) == pytest.approx(200, abs=2)


def test_a_camera_slower_than_the_rate_has_every_frame_sampled() -> None:
    times = [0.0, 1.0, 2.0, 3.0]
    assert sampled(times) == times


def test_after_a_gap_missed_samples_are_not_caught_up() -> None:
    assert sampled([0.0, 0.1, 60.0, 60.1, 60.2, 60.3, 60.4, 60.5]) == [0.0, 60.0, 60.5]


def test_sampling_restarts_when_time_runs_backwards() -> None:
    assert sampled([100.0, 100.1, 3.0, 3.1, 3.5]) == [100.0, 3.0, 3.5]


def test_frames_at_the_same_time_are_sampled_once() -> None:
    assert sampled([0.0, 0.0, 0.0, 0.5, 0.5]) == [0.0, 0.5]


class TestAdaptiveRate:
    """A camera of 20 frames per second, with 2 samples a second on average, from 0.5 to 4."""

    @staticmethod
    def sample(shares: list[float], sampling_range: SamplingRange | None = RANGE) -> list[int]:
        """Number of samples in each period of ten seconds, given the activity in each."""
        sampler, counts = FrameSampler(2.0, sampling_range), []
        for period, share in enumerate(shares):
            taken = 0
            for number in range(200):
                if sampler.should_sample(10 * period + number / 20):
                    taken += 1
                    sampler.report_activity(share)
            counts.append(taken)
        return counts

    def test_quiet_periods_save_samples_that_busy_periods_spend(
        self,
    ) -> None:
        counts = self.sample([0.1] * 10 + [0.01] * 10 + [0.4, 0.4] + [0.1] * 5)
        assert min(counts[10:20]) <= 8
        assert max(counts[20:22]) > 30
        assert counts[:9] == pytest.approx([20] * 9, abs=1)

    def test_the_average_rate_is_no_higher_than_the_nominal_rate(self) -> None:
        shares = np.random.default_rng(5).choice([0.0, 0.02, 0.1, 0.5], 200).tolist()
        assert sum(self.sample(shares)) <= 2 * 10 * len(shares) + 2
        assert sum(self.sample(shares)) > sum(self.sample(shares, None)) / 3

    def test_without_a_range_the_rate_ignores_activity(self) -> None:
        assert self.sample([0.0, 0.5, 0.1], None) == [20, 20, 20]
