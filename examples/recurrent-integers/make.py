"""Makes weights.npz, samples.npz and expected.npz: a random recurrent net in chip integers, input spikes, and the spike counts of its outputs.

The counts come from the plain loop below, written from docs/semantics.md, section 3, and from nothing of spikec. Plain Python 3. The same files
on any machine: the random numbers are a linear congruential generator's, and the archives carry no time.
"""

import struct
import zipfile

INPUTS, RING, OUTPUTS, SAMPLES, STEPS = 16, 64, 4, 20, 40
state = 2026


def below(n):
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 33) % n


def save(name, arrays):
    """An .npz archive of {name: (type, shape, values)}; the type is numpy's, "<i2" for int16."""
    with zipfile.ZipFile(name, "w") as archive:
        for key, (kind, shape, values) in arrays.items():
            header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}"
            header = header.ljust(117) + "\n"
            code = {"<i2": "h", "<u4": "I", "|b1": "?"}[kind]
            data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{code}", *values)
            archive.writestr(zipfile.ZipInfo(key + ".npy"), data)


def column(values):
    return ("<i2", [len(values)], values)


def keep(x, decay):
    """What a step keeps of a register: the magnitude is rounded down."""
    share = abs(x) * (4096 - decay) >> 12
    return share if x >= 0 else -share


# Synapses (pre, post, weight, delay), each pair of neurons once. Weights are on the grid of their format: steps of 1 (8 bits, excitatory), 2 (8
# bits, mixed) and 8 (6 bits, mixed).
pairs = lambda n, pres: sorted({(below(pres), below(RING)) for _ in range(n)})
kick = [(i, j, 64 + below(160), below(4)) for i, j in pairs(120, INPUTS)]
ring = [(i, j, 2 * (below(200) - 110) or 2, below(8)) for i, j in pairs(400, RING)]
read = [[8 * (below(50) - 22) for _ in range(RING)] for _ in range(OUTPUTS)]
thresholds = [120 + 10 * below(4) for _ in range(RING)]
samples = [[[below(12) == 0 for _ in range(INPUTS)] for _ in range(STEPS)] for _ in range(SAMPLES)]


def counts(sample):
    u, v, wait = [0] * RING, [0] * RING, [0] * RING
    out_v, out, fired = [0] * OUTPUTS, [0] * OUTPUTS, []
    for t in range(STEPS):
        q = [0] * RING
        for i, j, w, d in kick:
            q[j] += 64 * w * (t >= d and sample[t - d][i])
        # A spike of a neuron acts one step later, and its delay after that. The exponent -1 halves the weights, which are even.
        for i, j, w, d in ring:
            q[j] += 64 * (w // 2) * (t > d and fired[t - 1 - d][i])
        now = [False] * RING
        for j in range(RING):
            u[j] = keep(u[j], 1024) + q[j]
            if wait[j] > 0:
                wait[j] -= 1
                continue
            v[j] = keep(v[j], 256) + u[j] + 320 * 2
            if v[j] > 64 * thresholds[j]:
                now[j], v[j], wait[j] = True, 0, 1
        for k in range(OUTPUTS):
            q = sum(64 * read[k][i] for i in range(RING) if t > 0 and fired[t - 1][i])
            out_v[k] = keep(out_v[k], 128) + q
            if out_v[k] > 64 * 400:
                out_v[k], out[k] = 0, out[k] + 1
        fired.append(now)
    return out


arrays = {"read": ("<i2", [OUTPUTS, RING], [w for row in read for w in row]), "thresholds": column(thresholds)}
for name, synapses in [("kick", kick), ("ring", ring)]:
    arrays |= {f"{name}_{part}": column([s[k] for s in synapses]) for k, part in enumerate("ijwd")}
save("weights.npz", arrays)
save("samples.npz", {"spikes": ("|b1", [SAMPLES, STEPS, INPUTS], [x for sample in samples for step in sample for x in step])})
save("expected.npz", {"out_spike_counts": ("<u4", [SAMPLES, OUTPUTS], [n for sample in samples for n in counts(sample)])})
