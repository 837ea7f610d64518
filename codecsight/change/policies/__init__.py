"""Change policies: interchangeable rules that decide which cells of a slot to keep."""

from collections.abc import Callable

from codecsight.change.policies.baselines import EverythingPolicy, RandomPolicy
from codecsight.change.policies.pixels import PixelPolicy
from codecsight.change.policies.policy import ChangePolicy, Reasons
from codecsight.change.policies.published import PublishedPolicy
from codecsight.change.policies.tracked import TrackedPolicy
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import PatchGrid

POLICIES: dict[str, Callable[[PatchGrid], ChangePolicy]] = {
    "tracked": TrackedPolicy,
    "published": PublishedPolicy,
    "pixels": PixelPolicy,
    "everything": EverythingPolicy,
    "random": RandomPolicy,
}

__all__ = [
    "POLICIES",
    "ChangePolicy",
    "EverythingPolicy",
    "PixelPolicy",
    "PublishedPolicy",
    "RandomPolicy",
    "Reasons",
    "TrackedPolicy",
    "make_policy",
]


def make_policy(name: str, grid: PatchGrid) -> ChangePolicy:
    """The policy of that name with its default settings. Raises CodecSightError if unknown."""
    if name not in POLICIES:
        raise CodecSightError(f"unknown change policy {name!r}; known: {', '.join(POLICIES)}")
    return POLICIES[name](grid)
