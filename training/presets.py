"""Presets: named recipes, each with the options that differ from the defaults of ``Config``."""

from typing import Any, Literal

Preset = Literal[
    "dcgan-28", "dcgan-64", "paper-64", "leaky-64", "keras-28", "uniform-28", "upsample-28"
]

# Published recipes have none of our additions to the networks, no labels, no gradient penalty, no
# augmentation, no decay and no average.
_PUBLISHED: dict[str, Any] = {
    "augment": "",
    "batch_norm": True,
    "r1_gamma": 0.0,
    "penalty_interval": 1,
    "generator_filters": 64,
    "conditional": "none",
    "generator": "paper",
    "discriminator": "paper",
    "latent_dim": 100,
    "decay_from": 1.0,
    "average_decay": 0.0,
}

# Radford et al. 2015 (arXiv 1511.06434): section 4 for the training, figure 1 for the generator,
# z → 4×4×1024 → 64×64×3. The discriminator mirrors the generator.
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

# The small networks of well-known Keras tutorials: batch norm after SELU in the generator, dropout
# and no norm in the discriminator, and otherwise the defaults of Keras.
_KERAS_28: dict[str, Any] = {
    **_PUBLISHED,
    "generator": "keras",
    "discriminator": "keras",
    "activation": "selu",
    "initialisation": "glorot",
    "dropout": 0.3,
    "norm_momentum": 0.01,
    "norm_eps": 1e-3,
    "images_seen": 600_000,  # ten epochs of Fashion-MNIST
    "batch_size": 32,
    "generator_lr": 1e-3,
    "discriminator_lr": 1e-3,
    "beta1": 0.9,
}

PRESETS: dict[Preset, dict[str, Any]] = {
    # The defaults of Config: the best recipe in RESULTS.md.
    "dcgan-28": {},
    # Colour images of 64×64, small enough to serve from a CPU: the first part of models/faces/2.
    "dcgan-64": {
        "image_size": 64,
        "images_seen": 1_000_000,
        "generator_filters": 16,
        "generator_blocks": 4,
        "discriminator": "paper",
        "discriminator_filters": 48,
        "loss": "relativistic",
        "r2_gamma": 1.0,
        "auxiliary": 0.5,
        "generator_lr": 4e-4,
        "discriminator_lr": 4e-4,
    },
    "paper-64": _PAPER_64,
    # paper-64 with half the width, LeakyReLU in both networks and normal latents.
    "leaky-64": {
        **_PAPER_64,
        "prior": "normal",
        "activation": "leaky",
        "generator_filters": 64,
        "discriminator_filters": 64,
    },
    "keras-28": _KERAS_28,
    # keras-28 with the paper's prior and learning rate, larger batches and a longer run.
    "uniform-28": {
        **_KERAS_28,
        "prior": "uniform",
        "images_seen": 3_000_000,
        "batch_size": 128,
        "generator_lr": 2e-4,
        "discriminator_lr": 2e-4,
    },
    # Nearest-neighbour upsampling and a convolution instead of a transposed convolution, which
    # avoids checkerboard patterns (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts",
    # Distill).
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
