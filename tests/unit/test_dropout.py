"""The fast dropout is torch's dropout: share, scale, gradient, seed."""

import pytest
import torch
from gap.models.dropout import dropout, fast_dropout
from torch.nn import functional


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_it_drops_the_share_and_scales_the_rest(p):
    torch.manual_seed(1)
    states = torch.full((999, 101), 3.0, requires_grad=True)
    dropped = dropout(states, p)
    share = (dropped == 0).float().mean().item()
    # Four standard deviations of the share of 100,899 draws.
    assert abs(share - p) < 4 * (p * (1 - p) / dropped.numel()) ** 0.5 + 1 / 65536
    torch.testing.assert_close(
        dropped[dropped != 0], torch.full_like(dropped[dropped != 0], 3 / (1 - p))
    )
    (gradient,) = torch.autograd.grad(dropped.sum(), states)
    assert torch.equal(gradient == 0, dropped == 0)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(1)
    dropped = (dropout(torch.ones(400_000), 0.5) == 0).float() - 0.5
    for distance in (1, 2, 3, 4):
        correlation = 4 * (dropped[distance:] * dropped[:-distance]).mean()
        assert abs(correlation) < 0.01


def test_edges():
    states = torch.randn(3, 5)
    assert dropout(states, 0.3, training=False) is states
    assert dropout(states, 0.0) is states
    assert (dropout(states, 1.0) == 0).all()


def test_the_same_seed_draws_the_same_mask():
    states = torch.ones(50)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(dropout(states, 0.5))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_modules_use_it_inside_the_context_only():
    own = functional.dropout
    with fast_dropout():
        assert functional.dropout is (own if torch.cuda.is_available() else dropout)
    assert functional.dropout is own
