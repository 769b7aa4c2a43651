"""Instance discrimination: learns features of images that have no labels.

Two random views of an image get similar projections, unlike those of all other images in the batch
(Chen et al. 2020, SimCLR, arXiv 2002.05709). Features become invariant to what changes from view to
view, and a distance on them must show whatever a generator gets wrong. So views are only shifted,
and have a hole; neither colours nor sharpness change. Rotation prediction (Gidaris et al. 2018,
arXiv 1803.07728) takes half the time, but on aligned images it is soon too easy;
``training/RESULTS.md`` compares them.
"""

import torch
from torch import Tensor
from torch.nn import functional

from training.gan.augmentation import augmented

TEMPERATURE = 0.2
VIEWS = ("translation", "cutout")
"""The random changes of a view."""


def two_views(images: Tensor) -> Tensor:
    """Two random views of each of ``images`` ``(n, c, h, w)``: ``(2n, c, h, w)``.

    They are the transformations of differentiable augmentation (Zhao et al. 2020).
    """
    return torch.cat([augmented(images, VIEWS) for _ in range(2)])


def loss(projections: Tensor) -> Tensor:
    """The loss of projections ``(2n, d)`` of ``two_views``, in nats (Chen et al. 2020, equation 1).

    The mean over all views of -log of the softmax, over all other views, of the similarity to the
    other view of the same image.
    """
    directions = functional.normalize(projections.float(), dim=1)
    similarity = directions @ directions.T / TEMPERATURE
    itself = torch.eye(len(projections), dtype=torch.bool, device=projections.device)
    other_view = torch.arange(len(projections), device=projections.device).roll(
        len(projections) // 2
    )
    return functional.cross_entropy(similarity.masked_fill(itself, -torch.inf), other_view)
