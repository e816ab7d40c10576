"""Makes tests/data/torch: files as torch.save writes them, and their numbers as numpy reads them.

    pip install torch numpy
    python tests/external/torch_fixtures.py
"""

from collections import OrderedDict
from pathlib import Path

import numpy
import torch

OUT = Path(__file__).resolve().parent.parent / "data" / "torch"
OUT.mkdir(parents=True, exist_ok=True)


def grid(rows, columns, dtype=torch.float32):
    return (torch.arange(rows * columns).reshape(rows, columns) - 3).to(dtype) / (2 if dtype.is_floating_point else 1)


# A state dict of every kind of number, with its `_metadata`, a transposed view, a view with an offset and a parameter.
net = torch.nn.Sequential(OrderedDict(fc1=torch.nn.Linear(4, 3), fc2=torch.nn.Linear(3, 2, bias=False)))
with torch.no_grad():
    net.fc1.weight.copy_(grid(3, 4))
    net.fc1.bias.copy_(torch.tensor([0.5, -0.25, 0.0]))
    net.fc2.weight.copy_(grid(2, 3))
state = net.state_dict()
state["fc1.weight_mask"] = grid(3, 4) > 0
for name, dtype in dict(half=torch.half, bfloat16=torch.bfloat16, double=torch.double, int64=torch.int64, int32=torch.int32,
                        int16=torch.int16, int8=torch.int8).items():
    state[name] = grid(2, 3, dtype)
state["uint8"] = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
state["transposed"] = grid(3, 4).t()
state["part"] = grid(3, 4)[1:, 1::2]
state["scalar"] = torch.tensor(7)
torch.save(state, OUT / "state.pth")
numpy.savez(OUT / "state.npz", **{k: v.float().numpy() if v.is_floating_point() else v.numpy() for k, v in state.items()})

# A checkpoint: state dicts inside of a dict, with numbers, texts, a parameter and a sparse tensor.
sparse = torch.sparse_coo_tensor([[0, 2, 2], [1, 0, 3]], [2.0, -4.0, 0.5], (3, 4))
checkpoint = {
    "epoch": 12, "best": 0.97, "name": "net", "done": True, "nothing": None, "large": 1 << 70,
    "net": OrderedDict(fc1=net.fc1.weight, fc2=net.fc2.weight), "history": [torch.tensor([1.0, 2.0]), (torch.tensor([3]),)],
    "sparse": sparse.coalesce(), "shape": torch.Size([3, 4]), "device": torch.device("cpu"), "dtype": torch.float32,
}
torch.save(checkpoint, OUT / "checkpoint.pt")
# What is refused.
torch.save(net, OUT / "module.pth")
torch.save(state["fc1.bias"], OUT / "legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"c": torch.zeros(2, dtype=torch.complex64)}, OUT / "complex.pth")
torch.save({"wide": torch.zeros(1).expand(1 << 20)}, OUT / "repeated.pth")
