import numpy as np

from app.api import streaming


def test_pieces_grow_up_to_16_rows_and_have_all_rows() -> None:
    rows = np.arange(60, dtype=np.float32).reshape(30, 2)
    pieces = list(streaming.pieces(rows))
    assert [len(piece) for piece in pieces] == [1, 2, 4, 8, 15]
    np.testing.assert_array_equal(np.concatenate(pieces), rows)
    lengths = [len(piece) for piece in streaming.pieces(np.zeros((256, 2), np.float32))]
    assert lengths == [1, 2, 4, 8] + [16] * 15 + [1]
