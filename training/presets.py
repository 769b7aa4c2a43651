"""Named recipes: the options of each that are not the defaults of ``Config``."""

from typing import Any, Literal

Preset = Literal[
    "dcgan-28", "dcgan-64", "paper-64", "leaky-64", "keras-28", "uniform-28", "upsample-28"
]

# What all of them leave out that the defaults have, and their width of a latent.
_PUBLISHED: dict[str, Any] = {
    "generator": "paper",
    "discriminator": "paper",
    "latent_dim": 100,
    "decay_from": 1.0,
    "average_decay": 0.0,
}

# Radford et al. 2015 (arXiv 1511.06434), section 4 for the training, figure 1 for the generator:
# z → 4×4×1024 → 64×64×3. The discriminator mirrors it.
_PAPER_64: dict[str, Any] = {
    **_PUBLISHED,
    "image_size": 64,
    "prior": "uniform",
    "generator_filters": 128,
    "discriminator_filters": 128,
    "batch_size": 128,
    "generator_lr": 2e-4,
    "discriminator_lr": 2e-4,
}

# The small networks that Keras's users know: batch norm after SELU in the generator, dropout in
# place of any norm in the discriminator, and Keras's own defaults for all that is not said.
_KERAS_28: dict[str, Any] = {
    **_PUBLISHED,
    "generator": "keras",
    "discriminator": "keras",
    "activation": "selu",
    "initialisation": "glorot",
    "dropout": 0.3,
    "norm_momentum": 0.01,
    "norm_eps": 1e-3,
    "epochs": 10,
    "batch_size": 32,
    "generator_lr": 1e-3,
    "discriminator_lr": 1e-3,
    "beta1": 0.9,
}

PRESETS: dict[Preset, dict[str, Any]] = {
    # The defaults are this recipe, the best of those in RESULTS.md.
    "dcgan-28": {},
    # Colour images of 64×64, slim enough that a CPU serves it well. What learns fastest at
    # 28×28 collapses here, as RESULTS.md tells: this recipe is slower and holds.
    "dcgan-64": {
        "image_size": 64,
        "generator": "paper",
        "discriminator": "paper",
        "generator_filters": 48,
        "discriminator_filters": 48,
        "spectral_norm": True,
        "loss": "hinge",
        "batch_size": 64,
        "generator_lr": 2e-4,
        "discriminator_lr": 4e-4,
    },
    "paper-64": _PAPER_64,
    # Half as wide, LeakyReLU in both networks, normal latents.
    "leaky-64": {
        **_PAPER_64,
        "prior": "normal",
        "activation": "leaky",
        "generator_filters": 64,
        "discriminator_filters": 64,
    },
    "keras-28": _KERAS_28,
    # The same networks with the paper's prior and step size, for longer and in larger batches.
    "uniform-28": {
        **_KERAS_28,
        "prior": "uniform",
        "epochs": 50,
        "batch_size": 128,
        "generator_lr": 2e-4,
        "discriminator_lr": 2e-4,
    },
    # Nearest-neighbour upsampling and a convolution in place of a transposed convolution, against
    # checkerboards (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts", Distill).
    "upsample-28": {
        **_PUBLISHED,
        "generator": "upsample",
        "discriminator": "upsample",
        "initialisation": "glorot",
        "dropout": 0.25,
        "discriminator_filters": 32,
        "batch_size": 64,
        "generator_lr": 2e-4,
        "discriminator_lr": 2e-4,
    },
}
