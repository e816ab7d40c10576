"""Writes large convolutional networks with seeded random weights as a model in RON and its arrays: NAME.ron, NAME.npz.

    python tests/external/conv_nets.py gradr|vgg16 OUT.ron [DENSITY [SEED]]

gradr: the CIFAR-10 network of Gradient Rewiring (six layers of 256 channels, two dense layers). vgg16: VGG-16 for CIFAR with dense layers of 4,096.
DENSITY is the share of weights that stay (1 by default), chosen at random for each layer; every layer has a batch norm. Only Python's
own library is used; the same arguments give the same bytes.
"""

import array
import random
import sys
import zipfile

GRADR = [("conv", 256)] * 3 + ["pool"] + [("conv", 256)] * 3 + ["pool", ("fc", 2048), ("fc", 100)]
VGG16 = (
    [("conv", 64)] * 2 + ["pool"] + [("conv", 128)] * 2 + ["pool"] + [("conv", 256)] * 3 + ["pool"]
    + [("conv", 512)] * 3 + ["pool"] + [("conv", 512)] * 3 + ["pool", ("fc", 4096), ("fc", 4096), ("fc", 10)]
)
LAYERS = {"gradr": GRADR, "vgg16": VGG16}


def npy(values, shape):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + values.tobytes()


def weights(rng, count, fan_in, density):
    """Uniform, of a variance that keeps the sums of neurons alike; zeros where the mask is."""
    bound = (6.0 / max(1.0, fan_in * density)) ** 0.5
    if density >= 1.0:
        return array.array("f", (bound * (2.0 * rng.random() - 1.0) for _ in range(count)))
    kept = array.array("f", bytes(4 * count))
    for k in rng.sample(range(count), round(count * density)):
        kept[k] = bound * (2.0 * rng.random() - 1.0)
    return kept


def main():
    name, path = sys.argv[1], sys.argv[2]
    density = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    stem = path.removesuffix(".ron")
    arrays = stem.rsplit("/", 1)[-1] + ".npz"
    channels, size, pool, before = 3, 32, False, "input"
    populations = ['(name: "input", shape: [3, 32, 32], neurons: Input)']
    projections = []
    with zipfile.ZipFile(stem + ".npz", "w") as out:

        def put(key, values, shape):
            out.writestr(zipfile.ZipInfo(key + ".npy"), npy(values, shape))
            return f'"{arrays}:{key}"'

        for number, layer in enumerate(LAYERS[name], 1):
            if layer == "pool":
                pool, size = True, size // 2
                continue
            kind, outputs = layer
            layer = f"{kind}{number}"
            chain = ["MaxPool2d(kernel: 2)"] if pool else []
            if kind == "conv":
                fan_in, shape = channels * 9, [outputs, channels, 3, 3]
                weight = put(layer, weights(rng, outputs * fan_in, fan_in, density), shape)
                chain.append(f"Conv2d(weight: {weight}, padding: 1)")
                neurons = [outputs, size, size]
            else:
                fan_in = channels * size * size
                weight = put(layer, weights(rng, outputs * fan_in, fan_in, density), [outputs, fan_in])
                chain += ["Flatten"] if size > 1 or pool else []
                chain.append(f"Linear(weight: {weight})")
                neurons, size = [outputs], 1
            bias = put(layer + "_bias", array.array("f", (0.1 * (2.0 * rng.random() - 1.0) for _ in range(outputs))), [outputs])
            chain.append(f"BatchNorm(variance: 1.0, bias: {bias})")
            lif = "Lif(tau: 2.0, v_threshold: 1.0)"
            populations.append(f'(name: "{layer}", shape: {neurons}, neurons: {lif})')
            projections.append(f'(name: "{layer}", pre: "{before}", post: "{layer}", chain: [{", ".join(chain)}])')
            channels, pool, before = outputs, False, layer
    with open(stem + ".ron", "w", encoding="utf-8") as out:
        lists = [",\n        ".join(part) for part in (populations, projections)]
        out.write(
            f'Trained(\n    name: "{name}",\n    dt: 1.0,\n    convention: "spikingjelly",\n    populations: [\n        {lists[0]},\n    ],\n'
            f'    projections: [\n        {lists[1]},\n    ],\n    output: "{before}",\n)\n'
        )


main()
