#!/usr/bin/env python3
"""Makes the small NIR files of ../nir. Needs numpy, h5py and nir==1.0.8.

    python tests/data/tools/make_nir_samples.py

Each file shows something that real files do and the writer of this project doesn't.
The values are simple fractions, so that the tests can state them.
"""
import pathlib

import h5py
import nir
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "nir"
F32 = np.float32


def weight(rows, columns):
    """weight[j, i] = (j - i) / 4."""
    return ((np.arange(rows)[:, None] - np.arange(columns)[None, :]) / 4).astype(F32)


def full(n, value, dtype=F32):
    return np.full((n,), value, dtype)


def lif(n, dtype=F32):
    return nir.LIF(
        tau=full(n, 2, dtype), r=full(n, 1, dtype), v_leak=full(n, 0, dtype),
        v_threshold=full(n, 1, dtype), v_reset=full(n, 0, dtype),
    )


def by_hand(path, nodes, edges, text=None, **dataset):
    """Writes nodes {name: {parameter: value}} without the nir package; `dataset`: options of large datasets."""
    text = text or h5py.string_dtype()

    def put(group, key, value):
        if isinstance(value, dict):
            sub = group.create_group(key)
            for k, v in value.items():
                put(sub, k, v)
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=text)
        elif isinstance(value, list):
            group.create_dataset(key, data=np.array(value, dtype=object if text.kind == "O" else text), dtype=text)
        else:
            value = np.asarray(value)
            group.create_dataset(key, data=value, **(dataset if value.ndim else {}))

    with h5py.File(path, "w") as f:
        put(f, "version", "0.2")
        put(f, "node", {"type": "NIRGraph", "nodes": nodes, "edges": edges})


def main():
    OUT.mkdir(exist_ok=True)

    # Written by nir 1.0.8 (gzip), with dt as a number in the metadata.
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([3])),
            "fc1": nir.Affine(weight(4, 3), np.array([0, 0.5, 1, 1.5], F32)),
            "lif1": lif(4),
            "fc2": nir.Linear(weight(2, 4)),
            "li": nir.LI(tau=full(2, 4), r=full(2, 1), v_leak=full(2, 0.25)),
            "output": nir.Output(np.array([2])),
        },
        edges=[("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "li"), ("li", "output")],
        metadata={"dt": 0.5, "author": "nobody"},
    )
    nir.write(OUT / "written_by_nir.nir", graph)

    # As old versions wrote it: no v_reset, no w_in, f64, contiguous; node names with dots; shuffled edges.
    neuron = {"tau_syn": full(2, 2, "f8"), "tau_mem": full(2, 4, "f8"), "r": full(2, 1, "f8"),
              "v_leak": full(2, 0, "f8"), "v_threshold": full(2, 1, "f8")}
    by_hand(
        OUT / "old_contiguous.nir",
        {
            "input": {"type": "Input", "shape": np.array([3])},
            "block.0.fc": {"type": "Linear", "weight": weight(2, 3).astype("f8")},
            "block.0.lif": {"type": "CubaLIF", **neuron},
            "block.1.scale": {"type": "Scale", "scale": np.array(2, "i8")},
            "block.1.lif": {"type": "IF", "r": np.float64(1), "v_threshold": np.array([1, 2], "i4")},
            "output": {"type": "Output", "shape": np.array([2])},
        },
        [["block.1.scale", "block.1.lif"], ["block.0.lif", "block.1.scale"], ["block.1.lif", "output"],
         ["input", "block.0.fc"], ["block.0.fc", "block.0.lif"]],
    )

    # Fixed-length strings, big-endian and half floats, shuffle filter, a bool weight; a Flatten with a batch axis.
    by_hand(
        OUT / "fixed_strings.nir",
        {
            "in": {"type": "Input", "shape": np.array([1, 2, 2])},
            "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": np.array([1, 2, 2])},
            "half": {"type": "Linear", "weight": weight(2, 4).astype("f2")},
            "a": {"type": "IF", "r": full(2, 1, ">f8"), "v_threshold": full(2, 1, ">f4")},
            "mask": {"type": "Linear", "weight": np.array([[True, False], [False, True]])},
            "b": {"type": "IF", "r": full(2, 1, ">f4"), "v_threshold": full(2, 1, ">i2")},
            "out": {"type": "Output", "shape": np.array([2])},
        },
        [["in", "flat"], ["flat", "half"], ["half", "a"], ["a", "mask"], ["mask", "b"], ["b", "out"]],
        text=np.dtype("S12"), compression="gzip", shuffle=True,
    )

    # A graph inside of a graph inside of a graph.
    inner = {"type": "NIRGraph",
             "nodes": {"i": {"type": "Input", "shape": np.array([3])},
                       "fc": {"type": "Linear", "weight": weight(2, 3)},
                       "o": {"type": "Output", "shape": np.array([2])}},
             "edges": [["i", "fc"], ["fc", "o"]]}
    layer = {"type": "NIRGraph",
             "nodes": {"input": {"type": "Input", "shape": np.array([3])},
                       "linear": inner,
                       "lif": {"type": "LIF", "tau": full(2, 2), "r": full(2, 1), "v_leak": full(2, 0),
                               "v_threshold": full(2, 1)},
                       "output": {"type": "Output", "shape": np.array([2])}},
             "edges": [["input", "linear"], ["linear", "lif"], ["lif", "output"]]}
    by_hand(
        OUT / "nested.nir",
        {"input": {"type": "Input", "shape": np.array([3])}, "layer": layer,
         "output": {"type": "Output", "shape": np.array([2])}},
        [["input", "layer"], ["layer", "output"]],
    )

    # Branches: two ways into one population, an affine node fed by two nodes, and a shortcut.
    by_hand(
        OUT / "branches.nir",
        {
            "input": {"type": "Input", "shape": np.array([2])},
            "p": {"type": "Linear", "weight": weight(3, 2)},
            "q": {"type": "Affine", "weight": weight(3, 2) + 1, "bias": np.array([1, 2, 3], F32)},
            "sum": {"type": "Affine", "weight": weight(2, 3), "bias": np.array([5, 6], F32)},
            "one": {"type": "IF", "r": full(2, 1), "v_threshold": full(2, 1)},
            "two": {"type": "IF", "r": full(2, 1), "v_threshold": full(2, 1)},
            "lonely": {"type": "IF", "r": full(2, 1), "v_threshold": full(2, 1)},
            "output": {"type": "Output", "shape": np.array([2])},
        },
        [["input", "p"], ["input", "q"], ["p", "sum"], ["q", "sum"], ["sum", "one"], ["one", "two"], ["input", "two"],
         ["two", "output"]],
    )

    # A convolution, and a loop.
    conv = nir.Conv2d(input_shape=(3, 3), weight=np.ones((1, 1, 2, 2), F32), stride=1, padding=0, dilation=1, groups=1,
                      bias=np.zeros(1, F32))
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([1, 3, 3])), "conv": conv,
            "if": nir.IF(r=np.ones((1, 2, 2), F32), v_threshold=np.ones((1, 2, 2), F32)),
            "output": nir.Output(np.array([1, 2, 2])),
        },
        edges=[("input", "conv"), ("conv", "if"), ("if", "output")],
    )
    nir.write(OUT / "conv.nir", graph)
    by_hand(
        OUT / "loop.nir",
        {
            "input": {"type": "Input", "shape": np.array([2])},
            "lif": {"type": "LIF", "tau": full(2, 2), "r": full(2, 1), "v_leak": full(2, 0), "v_threshold": full(2, 1)},
            "rec": {"type": "Linear", "weight": weight(2, 2)},
            "output": {"type": "Output", "shape": np.array([2])},
        },
        [["input", "lif"], ["lif", "rec"], ["rec", "lif"], ["lif", "output"]],
    )

    # Padding as a text, groups, an average over padding, a delay for each value, neurons without memory.
    shape = np.ones((2, 4, 6), F32)
    conv = nir.Conv2d(input_shape=None, weight=(np.arange(24) / 4).reshape(2, 2, 3, 2).astype(F32), stride=1, padding="same",
                      dilation=(1, 3), groups=2, bias=np.array([0.5, -1], F32))
    wait = np.full((2, 3, 3), 2, F32)
    wait[0, 0, 0] = 1.25
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([4, 4, 6])), "conv": conv, "if": nir.IF(r=shape, v_threshold=shape),
            "pool": nir.AvgPool2d(kernel_size=np.array([2, 2]), stride=np.array([2, 3]), padding=np.array([1, 1])),
            "wait": nir.Delay(wait), "limit": nir.Threshold(np.full((2, 3, 3), 0.25, F32)),
            "output": nir.Output(np.array([2, 3, 3])),
        },
        edges=[("input", "conv"), ("conv", "if"), ("if", "pool"), ("pool", "wait"), ("wait", "limit"), ("limit", "output")],
        type_check=False,
    )
    # nir 1.0.8 can't write a shape that it doesn't know.
    graph.nodes["conv"].to_dict = lambda own=graph.nodes["conv"]: {
        k: v for k, v in nir.Conv2d.to_dict(own).items() if v is not None
    }
    nir.write(OUT / "spatial.nir", graph)

    # A graph that contains itself, twice (hard links): a reader that follows it never ends.
    path = OUT / "endless.nir"
    by_hand(
        path,
        {"input": {"type": "Input", "shape": np.array([1])}, "output": {"type": "Output", "shape": np.array([1])}},
        [["input", "a"], ["a", "b"], ["b", "output"]],
    )
    with h5py.File(path, "a") as f:
        f["node/nodes/a"] = f["node"]
        f["node/nodes/b"] = f["node"]


if __name__ == "__main__":
    main()
