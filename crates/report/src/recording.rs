//! What a simulation recorded, as the arrays of RUN.npz (docs/run-format.md), and the memory that it takes.
//!
//! In: a batch and what was asked for. Out: named arrays; bytes.
//! Invariant: samples that end earlier than others are padded with 0; `network_steps` and `step_count` say where they end.
//! Cost: the arrays hold what the batch holds once more.

use spikec_data::{Array, ArrayData};
use spikec_sim::timing::{CoreStep, Energy, Level, MessageEvent, StepTiming};
use spikec_sim::{BatchRun, RunOptions, SampleRun, SpikeEvent};

/// What is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// Spikes, potentials, probes, messages and the cores' steps.
    pub options: &'a RunOptions,
    /// Time and energy of the chip steps.
    pub steps: bool,
    /// How the batch is timed.
    pub level: Level,
}

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Samples.
    pub samples: u64,
    /// Network steps of the longest sample.
    pub network_steps: u64,
    /// Chip steps of the longest sample.
    pub chip_steps: u64,
    /// Cores in use.
    pub cores: u64,
    /// Outputs.
    pub outputs: u64,
    /// Spikes of compartments in all samples, at most.
    pub spikes: u64,
    /// Messages in all samples, at most.
    pub messages: u64,
}

/// Bytes that a run keeps until its files are written, by what takes them; nothing that takes none.
pub fn memory(recording: &Recording<'_>, sizes: &Sizes) -> Vec<(&'static str, u64)> {
    let (options, timed) = (recording.options, recording.level != Level::None);
    let product = |factors: &[u64]| factors.iter().fold(1u64, |p, &f| p.saturating_mul(f));
    // Lists grow by doubling; then come the columns, and the file's bytes.
    let list = |size: usize, columns: u64| 2 * size as u64 + 2 * columns;
    let rows = size_of::<Vec<i32>>() as u64;
    let (n, t, s) = (sizes.samples, sizes.network_steps, sizes.chip_steps);
    let mut parts = vec![
        ("results of samples", product(&[n, 256 + 32 * sizes.cores + 32 * sizes.outputs])),
        ("times of chip steps", if timed { product(&[n, s, 2 * size_of::<StepTiming>() as u64]) } else { 0 }),
        ("the curve", if options.curve { product(&[n, t, 8]) } else { 0 }),
    ];
    let mut record = |wanted: bool, name, bytes| {
        if wanted {
            parts.push((name, bytes));
        }
    };
    record(options.record.spikes, "spikes", product(&[sizes.spikes, list(size_of::<SpikeEvent>(), 20)]));
    record(options.record.messages, "messages", product(&[sizes.messages, list(size_of::<MessageEvent>(), 36)]));
    record(options.record.core_steps, "cores", product(&[n, s, sizes.cores, list(size_of::<CoreStep>(), 48)]));
    record(recording.steps, "steps", product(&[n, s, 2 * 61]));
    record(options.record.potentials, "potentials", product(&[n, t, 2 * rows + sizes.outputs.saturating_mul(16)]));
    let probes = options.probes.len() as u64;
    record(probes > 0, "potentials of neurons", product(&[n, t, 2 * rows + probes * 24]));
    parts.retain(|p| p.1 > 0);
    parts
}

/// The arrays of RUN.npz. `cores`: physical numbers of the cores, in their order.
pub fn arrays(batch: &BatchRun, recording: &Recording<'_>, cores: &[u32], target: &spikec_chip::Target) -> Vec<(&'static str, Array)> {
    let options = recording.options;
    let n = batch.samples.len();
    let outputs = batch.samples.first().map_or(0, |s| s.out_counts.len());
    let u32s = |shape: &[usize], data: Vec<u32>| Array { shape: shape.to_vec(), data: ArrayData::U32(data) };
    let mut arrays = vec![
        ("out_spike_counts", u32s(&[n, outputs], batch.samples.iter().flat_map(|s| s.out_counts.iter().copied()).collect())),
        ("prediction", u32s(&[n], batch.samples.iter().map(|s| s.prediction).collect())),
        ("network_steps", u32s(&[n], batch.samples.iter().map(|s| s.decided_after.unwrap_or(s.steps)).collect())),
    ];
    if options.record.spikes {
        spikes(batch, &mut arrays);
    }
    if options.record.potentials {
        arrays.push(("potentials", table(batch, |s| &s.output_potentials, outputs)));
    }
    if !options.probes.is_empty() {
        let count = options.probes.len();
        arrays.push(("probe_potentials", table(batch, |s| &s.probe_potentials, count)));
        arrays.push(("probe_currents", table(batch, |s| &s.probe_currents, count)));
        arrays.push(("probe_population", u32s(&[count], options.probes.iter().map(|p| p.population).collect())));
        arrays.push(("probe_neuron", u32s(&[count], options.probes.iter().map(|p| p.neuron).collect())));
    }
    if options.record.messages {
        messages(batch, recording.level, &mut arrays);
    }
    if recording.steps || options.record.core_steps {
        let counts = batch.samples.iter().map(|s| s.counters.chip_steps as u32).collect();
        arrays.push(("step_count", u32s(&[n], counts)));
    }
    if recording.steps {
        steps(batch, target, &mut arrays);
    }
    if options.record.core_steps {
        arrays.push(("core", u32s(&[cores.len()], cores.to_vec())));
        core_steps(batch, cores.len(), recording.level, &mut arrays);
    }
    arrays
}

fn spikes(batch: &BatchRun, arrays: &mut Vec<(&'static str, Array)>) {
    let count: usize = batch.samples.iter().map(|s| s.spikes.len()).sum();
    let sample = batch.samples.iter().enumerate().flat_map(|(k, s)| std::iter::repeat_n(k as u32, s.spikes.len())).collect();
    let mut column = |name, data| arrays.push((name, Array { shape: vec![count], data: ArrayData::U32(data) }));
    let each = |of: fn(&SpikeEvent) -> u32| batch.samples.iter().flat_map(|s| s.spikes.iter().map(of)).collect();
    column("events_sample", sample);
    column("events_t", each(|e| e.step));
    column("events_chip_step", each(|e| e.chip_step));
    column("events_population", each(|e| e.population));
    column("events_i", each(|e| e.neuron));
}

fn messages(batch: &BatchRun, level: Level, arrays: &mut Vec<(&'static str, Array)>) {
    let all = || batch.samples.iter().flat_map(|s| s.messages.iter());
    let count = all().count();
    let sample = batch.samples.iter().enumerate().flat_map(|(k, s)| std::iter::repeat_n(k as u32, s.messages.len())).collect();
    let mut column = |name, data| arrays.push((name, Array { shape: vec![count], data }));
    column("message_sample", ArrayData::U32(sample));
    column("message_chip_step", ArrayData::I32(all().map(|m| m.chip_step).collect()));
    column("message_from", ArrayData::I32(all().map(|m| m.from).collect()));
    column("message_to", ArrayData::U32(all().map(|m| m.to).collect()));
    column("message_synapses", ArrayData::U32(all().map(|m| m.synapses).collect()));
    if level == Level::Cycle {
        column("message_sent_ps", ArrayData::U64(all().map(|m| m.sent_ps).collect()));
        column("message_done_ps", ArrayData::U64(all().map(|m| m.done_ps).collect()));
    }
}

fn steps(batch: &BatchRun, target: &spikec_chip::Target, arrays: &mut Vec<(&'static str, Array)>) {
    let n = batch.samples.len();
    let none: &[StepTiming] = &[];
    let of = |s: &SampleRun| s.timing.as_ref().map_or(0, |t| t.steps.len());
    let most = batch.samples.iter().map(of).max().unwrap_or(0);
    let list = || batch.samples.iter().map(|s| s.timing.as_ref().map_or(none, |t| &t.steps));
    let u64s = |of: fn(&StepTiming) -> u64| ArrayData::U64(padded(list(), most, of));
    let mut grid = |name, data| arrays.push((name, Array { shape: vec![n, most], data }));
    grid("step_time_ps", u64s(|s| s.time_ps));
    grid("step_generation_ps", u64s(|s| s.generation_ps));
    grid("step_processing_ps", u64s(|s| s.processing_ps));
    grid("step_host_ps", u64s(|s| s.host_ps));
    grid("step_link_ps", u64s(|s| s.link_ps));
    grid("step_generation_core", ArrayData::U32(padded(list(), most, |s| s.generation_core)));
    grid("step_processing_core", ArrayData::U32(padded(list(), most, |s| s.processing_core)));
    grid("step_bound", ArrayData::U8(padded(list(), most, |s| s.bound as u8)));
    grid("step_energy_pj", ArrayData::F64(padded(list(), most, |s| Energy::of(&s.events, target).chip_pj())));
    let timing = || batch.samples.iter().filter_map(|s| s.timing.as_ref());
    let mut column = |name, data: ArrayData| arrays.push((name, Array { shape: vec![n], data }));
    column("sample_time_ps", ArrayData::U64(timing().map(|t| t.time_ps).collect()));
    column("sample_load_ps", ArrayData::U64(timing().map(|t| t.load_ps).collect()));
    column("sample_energy_pj", ArrayData::F64(timing().map(|t| Energy::of(&t.events, target).chip_pj()).collect()));
}

fn core_steps(batch: &BatchRun, cores: usize, level: Level, arrays: &mut Vec<(&'static str, Array)>) {
    let n = batch.samples.len();
    let most = batch.samples.iter().map(|s| s.core_steps.len()).max().unwrap_or(0);
    let steps = most / cores.max(1);
    let list = || batch.samples.iter().map(|s| s.core_steps.as_slice());
    let u32s = |of: fn(&CoreStep) -> u32| ArrayData::U32(padded(list(), most, of));
    let u64s = |of: fn(&CoreStep) -> u64| ArrayData::U64(padded(list(), most, of));
    let mut cube = |name, data| arrays.push((name, Array { shape: vec![n, steps, cores], data }));
    cube("core_updates", u32s(|c| c.updates));
    cube("core_spikes", u32s(|c| c.spikes));
    cube("core_messages_out", u32s(|c| c.messages_out));
    cube("core_messages_in", u32s(|c| c.messages_in));
    cube("core_synaptic_ops", u64s(|c| c.synaptic_ops));
    cube("core_generation_ps", u64s(|c| c.generation_ps));
    cube("core_processing_ps", u64s(|c| c.processing_ps));
    if level == Level::Cycle {
        cube("core_stalled_ps", u64s(|c| c.stalled_ps));
    }
}

/// One number of each entry; lists that are shorter than `most` are padded with 0.
fn padded<'a, E: 'a, T: Default>(lists: impl Iterator<Item = &'a [E]>, most: usize, of: impl Fn(&E) -> T) -> Vec<T> {
    let mut all = Vec::new();
    for (k, list) in lists.enumerate() {
        all.extend(list.iter().map(&of));
        all.resize_with((k + 1) * most, T::default);
    }
    all
}

/// `[sample][step][column]`, padded with 0 where a sample has fewer steps than the longest.
fn table(batch: &BatchRun, of: fn(&SampleRun) -> &Vec<Vec<i32>>, columns: usize) -> Array {
    let steps = batch.samples.iter().map(|s| of(s).len()).max().unwrap_or(0);
    let mut data = Vec::with_capacity(batch.samples.len() * steps * columns);
    for (k, s) in batch.samples.iter().enumerate() {
        data.extend(of(s).iter().flatten());
        data.resize((k + 1) * steps * columns, 0);
    }
    Array { shape: vec![batch.samples.len(), steps, columns], data: ArrayData::I32(data) }
}
