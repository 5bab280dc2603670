"""Priors that are counted by several processes of torch.distributed: each of them has a share of the pictures."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from omega_core.contracts.quantizer import Refinement
from omega_entropy import ContextPrior, RegressionPrior, StaticPrior

C, S = 3, 8

SHARE = """
import sys
import numpy as np
import torch
from torch import distributed

folder, rank, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
if processes > 1:
    store = distributed.FileStore(folder + "/store", processes)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=processes)
pictures = torch.from_numpy(np.load(folder + "/pictures.npy"))[rank::processes]
prior = torch.load(folder + "/prior.pt", weights_only=False)
prior.recount()
at_once = 8 // processes
for first in range(0, 24 // processes, at_once):  # of 21 pictures, two processes have 11 and 10
    some = pictures[first : first + at_once]
    prior.observe(some, torch.full((len(some),), pictures.shape[1]))
if rank == 0:
    np.savez(folder + f"/of-{processes}.npz", **prior.freeze().arrays())
if processes > 1:
    distributed.destroy_process_group()
"""


def context():
    """A prior with a net that was begun, as it is after the first pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prior = ContextPrior(channels=C, alphabet=S, groups=C, width=4)
        prior.follow(Refinement([-1] * C, torch.arange(S).expand(63, S) - S // 2, [1.0] * C))
        some = torch.randint(0, S, (2, C, 6, 5))
        prior.observe(some, torch.full((2,), C))
        prior.train().channel_bits(some)
        return prior.eval()


@pytest.mark.parametrize(
    "prior",
    [
        pytest.param(lambda: StaticPrior(channels=C, alphabet=S), id="static"),
        pytest.param(lambda: RegressionPrior(channels=C, alphabet=S, parents=2), id="regression"),
        pytest.param(context, id="context"),
    ],
)
def test_two_processes_count_what_one_does(prior, tmp_path):
    drawn = np.random.default_rng(3).integers(0, 4, (21, C, 6, 5))
    np.save(tmp_path / "pictures.npy", drawn + np.roll(drawn, 1, axis=1))  # channels tell something about each other
    torch.save(prior(), tmp_path / "prior.pt")
    for processes in (1, 2):
        started = [
            subprocess.Popen([sys.executable, "-c", SHARE, str(tmp_path), str(rank), str(processes)])
            for rank in range(processes)
        ]
        assert [each.wait(timeout=120) for each in started] == [0] * processes
    one, two = (dict(np.load(tmp_path / f"of-{processes}.npz")) for processes in (1, 2))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    if isinstance(prior(), ContextPrior):
        assert "tables" in one  # and not the tables of `static`


TRAINED = """
import sys
import torch
from torch import distributed

folder, rank = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
distributed.init_process_group("gloo", store=distributed.FileStore(folder + "/store", 2), rank=rank, world_size=2)
prior = torch.load(folder + "/prior.pt", weights_only=False).train()
prior.channel_bits(torch.full((2, 3, 6, 5), 7 * rank))  # as in the last step, each process sees its own pictures
prior.recount()
torch.save(prior.net.ranges, folder + f"/ranges-{rank}.pt")
distributed.destroy_process_group()
"""


def test_processes_that_saw_different_pictures_round_the_net_alike(tmp_path):
    torch.save(context(), tmp_path / "prior.pt")
    started = [subprocess.Popen([sys.executable, "-c", TRAINED, str(tmp_path), str(rank)]) for rank in range(2)]
    assert [each.wait(timeout=120) for each in started] == [0, 0]
    first, second = (torch.load(tmp_path / f"ranges-{rank}.pt") for rank in range(2))
    assert first.any()
    assert torch.equal(first, second)
