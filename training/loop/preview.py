"""What ``fit --dry-run`` says beyond the start of a run: the layers and the memory."""

from collections.abc import Iterator

from torch import nn

from training.gan.gan import Gan
from training.loop.banner import Start
from training.loop.network_table import layers, table
from training.loop.tensor_memory import TensorMemory
from training.loop.trial import BlankInputs


def lines(start: Start, processes: int, teacher: nn.Module | None = None) -> Iterator[str]:
    """The memory and the layers of a run as text, found with networks that are then discarded."""
    data = start.data
    gan = Gan(start.options, data.shape, start.device, sampler=data.sampler, teacher=teacher)
    inputs = BlankInputs.of(start.options, data, start.device, processes)
    yield f"{'memory':14}{_memory(start, gan, inputs)}"
    yield ""
    yield from table("generator", layers(gan.generator, inputs.latents))
    yield ""
    yield from table("discriminator", layers(gan.discriminator, *inputs.judged))


def _memory(start: Start, gan: Gan, inputs: BlankInputs) -> str:
    images = start.data.images * inputs.batch[0][0].nbytes
    taught_by = () if gan.teacher is None else (gan.teacher,)
    modules = gan.generator, gan.discriminator, gan.average, *taught_by
    existing = [tensor for module in modules for tensor in module.state_dict().values()]
    with TensorMemory([*existing, *inputs.batch]) as memory:
        for _ in range(2):  # the first step allocates the optimisers' moments, which stay
            gan.update(inputs.batch[0], gan.penalty_due, *inputs.batch[1:])
    return (
        f"{_megabytes(images)} for the images, {_megabytes(memory.peak)} for the weights and the "
        "feature maps of a step; PyTorch itself comes on top"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
