"""Runs exported bundles in SANA-FE and compares every step with what spikec expects.

    python sanafe_compare.py --spikec target/release/spikec BUNDLE.spkb:DATA.npz[:STEPS] ... --samples 0,1,2

For each sample: `spikec export`, SANA-FE's `simple` timing model, and then spikes (one by one), packets, hops, synaptic events, neuron
updates (all must be equal in every step), energy (0.01 %) and time (0.1 %). `spikec simulate --timing analytic` of the same samples must
give the same sums as the exported expectation. Exit code 1 if anything differs.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import sanafe

MARKER = "    # other unit: "
EDGE = re.compile(r"    - (\w+)\.(\d+) -> (\w+)\.(\d+): \[w: (\S+)\]$")
COUNTS = ("packets", "hops", "synaptic_events", "neuron_updates", "spikes")


@contextlib.contextmanager
def quiet():
    """SANA-FE's progress goes to the process's own stdout."""
    sys.stdout.flush()
    saved = os.dup(1)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def load(folder, exact=True):
    """The exported network on a chip. With `exact`, edges after a marker are made through the API, with their own synapse unit."""
    folder = pathlib.Path(folder)
    text = (folder / "snn.yaml").read_text()
    arch = sanafe.load_arch(folder / "arch.yaml")
    others = []
    at = text.find("\n" + MARKER) if exact else -1
    if at < 0:
        net = sanafe.load_net(folder / "snn.yaml", arch)
    else:
        end = text.index("\nmappings:")
        unit = None
        for line in text[at + 1 : end].split("\n"):
            if line.startswith(MARKER):
                unit = line[len(MARKER) :]
            else:
                others.append((unit, EDGE.match(line).groups()))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as rest:
            rest.write(text[:at] + text[end:])
            rest.flush()
            net = sanafe.load_net(rest.name, arch)
    for unit, (pre, i, post, j, weight) in others:
        neuron = net.groups[post][int(j)]
        neuron.set_attributes(default_synapse_hw_name=unit)
        net.groups[pre][int(i)].connect_to_neuron(neuron, {"w": float(weight)})
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    return chip


def simulate(chip, expected, model="simple"):
    """Runs a sample, with every bias written before the step in which it begins. Gives (performance by step, spikes by step)."""
    steps = len(expected["steps"])
    neurons = {}
    writes = {}
    for step, group, index, bias in expected["bias_writes"]:
        neurons[group, index] = chip.mapped_neuron_groups[group][index]
        writes.setdefault(step, []).append((group, index, bias))
    # Its soma_attributes do not arrive at a mapped neuron; model_attributes do.
    for neuron in neurons.values():
        neuron.set_attributes(model_attributes={"bias": 0.0, "potential": 0.0})
    perf, spikes = {}, []
    for step in range(steps):
        for group, index, bias in writes.get(step, []):
            neurons[group, index].set_attributes(model_attributes={"bias": bias})
        result = chip.sim(1, timing_model=model, processing_threads=1, perf_trace=True, spike_trace=True)
        for key, values in {**result["perf_trace"], "packets": [result["packets_sent"]]}.items():
            perf.setdefault(key, []).extend(values)
        spikes.extend(result["spike_trace"])
    return perf, spikes


def compare(expected, perf, spikes):
    """Differences as text, and the sums of both sides."""
    differences = []
    ours = dict.fromkeys((*COUNTS, "energy_pj", "time_ns"), 0)
    theirs = dict(ours)
    worst = {"energy": 0.0, "time": 0.0}
    by_step = {}
    for step, group, index in expected["spikes"]:
        by_step.setdefault(step, set()).add((group, index))
    for k, step in enumerate(expected["steps"]):
        inputs = step["input_spikes"]
        # SANA-FE's first step, our load phase, visits all compartments.
        energy, body = step["energy_pj"], step["time_ps"] - expected["barrier_ps"]
        if step["chip_step"] < 0:
            energy += expected["visit_energy_pj"]
            body = max(body, expected["visit_time_ps"])
        mine = {c: step[c] for c in COUNTS}
        mine.update(energy_pj=energy, time_ns=(body + expected["barrier_ps"]) / 1e3)
        his = {
            "packets": perf["packets"][k],
            "hops": perf["hops"][k],
            "synaptic_events": perf["spikes"][k],
            # Its input neurons count as neurons.
            "neuron_updates": perf["updated"][k] - inputs,
            "spikes": perf["fired"][k] - inputs,
            "energy_pj": perf["total_energy"][k] * 1e12,
            "time_ns": perf["sim_time"][k] * 1e9,
        }
        for count in COUNTS:
            if mine[count] != his[count]:
                differences.append(f"step {k}: {count} {mine[count]} here, {his[count]} in SANA-FE")
        for name, key, limit in (("energy", "energy_pj", 1e-4), ("time", "time_ns", 1e-3)):
            off = abs(mine[key] - his[key]) / his[key]
            worst[name] = max(worst[name], off)
            if off > limit:
                differences.append(f"step {k}: {key} {mine[key]:.1f} here, {his[key]:.1f} in SANA-FE")
        fired = {(n.group_name, n.neuron_offset) for n in spikes[k]}
        missing = by_step.get(k, set()) - fired
        if missing:
            differences.append(f"step {k}: {len(missing)} spikes are not in SANA-FE, one of {sorted(missing)[0]}")
        for key in ours:
            ours[key] += mine[key]
            theirs[key] += his[key]
    return differences, ours, theirs, worst


def run(command):
    """A command's JSON."""
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bundle(args, path, data, steps):
    """Compares the samples of one bundle; gives the number of differences."""
    bad = 0
    ours, theirs, worst = {}, {}, {"energy": 0.0, "time": 0.0}
    loading, sums = 0.0, []
    named = 0
    for sample in args.samples:
        with tempfile.TemporaryDirectory() as folder:
            extra = ["--steps", steps] if steps else []
            export = [args.spikec, "export", path, "--format", "sana-fe", "-o", folder, "--input", data, "--sample", str(sample), "--json", *extra]
            notes = run(export)["notes"]
            expected = json.loads((pathlib.Path(folder) / "expected.json").read_text())
            with quiet():
                begin = time.time()
                chip = load(folder)
                loading = time.time() - begin
                perf, spikes = simulate(chip, expected)
            if args.alone and sample == args.samples[0]:
                alone(folder, expected)
        differences, a, b, w = compare(expected, perf, spikes)
        for line in differences[:10]:
            print(f"{path} sample {sample}: {line}")
        bad += len(differences)
        named += len(expected["spikes"])
        sums.append((expected["energy_pj"], expected["time_ps"]))
        for key in a:
            ours[key] = ours.get(key, 0) + a[key]
            theirs[key] = theirs.get(key, 0) + b[key]
        worst = {key: max(worst[key], w[key]) for key in worst}
        del chip
    bad += whole(args, path, data, steps, sums)
    for note in notes:
        print(f"{path}: note: {note}")
    for key in ours:
        same = "equal" if ours[key] == theirs[key] else f"{ours[key] / theirs[key] - 1:+.2e}"
        print(f"{path}: {key:16} spikec {ours[key]:15,.1f}   SANA-FE {theirs[key]:15,.1f}   {same}")
    print(f"{path}: largest difference of a step: energy {worst['energy']:.1e}, time {worst['time']:.1e}; {named} spikes looked up; SANA-FE loads in {loading:.2f} s")
    return bad


def whole(args, path, data, steps, sums):
    """`spikec simulate` must say of all samples together what the export expects of each."""
    if args.samples != list(range(len(sums))):
        print(f"{path}: not the first samples: spikec simulate is not compared")
        return 0
    command = [args.spikec, "simulate", path, "--input", data, "--samples", str(len(sums)), "--timing", "analytic", "--json"]
    timing = run(command + (["--steps", steps] if steps else []))["timing"]
    energy, time_ps = (sum(s[k] for s in sums) for k in (0, 1))
    if timing["time_ps"] == time_ps and abs(timing["energy"]["total_pj"] - energy) <= 1e-9 * energy:
        return 0
    print(f"{path}: spikec simulate says {timing['time_ps']} ps, {timing['energy']['total_pj']} pJ; expected {time_ps} ps, {energy} pJ")
    return 1


def alone(folder, expected):
    """The YAML as it is, without the API: what differs then."""
    with quiet():
        perf, spikes = simulate(load(folder, exact=False), {**expected, "bias_writes": []})
    differences, a, b, _ = compare(expected, perf, spikes)
    for key in a:
        print(f"    YAML alone: {key:16} {'equal' if a[key] == b[key] else f'{b[key] / a[key] - 1:+.4%}'}")
    print(f"    YAML alone: {sum('not in SANA-FE' in d for d in differences)} steps with missing spikes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spikec", default="target/release/spikec")
    parser.add_argument("--samples", default="0,1,2,3,4", type=lambda s: [int(x) for x in s.split(",")])
    parser.add_argument("--alone", action="store_true", help="also run the first sample from the YAML alone")
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE.spkb:DATA.npz[:STEPS]")
    args = parser.parse_args()
    bad = 0
    for item in args.bundles:
        path, data, *steps = item.split(":")
        bad += bundle(args, path, data, steps[0] if steps else None)
    print("everything agrees" if bad == 0 else f"{bad} differences")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
