"""Which slots are prefilled again after the window has slid.

Keys and values of a slot that stays were computed while it attended to slots that are evicted now.
Reusing them is cheap and slightly wrong. Computing them again costs prefill but no ViT work, since
the window keeps the features.
"""

from collections.abc import Callable, Sequence

from codecsight.core.slot import SlotKind
from codecsight.engine.errors import EngineError
from codecsight.engine.window import CachedSlot

RefreshPolicy = Callable[[Sequence[CachedSlot]], list[bool]]
"""Maps the remaining slots, oldest first, to whether each is prefilled again."""


def refresh_policy(name: str) -> RefreshPolicy:
    """`none`, `all`, `anchors` (the slots with every cell), `first:N` (the N oldest) or `drift:N`
    (the N that lost the largest share of their context). Raises EngineError for other names.
    """
    match name.split(":"):
        case ["none"]:
            return lambda slots: [False] * len(slots)
        case ["all"]:
            return lambda slots: [True] * len(slots)
        case ["anchors"]:
            return lambda slots: [entry.kind is SlotKind.ANCHOR for entry in slots]
        case ["first", count] if count.isdecimal():
            return lambda slots: [index < int(count) for index in range(len(slots))]
        case ["drift", count] if count.isdecimal():
            return lambda slots: _most_drifted(slots, int(count))
    raise EngineError(
        f"unknown refresh policy {name!r}: use none, all, anchors, first:N or drift:N"
    )


def _most_drifted(slots: Sequence[CachedSlot], count: int) -> list[bool]:
    drifted = sorted(
        (index for index, entry in enumerate(slots) if entry.context_evicted),
        key=lambda index: -slots[index].drift,
    )
    return [index in drifted[:count] for index in range(len(slots))]
