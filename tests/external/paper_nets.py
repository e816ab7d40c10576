"""Writes networks of papers at their sizes, with seeded random weights: python paper_nets.py FOLDER gradr|vgg16|resnet18 [options]

A RON model (docs/network-format.md), its arrays in NAME.npz, and NAME.data.npz with samples of random images. The weights mean nothing; shapes,
masks, operators, thresholds and codings are those of the papers.

gradr     Gradient Rewiring on CIFAR-10 (Chen et al., IJCAI 2021): conv 3-256, two conv 256-256, max pool 2, three conv 256-256, max pool 2,
          16384-2048-100, votes of 10; BatchNorm after each conv, no biases, LIF (tau 2, threshold 1, fires at >=, hard reset).
vgg16     Rate norm layers (Ding et al., IJCAI 2021) on CIFAR-10: VGG-16 with average pools, IF with soft reset, a threshold for each layer, a readout.
resnet18  The same for PreActResNet-18: activations before the convolutions, spikes added through identity skips.

--density D  share of each layer's weights that is not 0, anywhere in its kernels (gradr 0.0073 if not given, the others 1)
--width C    channels of the first layers instead of 256 or 64 (a small version); all others scale with it
--size S     rows and columns of the image instead of 32, a multiple of 4 (gradr) or 32 (others)
--samples N  images in the data file
--seed N     seed of everything
--torch      gradr only: the arrays as a state dict of PyTorch, named as SpikingJelly's CIFAR10 example names its layers (needs torch)
"""

import argparse
import pathlib

import numpy as np


class Model:
    """Populations and projections as RON, and their arrays."""

    def __init__(self, name, convention, random, file):
        self.name, self.convention, self.random, self.file = name, convention, random, file
        self.populations, self.projections, self.arrays = [], [], {}

    def population(self, name, shape, neurons):
        self.populations.append(f'(name: "{name}", shape: {list(shape)}, neurons: {neurons})')
        return name

    def array(self, name, values):
        self.arrays[name] = np.asarray(values, np.float32)
        return f'"{self.file}:{name}"'

    def weights(self, name, shape, density):
        """Normal weights of variance 1 over those of a row that are there; round(density * count) places of the whole array, at least 1."""
        w = np.zeros(int(np.prod(shape)), np.float32)
        count = max(1, round(density * w.size))
        places = self.random.choice(w.size, count, replace=False, shuffle=False) if count < w.size else slice(None)
        w[places] = self.random.normal(0, 1 / np.sqrt(max(1.0, density * np.prod(shape[1:]))), count).astype(np.float32)
        return self.array(name, w.reshape(shape))

    def conv(self, name, outputs, inputs, density=1.0, kernel=3, stride=1):
        weight = self.weights(f"{name}.weight", (outputs, inputs, kernel, kernel), density)
        return f"Conv2d(weight: {weight}, stride: {stride}, padding: {kernel // 2})"

    def norm(self, name, channels, rate, shift=0.3):
        """Statistics like those of currents that `rate` of the inputs make; so that some neurons of each channel fire."""
        random = self.random
        keys = {
            "weight": random.uniform(0.6, 1.4, channels),
            "bias": random.normal(shift, 0.3, channels) if shift is not None else np.zeros(channels),
            "mean": random.normal(0, 0.1 * np.sqrt(rate), channels) if shift is not None else np.zeros(channels),
            "variance": rate * random.uniform(0.7, 1.3, channels),
        }
        arrays = ", ".join(f"{key}: {self.array(f'{name}.{key}', values)}" for key, values in keys.items())
        return f"BatchNorm({arrays})"

    def project(self, name, pre, post, chain):
        self.projections.append(f'(name: "{name}", pre: "{pre}", post: "{post}", chain: [{", ".join(chain)}])')

    def text(self, output):
        lists = [",\n        ".join(x) for x in (self.populations, self.projections)]
        return (
            f'Trained(\n    name: "{self.name}", dt: 1.0, convention: "{self.convention}", {self.rules}\n'
            f"    populations: [\n        {lists[0]},\n    ],\n    projections: [\n        {lists[1]},\n    ],\n    output: \"{output}\",\n)\n"
        )

    rules = ""


def gradr(model, width, size, density):
    lif = "Lif(tau: 2.0, v_threshold: 1.0)"
    last = model.population("image", (3, size, size), "Input")
    channels, pool, rate = 3, [], 1.0
    for k in range(1, 7):
        if k == 4:
            size, pool = size // 2, ["MaxPool2d(kernel: 2)"]
        name = model.population(f"conv{k}", (width, size, size), lif)
        chain = pool + [model.conv(name, width, channels, density), model.norm(f"bn{k}", width, rate)]
        model.project(name, last, name, chain)
        last, channels, pool, rate = name, width, [], 0.2
    size //= 2
    inputs, hidden = width * size * size, 8 * width
    for name, outputs, first in (("fc1", hidden, ["MaxPool2d(kernel: 2)", "Flatten"]), ("fc2", 100, [])):
        model.population(name, (outputs,), lif)
        weight = model.weights(f"{name}.weight", (outputs, inputs), density)
        # Without BatchNorm, weights must be large enough for spikes to come through.
        model.arrays[f"{name}.weight"] *= 4
        model.project(name, last, name, first + [f"Linear(weight: {weight})"])
        last, inputs = name, outputs
    return last


READOUT = "Li(tau: 1e9, r: 1e9)"  # 1 - dt / tau is 1 in f32: it adds up and never leaks


def neurons(model):
    """IF with the threshold of its layer."""
    return f"If(v_threshold: {model.random.uniform(0.5, 2.0):.3f})"


def vgg16(model, width, size, density):
    last, channels, pool = model.population("image", (3, size, size), "Input"), 3, []
    plan = [1, 1, "P", 2, 2, "P", 4, 4, 4, "P", 8, 8, 8, "P", 8, 8, 8, "P"]
    k = 0
    for step in plan:
        if step == "P":
            size, pool = size // 2, ["AvgPool2d(kernel: 2)"]
            continue
        k, outputs = k + 1, step * width
        name = model.population(f"conv{k}", (outputs, size, size), neurons(model))
        model.project(name, last, name, pool + [model.conv(name, outputs, channels, density), model.norm(f"bn{k}", outputs, 0.3, 0.1)])
        last, channels, pool = name, outputs, []
    inputs, first = channels * size * size, pool + ["Flatten"]
    for k, outputs in enumerate((64 * width, 64 * width, 10), 1):
        name = model.population(f"fc{k}", (outputs,), neurons(model) if k < 3 else READOUT)
        weight, bias = model.weights(f"{name}.weight", (outputs, inputs), density), model.array(f"{name}.bias", model.random.normal(0.1, 0.1, outputs))
        model.project(name, last, name, first + [f"Linear(weight: {weight})", f"Bias(bias: {bias})"])
        last, inputs, first = name, outputs, []
    return last


def resnet18(model, width, size, density):
    image = model.population("image", (3, size, size), "Input")
    act = model.population("act1", (width, size, size), neurons(model))
    model.project("conv1", image, act, [model.conv("conv1", width, 3, density), model.norm("bn1", width, 0.3, 0.1)])
    k, channels = 1, width
    for block in range(8):
        outputs = width << (block // 2)
        stride = 2 if block in (2, 4, 6) else 1
        size //= stride
        a, b = f"act{k + 1}", f"act{k + 2}"
        model.population(a, (outputs, size, size), neurons(model))
        model.project(f"conv{k + 1}", act, a, [model.conv(f"conv{k + 1}", outputs, channels, density, stride=stride), model.norm(f"bn{k + 1}", outputs, 0.3, 0.1)])
        model.population(b, (outputs, size, size), neurons(model))
        model.project(f"conv{k + 2}", a, b, [model.conv(f"conv{k + 2}", outputs, outputs, density), model.norm(f"bn{k + 2}", outputs, 0.3, 0.1)])
        # The next block's BatchNorm is of the sum: its constant comes with the convolution.
        skip = [] if outputs == channels and stride == 1 else [model.conv(f"skip{k}", outputs, channels, density, kernel=1, stride=stride)]
        model.project(f"skip{k}", act, b, skip + [model.norm(f"skipbn{k}", outputs, 0.3, None)])
        act, k, channels = b, k + 2, outputs
    out = model.population("fc", (10,), READOUT)
    weight = model.weights("fc.weight", (10, channels), density)
    model.project("fc", act, out, [f"AvgPool2d(kernel: {size})", "Flatten", f"Linear(weight: {weight})", f"Bias(bias: {model.array('fc.bias', np.zeros(10))})"])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("network", choices=("gradr", "vgg16", "resnet18"))
    parser.add_argument("--density", type=float)
    parser.add_argument("--width", type=int)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--torch", action="store_true")
    args = parser.parse_args()
    name = args.network
    density = args.density or (0.0073 if name == "gradr" else 1.0)
    width = args.width or (256 if name == "gradr" else 64)
    random = np.random.default_rng(args.seed)
    args.folder.mkdir(parents=True, exist_ok=True)
    model = Model(name, "spikingjelly", random, f"{name}.pth" if args.torch else f"{name}.npz")
    model.rules = "" if name == "gradr" else "reset: Subtract,"
    output = {"gradr": gradr, "vgg16": vgg16, "resnet18": resnet18}[name](model, width, args.size, density)
    (args.folder / f"{name}.ron").write_text(model.text(output))
    if args.torch:
        import torch

        torch.save({key: torch.from_numpy(values) for key, values in model.arrays.items()}, args.folder / f"{name}.pth")
    else:
        np.savez_compressed(args.folder / f"{name}.npz", **model.arrays)
    images = random.normal(0, 1, (args.samples, 3 * args.size * args.size)).astype(np.float32)
    np.savez(args.folder / f"{name}.data.npz", values=images)
    weights = sum(a.size for key, a in model.arrays.items() if key.endswith(".weight") and a.ndim > 1)
    left = sum(int(np.count_nonzero(a)) for key, a in model.arrays.items() if key.endswith(".weight") and a.ndim > 1)
    print(f"{name}: {weights} weights, {left} not 0")


if __name__ == "__main__":
    main()
