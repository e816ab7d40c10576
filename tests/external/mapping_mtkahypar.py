"""Mt-KaHyPar 1.7 beside `spikec map`: slots, passed limits and CPU time.

Usage: mapping_mtkahypar.py SPIKEC INSTANCE.npz[:K,K,...] ... [--presets LARGE_K,DEFAULT] [--weights neurons,axons] [--effort default]

Mt-KaHyPar minimizes km1, the sum over axons of (cores that it enters - 1): input slots less the number of axons, the very objective of a mapper.
It balances one weight for each neuron (1, or 1 + its axons) and knows no limits, so the number of cores k must be given and every limit is
counted here, by plain numpy. CPU is user time of one thread; reading and building of the hypergraph is left out for Mt-KaHyPar and included for
spikec. Without K, k is 1, 1.05 and 1.15 times spikec's cores.
"""

import argparse
import json
import resource
import subprocess
import tempfile
from pathlib import Path

import mtkahypar
import numpy as np

NEURONS, IN_SLOTS, OUT_ENTRIES, WORDS = 1024, 4096, 4096, 2**20 // 64
ENTRY = 18  # bits of a synapse: 8 of weight, 10 of index
HEADER = 10


def words(n):
    """Words of n synapses of an axon on one core (target loihi1_nengo)."""
    whole, rest = n // 64, n % 64
    up = lambda bits: -(-bits // 64)
    return whole * up(64 * ENTRY + HEADER) + np.where(rest > 0, up(rest * ENTRY + HEADER), 0)


class Instance:
    def __init__(self, path):
        a = np.load(path)
        self.nin, self.n, self.ip, self.ix = int(a["nin"]), int(a["n"]), a["ip"], a["ix"].astype(np.int64)
        self.fan_in = np.diff(self.ip)
        self.post = np.repeat(np.arange(self.n), self.fan_in)
        order = np.argsort(self.ix, kind="stable")
        posts, fan_out = self.post[order], np.bincount(self.ix, minlength=self.nin + self.n)
        self.edges = [e.tolist() for e in np.split(posts, np.cumsum(fan_out)[:-1]) if len(e) > 1]

    def count(self, part):
        """Input slots, and cores beyond each limit."""
        cores = int(part.max()) + 1
        pairs, synapses = np.unique(self.ix * cores + part[self.post], return_counts=True)
        axon, core = pairs // cores, pairs % cores
        inner = axon >= self.nin
        uses = [
            (np.bincount(part, minlength=cores), NEURONS),
            (np.bincount(core, minlength=cores), IN_SLOTS),
            (np.bincount(part[axon[inner] - self.nin], minlength=cores), OUT_ENTRIES),
            (np.bincount(core, weights=words(synapses), minlength=cores), WORDS),
        ]
        return len(pairs), [int((used > limit).sum()) for used, limit in uses]


def user(who):
    return resource.getrusage(who).ru_utime


def spikec(program, path, effort):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "map.npz"
        before = user(resource.RUSAGE_CHILDREN)
        command = [program, "map", path, "--target", "loihi1_nengo", "--threads", "1", "--effort", effort, "-o", str(out), "--json"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return report, np.load(out)["part"], user(resource.RUSAGE_CHILDREN) - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikec")
    parser.add_argument("instances", nargs="+")
    parser.add_argument("--presets", default="LARGE_K,DEFAULT")
    parser.add_argument("--weights", default="neurons,axons")
    parser.add_argument("--effort", default="default")
    parser.add_argument("--epsilon", type=float, default=0.03)
    args = parser.parse_args()
    mtk = mtkahypar.initialize(1)
    print("| instance | method | k | input slots | cores beyond neurons / in / out / words | CPU s |")
    print("|---|---|---|---|---|---|", flush=True)
    for item in args.instances:
        path, _, ks = item.partition(":")
        name, instance = Path(path).stem, Instance(path)

        def row(method, k, part, cpu):
            slots, beyond = instance.count(part)
            print(f"| {name} | {method} | {k} | {slots} | {' / '.join(map(str, beyond))} | {cpu:.1f} |", flush=True)

        report, part, cpu = spikec(args.spikec, path, args.effort)
        row(f"spikec, {args.effort}", report["cores"], part, cpu)
        for preset in args.presets.split(","):
            for weights in args.weights.split(","):
                for k in [int(k) for k in ks.split(",") if k] or [round(report["cores"] * f) for f in (1, 1.05, 1.15)]:
                    context = mtk.context_from_preset(mtkahypar.PresetType.__members__[preset])
                    context.set_partitioning_parameters(k, args.epsilon, mtkahypar.Objective.KM1)
                    context.logging = False
                    mtkahypar.set_seed(1)
                    weight = (1 + instance.fan_in if weights == "axons" else np.ones(instance.n, int)).tolist()
                    graph = mtk.create_hypergraph(context, instance.n, len(instance.edges), instance.edges, weight, [1] * len(instance.edges))
                    before = user(resource.RUSAGE_SELF)
                    partitioned = graph.partition(context)
                    cpu = user(resource.RUSAGE_SELF) - before
                    row(f"{preset}, weight {weights}", k, np.array(partitioned.get_partition()), cpu)


if __name__ == "__main__":
    main()
