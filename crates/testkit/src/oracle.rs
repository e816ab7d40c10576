//! Golden vectors of Loihi 1 neurons and synapses: random networks run in Brian2Loihi 0.5.2 (Michaelis et al. 2022).
//!
//! In: `tests/data/loihi1_brian2.json.gz`. Out: [`Case`]s, each with its net, its input and every u, v and spike.
//! The vectors record u and v after the step is complete: where a neuron spikes, v is already 0, and it stays 0 while refractory.

use serde::Deserialize;
use spikec_data::SpikeTrain;
use spikec_net::{Bias, Fixed, FixedNeuron, FixedRules, Net, Population, PopulationId, Projection, Role, SignMode, Synapses, WeightFormat};
use std::io::Read;

/// A network with its input and what it did.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Seed of the network.
    pub seed: u64,
    /// Steps.
    pub steps: u32,
    /// Input channels.
    pub n_input: u32,
    /// Input spikes: (channel, step).
    pub input: Vec<(u32, u32)>,
    /// Populations; the last one is taken as output.
    pub populations: Vec<CasePopulation>,
    /// Projections.
    pub projections: Vec<CaseProjection>,
    /// Spikes of each population: (step, neuron).
    pub spikes: Vec<Vec<(u32, u32)>>,
    /// `u[population][step][neuron]`.
    pub u: Vec<Vec<Vec<i32>>>,
    /// `v[population][step][neuron]`.
    pub v: Vec<Vec<Vec<i32>>>,
}

/// A population of equal neurons.
#[derive(Debug, Clone, Deserialize)]
pub struct CasePopulation {
    /// Neurons.
    pub n: u32,
    /// Effective decay of u in 1/4096.
    pub decay_u: u16,
    /// Decay of v in 1/4096.
    pub decay_v: u16,
    /// Threshold mantissa.
    pub threshold_mant: u32,
    /// Refractory steps, 1 = none lost.
    pub refractory: u8,
}

/// Synapses of one format.
#[derive(Debug, Clone, Deserialize)]
pub struct CaseProjection {
    /// Presynaptic population, -1 = input.
    pub pre: i32,
    /// Postsynaptic population.
    pub post: u32,
    /// 1 mixed, 2 excitatory, 3 inhibitory.
    pub sign_mode: u8,
    /// Stored width.
    pub weight_bits: u8,
    /// Exponent.
    pub weight_exp: i8,
    /// Presynaptic neurons.
    pub i: Vec<u32>,
    /// Postsynaptic neurons.
    pub j: Vec<u32>,
    /// Weights as given, not yet on the grid.
    pub w: Vec<i16>,
    /// Weights as they act.
    pub w_act: Vec<i32>,
    /// Delay registers.
    pub delay: Vec<u16>,
}

impl CaseProjection {
    /// The format of the weights.
    pub fn format(&self) -> WeightFormat {
        let sign = match self.sign_mode {
            1 => SignMode::Mixed,
            2 => SignMode::Excitatory,
            3 => SignMode::Inhibitory,
            other => panic!("no sign mode {other}"),
        };
        WeightFormat { bits: self.weight_bits, exponent: self.weight_exp, sign }
    }
}

impl Case {
    /// The net: population 0 is the input, population p of the case is p + 1. Net delays are the delay registers, one more from neurons.
    pub fn net(&self) -> Net<Fixed> {
        let population = |name: String, n: u32, role| Population { name, shape: vec![n], origin: (0..n).collect(), skew: 0, role };
        let mut populations = vec![population("input".into(), self.n_input, Role::SpikeInput)];
        for (i, p) in self.populations.iter().enumerate() {
            let neuron = FixedNeuron {
                decay_u: p.decay_u,
                decay_v: p.decay_v,
                threshold: p.threshold_mant,
                refractory: p.refractory,
                bias: Bias::default(),
            };
            populations.push(population(format!("population {i}"), p.n, Role::Neurons(vec![neuron; p.n as usize])));
        }
        let mut projections = Vec::new();
        for (k, p) in self.projections.iter().enumerate() {
            let (pre, post, hop) = (PopulationId((p.pre + 1) as u32), PopulationId(p.post + 1), (p.pre >= 0) as u16);
            let format = p.format();
            let tuples = (0..p.i.len()).map(|s| (p.i[s], p.j[s], format.on_grid(p.w[s]), p.delay[s] + hop)).collect();
            let synapses = Synapses::from_tuples(populations[pre.index()].len(), tuples);
            projections.push(Projection { name: format!("projection {k}"), pre, post, format, synapses });
        }
        Net {
            name: format!("case {}", self.seed),
            rules: FixedRules::default(),
            output: PopulationId::from(populations.len() - 1),
            populations,
            projections,
            host_projections: Vec::new(),
        }
    }

    /// The input spikes.
    pub fn train(&self) -> SpikeTrain {
        let mut steps = vec![Vec::new(); self.steps as usize];
        for &(channel, step) in &self.input {
            steps[step as usize].push(channel);
        }
        SpikeTrain::from_steps(self.n_input, steps)
    }

    /// Spikes of `population` (of the case) in each step, neurons ascending.
    pub fn spikes_by_step(&self, population: usize) -> Vec<Vec<u32>> {
        let mut steps = vec![Vec::new(); self.steps as usize];
        for &(step, neuron) in &self.spikes[population] {
            steps[step as usize].push(neuron);
        }
        steps.iter_mut().for_each(|s| s.sort_unstable());
        steps
    }
}

/// All cases of the committed file.
pub fn loihi1_cases() -> Vec<Case> {
    let path = crate::project_dir().join("tests/data/loihi1_brian2.json.gz");
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("the vectors are gzip");
    serde_json::from_str(&text).expect("the vectors are in the format of this module")
}
