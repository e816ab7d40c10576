"""Runs exported networks in RANC's simulator and compares the output bus, tick by tick, with `spikec simulate`.

    python ranc_simulator.py target/release/spikec RANCSimulator [--nets 20] [--bundle B.spkb:DATA.npz[:SAMPLES]]

RANCSimulator (github.com/UA-RCL/RANC, folder simulator) is not part of spikec: build it with its CMake file. It reads JSON with rapidjson, whose headers come with PyPI's `python-rapidjson` too. Needs `numpy`.

For each sample: `spikec export --format ranc-json`, a run of the simulator, and each line of its output against the spikes of the neurons that send to the bus, in the chip step that docs/exports.md names.
`--nets`: random compiled networks, half of them for ranc256_sim, half for ranc256; those that the export refuses (their potentials may leave the range) are passed over and counted. Exit code 1 if anything differs.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
from rtl_tools import Spikec, Table, one_sample, random_bundle, samples_of


def bus(cores, output_bus):
    """Output of each (core, neuron) that sends to the bus."""
    out = {}
    for core in cores:
        x, y = core["coordinates"]
        for n, neuron in enumerate(core["neurons"]):
            dx, dy = neuron["destination_core_offset"]
            if [x + dx, y + dy] == output_bus["coordinates"]:
                out[x, y, n] = neuron["destination_axon"]
    return out


def said(spikec, bundle, data, folder, places, width):
    """Outputs that fire in each chip step, by spikec; places: output of each (x, y, neuron)."""
    watch = [part for x, y, n in places for part in ("--watch", f"{y * width + x}:{n}")]
    spikec("simulate", bundle, "--input", data, "--report", folder / "report.json", *watch)
    watched = json.loads((folder / "report.json").read_text())["watch"]
    at = {(y * width + x, n): output for (x, y, n), output in places.items()}
    steps = [set() for _ in watched[0]["steps"]]
    for w in watched:
        for k, step in enumerate(w["steps"]):
            if step["fired"]:
                steps[k].add(at[w["core"], w["compartment"]])
    return steps


def compare(label, table, spikec, program, bundle, samples):
    """Whether the export took the bundle."""
    folder = spikec.work / re.sub(r"\W", "_", label)
    folder.mkdir(exist_ok=True)
    before, steps, spikes, cores = len(table.differences), 0, 0, 0
    for k, sample in enumerate(samples):
        one_sample(folder / "in.npz", sample)
        done = spikec("export", bundle, "--format", "ranc-json", "-o", folder / "json", "--input", folder / "in.npz", fails=True)
        if done.returncode:
            return False
        read = lambda name: json.loads((folder / "json" / name).read_text())
        given, config = read("input.json"), read("config.json")
        places = {key: output for key, output in bus(given["cores"], given["output_bus"]).items() if output < given["output_bus"]["num_outputs"]}
        used = {(x, y, n): o for (x, y, n), o in places.items() if any(connections(given, x, y, n))}
        expected = said(spikec, bundle, folder / "in.npz", folder, used, config["num_cores_x"])
        ticks = max(len(given["packets"]), len(expected)) + 1
        command = [program, "-i", folder / "json" / "input.json", "-o", folder / "out.txt", "-c", folder / "json" / "config.json", "--ticks", str(ticks)]
        run = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"{label}: {run.stdout[-500:]}{run.stderr[-500:]}")
        if "WARNING" in run.stdout:
            table.differs(f"{label}, sample {k}: {re.search('.WARNING.*', run.stdout).group()}")
        lines = [[int(b) for b in line.split()] for line in (folder / "out.txt").read_text().splitlines()]
        for step, outputs in enumerate(expected):
            # Counted from 1, chip step c is line c + 2.
            found = {n for n, bit in enumerate(lines[step + 1]) if bit} if step + 1 < len(lines) else None
            if found != outputs:
                table.differs(f"{label}, sample {k}, chip step {step}: outputs {found}, spikec has {outputs}")
            spikes += len(outputs)
        steps, cores = steps + len(expected), len(given["cores"])
    table.row(label, cores, len(samples), steps, spikes, "equal" if len(table.differences) == before else "DIFFERENT")
    return True


def connections(given, x, y, n):
    return next(core for core in given["cores"] if core["coordinates"] == [x, y])["connections"][n]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikec")
    parser.add_argument("simulator")
    parser.add_argument("--work", default="rtl-work", help="folder for files")
    parser.add_argument("--nets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", action="append", default=[], help="B.spkb:DATA.npz[:SAMPLES]")
    args = parser.parse_args()
    spikec = Spikec(args.spikec, args.work)
    table = Table("network", "cores", "samples", "ticks", "spikes", "result")
    refused = 0
    for k in range(args.nets):
        random = np.random.default_rng([args.seed, k])
        target = ("ranc256_sim", "ranc256")[k % 2]
        bundle, inputs = random_bundle(random, spikec, f"ranc{k}", target, 12, (100, 400)[k % 4 // 2], crossbar=True)
        refused += not compare(f"net {k}, {target}", table, spikec, args.simulator, bundle, [random.random((12, inputs)) < 0.4])
    for given in args.bundle:
        bundle, data, *count = given.split(":")
        samples = list(samples_of(data, range(int(count[0]) if count else 1)))
        if not compare(pathlib.Path(bundle).stem, table, spikec, args.simulator, bundle, samples):
            sys.exit(f"{bundle}: the export refused it")
    print(f"{refused} networks refused by the export")
    return table.finish()


if __name__ == "__main__":
    sys.exit(main())
