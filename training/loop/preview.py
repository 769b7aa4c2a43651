"""What ``fit --dry-run`` says beyond the start of a run: the layers and the memory."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from training.gan.gan import Gan
from training.loop.banner import Start
from training.loop.network_table import layers, table
from training.loop.tensor_memory import TensorMemory
from training.loop.trial import WARM_UP_IMAGES, BlankInputs, Trial

_FEW = (2, 4)
"""Numbers of images in the steps from which the memory of a larger step is estimated."""
_ESTIMATED = " (estimated from steps of {} and {} images)".format(*_FEW)


def lines(
    start: Start, tried: Trial, processes: int, teacher: nn.Module | None = None
) -> Iterator[str]:
    """The memory and the layers of a run as text, found with networks that are then discarded.

    If ``tried`` is an estimate, because steps take long, so is the memory.
    """
    data = start.data
    gan = Gan(start.options, data.shape, start.device, sampler=data.sampler, teacher=teacher)
    inputs = BlankInputs.of(start.options, data, start.device, processes)
    yield f"{'memory':14}{_memory(start, gan, inputs, bool(tried.images))}"
    yield ""
    yield from table("generator", layers(gan.generator, inputs.latents))
    yield ""
    yield from table("discriminator", layers(gan.discriminator, *inputs.judged))


def _memory(start: Start, gan: Gan, inputs: BlankInputs, estimated: bool) -> str:
    data = start.data.images * inputs.batch[0][0].nbytes
    taught_by = () if gan.teacher is None else (gan.teacher,)
    modules = gan.generator, gan.discriminator, gan.average, *taught_by
    existing = [tensor for module in modules for tensor in module.state_dict().values()]
    with TensorMemory([*existing, *inputs.batch]) as memory:
        _peak(gan, memory, inputs.first(WARM_UP_IMAGES))  # allocates the optimisers' moments
        step = (_estimated_peak if estimated else _peak)(gan, memory, inputs.batch)
    return (
        f"{_megabytes(data)} for the images, {_megabytes(step)} for the weights and the feature "
        f"maps of a step{_ESTIMATED if estimated else ''}; PyTorch itself comes on top"
    )


def _peak(gan: Gan, memory: TensorMemory, batch: Sequence[Tensor]) -> int:
    """The largest number of bytes during a step with penalties, if there are any, on ``batch``."""
    memory.peak = memory.live
    gan.update(batch[0], gan.penalty_due, *batch[1:])
    return memory.peak


def _estimated_peak(gan: Gan, memory: TensorMemory, batch: Sequence[Tensor]) -> int:
    """``_peak`` from steps of few images of ``batch``: it grows linearly with their number."""
    few, more = (_peak(gan, memory, [values[:n] for values in batch]) for n in _FEW)
    each = (more - few) / (_FEW[1] - _FEW[0])
    return round(more + each * (len(batch[0]) - _FEW[1]))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
