"""A device that is not there does what the CPU does, and refuses what a GPU refuses."""

import pytest
import torch
from torch import nn

from omega_core.testing.simulated_device import elsewhere


def test_a_net_trains_there_as_on_the_cpu():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4, 2)), torch.rand(5, 1, 4, 4)
    weights = []
    for away in (False, True):
        torch.manual_seed(1)
        with elsewhere() as device:
            there = device if away else torch.device("cpu")
            copy = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4, 2))
            copy.load_state_dict(net.state_dict())
            copy.to(there)
            optimizer = torch.optim.Adam(copy.parameters(), lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                loss = (copy(x.to(there)) - torch.arange(2, device=there)).square().mean()
                loss.backward()
                optimizer.step()
            assert all(parameter.device == there for parameter in copy.parameters())
            assert all(parameter.grad.device == there for parameter in copy.parameters())
            weights.append([parameter.detach().cpu() for parameter in copy.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
    assert not torch.equal(weights[0][0], net[0].weight)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + torch.ones(3),
        lambda x: x @ torch.ones(3),
        lambda x: torch.cat([x, torch.ones(1)]),
        lambda x: torch.where(torch.ones(3) > 0, x, x),
        lambda x: x.gather(0, torch.arange(2)),
        lambda x: x.add_(torch.ones(3)),
        lambda x: torch.ones(3).add_(x),
    ],
)
def test_tensors_of_two_devices_do_not_meet(mix):
    with elsewhere() as device:
        x = torch.ones(3).to(device)
        with pytest.raises(RuntimeError):
            mix(x)


def test_its_tensors_are_no_arrays_until_they_are_fetched():
    with elsewhere() as device:
        x = torch.ones(3).to(device)
        with pytest.raises(RuntimeError):
            x.numpy()
        assert x.cpu().numpy().tolist() == x.tolist() == [1, 1, 1]


def test_what_meets_on_a_gpu_meets_there():
    with elsewhere() as device:
        x = torch.arange(4, device=device)
        assert (x * torch.tensor(2)).device == device  # a number
        assert x[torch.tensor([1, 3])].tolist() == [1, 3]  # places
        y = torch.zeros(4, dtype=torch.int64)
        y.copy_(x)
        assert y.tolist() == [0, 1, 2, 3]
        assert x.new_ones(2).device == torch.rand(2, device=device).device == device
        assert torch.tensor([1.0], device=device).device == device
        assert float(x.sum()) == 6
