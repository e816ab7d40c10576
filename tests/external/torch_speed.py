"""PyTorch's training steps a second, in the terms of crates/train/benches/steps.rs: batches given, T = 8, batch 128.

    python tests/external/torch_speed.py [NET] [THREADS] [SECONDS]

NET: dense, dense-poisson, conv, conv-large. Needs torch. LIF neurons (tau 2, hard reset, detached, arctan surrogate) as a loop over steps;
Adam; constant currents run through the first layer once a batch, as there.
"""

import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

T, BATCH = 8, 128


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + (math.pi * x) ** 2)


def lif(currents):
    """Spikes of T currents."""
    v, out = torch.zeros_like(currents[0]), []
    for x in currents:
        h = v + (x - v) / 2
        s = Spike.apply(h - 1)
        v = h * (1 - s.detach())
        out.append(s)
    return out


def each(layer, xs):
    """A layer on all steps at once."""
    return layer(torch.cat(xs)).split(BATCH)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 800, bias=False), nn.Linear(800, 10, bias=False)

    def forward(self, x):
        h = [self.fc1(x[0])] * T if len(x) == 1 else each(self.fc1, list(x))
        return lif(each(self.fc2, lif(h)))


class Conv(nn.Module):
    def __init__(self, large):
        super().__init__()
        if large:
            self.one = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))
            self.two = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64))
            self.pool, self.fc = F.max_pool2d, nn.Linear(64 * 49, 10, bias=False)
        else:
            self.one, self.two = nn.Conv2d(1, 8, 5, bias=False), nn.Conv2d(8, 16, 3, bias=False)
            self.pool, self.fc = F.avg_pool2d, nn.Linear(16 * 25, 10, bias=False)

    def forward(self, x):
        h = lif([self.one(x[0].view(-1, 1, 28, 28))] * T)
        h = lif(each(self.two, each(lambda h: self.pool(h, 2), h)))
        return lif(each(lambda h: self.fc(self.pool(h, 2).flatten(1)), h))


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "dense"
    torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 3.0
    torch.manual_seed(1)
    net = Conv(name == "conv-large") if name.startswith("conv") else Dense()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    lit = torch.rand(BATCH, 784) < 0.2
    if name == "dense-poisson":
        x = (lit & (torch.rand(T, BATCH, 784) < 0.65)).float()
    else:
        x = torch.where(lit, torch.rand(BATCH, 784) * 3.2 - 0.4, torch.tensor(-0.4242))[None]
    goal = F.one_hot(torch.arange(BATCH) % 10, 10).float()

    def go(n):
        for _ in range(n):
            optimizer.zero_grad()
            F.mse_loss(torch.stack(net(x)).mean(0), goal).backward()
            optimizer.step()

    go(3)
    started, cpu, n = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < seconds:
        go(2)
        n += 2
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"torch {name}: {n / wall:.1f} steps_per_second {n / cpu:.1f} steps_per_cpu_second")


main()
