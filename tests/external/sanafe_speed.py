"""Times SANA-FE on an exported sample: python sanafe_speed.py FOLDER [--yardstick PROGRAM DATA RUNS] [--models simple,detailed,cycle] [--rounds 3]

Prints the load time, and for each timing model synaptic events and messages a second of the whole sample, one thread; a plain loop (a
program that prints `... Mev/s X`) is timed in turn, so that ratios hold on a noisy machine.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import sanafe_compare


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--yardstick", nargs=3, metavar=("PROGRAM", "DATA", "RUNS"))
    parser.add_argument("--models", default="simple,detailed,cycle")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="SANA-FE's processing threads; 0 lets it choose")
    args = parser.parse_args()
    expected = json.loads((args.folder / "expected.json").read_text())
    steps = len(expected["steps"])
    for model in args.models.split(","):
        rates, bars, loads = [], [], []
        for _ in range(args.rounds):
            with sanafe_compare.quiet():
                begin = time.perf_counter()
                chip = sanafe_compare.load(args.folder, exact=False)
                loads.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                result = chip.sim(steps, timing_model=model, processing_threads=args.threads)
                spent = time.perf_counter() - begin
            rates.append((result["spikes"] / spent, result["packets_sent"] / spent, spent))
            if args.yardstick:
                out = subprocess.run(args.yardstick, check=True, capture_output=True, text=True).stdout
                bars.append(float(out.split("Mev/s")[1].split()[0]))
        rate, messages, spent = (statistics.median(r[k] for r in rates) for k in range(3))
        print(
            f"{model}: {rate / 1e6:.4f} million synaptic events/s ({min(rates)[0] / 1e6:.4f} .. {max(rates)[0] / 1e6:.4f}), "
            f"{messages:,.0f} messages/s, {spent:.3f} s for {steps} steps, load {statistics.median(loads):.2f} s"
        )
        if bars:
            ratio = statistics.median(r[0] / 1e6 / bar for r, bar in zip(rates, bars))
            print(f"{model}: plain loop {statistics.median(bars):.0f} million/s, ratio {ratio:.2e}")


if __name__ == "__main__":
    main()
