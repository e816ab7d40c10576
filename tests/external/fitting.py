#!/usr/bin/env python3
"""Quantizing and fitting the Poisson-coded MNIST networks, as in docs/benchmarks.md: one line for each run.

    python tests/external/fitting.py SPIKEC SHARED quantize|memory|magnitude|synapses|plain [SEED ...]

SPIKEC is the release binary, SHARED the folder with nets/mnist and data (not part of the project). Calibration data are training images with
Poisson seeds of their own; every line is measured on the 10,000 test images, through the compiled bundle, against the network as trained.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

spikec, shared, what = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3]
seeds = sys.argv[4:] or ["1", "2", "3"]
NETS = {"dense": "fc800_poisson_dense", "gradr": "fc800_poisson_gradr"}
TEST = shared / "data/mnist_test_poisson_T8_seed1234.npz"
COMMON = ["--target", "loihi1", "--input-coding", "spikes", "--steps", "8"]


def call(*args):
    run = subprocess.run([spikec, *map(str, args)], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return run.stdout


def calibration(folder, seed, count):
    path = folder / f"cal{seed}_{count}.npz"
    if not path.exists():
        images = shared / "data/mnist/train-images-idx3-ubyte.gz"
        call("data", "idx", images, "--coding", "poisson", "--steps", 8, "--seed", seed, "--samples", count, "-o", path)
    return path


def loss(net, bundle, trained):
    out = json.loads(call("verify", net, bundle, "--trained", trained, "--input", TEST, "--json"))["loss"]
    return f"{100 * out['quantized_accuracy']:.2f} / {100 * out['agreement']:.2f}"


def quantize(folder, name, seed, bits, signs):
    net = shared / "nets/mnist" / NETS[name] / "net.nir"
    start = time.time()
    options = ["--weight-bits", bits, "--signs", signs, "--calibration", calibration(folder, seed, 1000)]
    out = json.loads(call("compile", net, *COMMON, *options, "-o", folder / "q.spkb", "--json"))
    print(f"{name} {bits} bits {signs} seed {seed}: {loss(net, folder / 'q.spkb', net)} | {out['memory_words']} words, {time.time() - start:.1f} s", flush=True)


def fit(folder, name, seed, *options):
    net = shared / "nets/mnist" / NETS[name] / "net.nir"
    start = time.time()
    files = ["-o", folder / "f.nir", "--bundle", folder / "f.spkb", "--json"]
    out = json.loads(call("fit", net, *COMMON, "--input", calibration(folder, seed, 20000), *options, *files))["fit"]
    seconds = time.time() - start
    used = ", ".join(f"{u['used']} of {u['allowed']} {u['what']}" for u in out["budget"])
    kept = " + ".join(str(layer["synapses_left"]) for layer in out["layers"])
    print(f"{name} seed {seed} {' '.join(map(str, options))}: {loss(folder / 'f.nir', folder / 'f.spkb', net)} | {used}, {kept} kept, {seconds:.1f} s", flush=True)


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    for seed in seeds:
        if what == "quantize":
            for name in NETS:
                for bits in (8, 4, 3, 2, 1):
                    quantize(folder, name, seed, bits, "split")
                for bits in (8, 4, 3, 2):
                    quantize(folder, name, seed, bits, "mixed")
        elif what in ("memory", "magnitude"):
            # Magnitude alone, at 8 bits, is the baseline of the same budgets.
            method = [] if what == "memory" else ["--saliency", "magnitude", "--no-refit"]
            widths = lambda fitted: fitted if what == "memory" else "8"
            for words in (511, 1023, 2047, 4095, 8191):
                fit(folder, "dense", seed, "--memory", 8 * words, "--widths", widths("3/5"), *method)
            for cores, width in ((1, "3"), (2, "4")):
                fit(folder, "dense", seed, "--cores", cores, "--widths", widths(width), *method)
            for words in (511, 600, 1350, 3000):
                fit(folder, "gradr", seed, "--memory", 8 * words, "--widths", widths("3/5"), *method)
        elif what == "synapses":
            for count in (6352, 12704, 31760, 63520):
                for method in ([], ["--saliency", "magnitude"], ["--saliency", "magnitude", "--no-refit"]):
                    fit(folder, "dense", seed, "--synapses", count, "--widths", 8, *method)
        elif what == "plain":
            for name, sizes in (("dense", (1023, 2047)), ("gradr", (511, 767, 1023))):
                for words in sizes:
                    for method in ([], ["--plain"]):
                        fit(folder, name, seed, "--memory", 8 * words, "--widths", "3/5", *method)
        else:
            sys.exit(__doc__)
