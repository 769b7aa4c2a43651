"""Finds operations that make the CPU wait for a GPU, also where there is none."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class SynchronisationWatch(TorchDispatchMode):
    """Records every operation that makes the CPU wait for a result of the device."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in {"_local_scalar_dense", "nonzero", "unique", "equal"}:
            self.waits.append(str(func))
        return func(*args, **(kwargs or {}))
