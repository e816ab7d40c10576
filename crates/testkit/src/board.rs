//! Large synthetic bundles: many cores of random neurons that fire by their biases.
//!
//! In: sizes and a seed. Out: a bundle of real bits, valid by construction. Why: speed and memory at scale; what it computes means nothing.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_chip::bundle::{BiasWrite, Bundle, Decoder, DecoderKind, Encoder, Host, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::image::{
    Compartment, CompartmentProfile, CoreTables, Image, OutAxon, PackedImage, StoredSynapse, SynapseEntry, SynapseFormat,
};
use spikec_chip::target::{Compression, Sign};

/// Sizes of a synthetic board.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// Cores, the first of the board.
    pub cores: u32,
    /// Neurons of a core.
    pub neurons: u16,
    /// Output axons of a neuron, each to another core; an axon has one source.
    pub axons: u32,
    /// Synapses of an axon.
    pub synapses: u16,
    /// Destination cores are at most this far (in numbers) from the source.
    pub reach: u32,
    /// A neuron fires about once in this many steps.
    pub period: u32,
    /// Seed.
    pub seed: u64,
}

impl Board {
    /// Chips of loihi1 that hold the cores.
    pub fn chips(&self) -> u32 {
        self.cores.div_ceil(128)
    }

    /// The bundle, for loihi1 with as many chips as it takes, 4 side by side.
    ///
    /// # Panics
    /// Where the sizes don't fit into loihi1's cores.
    pub fn bundle(&self) -> Bundle {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut target = spikec_chip::find("loihi1").expect("built in");
        target.name = "loihi1-board".into();
        target.topology.chips.value = self.chips();
        target.topology.chip_columns.value = self.chips().min(4);
        let format = SynapseFormat {
            weight_bits: 8,
            index_bits: 10,
            skip_bits: 0,
            delay_bits: 0,
            compression: Compression::Sparse,
            sign: Sign::Mixed,
            exponent: 0,
        };
        let mut tables: Vec<CoreTables> = (0..self.cores)
            .map(|core| CoreTables {
                core,
                delay_bits: 0,
                formats: vec![format],
                lists: Vec::new(),
                in_axons: Vec::new(),
                compartment_profiles: vec![CompartmentProfile { decay_u: 4096, decay_v: 128, refractory: 1 }],
                threshold_profiles: vec![2000],
                compartments: Vec::new(),
                out_axons: Vec::new(),
            })
            .collect();
        for core in 0..self.cores {
            // Destinations lie on the core's own chip, but for the last axon of every fourth neuron: those cost an entry more.
            let chip = core / 128 * 128;
            let on_chip = (self.cores - chip).min(128);
            for neuron in 0..self.neurons {
                let start = tables[core as usize].out_axons.len() as u16;
                for k in 0..self.axons {
                    let offset = 1 + rng.random_range(0..self.reach.div_ceil(self.axons)) + k * self.reach / self.axons;
                    let mut to = chip + (core - chip + offset) % on_chip;
                    if neuron % 4 == 3 && k + 1 == self.axons {
                        to = (to + 128) % self.cores;
                    }
                    let mut posts: Vec<u16> = Vec::with_capacity(self.synapses.into());
                    while posts.len() < self.synapses.into() {
                        let post = rng.random_range(0..self.neurons);
                        if !posts.contains(&post) {
                            posts.push(post);
                        }
                    }
                    posts.sort_unstable();
                    let weight = |rng: &mut ChaCha8Rng| 2 * rng.random_range(-60i16..=60);
                    let synapses = posts.into_iter().map(|index| StoredSynapse { index, mantissa: weight(&mut rng), delay: 0 }).collect();
                    let in_axon = tables[to as usize].push_axon(vec![SynapseEntry { format: 0, synapses }]);
                    tables[core as usize].out_axons.push(OutAxon { core: to, in_axon });
                }
                tables[core as usize].compartments.push(Compartment {
                    profile: 0,
                    threshold_profile: 0,
                    bias_mantissa: 0,
                    bias_exponent: 0,
                    out_axon_start: start,
                    out_axon_count: self.axons as u16,
                });
            }
        }
        let cores = tables.iter().map(|t| spikec_chip::encode_core(t, &target).expect("the sizes fit")).collect();
        let places = |core: u32| (0..self.neurons).map(move |index| Place { core, index });
        // v rises by the bias each step and passes 2000 * 64 after about `period` steps.
        let bias = |rng: &mut ChaCha8Rng| (2000 * 64 / self.period / 128) as i16 * rng.random_range(50..150) / 100;
        let bias_writes = (0..self.cores)
            .flat_map(places)
            .map(|place| BiasWrite { chip_step: 0, place, mantissa: bias(&mut rng).min(4095), exponent: 7 })
            .collect();
        let output: Vec<(u32, Place)> = places(self.cores - 1).take(10).enumerate().map(|(k, p)| (k as u32, p)).collect();
        let all: Vec<(u32, Place)> = (0..self.cores).flat_map(places).enumerate().map(|(k, p)| (k as u32, p)).collect();
        let population = |name: &str, neurons: Vec<(u32, Place)>| PopulationSymbols {
            name: name.into(),
            shape: vec![neurons.len() as u32],
            skew: 0,
            input: false,
            neurons,
            copies: Vec::new(),
        };
        Bundle {
            target,
            image: Image::Packed(PackedImage { cores }),
            host: Host {
                input_width: 0,
                encoder: Encoder::Spikes,
                input_axons: Vec::new(),
                injections: Vec::new(),
                maps: Vec::new(),
                bias_writes,
                default_steps: Some(8),
                max_skew: 0,
                decoder: Decoder { kind: DecoderKind::Count, outputs: output.iter().map(|(_, place)| Some(*place)).collect(), skew: 0 },
            },
            symbols: Symbols { populations: vec![population("all", all), population("output", output)], output: 1 },
            provenance: Provenance {
                tool: "testkit".into(),
                network_name: "board".into(),
                network_digest: String::new(),
                options: Vec::new(),
                seed: self.seed,
            },
            reference: Vec::new(),
        }
    }
}
