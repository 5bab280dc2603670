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

folder, rank, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

def load(name):
    return torch.load(f"{folder}/{name}.pt", weights_only=False)

def count(name, rank, processes):
    pictures = torch.from_numpy(np.load(folder + "/pictures.npy"))[rank::processes]
    prior = load(name)
    prior.recount()
    at_once = 8 // processes
    for first in range(0, 24 // processes, at_once):  # of 21 pictures, two processes have 11 and 10
        some = pictures[first : first + at_once]
        prior.observe(some, torch.full((len(some),), pictures.shape[1]))
    if rank == 0:
        np.savez(f"{folder}/{name}-of-{processes}.npz", **prior.freeze().arrays())

torch.set_num_threads(1)
if rank == 0:
    for name in names:
        count(name, 0, 1)
distributed.init_process_group("gloo", store=distributed.FileStore(folder + "/store", 2), rank=rank, world_size=2)
for name in names:
    count(name, rank, 2)
prior = load("context").train()
prior.channel_bits(torch.full((2, 3, 6, 5), 7 * rank))  # as in the last step, each process sees its own pictures
prior.recount()
torch.save(prior.net.ranges, folder + f"/ranges-{rank}.pt")
distributed.destroy_process_group()
"""
"""One of two processes, of which the first also does alone what both do. Starting them takes most of the time."""


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


PRIORS = {
    "static": lambda: StaticPrior(channels=C, alphabet=S),
    "regression": lambda: RegressionPrior(channels=C, alphabet=S, parents=2),
    "context": context,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the processes leave their results."""
    folder = tmp_path_factory.mktemp("processes")
    drawn = np.random.default_rng(3).integers(0, 4, (21, C, 6, 5))
    np.save(folder / "pictures.npy", drawn + np.roll(drawn, 1, axis=1))  # channels tell something about each other
    for name, make in PRIORS.items():
        torch.save(make(), folder / f"{name}.pt")
    started = [subprocess.Popen([sys.executable, "-c", SHARE, str(folder), str(rank), *PRIORS]) for rank in range(2)]
    assert [each.wait(timeout=120) for each in started] == [0, 0]
    return folder


@pytest.mark.parametrize("prior", PRIORS)
def test_two_processes_count_what_one_does(prior, folder):
    one, two = (dict(np.load(folder / f"{prior}-of-{processes}.npz")) for processes in (1, 2))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    if prior == "context":
        assert "tables" in one  # and not the tables of `static`


def test_processes_that_saw_different_pictures_round_the_net_alike(folder):
    first, second = (torch.load(folder / f"ranges-{rank}.pt") for rank in range(2))
    assert first.any()
    assert torch.equal(first, second)
