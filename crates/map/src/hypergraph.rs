//! The hypergraph that is mapped: axons over neurons.
//!
//! In: the axons of each neuron. Out: [`Hypergraph`], CSR both ways.
//! Invariant: axon `a < inputs` is an external input, axon `inputs + i` the output of neuron i; the axons of a neuron are ascending and
//! distinct, parallel synapses are a multiplicity.
//! Cost: linear in the synapses. Why: one core takes one slot for each distinct axon that enters it, however many synapses it has there.

/// Where the neurons of a layer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// Neighbouring neurons that were one layer of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// First neuron.
    pub first: u32,
    /// Neurons.
    pub neurons: u32,
    /// Channels, rows and columns, where known.
    pub shape: Option<Shape>,
    /// Place of each neuron in the shape (row-major); empty: neuron k stands at place k.
    pub origin: Vec<u32>,
}

impl Layer {
    /// (channel, row, column) of the layer's k-th neuron.
    pub fn place(&self, shape: Shape, k: u32) -> (u32, u32, u32) {
        let at = self.origin.get(k as usize).copied().unwrap_or(k);
        let area = shape.height * shape.width;
        (at / area, at % area / shape.width, at % shape.width)
    }
}

/// Axons over neurons.
#[derive(Debug, Clone)]
pub struct Hypergraph {
    inputs: u32,
    neurons: u32,
    in_offsets: Vec<usize>,
    in_axons: Vec<u32>,
    /// Parallel synapses of each entry of `in_axons`; empty: one each.
    in_counts: Vec<u16>,
    out_offsets: Vec<usize>,
    out_neurons: Vec<u32>,
    layers: Vec<Layer>,
}

impl Hypergraph {
    /// From the axons of each neuron, CSR: `offsets` has one entry more than there are neurons. Axons need no order; one that is named
    /// twice by a neuron counts as parallel synapses. Layers must cover the neurons in order; the caller knows that ids are in range.
    pub fn new(inputs: u32, offsets: Vec<usize>, mut axons: Vec<u32>, layers: Vec<Layer>) -> Hypergraph {
        let neurons = offsets.len() as u32 - 1;
        let mut parallel = false;
        for w in offsets.windows(2) {
            let row = &mut axons[w[0]..w[1]];
            if !row.is_sorted() {
                row.sort_unstable();
            }
            parallel |= row.windows(2).any(|p| p[0] == p[1]);
        }
        let (in_offsets, in_axons, in_counts) = if parallel { merge(&offsets, &axons) } else { (offsets, axons, Vec::new()) };
        let mut out_offsets = vec![0usize; (inputs + neurons) as usize + 1];
        for &a in &in_axons {
            out_offsets[a as usize + 1] += 1;
        }
        for i in 1..out_offsets.len() {
            out_offsets[i] += out_offsets[i - 1];
        }
        let mut next = out_offsets.clone();
        let mut out_neurons = vec![0; in_axons.len()];
        for v in 0..neurons as usize {
            for &a in &in_axons[in_offsets[v]..in_offsets[v + 1]] {
                out_neurons[next[a as usize]] = v as u32;
                next[a as usize] += 1;
            }
        }
        Hypergraph { inputs, neurons, in_offsets, in_axons, in_counts, out_offsets, out_neurons, layers }
    }

    /// External inputs.
    pub fn inputs(&self) -> u32 {
        self.inputs
    }
    /// Neurons.
    pub fn neurons(&self) -> u32 {
        self.neurons
    }
    /// Inputs and neurons.
    pub fn axons(&self) -> u32 {
        self.inputs + self.neurons
    }
    /// Pairs of an axon and a neuron that it enters.
    pub fn pins(&self) -> usize {
        self.in_axons.len()
    }
    /// Axons that enter a neuron, ascending.
    pub fn in_axons(&self, neuron: u32) -> &[u32] {
        &self.in_axons[self.in_offsets[neuron as usize]..self.in_offsets[neuron as usize + 1]]
    }
    /// Axons that enter a neuron, each with its parallel synapses.
    pub fn synapses(&self, neuron: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let range = self.in_offsets[neuron as usize]..self.in_offsets[neuron as usize + 1];
        range.map(|k| (self.in_axons[k], self.in_counts.get(k).map_or(1, |&c| c.into())))
    }
    /// True when an axon enters a neuron more than once.
    pub fn has_parallel(&self) -> bool {
        !self.in_counts.is_empty()
    }
    /// Neurons that an axon enters, ascending.
    pub fn out_neurons(&self, axon: u32) -> &[u32] {
        &self.out_neurons[self.out_offsets[axon as usize]..self.out_offsets[axon as usize + 1]]
    }
    /// Axon of a neuron's output.
    pub fn axon(&self, neuron: u32) -> u32 {
        self.inputs + neuron
    }
    /// Neuron whose output an axon is; `None` for an external input.
    pub fn source(&self, axon: u32) -> Option<u32> {
        axon.checked_sub(self.inputs)
    }
    /// True when a neuron's own axon enters it.
    pub fn enters_itself(&self, neuron: u32) -> bool {
        self.in_axons(neuron).binary_search(&self.axon(neuron)).is_ok()
    }
    /// Layers in the order of their neurons.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

/// Rows without doubles, and how often each axon stood there.
fn merge(offsets: &[usize], axons: &[u32]) -> (Vec<usize>, Vec<u32>, Vec<u16>) {
    let (mut new_offsets, mut new_axons, mut counts): (Vec<usize>, Vec<u32>, Vec<u16>) = (vec![0], Vec::new(), Vec::new());
    for w in offsets.windows(2) {
        let start = new_axons.len();
        for &a in &axons[w[0]..w[1]] {
            if new_axons.len() > start && new_axons.last() == Some(&a) {
                let last = counts.last_mut().expect("as many counts as axons");
                *last = last.saturating_add(1);
            } else {
                new_axons.push(a);
                counts.push(1);
            }
        }
        new_offsets.push(new_axons.len());
    }
    (new_offsets, new_axons, counts)
}
