"""AdamW without its guards is AdamW, to the bit."""

import subprocess
import sys

import torch

from nas.training.cpu.adamw import EagerAdamW

OPTIONS = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.1, "fused": True}
# what a search does before and in its first step
STEP = """
import sys, torch
from nas.training.cpu.adamw import EagerAdamW
weight = torch.nn.Parameter(torch.ones(2))
optimizer = EagerAdamW([weight], fused=True)
optimizer.zero_grad(set_to_none=True)
weight.sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules, weight.tolist() != [1, 1])
"""


def trained(kind, steps, state=None):
    """Weights after so many steps of a small regression, and the optimiser."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 2))
    groups = [
        {"params": list(network[0].parameters()), "weight_decay": 0.0},
        {"params": list(network[2].parameters())},
    ]
    optimizer = kind(groups, **OPTIONS)
    if state is not None:
        network.load_state_dict(state[0])
        optimizer.load_state_dict(state[1])
    generator = torch.Generator().manual_seed(steps)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        network(torch.randn(5, 3, generator=generator)).square().sum().backward()
        optimizer.step()
    return network.state_dict(), optimizer.state_dict()


def equal(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    return True


def test_the_same_steps_to_the_bit():
    ours, theirs = trained(EagerAdamW, 5), trained(torch.optim.AdamW, 5)
    assert equal(ours[0], theirs[0])
    assert equal(ours[1]["state"], theirs[1]["state"])
    assert ours[1]["param_groups"] == theirs[1]["param_groups"]


def test_each_goes_on_from_the_other():
    theirs = trained(torch.optim.AdamW, 3)
    assert equal(trained(EagerAdamW, 2, theirs), trained(torch.optim.AdamW, 2, trained(EagerAdamW, 3)))


def test_no_graph_is_made_of_a_step():
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = EagerAdamW([weight], fused=True)
    loss = optimizer.step(weight.sum)  # torch has closures make one
    assert loss.requires_grad
    weight.grad = torch.ones(2)
    optimizer.step()
    assert weight.is_leaf
    assert weight.tolist() != [1, 1]


def test_the_compiler_is_not_imported():
    said = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True"]
