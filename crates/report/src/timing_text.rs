//! Time and energy for people: headline figures, what binds, a map of the cores, the slowest cores and busiest links.

use crate::heat_map::{Cell, heat_map};
use crate::table::{bar, count, energy, percent, table, time};
use crate::timing::{CoreRow, Figures, TimingReport};
use spikec_chip::target::Confidence;
use spikec_sim::timing::{Bound, Level, Link};

/// Rows of the tables of cores and links.
const SHOWN: usize = 5;

/// Latency and energy of an inference.
pub fn headline(t: &TimingReport) -> String {
    let (l, e) = (t.latency_per_inference, t.energy_per_inference);
    let row = |name: &str, [min, mean, max]: [String; 3]| format!("{name:<21}  min {min:>9}   mean {mean:>9}   max {max:>9}\n");
    let mut out = row("latency per inference", [time(l.min_ps as f64), time(l.mean_ps), time(l.max_ps as f64)]);
    out.push_str(&row("energy per inference", [energy(e.min_pj), energy(e.mean_pj), energy(e.max_pj)]));
    let mut units = t.energy.units();
    units.sort_by(|a, b| b.1.total_cmp(&a.1));
    let share = |(name, pj): &(&str, f64)| format!("{name} {}", short_percent(*pj, t.energy.total_pj));
    let shares: Vec<String> = units.iter().filter(|u| u.1 > 0.0).map(share).collect();
    out.push_str(&format!("{:<21}  {}\n", "energy goes to", if shares.is_empty() { "nothing".into() } else { shares.join(", ") }));
    let n = t.samples.len().max(1) as f64;
    let w = &t.host_writes;
    if w.registers > 0 {
        out.push_str(&format!(
            "{:<21}  {} registers, {}, {} an inference (not in the figures above; {})\n",
            "host writes, apart",
            count((w.registers as f64 / n).round() as u64),
            time(w.time_ps as f64 / n),
            energy(w.energy_pj / n),
            format!("{:?}", w.confidence).to_lowercase()
        ));
    }
    out
}

/// What binds, cores and links.
pub fn text(t: &TimingReport, target: &str) -> String {
    let mut out = table(
        &["steps bound by", "chip steps", "of steps", "of time", ""],
        t.bounds.iter().filter(|b| b.steps > 0).map(|b| {
            vec![
                b.bound.name().to_string(),
                count(b.steps),
                short_percent(b.fraction_of_steps, 1.0),
                short_percent(b.fraction_of_time, 1.0),
                format!("{:<20}", bar(b.fraction_of_time, 20)),
            ]
        }),
    );
    out.push('\n');
    if t.overruns > 0 {
        out.push_str(&format!(
            "overruns: {} chip steps took longer than the chip's ticks are apart, which the chip would report as an error\n",
            count(t.overruns)
        ));
    }
    let cell = |c: &CoreRow| Cell { x: c.router_x, y: c.router_y, slot: c.router_slot, core: c.core, share: c.busy_fraction };
    let cells: Vec<Cell> = t.cores.iter().map(cell).collect();
    out.push_str(&heat_map(&cells, t.cores_per_router, "the time for which their busier half, sending or receiving, works"));
    out.push_str(&slowest(t));
    out.push_str(&busiest(t));
    out.push_str(&binds(t));
    out.push_str(&trust(&t.figures, target));
    out
}

fn short_percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", 100.0 * part / whole) } else { "-".into() }
}

fn slowest(t: &TimingReport) -> String {
    let mut cores: Vec<&CoreRow> = t.cores.iter().collect();
    cores.sort_by_key(|c| (std::cmp::Reverse(c.generation_ps.max(c.processing_ps)), c.core));
    let n = t.samples.len().max(1) as f64;
    let rows = cores.iter().take(SHOWN).map(|c| {
        vec![
            c.core.to_string(),
            time(c.generation_ps as f64 / n),
            time(c.processing_ps as f64 / n),
            if t.level == Level::Cycle { time(c.stalled_ps as f64 / n) } else { "-".into() },
            percent(c.busy_fraction, 1.0),
            count(c.critical_steps),
            energy(c.energy.total_pj / n),
        ]
    });
    table(&["slowest cores", "sending", "receiving", "stalled", "busy", "critical steps", "energy (an inference)"], rows) + "\n"
}

fn busiest(t: &TimingReport) -> String {
    let mut links: Vec<_> = t.links.iter().collect();
    if links.is_empty() {
        return "no message left its router\n".into();
    }
    links.sort_by_key(|l| (std::cmp::Reverse(l.busy_ps), l.link));
    let rows = links.iter().take(SHOWN).map(|l| {
        vec![
            link_name(l.link),
            count(l.messages),
            percent(l.busy_fraction, 1.0),
            if t.level == Level::Cycle { l.peak_queue_messages.to_string() } else { "-".into() },
        ]
    });
    table(&["busiest links", "messages", "busy", "longest queue"], rows) + "\n"
}

fn link_name(link: Link) -> String {
    format!("({}, {}) {}", link.x, link.y, format!("{:?}", link.direction).to_lowercase())
}

/// The bound of most of the time, where it is, and what would help.
fn binds(t: &TimingReport) -> String {
    let Some(b) = t.bounds.iter().rev().max_by_key(|b| b.time_ps).filter(|b| b.steps > 0) else { return String::new() };
    let of: fn(&CoreRow) -> u64 = if b.bound == Bound::Memory { |c| c.processing_ps } else { |c| c.generation_ps };
    let core = t.cores.iter().rev().max_by_key(|c| (c.critical_steps, of(c)));
    let named = |does: &str| core.map_or(String::new(), |c| format!("core {} {does}", c.core));
    let (where_, remedy) = match b.bound {
        Bound::Compute => (
            named("updates and sends longest"),
            "fewer neurons or messages on that core, or its neurons on more cores, would make steps shorter",
        ),
        Bound::Memory => (
            named("reads synapses longest"),
            "fewer input spikes or synapses on that core, or its neurons on more cores, would make steps shorter",
        ),
        Bound::Traffic => (
            match t.links.iter().rev().max_by_key(|l| l.busy_ps) {
                Some(l) => format!("cores wait for messages; the busiest link is {}", link_name(l.link)),
                None => "cores wait for messages, or for their own update before they read synapses".into(),
            },
            "fewer spikes, or cores that talk to each other side by side, would make steps shorter",
        ),
        Bound::Host => ("the host sends its spikes one after the other".into(), "fewer input spikes would make steps shorter"),
        Bound::Barrier if t.ticks => (
            format!("cores are done {} before the next tick", time(t.barrier_ps as f64)),
            "fewer steps (--steps, --until decision) or shorter ticks (timing_cycles.tick_ns) would save time; faster cores would not",
        ),
        Bound::Barrier => (
            format!("{} at the end of each chip step", time(t.barrier_ps as f64)),
            "fewer steps (--steps, --until decision) or fewer routers would save time; faster cores would not",
        ),
    };
    let mut out = format!(
        "what binds: {}, in steps that make up {} of the time: {where_}\n  {remedy}\n",
        b.bound.name(),
        short_percent(b.fraction_of_time, 1.0)
    );
    if let Some(step) = t.steps.iter().filter(|s| s.max_link_ps > s.time.max_ps).max_by_key(|s| s.max_link_ps) {
        out.push_str(&format!(
            "links: the busiest needs up to {} for the messages of step {}, longer than the step (see --timing cycle)\n",
            time(step.max_link_ps as f64),
            step.chip_step
        ));
    }
    out
}

/// One line on how far the figures can be trusted.
fn trust(f: &Figures, target: &str) -> String {
    use Confidence::{Assumed, Calibrated, Guess, MeasuredOnRtl, Public};
    let parts =
        [(f.public, Public), (f.calibrated, Calibrated), (f.measured_on_rtl, MeasuredOnRtl), (f.assumed, Assumed), (f.guess, Guess)];
    let shown: Vec<String> = parts.iter().filter(|p| p.0 > 0).map(|(n, confidence)| format!("{n} {}", confidence.word())).collect();
    let guess = if f.guess > 0 { "; confidence: guess" } else { "" };
    format!("times and energies are estimates, not measurements: of {target}'s figures {}{guess} (docs/timing.md)\n", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikec_sim::timing::{CoreTiming, Direction, Events, LayerKind, LayerTiming, LinkTiming, StepTiming};
    use spikec_sim::{BatchRun, BatchTiming, Counters, SampleRun, SampleTiming};

    /// Two samples: of one and of two steps on cores 3 and 5, all bound by `bound`.
    fn batch(bound: Bound) -> BatchRun {
        let events =
            |n: u64| Events { neuron_accesses: n, messages_out: n, messages_in: n, synapses_dense: 2 * n, hops_x: n, ..Events::default() };
        let link = Link { x: 0, y: 0, direction: Direction::East };
        let step = |time_ps, core| StepTiming {
            time_ps,
            barrier_ps: 600_000,
            generation_ps: 100,
            generation_core: core,
            processing_ps: 200,
            processing_core: core,
            host_ps: 0,
            link_ps: 1000,
            link: Some(link),
            bound,
            events: events(1),
        };
        let sample = |load: Events, steps: Vec<StepTiming>| {
            let mut all = Events { host_writes: 3, ..load };
            steps.iter().for_each(|s| all += s.events);
            let time_ps = 7 + steps.iter().map(|s| s.time_ps).sum::<u64>();
            let timing = SampleTiming { time_ps, load_ps: 7, host_write_ps: 30, overruns: 0, events: all, steps };
            SampleRun { timing: Some(timing), ..SampleRun::default() }
        };
        let load = Events { host_messages: 1, messages_in: 1, ..Events::default() };
        let samples = vec![sample(load, vec![step(1000, 3)]), sample(load, vec![step(3000, 5), step(500, 5)])];
        let timings: Vec<SampleTiming> = samples.iter().filter_map(|s| s.timing.clone()).collect();
        let mut all = Events::default();
        timings.iter().for_each(|t| all += t.events);
        let core = |core, n| CoreTiming {
            core,
            generation_ps: 10 * n,
            processing_ps: 20 * n,
            critical_steps: n,
            events: events(n),
            ..CoreTiming::default()
        };
        let mut bounds = [(0, 0); 5];
        bounds[bound as usize] = (3, 4500);
        let timing = BatchTiming {
            level: Level::Cycle,
            barrier_ps: 600_000,
            overruns: 0,
            time_ps: 4514,
            load_ps: 14,
            host_write_ps: 60,
            events: all,
            cores: vec![core(3, 1), core(5, 2)],
            links: vec![LinkTiming { link, messages: 3, flits: 3, busy_ps: 3000, peak_queue: 2 }],
            layers: vec![LayerTiming { kind: LayerKind::Population, name: "a".into(), events: events(3) }],
            bounds,
        };
        BatchRun { samples, totals: Counters::default(), timing: Some(timing) }
    }

    fn report(bound: Bound) -> TimingReport {
        TimingReport::new(&batch(bound), &spikec_chip::find("loihi1").unwrap()).unwrap()
    }

    #[test]
    fn steps_and_samples_are_summed_up() {
        let t = report(Bound::Memory);
        assert_eq!((t.latency_per_inference.min_ps, t.latency_per_inference.mean_ps, t.latency_per_inference.max_ps), (1007, 2257.0, 3507));
        assert_eq!(t.steps.len(), 2);
        let (first, second) = (&t.steps[0], &t.steps[1]);
        assert_eq!((first.samples, first.time.min_ps, first.time.mean_ps, first.time.max_ps), (2, 1000, 2000.0, 3000));
        assert_eq!((second.samples, second.time.min_ps, second.time.max_ps), (1, 500, 500));
        // Of equally frequent ones, the first.
        assert_eq!((first.critical_core, second.critical_core), (Some(3), Some(5)));
        assert_eq!((t.host.messages, t.host_writes.registers, t.host_writes.time_ps), (2, 6, 60));
        let cores: f64 = t.cores.iter().map(|c| c.energy.total_pj).sum();
        assert!((cores + t.host.energy.total_pj - t.energy.total_pj).abs() < 1e-9);
        let steps: f64 = t.steps.iter().map(|s| s.energy_pj).sum();
        assert!((steps + t.load.energy_pj - t.energy.total_pj).abs() < 1e-9);
        assert_eq!((t.load.time_ps, t.load.energy_pj), (14, 2.0 * 111.0));
        assert_eq!((t.figures.calibrated, t.figures.assumed), (23, 7));
    }

    #[test]
    fn what_binds_is_said_with_a_remedy() {
        for (bound, says) in [
            (Bound::Compute, "compute, in steps that make up 100.0 % of the time: core 5 updates and sends longest"),
            (Bound::Memory, "memory, in steps that make up 100.0 % of the time: core 5 reads synapses longest"),
            (Bound::Traffic, "the busiest link is (0, 0) east"),
            (Bound::Host, "the host sends its spikes one after the other"),
            (Bound::Barrier, "600.0 ns at the end of each chip step"),
        ] {
            let text = text(&report(bound), "loihi1");
            assert!(text.contains(says), "{text}");
            assert!(text.lines().all(|l| l.chars().count() <= 120), "{text}");
        }
    }

    #[test]
    fn a_run_of_nothing_has_a_text() {
        let mut nothing = batch(Bound::Barrier);
        nothing.samples.clear();
        let timing = nothing.timing.as_mut().unwrap();
        (timing.events, timing.time_ps, timing.bounds) = (Events::default(), 0, [(0, 0); 5]);
        (timing.cores, timing.links) = (Vec::new(), Vec::new());
        let t = TimingReport::new(&nothing, &spikec_chip::find("loihi1").unwrap()).unwrap();
        assert!(headline(&t).contains("energy goes to         nothing"));
        assert!(text(&t, "loihi1").contains("no message left its router"));
    }
}
