"""Measures the memory that tensors take at most while a training step runs."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered as a context manager, it counts the bytes of the tensors that live.

    These are ``existing`` tensors and those that operations return; views share the bytes of their
    tensor. What a library allocates inside an operation is not counted.
    """

    def __init__(self, existing: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        """The bytes of all tensors that live now."""
        self.peak = 0
        """The largest number of bytes so far."""
        self._storages = WeakIdKeyDictionary()
        for tensor in existing:
            self._add(tensor)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 that of PyTorch
        """Run ``func``, an operation of PyTorch, and count what it returns."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._add(value)
        return result

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._storages:
            size = storage.nbytes()
            self._storages[storage] = size
            weakref.finalize(storage, self._freed, size)
            self.live += size
            self.peak = max(self.peak, self.live)

    def _freed(self, size: int) -> None:
        self.live -= size
