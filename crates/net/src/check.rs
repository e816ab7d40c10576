//! Is a net well formed? Asked wherever a net comes out of bytes.
//!
//! In: any `Net<N>`. Out: nothing, or the first contradiction.
//! Invariant: a net that passes can be indexed without a bound check failing anywhere in this crate.
//! Cost: linear in the synapses.

use crate::ids::PopulationId;
use crate::net::{HostProjection, Net, Number, Projection, Role};

/// Most neurons or channels of a population as trained (input coding may double those of the network): results are by index as trained.
pub const MAX_TRAINED: u32 = 2 * crate::elaborate::MAX_POPULATION as u32;

/// A contradiction inside a net.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum NetError {
    #[error("the output is population {id}, but there are {populations}")]
    UnknownOutput { id: u32, populations: usize },
    #[error("the output {population} is an input")]
    OutputIsInput { population: String },
    #[error("population {population}: shape {shape:?} has more than {} neurons or channels", MAX_TRAINED)]
    TooLarge { population: String, shape: Vec<u32> },
    #[error("population {population}: origins must ascend and stay below the trained size of {trained}")]
    Origin { population: String, trained: u32 },
    #[error("population {population} has {found} neurons' parameters for {expected} neurons")]
    NeuronCount { population: String, found: usize, expected: usize },
    #[error("projection {projection} names population {id}, but there are {populations}")]
    UnknownPopulation { projection: String, id: u32, populations: usize },
    #[error(
        "projection {projection} can't go from {pre} to {post}: synapses go from spikes, host maps from analog inputs, and both to neurons"
    )]
    WrongEnds { projection: String, pre: String, post: String },
    #[error("projection {projection}: {field} has {found} entries, expected {expected}")]
    Length { projection: String, field: &'static str, found: usize, expected: usize },
    #[error("projection {projection}: the offsets of row {row} don't ascend from 0 to the number of entries")]
    Offsets { projection: String, row: usize },
    #[error("projection {projection}, row {row}: index {index} is out of order or not below {limit}")]
    Index { projection: String, row: usize, index: u32, limit: usize },
    #[error("population {population} has two projections from the host: {first} and {second}")]
    TwoHostProjections { population: String, first: String, second: String },
}

impl NetError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            NetError::TwoHostProjections { .. } => "join the analog inputs into one population and their matrices into one",
            _ => "the file is damaged or was written by another version: compile or export it again",
        }
        .to_string()
    }
}

impl<N: Number> Net<N> {
    /// Checks ids, lengths and the order of indices; the values of weights and neurons are not looked at.
    pub fn check(&self) -> Result<(), NetError> {
        let populations = self.populations.len();
        let output = self.populations.get(self.output.index());
        let output = output.ok_or(NetError::UnknownOutput { id: self.output.0, populations })?;
        if output.is_input() {
            return Err(NetError::OutputIsInput { population: output.name.clone() });
        }
        for p in &self.populations {
            let trained = p.shape.iter().try_fold(1u32, |n, &s| n.checked_mul(s)).filter(|&n| n <= MAX_TRAINED);
            let trained = trained.ok_or_else(|| NetError::TooLarge { population: p.name.clone(), shape: p.shape.clone() })?;
            let ascending = p.origin.windows(2).all(|w| w[0] < w[1]);
            if !ascending || p.origin.last().is_some_and(|&last| last >= trained) {
                return Err(NetError::Origin { population: p.name.clone(), trained });
            }
            if let Role::Neurons(n) = &p.role
                && n.len() != p.len()
            {
                return Err(NetError::NeuronCount { population: p.name.clone(), found: n.len(), expected: p.len() });
            }
        }
        self.projections.iter().try_for_each(|p| self.check_projection(p))?;
        for (i, h) in self.host_projections.iter().enumerate() {
            self.check_host(h)?;
            if let Some(first) = self.host_projections[..i].iter().find(|other| other.post == h.post) {
                let population = self.population(h.post).name.clone();
                return Err(NetError::TwoHostProjections { population, first: first.name.clone(), second: h.name.clone() });
            }
        }
        Ok(())
    }

    /// Sizes of both ends, when they exist and are of the right kind.
    fn check_ends(&self, projection: &str, pre: PopulationId, post: PopulationId, host: bool) -> Result<(usize, usize), NetError> {
        let populations = self.populations.len();
        let end = |id: PopulationId| {
            let unknown = NetError::UnknownPopulation { projection: projection.to_string(), id: id.0, populations };
            self.populations.get(id.index()).ok_or(unknown)
        };
        let (a, b) = (end(pre)?, end(post)?);
        if host != matches!(a.role, Role::AnalogInput) || b.is_input() {
            return Err(NetError::WrongEnds { projection: projection.to_string(), pre: a.name.clone(), post: b.name.clone() });
        }
        Ok((a.len(), b.len()))
    }

    fn check_projection(&self, p: &Projection<N>) -> Result<(), NetError> {
        let (pre, post) = self.check_ends(&p.name, p.pre, p.post, false)?;
        same_length(&p.name, "rows", p.synapses.pres(), pre)?;
        match p.synapses.misplaced(post) {
            None => Ok(()),
            Some((row, index)) => Err(NetError::Index { projection: p.name.clone(), row, index, limit: post }),
        }
    }

    fn check_host(&self, h: &HostProjection) -> Result<(), NetError> {
        let (pre, post) = self.check_ends(&h.name, h.pre, h.post, true)?;
        same_length(&h.name, "weights", h.weights.len(), h.channels.len())?;
        same_length(&h.name, "constants", h.constants.len(), post)?;
        same_length(&h.name, "gains", h.gains.len(), post)?;
        rows(&h.name, &h.offsets, post, h.channels.len())?;
        for row in 0..post {
            ordered(&h.name, row, &h.channels[h.offsets[row] as usize..h.offsets[row + 1] as usize], pre)?;
        }
        Ok(())
    }

    /// Channels of the spike inputs, as trained: the width of a sample's spike train.
    pub fn spike_width(&self) -> usize {
        self.populations.iter().filter(|p| matches!(p.role, Role::SpikeInput)).map(|p| p.trained_len()).sum()
    }

    /// Channels of the analog inputs, as trained: the width of a sample's frames.
    pub fn value_width(&self) -> usize {
        self.populations.iter().filter(|p| matches!(p.role, Role::AnalogInput)).map(|p| p.trained_len()).sum()
    }
}

fn same_length(projection: &str, field: &'static str, found: usize, expected: usize) -> Result<(), NetError> {
    if found == expected {
        return Ok(());
    }
    Err(NetError::Length { projection: projection.to_string(), field, found, expected })
}

fn rows(projection: &str, offsets: &[u32], rows: usize, entries: usize) -> Result<(), NetError> {
    same_length(projection, "offsets", offsets.len(), rows + 1)?;
    let error = |row| Err(NetError::Offsets { projection: projection.to_string(), row });
    if offsets[0] != 0 {
        return error(0);
    }
    if let Some(row) = offsets.windows(2).position(|w| w[0] > w[1]) {
        return error(row);
    }
    if offsets[rows] as usize != entries { error(rows) } else { Ok(()) }
}

fn ordered(projection: &str, row: usize, channels: &[u32], limit: usize) -> Result<(), NetError> {
    let mut last = None;
    for &index in channels {
        if index as usize >= limit || last.is_some_and(|l| l >= index) {
            return Err(NetError::Index { projection: projection.to_string(), row, index, limit });
        }
        last = Some(index);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::{Bias, Fixed, FixedNeuron, FixedRules, SignMode, WeightFormat};
    use crate::net::Population;
    use crate::synapses::{Builder, Synapses};

    fn net() -> Net<Fixed> {
        let neuron = FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 1, refractory: 1, bias: Bias::default() };
        let population =
            |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
        Net {
            name: "net".into(),
            rules: FixedRules::default(),
            populations: vec![
                population("spikes", 2, Role::SpikeInput),
                population("values", 3, Role::AnalogInput),
                population("out", 2, Role::Neurons(vec![neuron; 2])),
            ],
            projections: vec![Projection {
                name: "p".into(),
                pre: PopulationId(0),
                post: PopulationId(2),
                format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
                synapses: Synapses::from_tuples(2, vec![(0, 0, 2, 1), (0, 1, 2, 0), (0, 1, 4, 3), (1, 0, 2, 0)]),
            }],
            host_projections: vec![HostProjection {
                name: "h".into(),
                pre: PopulationId(1),
                post: PopulationId(2),
                offsets: vec![0, 2, 3],
                channels: vec![0, 2, 1],
                weights: vec![1.0; 3],
                constants: vec![0.0; 2],
                gains: vec![1.0; 2],
                delay_steps: 0,
            }],
            output: PopulationId(2),
        }
    }

    fn rows(rows: &[&[(u32, u16)]]) -> Synapses<i16> {
        let mut builder = Builder::new();
        rows.iter().for_each(|row| builder.push_row(row.iter().map(|&(post, delay)| (post, 2, delay))));
        builder.finish()
    }

    #[test]
    fn a_sound_net_passes() {
        assert_eq!(net().check(), Ok(()));
        assert_eq!((net().spike_width(), net().value_width()), (2, 3));
    }

    #[test]
    fn every_damage_is_found() {
        type Damage = fn(&mut Net<Fixed>);
        let cases: &[(Damage, &str)] = &[
            (|n| n.output = PopulationId(3), "output is population 3"),
            (|n| n.output = PopulationId(0), "is an input"),
            (|n| n.populations[2].origin = vec![1, 0], "origins"),
            (|n| n.populations[2].origin = vec![0, 2], "origins"),
            (|n| n.populations[2].shape = vec![1 << 16, 1 << 16], "has more than"),
            (|n| n.populations[2].shape = vec![1 << 28], "has more than"),
            (|n| n.populations[2].role = Role::Neurons(vec![]), "0 neurons' parameters for 2"),
            (|n| n.projections[0].pre = PopulationId(4), "names population 4"),
            (|n| n.projections[0].pre = PopulationId(1), "can't go from values"),
            (|n| n.projections[0].post = PopulationId(0), "can't go from"),
            (|n| n.host_projections[0].pre = PopulationId(2), "can't go from"),
            (|n| n.projections[0].synapses = Synapses::from_tuples(1, vec![]), "rows has 1 entries, expected 2"),
            (|n| n.projections[0].synapses = rows(&[&[(0, 0)], &[(2, 0)]]), "row 1: index 2"),
            (|n| n.projections[0].synapses = rows(&[&[], &[(1, 0), (2, 0)]]), "row 1: index 2"),
            (|n| n.projections[0].synapses = rows(&[&[(0, 1), (0, 0)], &[]]), "row 0: index 0"),
            (|n| n.projections[0].synapses = rows(&[&[], &[(1, 0), (0, 0)]]), "row 1: index"),
            (|n| n.host_projections[0].weights.truncate(2), "weights has 2"),
            (|n| n.host_projections[0].constants.truncate(1), "constants has 1"),
            (|n| n.host_projections[0].gains.truncate(1), "gains has 1"),
            (|n| n.host_projections[0].channels = vec![2, 2, 1], "row 0: index 2"),
            (|n| n.host_projections[0].channels[2] = 3, "row 1: index 3"),
            (|n| n.host_projections.push(n.host_projections[0].clone()), "two projections from the host"),
        ];
        for (damage, expected) in cases {
            let mut net = net();
            damage(&mut net);
            let error = net.check().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
    }
}
