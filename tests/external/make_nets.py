"""Writes networks in chip integers with input for the comparison: python make_nets.py FOLDER [recurrent4096.npz]

recurrent: 4,096 neurons, 163,840 synapses, 100 steps (from the file, or random), currents that last one step.
filtered: the same with currents that halve in each step (SANA-FE does not round them): for speed.
layers: three small layers with delays, biases, and decays of v; 20 steps.
chain: three layers in floats, so that biases begin with their layer (skews 0, 1, 2); 12 steps.
held: one layer with refractory steps, with input in every step (without one, SANA-FE does not count a held neuron as updated).
"""

import pathlib
import sys

import numpy as np

N, STEPS = 4096, 100


def events(path, steps, width, lists):
    """lists: (sample, step, channel) of each spike."""
    sample, t, i = np.array(lists, np.uint32).T
    np.savez(path, events_sample=sample, events_t=t, events_i=i, steps=steps, width=width)


def recurrent(folder, source):
    if source:
        given = np.load(source)
        pre, post, w = given["pre"], given["post"], given["w"]
        lists = [(0, t, i) for t, i in zip(given["events_t"], given["events_i"])]
    else:
        random = np.random.default_rng(1)
        pre, post = np.repeat(np.arange(N), 40), random.integers(N, size=40 * N)
        w = 2 * random.integers(-8, 9, size=40 * N)
        lists = [(0, t, i) for t in range(STEPS) for i in np.flatnonzero(random.random(N) < 0.02)]
    np.savez(folder / "recurrent_arrays.npz", pre=pre, post=post, w=w.astype(np.int16))
    for name, decay_u in ("recurrent", 4096), ("filtered", 2048):
        (folder / f"{name}.ron").write_text(
            f"""Registers(
    name: "{name}",
    inputs: [(name: "input", n: {N})],
    populations: [(name: "neurons", shape: [{N}], decay_u: {decay_u}, decay_v: 255, threshold: 200)],
    projections: [
        (name: "forced", pre: "input", post: "neurons", synapses: Coo(pre_index: {list(range(N))}, post_index: {list(range(N))}, weight: 254)),
        (
            name: "recurrent", pre: "neurons", post: "neurons",
            synapses: Coo(pre_index: "recurrent_arrays.npz:pre", post_index: "recurrent_arrays.npz:post", weight: "recurrent_arrays.npz:w"),
        ),
    ],
    output: "neurons",
)
"""
        )
    events(folder / "recurrent.npz", STEPS, N, lists)


def layers(folder):
    random = np.random.default_rng(2)
    sizes = [30, 60, 40, 10]
    arrays, projections = {}, []
    names = ["in", "a", "b", "c"]
    for k in range(3):
        n = sizes[k] * sizes[k + 1]
        dense = np.arange(n)
        keep = random.random(n) < 0.12
        arrays |= {f"i{k}": (dense // sizes[k + 1])[keep], f"j{k}": (dense % sizes[k + 1])[keep]}
        arrays |= {f"w{k}": (2 * random.integers(-60, 100, n)[keep]).astype(np.int16), f"d{k}": random.integers(0, 6 if k == 1 else 1, n)[keep]}
        at = "layers_arrays.npz"
        projections.append(
            f'(pre: "{names[k]}", post: "{names[k + 1]}", synapses: '
            f'Coo(pre_index: "{at}:i{k}", post_index: "{at}:j{k}", weight: "{at}:w{k}", delay: "{at}:d{k}"))'
        )
    populations = []
    for k in range(1, 4):
        bias = random.integers(-300, 900, sizes[k]) * (random.random(sizes[k]) < 0.5)
        decay = [128, 512, 0][k - 1]
        populations.append(
            f'(name: "{names[k]}", shape: [{sizes[k]}], decay_u: 4096, decay_v: {decay}, threshold: {[300, 400, 200][k - 1]}, '
            f"bias_mantissa: {[int(b) for b in bias]}, bias_exponent: 2)"
        )
    np.savez(folder / "layers_arrays.npz", **arrays)
    (folder / "layers.ron").write_text(
        f'Registers(name: "layers", inputs: [(name: "in", n: 30)], populations: [{", ".join(populations)}],\n'
        f'projections: [{", ".join(projections)}], output: "c")\n'
    )
    events(folder / "layers.npz", 20, 30, [(s, t, i) for s in range(5) for t in range(20) for i in range(30) if random.random() < 0.2])


def chain(folder):
    random = np.random.default_rng(3)
    sizes, names = [20, 50, 30, 10], ["in", "a", "b", "c"]
    arrays, projections, populations = {}, [], ['(name: "in", shape: [20], neurons: Input)']
    for k in range(3):
        shape = (sizes[k + 1], sizes[k])
        arrays[f"w{k}"] = (random.normal(0.3, 0.5, shape) * (random.random(shape) < 0.3)).astype(np.float32)
        arrays[f"b{k}"] = (random.normal(0.1, 0.4, sizes[k + 1])).astype(np.float32)
        at = "chain_arrays.npz"
        projections.append(
            f'(pre: "{names[k]}", post: "{names[k + 1]}", chain: [Linear(weight: "{at}:w{k}"), Bias(bias: "{at}:b{k}")])'
        )
        populations.append(f'(name: "{names[k + 1]}", shape: [{sizes[k + 1]}], neurons: Lif(tau: {[2.0, 3.0, 8.0][k]}, v_threshold: 0.5))')
    np.savez(folder / "chain_arrays.npz", **arrays)
    (folder / "chain.ron").write_text(
        f'Trained(name: "chain", dt: 1.0, populations: [{", ".join(populations)}],\n'
        f'projections: [{", ".join(projections)}], output: "c")\n'
    )
    events(folder / "chain.npz", 12, 20, [(s, t, i) for s in range(5) for t in range(12) for i in range(20) if random.random() < 0.3])


def held(folder):
    (folder / "held.ron").write_text(
        """Registers(
    name: "held", inputs: [(name: "in", n: 4)],
    populations: [(name: "a", shape: [4], decay_u: 4096, decay_v: 100, threshold: 150, refractory: [1, 2, 3, 5])],
    projections: [(pre: "in", post: "a", synapses: Coo(pre_index: [0, 1, 2, 3], post_index: [0, 1, 2, 3], weight: 100))],
    output: "a",
)
"""
    )
    events(folder / "held.npz", 30, 4, [(0, t, i) for t in range(30) for i in range(4)])


if __name__ == "__main__":
    where = pathlib.Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    recurrent(where, sys.argv[2] if len(sys.argv) > 2 else None)
    layers(where)
    chain(where)
    held(where)
