"""Where an image is cropped to other proportions."""


def centre_box(original: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the largest box in the centre of ``original`` with the proportions of ``wanted``.

    Both are (width, height); the box is (left, top, right, bottom), in whole pixels.
    """
    scale = min(original[0] / wanted[0], original[1] / wanted[1])
    width = max(1, min(original[0], round(wanted[0] * scale)))
    height = max(1, min(original[1], round(wanted[1] * scale)))
    left, top = (original[0] - width) // 2, (original[1] - height) // 2
    return left, top, left + width, top + height
