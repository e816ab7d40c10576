"""Golden vectors for the training crate: gradients of small spiking networks, and optimizers over 100 steps.

    python tests/external/torch_gradients.py

writes tests/data/train/gradients.safetensors and optimizers.safetensors. Needs torch, numpy, safetensors. All in float64, then rounded;
samples are chosen so that no potential is near its threshold, where float32 could spike otherwise.
"""

import math
import pathlib

import numpy
import torch
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).parents[1] / "data" / "train"
torch.set_default_dtype(torch.float64)


def surrogate(kind, alpha):
    slope = {
        "Arctan": lambda x: alpha / 2 / (1 + (math.pi / 2 * alpha * x) ** 2),
        "Sigmoid": lambda x: alpha * torch.sigmoid(alpha * x) * (1 - torch.sigmoid(alpha * x)),
        "Triangle": lambda x: alpha * (1 - alpha * x.abs()).clamp(min=0),
        "SuperSpike": lambda x: 1 / (1 + alpha * x.abs()) ** 2,
    }[kind]

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x >= 0).to(x)

        @staticmethod
        def backward(ctx, grad):
            return grad * slope(ctx.saved_tensors[0])

    return Spike.apply


MARGIN = [math.inf]


def neurons(currents, keep, gain, threshold=1.0, soft=False, detach=True, kind="Arctan", alpha=2.0):
    """Spikes (T, ...) of currents (T, ...)."""
    spike, v, out = surrogate(kind, alpha), torch.zeros_like(currents[0]), []
    for x in currents:
        h = keep * v + gain * x
        MARGIN[0] = min(MARGIN[0], (h - threshold).abs().min().item())
        s = spike(h - threshold)
        r = s.detach() if detach else s
        v = h - threshold * r if soft else h * (1 - r)
        out.append(s)
    return torch.stack(out)


def lif(x, tau=2.0, **how):
    return neurons(x, 1 - 1 / tau, 1 / tau, **how)


def readout(currents, tau):
    v, out = torch.zeros_like(currents[0]), []
    for x in currents:
        v = v + (x - v) / tau
        out.append(v)
    return torch.stack(out)


def each(layer, x):
    """A layer on all steps at once."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def mse(spikes, classes, vote=1):
    rates = spikes.mean(0).unflatten(1, (-1, vote)).mean(2)
    return torch.nn.functional.mse_loss(rates, torch.nn.functional.one_hot(classes, rates.shape[1]).to(rates))


def dense():
    fc1, fc2 = torch.nn.Linear(9, 12, bias=False), torch.nn.Linear(12, 3)
    run = lambda x, c: mse(lif(each(fc2, lif(fc1(x[0]).expand(4, -1, -1)))), c)
    return [fc1.weight, fc2.weight, fc2.bias], torch.randn(1, 6, 9) * 2, run


def attached():
    fc1, fc2 = torch.nn.Linear(9, 12, bias=False), torch.nn.Linear(12, 3, bias=False)
    run = lambda x, c: mse(lif(each(fc2, lif(each(fc1, x), detach=False, tau=3.0)), detach=False, threshold=0.7), c)
    return [fc1.weight, fc2.weight], torch.randn(4, 6, 9) * 2, run


def soft():
    fc1, fc2 = torch.nn.Linear(9, 12), torch.nn.Linear(12, 3)
    how = dict(keep=1.0, gain=1.0, soft=True)

    def run(x, c):
        h = neurons(each(fc1, x), **how, kind="Sigmoid", alpha=4.0)
        return torch.nn.functional.cross_entropy(neurons(each(fc2, h), **how, kind="Triangle", alpha=0.5).sum(0), c)

    return [fc1.weight, fc1.bias, fc2.weight, fc2.bias], (torch.rand(4, 6, 9) < 0.3).double(), run


def potential():
    fc1, fc2 = torch.nn.Linear(9, 12, bias=False), torch.nn.Linear(12, 3)
    run = lambda x, c: torch.nn.functional.cross_entropy(readout(each(fc2, lif(each(fc1, x), kind="SuperSpike", alpha=3.0)), 4.0).sum(0), c)
    return [fc1.weight, fc2.weight, fc2.bias], (torch.rand(4, 6, 9) < 0.4).double(), run


def conv():
    c1, b1 = torch.nn.Conv2d(2, 4, 3, padding=1, bias=False), torch.nn.BatchNorm2d(4)
    c2, b2 = torch.nn.Conv2d(4, 5, 2, stride=1), torch.nn.BatchNorm2d(5)
    fc = torch.nn.Linear(20, 6, bias=False)
    with torch.no_grad():
        for b in (b1, b2):
            b.weight.uniform_(0.5, 2.0)
            b.bias.uniform_(0.0, 1.0)

    def run(x, c):
        h = each(lambda h: torch.nn.functional.max_pool2d(h, 2), lif(b1(c1(x[0])).expand(4, -1, -1, -1, -1)))
        h = each(lambda h: torch.nn.functional.avg_pool2d(h, 2, 1), lif(each(lambda h: b2(c2(h)), h)))
        return mse(lif(each(fc, h.flatten(2))), c, vote=2)

    return [c1.weight, b1.weight, b1.bias, c2.weight, c2.bias, b2.weight, b2.bias, fc.weight], torch.randn(1, 6, 2, 8, 8), run


def gradients():
    arrays = {}
    for make in [dense, attached, soft, potential, conv]:
        for seed in range(1000):
            torch.manual_seed(seed)
            parameters, x, run = make()
            with torch.no_grad():
                for p in parameters:
                    if p.dim() > 1:
                        p.mul_(4.0)
                for t in [*parameters, x]:
                    t.copy_(t.float().double())
            classes = torch.arange(6) % 3
            MARGIN[0] = math.inf
            loss = run(x, classes)
            if MARGIN[0] > 1e-5 and abs(loss.item() - 1 / 3) > 0.01:
                break
        else:
            raise SystemExit(f"{make.__name__}: no seed without a potential near its threshold")
        loss.backward()
        name = make.__name__
        arrays[f"{name}.x"] = x.transpose(0, 1).float().contiguous().numpy()
        arrays[f"{name}.loss"] = numpy.array([loss.item()], numpy.float32)
        for k, p in enumerate(parameters):
            arrays[f"{name}.{k}.value"] = p.detach().float().numpy()
            arrays[f"{name}.{k}.gradient"] = p.grad.float().numpy()
        print(name, "seed", seed, "loss", loss.item())
    save_file(arrays, OUT / "gradients.safetensors")


def optimizers():
    steps, n = 100, 40
    random = numpy.random.default_rng(7)
    start = random.uniform(-0.2, 0.2, n).astype(numpy.float32)
    drift = 0.3 * random.normal(size=n)
    gradients = (0.1 * (random.normal(size=(steps, n)) + drift)).astype(numpy.float32)
    arrays = {"start": start, "gradients": gradients}
    for name, make in {
        "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1),
    }.items():
        p = torch.tensor(start.astype(numpy.float64), requires_grad=True)
        optimizer, path = make([p]), []
        for g in gradients:
            p.grad = torch.tensor(g.astype(numpy.float64))
            optimizer.step()
            path.append(p.detach().numpy().astype(numpy.float32))
        arrays[name] = numpy.stack(path)
    # Gradient Rewiring, from its formula.
    lr, alpha, sparsity, b1, b2, eps = 0.01, 0.1, 0.9, 0.9, 0.999, 1e-8
    mu = math.log(2 * (1 - sparsity)) / alpha
    sign = numpy.where(start < 0, -1.0, 1.0)
    theta, m, v, path = numpy.abs(start.astype(numpy.float64)), numpy.zeros(n), numpy.zeros(n), []
    for t, g in enumerate(gradients.astype(numpy.float64), 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        signed = sign * theta
        signed = signed - lr / (1 - b1**t) * m / (numpy.sqrt(v) / math.sqrt(1 - b2**t) + eps)
        signed = signed - alpha * lr / (1 - b1**t) * numpy.sign(theta - mu) * sign
        theta = sign * signed
        path.append((sign * numpy.maximum(theta, 0)).astype(numpy.float32))
    arrays["grad_r"] = numpy.stack(path)
    print("Grad R: active after 1, 50, 100 steps:", [int((arrays["grad_r"][k] != 0).sum()) for k in (0, 49, 99)])
    save_file(arrays, OUT / "optimizers.safetensors")


OUT.mkdir(parents=True, exist_ok=True)
gradients()
optimizers()
