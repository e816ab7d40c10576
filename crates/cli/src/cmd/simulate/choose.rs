//! What is recorded, resolved: neurons by name, options that need others, memory.

use crate::args::{RecordArg, SimulateArgs, TimingArg, UntilArg};
use crate::failure::Failure;
use spikec_chip::Bundle;
use spikec_chip::bundle::PopulationSymbols;
use spikec_chip::target::Family;
use spikec_data::DataSet;
use spikec_report::recording::{Recording, Sizes, memory};
use spikec_sim::{Level, Machine, Probe, Record, RunOptions};

/// Most neurons whose potentials are recorded at once.
const MOST_PROBES: u64 = 1 << 20;
/// Most memory that a run may keep, in bytes.
const MOST_MEMORY: u64 = 8 << 30;
/// Names listed in an error.
const MOST_NAMES: usize = 16;

/// As the simulator calls it.
pub fn level(timing: TimingArg) -> Level {
    match timing {
        TimingArg::None => Level::None,
        TimingArg::Analytic => Level::Analytic,
        TimingArg::Cycle => Level::Cycle,
    }
}

/// Checks that options have what they need, before anything is read.
pub fn check(args: &SimulateArgs) -> Result<(), Failure> {
    if args.output.is_none() && !(args.record.is_empty() && args.neurons.is_empty()) {
        let option = if args.record.is_empty() { "--neurons" } else { "--record" };
        return Err(Failure::input(format!("{option} needs a file to record into")).hint("add -o RUN.npz"));
    }
    let timed = [(RecordArg::Messages, "messages"), (RecordArg::Steps, "steps"), (RecordArg::Cores, "cores")];
    for (what, name) in timed {
        if args.record.contains(&what) && args.timing == TimingArg::None {
            return Err(Failure::input(format!("--record {name} needs timing"))
                .hint("add --timing analytic, or --timing cycle for the times of messages and waiting"));
        }
    }
    if args.vcd.is_some() && args.timing != TimingArg::Cycle {
        return Err(Failure::input("--vcd needs the times of messages").hint("add --timing cycle"));
    }
    Ok(())
}

/// Options of the run.
pub fn options(args: &SimulateArgs, bundle: &Bundle) -> Result<RunOptions, Failure> {
    let probes = probes(&args.neurons, &bundle.symbols.populations)?;
    let record = |what| args.record.contains(&what);
    Ok(RunOptions {
        steps: args.steps,
        record: Record {
            spikes: record(RecordArg::Spikes),
            potentials: record(RecordArg::Potentials) && probes.is_empty(),
            core_steps: record(RecordArg::Cores),
            messages: record(RecordArg::Messages),
            copies: false,
        },
        until_decision: args.until == Some(UntilArg::Decision),
        curve: args.curve.is_some(),
        probes,
        watch: Vec::new(),
    })
}

/// Most chip steps of all watched compartments together.
const MOST_WATCHED: u64 = 10_000_000;

/// The watched compartments, each once, where the table of their steps stays of a size that can be kept.
pub fn watch(args: &SimulateArgs, set: &DataSet, bundle: &Bundle) -> Result<Vec<(u32, u16)>, Failure> {
    let mut places = Vec::new();
    for &place in &args.watch {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let of_data = set.samples.first().and_then(spikec_data::Stimulus::steps);
    let steps = u64::from(args.steps.or(of_data).or(bundle.host.default_steps).unwrap_or(0)) + u64::from(bundle.host.max_skew);
    let rows = steps.saturating_mul(places.len() as u64);
    if rows > MOST_WATCHED {
        return Err(Failure::input(format!(
            "--watch: {} compartments for {steps} chip steps make {rows} rows, at most {MOST_WATCHED} are kept",
            places.len()
        ))
        .hint("watch fewer compartments, or give fewer --steps"));
    }
    Ok(places)
}

/// Neurons of `POP[:A..B|:i,j]`, each once, in the order given.
fn probes(texts: &[String], populations: &[PopulationSymbols]) -> Result<Vec<Probe>, Failure> {
    let mut probes: Vec<Probe> = Vec::new();
    for text in texts {
        let (index, list) = find(text, populations)?;
        let p = &populations[index];
        let size = p.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d.into()));
        if p.neurons.is_empty() {
            let why = if p.input { "its spikes are the data" } else { "all of it was removed" };
            return Err(Failure::input(format!("--neurons {text}: {} has no neuron on the chip: {why}", p.name))
                .hint(format!("populations on the chip: {}", names(populations.iter().filter(|p| !p.neurons.is_empty())))));
        }
        let ranges: Vec<(u64, u64)> = match list {
            None => vec![(0, size)],
            Some(list) => list.split(',').map(|part| range(text, part, &p.name, size)).collect::<Result<_, _>>()?,
        };
        let count = ranges.iter().fold(probes.len() as u64, |n, r| n.saturating_add(r.1 - r.0));
        if count > MOST_PROBES {
            return Err(Failure::input(format!("--neurons: {count} neurons, at most {MOST_PROBES} can be recorded at once"))
                .hint(format!("name a part, as in {}:0..100", p.name)));
        }
        let neurons = ranges.into_iter().flat_map(|(from, to)| from..to);
        probes.extend(neurons.map(|neuron| Probe { population: index as u32, neuron: neuron as u32 }));
    }
    let mut seen = std::collections::BTreeSet::new();
    probes.retain(|p| seen.insert((p.population, p.neuron)));
    Ok(probes)
}

/// The population that a text names, by name or number, and what comes after its colon. Names may have colons.
fn find<'a>(text: &'a str, populations: &[PopulationSymbols]) -> Result<(usize, Option<&'a str>), Failure> {
    let named = |name: &str| {
        let by_name = populations.iter().position(|p| p.name == name);
        by_name.or_else(|| name.parse().ok().filter(|&k: &usize| k < populations.len()))
    };
    if let Some(index) = named(text) {
        return Ok((index, None));
    }
    let (name, list) = text.rsplit_once(':').map_or((text, None), |(name, list)| (name, Some(list)));
    let index = named(name).ok_or_else(|| {
        Failure::input(format!("--neurons {text}: no population `{name}`"))
            .hint(format!("populations of the bundle: {}", names(populations.iter())))
    })?;
    Ok((index, list))
}

fn names<'a>(populations: impl Iterator<Item = &'a PopulationSymbols>) -> String {
    let all: Vec<&str> = populations.map(|p| p.name.as_str()).collect();
    let more = if all.len() > MOST_NAMES { format!(" and {} more", all.len() - MOST_NAMES) } else { String::new() };
    all[..all.len().min(MOST_NAMES)].join(", ") + &more
}

/// `i` or `A..B` as a range without its end.
fn range(text: &str, part: &str, name: &str, size: u64) -> Result<(u64, u64), Failure> {
    let number = |s: &str| s.trim().parse::<u64>().ok();
    let parsed = match part.split_once("..") {
        Some((from, to)) => number(from).zip(number(to)),
        None => number(part).and_then(|i| Some((i, i.checked_add(1)?))),
    };
    let Some((from, to)) = parsed else {
        return Err(Failure::input(format!("--neurons {text}: `{part}` is no neuron and no range"))
            .hint(format!("write {name}, {name}:A..B (from A to B - 1) or {name}:i,j")));
    };
    if from >= to || to > size {
        return Err(Failure::input(format!("--neurons {text}: {part} is not in {name}"))
            .hint(format!("its neurons are 0 to {}; a range A..B ends at B - 1", size.saturating_sub(1))));
    }
    Ok((from, to))
}

/// Refuses a run that would keep more than [`MOST_MEMORY`]. `count` runs without timing and gives the spikes and messages.
pub fn check_memory(
    recording: &Recording<'_>,
    machine: &Machine,
    bundle: &Bundle,
    set: &DataSet,
    count: impl FnOnce() -> Result<(u64, u64), Failure>,
) -> Result<(), Failure> {
    let options = recording.options;
    let steps = |s: &spikec_data::Stimulus| u64::from(options.steps.or(s.steps()).or(bundle.host.default_steps).unwrap_or(0));
    let skew = u64::from(bundle.host.max_skew);
    let network_steps = set.samples.iter().map(steps).max().unwrap_or(0);
    let compartments: u64 = bundle.symbols.populations.iter().map(|p| p.neurons.len() as u64).sum();
    let chip_steps: u64 = set.samples.iter().map(|s| steps(s) + skew).fold(0, u64::saturating_add);
    let mut sizes = Sizes {
        samples: set.samples.len() as u64,
        network_steps,
        chip_steps: network_steps + skew,
        cores: machine.utilization().len() as u64,
        outputs: bundle.host.decoder.outputs.len() as u64,
        spikes: compartments.saturating_mul(chip_steps),
        messages: 0,
    };
    let sum = |sizes: &Sizes| memory(recording, sizes).iter().fold(0u64, |sum, p| sum.saturating_add(p.1));
    // What is known without running comes first; then spikes and messages are counted by a run without timing.
    let least = sum(&Sizes { spikes: 0, ..sizes });
    // Neurons of event crossbars may fire several times in a step.
    let unbounded = matches!(bundle.target.family, Family::EventCrossbar(_));
    let unknown = options.record.messages || (options.record.spikes && (unbounded || sum(&sizes) > MOST_MEMORY));
    if least <= MOST_MEMORY && unknown {
        (sizes.spikes, sizes.messages) = count()?;
    }
    if sum(&sizes) <= MOST_MEMORY {
        return Ok(());
    }
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let mut parts = memory(recording, &sizes);
    parts.sort_by_key(|p| std::cmp::Reverse(p.1));
    let much = |p: &&(&str, u64)| p.1 > sum(&sizes) / 20;
    let largest: Vec<String> = parts.iter().filter(much).map(|(name, bytes)| format!("{name} {}", gib(*bytes))).collect();
    Err(Failure::input(format!(
        "the run would keep {} in memory, at most {} are supported: {}",
        gib(sum(&sizes)),
        gib(MOST_MEMORY),
        largest.join(", ")
    ))
    .hint("record less, or run fewer --samples or --steps at a time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikec_chip::bundle::Place;

    fn population(name: &str, shape: &[u32], on_chip: usize) -> PopulationSymbols {
        let neurons = (0..on_chip as u32).map(|k| (k, Place { core: 0, index: k as u16 })).collect();
        PopulationSymbols { name: name.into(), shape: shape.to_vec(), skew: 0, input: on_chip == 0, neurons, copies: Vec::new() }
    }

    #[test]
    fn neurons_are_named_by_population() {
        let populations = [population("in", &[4], 0), population("a:b", &[2, 3], 6), population("out", &[2], 2)];
        let of = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|t| t.to_string()).collect();
            let found = probes(&texts, &populations).map_err(|e| format!("{} {}", e.message, e.hint.unwrap_or_default()));
            found.map(|list| list.iter().map(|p| (p.population, p.neuron)).collect::<Vec<_>>())
        };
        assert_eq!(of(&["out"]), Ok(vec![(2, 0), (2, 1)]));
        assert_eq!(of(&["a:b:1..3", "2:1,0", "a:b:5,1"]), Ok(vec![(1, 1), (1, 2), (2, 1), (2, 0), (1, 5)]));
        assert_eq!(of(&["a:b"]).unwrap().len(), 6);
        for (text, says) in [
            ("hidden", "in, a:b, out"),
            ("in:0", "its spikes are the data"),
            ("out:2", "0 to 1"),
            ("out:0..3", "0 to 1"),
            ("out:1..1", "0 to 1"),
            ("out:x", "`x`"),
            ("out:", "``"),
            ("out:18446744073709551615", "no neuron"),
        ] {
            let error = of(&[text]).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        let huge = [population("p", &[u32::MAX, u32::MAX, u32::MAX], 1)];
        assert!(probes(&["p".into()], &huge).unwrap_err().message.contains("at most"));
    }
}
