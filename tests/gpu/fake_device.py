"""A device that is none: it computes on the CPU, but like a GPU it refuses what mixes the two.

So the placement of every tensor on the hot path can be proved where there is no GPU. A tensor lies
elsewhere if its storage was made there, copied there, or computed from what lies there.
"""

import gc
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("maia")  # a name that torch knows and has no code for
_CROSSING = {torch.ops.aten.copy_.default}
_INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put_.default,
    torch.ops.aten.index_put.default,
    torch.ops.aten._index_put_impl_.default,
}
"""A GPU takes indices from either side."""


class DeviceMismatch(AssertionError):  # noqa: N818
    """An operation would have failed on a GPU."""


class FakeDevice(TorchDispatchMode):
    """While open, `DEVICE` is there."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[int, Any] = {}  # kept, so that no number is used again

    def __enter__(self) -> "FakeDevice":
        self._names = _Names(self)
        self._names.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        self._names.__exit__(*why)

    def place(self, things: Iterable[object]) -> None:
        """Whatever tensors these hold lie there."""
        seen: set[int] = set()
        todo = list(things)
        while todo:
            thing = todo.pop()
            if id(thing) in seen or isinstance(thing, type):
                continue
            seen.add(id(thing))
            if isinstance(thing, torch.Tensor):
                self._mark(thing)
            elif not callable(thing) or isinstance(thing, torch.nn.Module) or _ours(thing):
                todo += gc.get_referents(thing)

    def there(self, thing: object) -> bool:
        """Whether a tensor lies there."""
        if not isinstance(thing, torch.Tensor):
            return False
        return thing.untyped_storage()._cdata in self._storages

    def __torch_dispatch__(
        self,
        func: Any,
        _types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Check, compute on the CPU, and remember where the result lies."""
        named = dict(kwargs or {})
        asked = named.get("device")
        there = self._check(func, args, named) if asked is None else asked == DEVICE
        local = tree_map(lambda one: torch.device("cpu") if one == DEVICE else one, (args, named))
        out = func(*local[0], **local[1])
        if asked == DEVICE and any(out is one for one in args) and not self.there(out):
            out = out.clone()  # torch saw no way to go
        if there:
            for one in tree_leaves(out):
                if isinstance(one, torch.Tensor):
                    self._mark(one)
        return out

    def _check(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
        """Whether the result lies there. Raises DeviceMismatch."""
        tensors = [one for one in tree_leaves((args, named)) if isinstance(one, torch.Tensor)]
        if func in _CROSSING or func in _INDEXING:
            if func in _INDEXING and not self.there(args[0]) and any(map(self.there, tensors)):
                raise DeviceMismatch(f"{func}: what is indexed lies here, its indices there")
            return self.there(args[0])
        places = {self.there(one) for one in tensors if one.dim() or self.there(one)}
        if len(places) > 1:
            shapes = [(tuple(one.shape), "there" if self.there(one) else "here") for one in tensors]
            raise DeviceMismatch(f"{func} of {shapes}")
        return True in places

    def _mark(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._storages[storage._cdata] = storage


def _ours(thing: object) -> bool:
    return type(thing).__module__.startswith("codecsight")


class _Names(TorchFunctionMode):
    """What a tensor says of its own place, and the way back, which torch would cut short."""

    def __init__(self, away: FakeDevice) -> None:
        super().__init__()
        self._away = away

    def __torch_function__(
        self,
        func: Any,
        _types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.tensor and (kwargs or {}).get("device") == DEVICE:
            plain = {key: value for key, value in (kwargs or {}).items() if key != "device"}
            return torch.tensor(*args, **plain).to(DEVICE)
        if not (args and self._away.there(args[0])):
            return func(*args, **(kwargs or {}))
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE
        if func is torch.Tensor.numpy:
            raise DeviceMismatch("numpy of what lies there")
        if func is torch.Tensor.cpu:
            return torch.from_numpy(np.array(args[0].tolist(), _NUMPY[args[0].dtype]))
        return func(*args, **(kwargs or {}))


_NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.int64: np.int64}
