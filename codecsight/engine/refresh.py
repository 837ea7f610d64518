"""Which slots of a window that has slid are prefilled again.

The keys and values of a slot that stays were computed while it could see slots that are gone.
Reusing them is cheap and slightly wrong; computing them again costs prefill but no ViT work,
since the window keeps what the ViT said.
"""

from collections.abc import Callable, Sequence

from codecsight.core.slot import SlotKind
from codecsight.engine.errors import EngineError
from codecsight.engine.window import CachedSlot

RefreshPolicy = Callable[[Sequence[CachedSlot]], list[bool]]
"""Given the slots that stay, oldest first: which of them to compute again."""


def refresh_policy(name: str) -> RefreshPolicy:
    """`none`, `all`, `anchors` (the slots that hold every cell), `first:N` (the N oldest) or
    `drift:N` (the N that lost most of what they had seen when they were computed).
    """
    match name.split(":"):
        case ["none"]:
            return lambda stay: [False] * len(stay)
        case ["all"]:
            return lambda stay: [True] * len(stay)
        case ["anchors"]:
            return lambda stay: [entry.kind is SlotKind.ANCHOR for entry in stay]
        case ["first", count] if count.isdecimal():
            return lambda stay: [index < int(count) for index in range(len(stay))]
        case ["drift", count] if count.isdecimal():
            return lambda stay: _most_drifted(stay, int(count))
    raise EngineError(
        f"unknown refresh policy {name!r}: use none, all, anchors, first:N or drift:N"
    )


def _most_drifted(stay: Sequence[CachedSlot], count: int) -> list[bool]:
    drifted = sorted(
        (index for index, entry in enumerate(stay) if entry.lost),
        key=lambda index: -stay[index].drift,
    )
    return [index in drifted[:count] for index in range(len(stay))]
