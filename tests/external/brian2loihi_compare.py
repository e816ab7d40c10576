#!/usr/bin/env python3
"""Runs a network from a list of edges in Brian2Loihi and compares every spike with spikec's.

    python brian2loihi_compare.py SPIKEC EDGES.npz [--steps 1000] [--threshold 2000] [--seed 1]

The network is that of examples/connectome: weights are numbers of synapses, a fifth of the neurons inhibits, each neuron has an input channel that
spikes with probability 0.02. Brian2Loihi (Michaelis et al. 2022) is built from the list of edges alone, with docs/network-format.md, section 5, for the draw
of the inhibitory neurons; spikec compiles the list for loihi1 and simulates the bundle. Exit code 1 if a spike differs.
"""
import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from brian2 import ms, prefs
from brian2_loihi import LoihiNetwork, LoihiNeuronGroup, LoihiSpikeGeneratorGroup, LoihiSpikeMonitor, LoihiSynapses

DECAY_U, DECAY_V, INPUT_WEIGHT, INPUT_EXPONENT, INHIBITORY = 1024, 205, 255, 2, 0.2
MASK = (1 << 64) - 1


def splitmix64(seed, count):
    """The first `count` outputs."""
    out = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(z ^ (z >> 31))
    return np.array(out, np.uint64)


def spikes_of_spikec(spikec, edges, threshold, steps, seed, folder):
    model = (
        f'Connectome(name: "net", edges: "edges.npz", inhibitory_share: {INHIBITORY}, seed: {seed}, '
        f"neuron: (decay_u: {DECAY_U}, decay_v: {DECAY_V}, threshold: {threshold}), "
        f"input: (weight: {INPUT_WEIGHT}, weight_exponent: {INPUT_EXPONENT}))"
    )
    (folder / "net.ron").write_text(model)
    (folder / "edges.npz").write_bytes(edges.read_bytes())

    def call(*args):
        subprocess.run([spikec, *map(str, args)], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    listed = np.load(edges)
    count = int(max(listed["src"].max(), listed["dst"].max())) + 1
    call("compile", "net.ron", "--target", "loihi1", "-o", "net.spkb")
    call("data", "random", "--channels", count, "--steps", steps, "--rate", 0.02, "--seed", seed, "-o", "data.npz")
    call("simulate", "net.spkb", "--input", "data.npz", "--record", "spikes", "-o", "run.npz")
    run, data = np.load(folder / "run.npz"), np.load(folder / "data.npz")
    bits = np.unpackbits(data["spikes_packed"][0], axis=1)[:, :count]
    return count, np.nonzero(bits), set(zip(run["events_t"].tolist(), run["events_i"].tolist()))


def spikes_of_brian(edges, count, data, threshold, steps, seed):
    listed = np.load(edges)
    weights = np.zeros((count, count), np.int64)
    np.add.at(weights, (listed["src"], listed["dst"]), listed["synapse_count"].astype(np.int64))
    order = np.argsort(splitmix64(seed, count), kind="stable")
    inhibits = np.zeros(count, bool)
    inhibits[order[: round(INHIBITORY * count)]] = True
    neurons = LoihiNeuronGroup(count, refractory=1, threshold_v_mant=threshold, decay_v=DECAY_V, decay_I=DECAY_U)
    drive = LoihiSpikeGeneratorGroup(count, data[1], data[0])
    objects = [neurons, drive]
    for sign, sources in ((2, ~inhibits), (3, inhibits)):
        synapses = LoihiSynapses(neurons, neurons, sign_mode=sign)
        pre, post = np.nonzero(np.where(sources[:, None], weights, 0))
        synapses.connect(i=pre, j=post)
        synapses.w = weights[pre, post] * (1 if sign == 2 else -1)
        objects.append(synapses)
    inputs = LoihiSynapses(drive, neurons, sign_mode=2, w_exp=INPUT_EXPONENT)
    inputs.connect(i=np.arange(count), j=np.arange(count))
    inputs.w = np.full(count, INPUT_WEIGHT)
    monitor = LoihiSpikeMonitor(neurons)
    net = LoihiNetwork(*objects, inputs, monitor)
    start = time.time()
    net.run(steps)
    seconds = time.time() - start
    steps_of = np.rint(np.asarray(monitor.t / ms if hasattr(monitor.t, "dim") else monitor.t)).astype(int)
    return set(zip(steps_of.tolist(), np.asarray(monitor.i).tolist())), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikec", type=lambda p: Path(p).resolve())
    parser.add_argument("edges", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threshold", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    prefs.codegen.target = "numpy"
    with tempfile.TemporaryDirectory() as temporary:
        count, data, ours = spikes_of_spikec(args.spikec, args.edges, args.threshold, args.steps, args.seed, Path(temporary))
    theirs, seconds = spikes_of_brian(args.edges, count, data, args.threshold, args.steps, args.seed)
    print(f"{count} neurons, {args.steps} steps: {len(ours)} spikes of spikec, {len(theirs)} of Brian2Loihi ({seconds:.1f} s), {len(ours ^ theirs)} differ")
    if ours != theirs:
        print("first:", sorted(ours ^ theirs)[:5])
    return int(ours != theirs)


if __name__ == "__main__":
    sys.exit(main())
