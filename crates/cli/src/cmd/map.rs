//! `spikec map`: partition and placement alone, on the benchmark format.

use crate::args::{EffortArg, MapArgs};
use crate::failure::{DOES_NOT_FIT, Failure};
use crate::files::{self, Files};
use crate::{load, progress};
use serde::Serialize;
use spikec_chip::mesh::Mesh;
use spikec_data::{Array, ArrayData, read_npz, write_npz};
use spikec_map::bounds::Bound;
use spikec_map::check::{Violation, count};
use spikec_map::instance::Instance;
use spikec_map::limits::Limits;
use spikec_map::mapper::{Job, Mapped, map_square};
use spikec_map::place::{PlaceError, quality};
use spikec_map::portfolio::{Effort, Options, Strategy, Unsuited, suits};
use spikec_map::proof::certificate;
use std::path::Path;
use std::time::Instant;

/// Stored width of the benchmark's weights (mixed sign).
const WEIGHT_BITS: u8 = 8;
/// Violations that an error lists.
const SHOWN: usize = 5;

/// What was mapped, and how well. Figures are counted from the mapping.
#[derive(Debug, Serialize)]
struct MapReport {
    instance: String,
    target: String,
    strategy: Strategy,
    effort: Effort,
    seed: u64,
    neurons: u32,
    external_inputs: u32,
    synapses: usize,
    cores: u32,
    lower_bound: Vec<Bound>,
    /// The largest lower bound, and what binds it.
    least_cores: u64,
    binds: String,
    /// Why one core less than the lower bound is not enough.
    argument: Vec<String>,
    /// Cores beyond the lower bound.
    slack: i64,
    /// True when no assignment takes fewer cores.
    optimal: bool,
    in_slots: i64,
    out_slots: i64,
    memory_words: i64,
    /// Spikes of a step times Manhattan hops, over (neuron, other destination core) pairs.
    hops: f64,
    /// Spikes of a step on the fullest link, x first.
    largest_link: f64,
    mesh_side: u32,
    legal: bool,
    violations: Vec<Violation>,
    read_s: f64,
    partition_s: f64,
    placement_s: f64,
    proof_s: f64,
    /// Largest resident memory of the process so far, bytes; `null` where the system does not tell.
    peak_memory: Option<u64>,
}

/// Runs the command.
pub fn run(args: &MapArgs, json: bool) -> Result<u8, Failure> {
    let target_file = load::is_target_file(&args.target).then(|| Path::new(&args.target));
    let inputs: Vec<&Path> = [Some(args.instance.as_path()), target_file].into_iter().flatten().collect();
    let mut files = Files::reading(&inputs);
    let output = args.output.as_deref().map(|p| files.output(p)).transpose()?;
    let report_file = args.report.as_deref().map(|p| files.output(p)).transpose()?;
    let target = load::target(&args.target)?;
    let clock = Instant::now();
    let instance = read(&args.instance, !args.no_shapes)?;
    let read_s = clock.elapsed().as_secs_f64();
    let options = Options { strategy: args.partitioner.map(Strategy::from), effort: effort(args.effort), seed: args.seed };

    if let Some(strategy) = options.strategy {
        suits(&instance.graph, strategy).map_err(|why| unsuited(args, strategy, why))?;
    }

    let bar = progress::stages();
    let graph = &instance.graph;
    let limits = Limits::uniform(&target, WEIGHT_BITS);
    let job = Job { graph, limits: &limits, rates: &instance.rates, options: &options };
    let mapped = map_square(&job, &mut |stage| {
        bar.set_message(stage.to_string());
        bar.tick();
    });
    bar.finish_and_clear();
    let internal = |e: PlaceError| Failure::file(&args.instance, format_args!("its cores can't be placed: {e}"));
    let Mapped { mapping, physical: cores, mesh, traffic, partitioning, placing } = mapped.map_err(internal)?;

    let counted = count(graph, &limits, &mapping.parts, mapping.cores, &[]);
    let quality = quality(&traffic, &mesh, &cores).map_err(internal)?;
    let clock = Instant::now();
    let certificate = certificate(graph, &limits);
    let proof_s = clock.elapsed().as_secs_f64();
    let sum = |f: fn(&spikec_map::state::Use) -> i64| counted.uses.iter().map(f).sum::<i64>();
    let report = MapReport {
        instance: args.instance.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned()),
        target: target.name.clone(),
        strategy: mapping.strategy,
        effort: options.effort,
        seed: args.seed,
        neurons: graph.neurons(),
        external_inputs: graph.inputs(),
        synapses: graph.pins(),
        cores: mapping.cores,
        least_cores: certificate.best,
        binds: certificate.binding,
        argument: certificate.argument,
        slack: i64::from(mapping.cores) - certificate.best as i64,
        optimal: counted.violations.is_empty() && u64::from(mapping.cores) == certificate.best,
        lower_bound: certificate.bounds,
        in_slots: sum(|u| u.in_slots),
        out_slots: sum(|u| u.out_entries),
        memory_words: sum(|u| u.words),
        hops: quality.hops,
        largest_link: quality.largest_link,
        mesh_side: mesh.width,
        legal: counted.violations.is_empty(),
        violations: counted.violations,
        read_s,
        partition_s: partitioning.as_secs_f64(),
        placement_s: placing.as_secs_f64(),
        proof_s,
        peak_memory: peak_memory(),
    };
    if let Some(file) = report_file {
        file.commit(super::to_json(&report).as_bytes())?;
    }
    if !report.legal {
        return Err(refusal(args, &report));
    }
    if let Some(file) = output {
        file.commit(&arrays(&mapping.parts, &mesh, &cores))?;
    }
    if json {
        super::print_json(&report);
    } else {
        super::print(&text(&report));
    }
    Ok(0)
}

fn read(path: &Path, with_shapes: bool) -> Result<Instance, Failure> {
    let bytes = files::read(path)?;
    let arrays = read_npz(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
    drop(bytes);
    Instance::new(&arrays, with_shapes).map_err(|e| {
        let list: Vec<String> = e.0.iter().map(|f| format!("\n  {f}")).collect();
        Failure::file(path, format_args!("is no mapping instance:{}", list.concat())).hint("docs/map-format.md lists the arrays")
    })
}

fn unsuited(args: &MapArgs, strategy: Strategy, why: Unsuited) -> Failure {
    let name = strategy.name();
    let (lacks, hint) = match why {
        Unsuited::NoShapes if args.no_shapes => {
            ("`shapes`, which --no-shapes leaves out", "leave out --no-shapes, or use --partitioner layers")
        }
        Unsuited::NoShapes => ("`shapes`", "add (channels, height, width) of each layer as `shapes`, or use --partitioner layers"),
        Unsuited::Loops => {
            ("layers without loops: a layer feeds itself or an earlier one", "use --partitioner overlap, or number the layers in `layer`")
        }
    };
    Failure::file(&args.instance, format_args!("--partitioner {name} needs {lacks}")).hint(hint)
}

fn effort(effort: EffortArg) -> Effort {
    match effort {
        EffortArg::Fast => Effort::Fast,
        EffortArg::Default => Effort::Default,
        EffortArg::Best => Effort::Best,
    }
}

fn refusal(args: &MapArgs, report: &MapReport) -> Failure {
    let v = &report.violations;
    let line = |v: &Violation| format!("\n  core {}: {}: need {}, limit {}", v.core, v.resource, v.used, v.available);
    let mut list: String = v.iter().take(SHOWN).map(line).collect();
    if v.len() > SHOWN {
        list += &format!("\n  and {} more", v.len() - SHOWN);
    }
    Failure::file(&args.instance, format_args!("does not fit {}: {} limits are passed:{list}", report.target, v.len()))
        .hint("a neuron can't be split: prune what a core can't hold, or try --effort best")
        .code(DOES_NOT_FIT)
}

/// MAP.npz: the core of each neuron, and chip, column and row of each core.
fn arrays(parts: &[u32], mesh: &Mesh, cores: &[u32]) -> Vec<u8> {
    let ints = |values: Vec<i32>| Array { shape: vec![values.len()], data: ArrayData::I32(values) };
    let routers: Vec<_> = cores.iter().map(|&c| mesh.router(c)).collect();
    write_npz(&[
        ("part", ints(parts.iter().map(|&p| p as i32).collect())),
        ("core_chip", ints(cores.iter().map(|&c| (c / mesh.cores_per_chip()) as i32).collect())),
        ("core_x", ints(routers.iter().map(|r| r.x as i32).collect())),
        ("core_y", ints(routers.iter().map(|r| r.y as i32).collect())),
    ])
}

fn text(r: &MapReport) -> String {
    let bounds: Vec<String> = r.lower_bound.iter().map(|b| format!("{} {}", b.resource, b.cores)).collect();
    let why = if r.optimal { "no assignment takes fewer" } else { "fewer may be possible" };
    format!(
        "{} on {}: {} neurons, {} synapses, strategy {}\ncores {} (at least {}: {}; {why})\n{}\nlower bounds: {}\ninput slots {}, \
         output slots {}, memory words {}\nhops {:.0} spikes a step, largest link {:.1}, mesh {} x {}\nread {:.2} s, partition {:.2} s, \
         placement {:.2} s, lower bounds {:.2} s",
        r.instance,
        r.target,
        r.neurons,
        r.synapses,
        r.strategy.name(),
        r.cores,
        r.least_cores,
        r.binds,
        r.argument.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"),
        bounds.join("; "),
        r.in_slots,
        r.out_slots,
        r.memory_words,
        r.hops,
        r.largest_link,
        r.mesh_side,
        r.mesh_side,
        r.read_s,
        r.partition_s,
        r.placement_s,
        r.proof_s
    )
}

/// Largest resident set so far, as Linux tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
