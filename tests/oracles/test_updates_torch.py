"""The updates agree with PyTorch's optimizers, step by step for 100 steps, in float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the judge here: pip install 'minillm[oracles]'")

from minillm import updates  # noqa: E402

STEPS, N = 100, 37


def followed(optimizer, update):
    """The optimizer and the update get the same gradients, which depend on where they are: both must stay together."""
    rng = np.random.default_rng(0)
    params, centre, noise = rng.standard_normal(N), rng.standard_normal(N), rng.standard_normal((STEPS, N))
    theirs = torch.nn.Parameter(torch.tensor(params))
    judge = optimizer(theirs)
    state = [np.zeros(N), np.zeros(N)]
    for step in range(1, STEPS + 1):
        grads = params - centre + noise[step - 1]
        theirs.grad = theirs.detach() - torch.tensor(centre) + torch.tensor(noise[step - 1])
        judge.step()
        update(params, grads, *state, step)
        assert np.linalg.norm(params - theirs.detach().numpy()) <= 1e-10 * np.linalg.norm(params), f"step {step}"


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(momentum, weight_decay):
    followed(lambda p: torch.optim.SGD([p], lr=0.01, momentum=momentum, weight_decay=weight_decay),
             lambda p, g, u, _, step: updates.sgd(p, g, u, 0.01, momentum, weight_decay))


BETAS = pytest.mark.parametrize("betas, eps", [((0.9, 0.999), 1e-8), ((0.8, 0.95), 1e-3)])


@BETAS
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam(betas, eps, weight_decay):
    followed(lambda p: torch.optim.Adam([p], lr=0.02, betas=betas, eps=eps, weight_decay=weight_decay),
             lambda p, g, m, v, step: updates.adam(p, g, m, v, step, 0.02, *betas, eps, weight_decay))


@BETAS
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adamw(betas, eps, weight_decay):
    followed(lambda p: torch.optim.AdamW([p], lr=0.02, betas=betas, eps=eps, weight_decay=weight_decay),
             lambda p, g, m, v, step: updates.adamw(p, g, m, v, step, 0.02, *betas, eps, weight_decay))


def test_the_defaults_of_adamw_are_those_of_pytorch():
    followed(lambda p: torch.optim.AdamW([p], lr=1e-3), lambda p, g, m, v, step: updates.adamw(p, g, m, v, step, 1e-3))


@pytest.mark.parametrize("max_norm", [0.5, 1.0, 100.0])
def test_clipping(max_norm):
    grads = np.random.default_rng(0).standard_normal(N)
    parts = [torch.nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (30, 7)]
    for part, grad in zip(parts, (grads[:30], grads[30:]), strict=True):
        part.grad = torch.tensor(grad)
    expected = torch.nn.utils.clip_grad_norm_(parts, max_norm)
    norm, _ = updates.clip(grads, max_norm)
    assert abs(norm - expected.item()) < 1e-12 * norm
    assert np.allclose(grads, np.concatenate([part.grad.numpy() for part in parts]), rtol=1e-12, atol=0)
