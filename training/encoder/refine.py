"""Direct optimisation of latents: how near to an image the generator can come."""

import math

import numpy as np
import torch
from tqdm import tqdm

from training.encoder.objective import Reconstruction
from training.encoder.subject import Subject
from training.evaluation.metrics import ImageBytes
from training.gan.conditional import Rows
from training.gan.pixels import scaled

STEPS = 500
_LEARNING_RATE = 0.05


def refine(subject: Subject, images: ImageBytes, rows: Rows, steps: int = STEPS) -> Rows:
    """``rows`` ``(n, z + k)`` with latents whose images are nearer to ``images`` ``(n, c, h, w)``.

    Adam minimises the distance of each image alone, at a learning rate that falls to zero; the best
    latent of all steps is kept. Conditions stay as they are.
    """
    device, width = subject.device, subject.model.latent.width
    target = scaled(torch.tensor(images, device=device))
    start = torch.tensor(rows, device=device)
    conditions = start[:, width:] if subject.conditions else None
    latents = start[:, :width].clone().requires_grad_()
    objective = Reconstruction(subject, target)
    adam = torch.optim.Adam([latents], _LEARNING_RATE)
    best, least = latents.detach().clone(), torch.full((len(rows),), math.inf, device=device)
    for step in tqdm(range(steps + 1), desc="direct optimisation", unit="step"):
        losses = objective.loss(latents, conditions)
        with torch.no_grad():
            better = losses < least
            best = torch.where(better[:, None], latents, best)
            least = torch.where(better, losses, least)
        adam.param_groups[0]["lr"] = (
            _LEARNING_RATE * (1 + math.cos(math.pi * step / (steps + 1))) / 2
        )
        adam.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
        if subject.model.latent.prior == "uniform":
            latents.data.clamp_(-1, 1)
    return np.hstack([best.cpu().numpy(), rows[:, width:]])
