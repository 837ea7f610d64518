"""A fake device that computes on the CPU but, like a GPU, rejects operations on mixed devices.

So the placement of every tensor on the hot path can be tested without a GPU. A tensor is on the
fake device if its storage was created there, copied there, or computed from tensors that are there.
"""

import gc
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("maia")  # a device name that torch accepts but has no kernels for
_COPIES = {torch.ops.aten.copy_.default}
_INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put_.default,
    torch.ops.aten.index_put.default,
    torch.ops.aten._index_put_impl_.default,
}
"""A GPU accepts indices on either device."""


class DeviceMismatch(AssertionError):  # noqa: N818
    """An operation that would have failed on a GPU."""


class FakeDevice(TorchDispatchMode):
    """While this mode is active, `DEVICE` can be used."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[int, Any] = {}  # kept alive, so that no address is used again

    def __enter__(self) -> "FakeDevice":
        self._functions = _TensorFunctions(self)
        self._functions.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._functions.__exit__(*error)

    def move(self, objects: Iterable[object]) -> None:
        """Put all tensors that these objects refer to on the device."""
        visited: set[int] = set()
        queue = list(objects)
        while queue:
            one = queue.pop()
            if id(one) in visited or isinstance(one, type):
                continue
            visited.add(id(one))
            if isinstance(one, torch.Tensor):
                self._mark(one)
            elif not callable(one) or isinstance(one, torch.nn.Module) or _is_ours(one):
                queue += gc.get_referents(one)

    def holds(self, one: object) -> bool:
        """Whether this is a tensor on the device."""
        if not isinstance(one, torch.Tensor):
            return False
        return one.untyped_storage()._cdata in self._storages

    def __torch_dispatch__(
        self,
        func: Any,
        _types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Check the operation, compute it on the CPU, and mark its results."""
        named = dict(kwargs or {})
        target = named.get("device")
        on_device = self._check(func, args, named) if target is None else target == DEVICE
        local = tree_map(lambda one: torch.device("cpu") if one == DEVICE else one, (args, named))
        out = func(*local[0], **local[1])
        if target == DEVICE and any(out is one for one in args) and not self.holds(out):
            out = out.clone()  # a copy to the device that was none on the CPU
        if on_device:
            for one in tree_leaves(out):
                if isinstance(one, torch.Tensor):
                    self._mark(one)
        return out

    def _check(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> bool:
        """Whether the result is on the device. Raises DeviceMismatch."""
        tensors = [one for one in tree_leaves((args, named)) if isinstance(one, torch.Tensor)]
        if func in _COPIES or func in _INDEXING:
            if func in _INDEXING and not self.holds(args[0]) and any(map(self.holds, tensors)):
                raise DeviceMismatch(f"{func}: indices on the device, the indexed tensor is not")
            return self.holds(args[0])
        # Scalar tensors on the CPU may be combined with tensors on the device.
        places = {self.holds(one) for one in tensors if one.dim() or self.holds(one)}
        if len(places) > 1:
            shapes = [(tuple(one.shape), self.holds(one)) for one in tensors]
            raise DeviceMismatch(f"{func} of tensors (shape, on the device): {shapes}")
        return True in places

    def _mark(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._storages[storage._cdata] = storage


def _is_ours(one: object) -> bool:
    return type(one).__module__.startswith("codecsight")


class _TensorFunctions(TorchFunctionMode):
    """`Tensor.device`, and the copy to the CPU, which torch would skip."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self._device = device

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
        if not (args and self._device.holds(args[0])):
            return func(*args, **(kwargs or {}))
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE
        if func is torch.Tensor.numpy:
            raise DeviceMismatch("numpy() of a tensor on the device")
        if func is torch.Tensor.cpu:
            return torch.from_numpy(np.array(args[0].tolist(), _NUMPY[args[0].dtype]))
        return func(*args, **(kwargs or {}))


_NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.int64: np.int64}
