"""Networks, losses, penalties, augmentation, averaging and the optimiser step."""
