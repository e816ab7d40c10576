"""Runs exported networks in RANC's simulator and compares the output bus, tick by tick, with `spikec simulate`.

    python ranc_simulator.py target/release/spikec RANCSimulator [--nets 20] [--images 20] [--bundle B.spkb:DATA.npz[:SAMPLES]]

RANCSimulator (github.com/UA-RCL/RANC, folder simulator) is not part of spikec: build it with its CMake file. It reads JSON with rapidjson, whose headers come with PyPI's `python-rapidjson` too. Needs `numpy`.

For each sample: `spikec export --format ranc-json`, a run of the simulator, and each line of its output against the spikes of the neurons that send to the bus, in the chip step that docs/exports.md names.
`--nets`: random networks compiled for ranc256_sim. `--images`: random networks in RANC's own format, with all kinds of rows, that `spikec import-ranc` reads for ranc256_sim and ranc256 in turn (the latter with small numbers and absolute resets: the export refuses potentials that may leave 9 bits);
they run as given and as exported again. Exit code 1 if anything differs.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
from rtl_tools import Spikec, Table, one_sample, random_bundle, random_ranc, samples_of


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
    """Outputs that fire in each chip step, and how many spikes came to axons that were active already, by spikec; places: output of each (x, y, neuron)."""
    watch = [part for x, y, n in places for part in ("--watch", f"{y * width + x}:{n}")]
    spikec("simulate", bundle, "--input", data, "--report", folder / "report.json", *watch)
    report = json.loads((folder / "report.json").read_text())
    watched = report["watch"]
    at = {(y * width + x, n): output for (x, y, n), output in places.items()}
    steps = [set() for _ in watched[0]["steps"]]
    for w in watched:
        for k, step in enumerate(w["steps"]):
            if step["fired"]:
                steps[k].add(at[w["core"], w["compartment"]])
    return steps, report["totals"].get("merged_spikes", 0)


def run(program, given, config, out, ticks):
    """Runs the simulator: outputs of each line, how many spikes came to an axon that was active already, and the first other warning."""
    command = [program, "-i", given, "-o", out, "-c", config, "--ticks", ticks]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{given}: {done.stdout[-500:]}{done.stderr[-500:]}")
    twice = "received duplicate spike"
    warnings = [w for w in re.findall(r"\[WARNING\][^\[]*", done.stdout) if twice not in w]
    lines = [{n for n, bit in enumerate(line.split()) if bit == "1"} for line in out.read_text().splitlines()]
    return lines, done.stdout.count(twice), warnings[0] if warnings else None


def compare(label, table, spikec, program, bundle, samples, original=None):
    """Samples: spikes (steps, channels), or a data file of one. `original`: runs too."""
    folder = spikec.work / re.sub(r"\W", "_", label)
    folder.mkdir(exist_ok=True)
    before, steps, spikes, cores = len(table.differences), 0, 0, 0
    for k, sample in enumerate(samples):
        data = sample if original else folder / "in.npz"
        if not original:
            one_sample(data, sample)
        spikec("export", bundle, "--format", "ranc-json", "-o", folder / "json", "--input", data)
        read = lambda name: json.loads((folder / "json" / name).read_text())
        given, config = read("input.json"), read("config.json")
        places = bus(given["cores"], given["output_bus"])
        used = {(x, y, n): o for (x, y, n), o in places.items() if fires(given, x, y, n)}
        expected, merged = said(spikec, bundle, data, folder, used, config["num_cores_x"])
        for name in [folder / "json" / "input.json", *([original] if original else [])]:
            lines, twice, warning = run(program, name, folder / "json" / "config.json", folder / "out.txt", len(expected) + 1)
            # The simulator runs a tick more, to print the outputs of the last one: it may count more of them.
            if warning or twice < merged or (twice and not merged):
                table.differs(f"{label}, {name.name}: {twice} spikes to active axons, spikec has {merged}; {warning}")
            for step, outputs in enumerate(expected):
                # Counted from 1, chip step c is line c + 2.
                found = lines[step + 1] if step + 1 < len(lines) else None
                if found != outputs:
                    table.differs(f"{label}, {name.name}, sample {k}, chip step {step}: outputs {found}, spikec has {outputs}")
        steps, cores, spikes = steps + len(expected), len(given["cores"]), spikes + sum(map(len, expected))
    table.row(label, cores, len(samples), steps, spikes, "equal" if len(table.differences) == before else "DIFFERENT")


def fires(given, x, y, n):
    """Whether a row is used: it hears something, or leaks."""
    core = next(core for core in given["cores"] if core["coordinates"] == [x, y])
    return any(core["connections"][n]) or core["neurons"][n]["leak"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikec")
    parser.add_argument("simulator")
    parser.add_argument("--work", default="rtl-work", help="folder for files")
    parser.add_argument("--nets", type=int, default=20)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", action="append", default=[], help="B.spkb:DATA.npz[:SAMPLES]")
    args = parser.parse_args()
    spikec = Spikec(args.spikec, args.work)
    table = Table("network", "cores", "samples", "ticks", "spikes", "result")
    for k in range(args.nets):
        random = np.random.default_rng([args.seed, k])
        bundle, inputs = random_bundle(random, spikec, f"ranc{k}", "ranc256_sim", 12, (100, 600)[k % 2], crossbar=True)
        compare(f"net {k}", table, spikec, args.simulator, bundle, [random.random((12, inputs)) < 0.4])
    for k in range(args.images):
        random = np.random.default_rng([args.seed, 1000 + k])
        target, most = (("ranc256_sim", 200), ("ranc256", 20))[k % 2]
        given, bundle, data = (spikec.work / f"image{k}.{kind}" for kind in ("json", "spkb", "npz"))
        given.write_text(json.dumps(random_ranc(random, 3, 2, (15, 15), 40, 30, 30, most, linear=target == "ranc256_sim")))
        spikec("import-ranc", given, "--target", target, "--pad", "-o", bundle, "--data", data)
        compare(f"image {k}, {target}", table, spikec, args.simulator, bundle, [data], given)
    for given in args.bundle:
        bundle, data, *count = given.split(":")
        samples = list(samples_of(data, range(int(count[0]) if count else 1)))
        compare(pathlib.Path(bundle).stem, table, spikec, args.simulator, bundle, samples)
    return table.finish()


if __name__ == "__main__":
    sys.exit(main())
