"""Networks, losses, penalties, augmentation, averaging and one training step."""
