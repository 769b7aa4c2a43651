import pytest
import torch
from torch import nn

from training.gan.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_the_share_is_dropped_and_the_rest_is_scaled_up(share: float) -> None:
    torch.manual_seed(0)
    kept = Dropout(share)(torch.ones(1_000_003))  # not a multiple of the four activations per word
    deviation = (share * (1 - share) / kept.numel()) ** 0.5
    assert (kept == 0).float().mean().item() == pytest.approx(share, abs=5 * deviation)
    assert kept.unique().tolist() == pytest.approx([0, 1 / (1 - share)], rel=1e-4)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = Dropout(0.5)(torch.ones(400_000)) == 0
    for distance in range(1, 9):
        both = (dropped[distance:] & dropped[:-distance]).float().mean().item()
        assert both == pytest.approx(0.25, abs=0.005)


def test_channels_rows_and_columns_are_dropped_alike() -> None:
    torch.manual_seed(0)
    images = torch.ones(64, 32, 8, 8).to(memory_format=torch.channels_last)
    kept = Dropout(0.3)(images)
    assert kept.is_contiguous(memory_format=torch.channels_last)
    for axis in range(4):
        others = [other for other in range(4) if other != axis]
        torch.testing.assert_close(
            kept.mean(dim=others), torch.ones(images.shape[axis]), rtol=0, atol=0.1
        )


def test_gradients_have_the_same_mask() -> None:
    values = torch.randn(4096, requires_grad=True)
    kept = Dropout(0.3)(values)
    kept.sum().backward()
    torch.testing.assert_close(values.grad, kept.detach() / values.detach(), rtol=1e-5, atol=0)


def test_the_same_seed_gives_the_same_mask() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(Dropout(0.5)(torch.ones(100)))
    assert torch.equal(*results)
    assert not torch.equal(results[0], Dropout(0.5)(torch.ones(100)))


@pytest.mark.parametrize("share", [0.0, 1e-9, 1.0])
def test_extreme_shares_behave_as_in_pytorch(share: float) -> None:
    torch.testing.assert_close(Dropout(share)(torch.ones(50)), nn.Dropout(share)(torch.ones(50)))


def test_in_eval_mode_nothing_is_dropped() -> None:
    assert torch.equal(Dropout(0.9).eval()(torch.ones(50)), torch.ones(50))
