//! A bundle as text: manifest, host sections, and every core's tables, decoded from the image's bits.

use crate::mask::{self, MaskView};
use crate::network::hex;
use crate::table::{count, table};
use serde::Serialize;
use spikec_chip::bundle::{Bundle, Encoder, Host, PopulationSymbols};
use spikec_chip::codec::{CodecError, decode_core};
use spikec_chip::image::CoreTables;
use spikec_chip::{Target, cost};

/// A bundle for people and programs.
#[derive(Debug, Serialize)]
pub struct BundleView {
    /// The manifest, as stored.
    pub manifest: String,
    /// Target name.
    pub target: String,
    /// What the host does.
    pub host: HostView,
    /// Populations.
    pub populations: Vec<PopulationView>,
    /// Which synapses the chip and the host hold.
    pub mask: MaskView,
    /// Lists of synaptic memory that several input axons read, over all cores.
    pub shared: SharedLists,
    /// Cores.
    pub cores: Vec<CoreView>,
}

/// The host's part.
#[derive(Debug, Serialize)]
pub struct HostView {
    /// Encoder.
    pub encoder: Encoder,
    /// Channels of the data.
    pub input_width: u32,
    /// Spiking channels that reach the chip.
    pub input_channels: u64,
    /// Input axons that they feed.
    pub input_axons: u64,
    /// Terms of the host's linear maps.
    pub host_terms: u64,
    /// Constant biases written.
    pub bias_writes: u64,
    /// Decoder, as stored.
    pub decoder: String,
    /// Largest skew.
    pub max_skew: u32,
    /// Default network steps.
    pub default_steps: Option<u32>,
}

/// A population's symbols.
#[derive(Debug, Serialize)]
pub struct PopulationView {
    /// Name.
    pub name: String,
    /// Shape as trained.
    pub shape: Vec<u32>,
    /// Skew in chip steps.
    pub skew: u32,
    /// Neurons on the chip.
    pub on_chip: u64,
    /// Copies of them on other cores: index as trained, core, compartment.
    pub copies: Vec<(u32, u32, u16)>,
}

impl HostView {
    /// Of a bundle's host.
    pub fn new(host: &Host) -> HostView {
        HostView {
            encoder: host.encoder.clone(),
            input_width: host.input_width,
            input_channels: host.input_axons.iter().filter(|a| !a.is_empty()).count() as u64,
            input_axons: host.input_axons.iter().map(|a| a.len() as u64).sum(),
            host_terms: host.maps.iter().map(|m| m.weights.len() as u64).sum(),
            bias_writes: host.bias_writes.len() as u64,
            decoder: format!("{:?}", host.decoder.kind),
            max_skew: host.max_skew,
            default_steps: host.default_steps,
        }
    }
}

impl HostView {
    /// One line, after an empty one.
    pub fn text(&self) -> String {
        let h = self;
        format!(
            "\nhost: encoder {:?}, {} channels of data, {} spiking channels into {} in-axons, {} host terms, {} bias writes, decoder {}, max skew {}, default steps {}\n",
            h.encoder,
            count(h.input_width as u64),
            count(h.input_channels),
            count(h.input_axons),
            count(h.host_terms),
            count(h.bias_writes),
            h.decoder,
            h.max_skew,
            h.default_steps.map_or("none".into(), |s| s.to_string())
        )
    }
}

impl PopulationView {
    /// Of all populations of a bundle.
    pub fn all(bundle: &Bundle) -> Vec<PopulationView> {
        let of = |p: &PopulationSymbols| PopulationView {
            name: p.name.clone(),
            shape: p.shape.clone(),
            skew: p.skew,
            on_chip: p.neurons.len() as u64,
            copies: p.copies.iter().map(|&(neuron, place)| (neuron, place.core, place.index)).collect(),
        };
        bundle.symbols.populations.iter().map(of).collect()
    }
}

/// A core.
#[derive(Debug, Serialize)]
pub struct CoreView {
    /// Physical core.
    pub core: u32,
    /// Bits of each memory and table.
    pub bits: Vec<(String, u64)>,
    /// BLAKE3 of the synaptic memory, hex.
    pub synapse_memory_digest: String,
    /// Delay bits.
    pub delay_bits: u8,
    /// Formats, one line each.
    pub formats: Vec<String>,
    /// Compartment profiles, one line each.
    pub compartment_profiles: Vec<String>,
    /// Threshold mantissas.
    pub thresholds: Vec<u32>,
    /// Compartments, one line each.
    pub compartments: Vec<String>,
    /// Out-axons: (core, in-axon).
    pub out_axons: Vec<(u32, u16)>,
    /// Synapses of each in-axon.
    pub in_axon_synapses: Vec<u32>,
    /// List and compartment base of each in-axon; empty where each has a list of its own and no base.
    pub in_axon_lists: Vec<(u16, u16)>,
    /// Lists that several in-axons read, and what they save.
    pub shared: SharedLists,
    /// Every synapse, if asked for.
    pub synapses: Option<Vec<String>>,
}

/// Lists of synaptic memory that several input axons read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SharedLists {
    /// Lists.
    pub lists: u64,
    /// Their words.
    pub words: u64,
    /// Input axons that read them.
    pub in_axons: u64,
    /// Words that these would take with a list each.
    pub unshared_words: u64,
}

impl std::fmt::Display for SharedLists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SharedLists { lists, words, in_axons, unshared_words } = *self;
        let (lists, words) = (count(lists), count(words));
        write!(f, "{} in-axons read {lists} lists of {words} words, {} without sharing", count(in_axons), count(unshared_words))
    }
}

impl std::ops::AddAssign for SharedLists {
    fn add_assign(&mut self, o: SharedLists) {
        self.lists += o.lists;
        self.words += o.words;
        self.in_axons += o.in_axons;
        self.unshared_words += o.unshared_words;
    }
}

/// What a core's input axons share.
fn shared(t: &CoreTables, target: &Target) -> SharedLists {
    let memory = &target.packed().synapse_memory;
    let mut all = SharedLists::default();
    for (list, readers) in t.lists.iter().zip(t.readers()).filter(|(_, readers)| *readers > 1) {
        let bits = list.entries.iter().map(|e| cost::entry_bits(memory, &t.formats[usize::from(e.format)], e.synapses.len() as u32)).sum();
        let (words, readers) = (u64::from(cost::words(memory, bits)), u64::from(readers));
        all += SharedLists { lists: 1, words, in_axons: readers, unshared_words: words * readers };
    }
    all
}

/// The tables of every core.
///
/// # Errors
/// Bits that are no tables.
pub fn decode(bundle: &Bundle) -> Result<Vec<CoreTables>, CodecError> {
    let image = bundle.image.packed();
    image.cores.iter().map(|c| decode_core(c, &bundle.target)).collect()
}

/// Decodes a bundle.
///
/// # Errors
/// Bits that are no tables.
pub fn view(bundle: &Bundle, synapses: bool) -> Result<BundleView, CodecError> {
    let image = bundle.image.packed();
    let mut cores = Vec::with_capacity(image.cores.len());
    let decoded = decode(bundle)?;
    for (c, tables) in image.cores.iter().zip(&decoded) {
        let bits = [
            ("registers", &c.registers),
            ("synapse memory", &c.synapse_memory),
            ("in-axons", &c.in_axons),
            ("formats", &c.formats),
            ("compartment profiles", &c.compartment_profiles),
            ("threshold profiles", &c.threshold_profiles),
            ("compartments", &c.compartments),
            ("out-axons", &c.out_axons),
        ];
        let mut bytes = Vec::new();
        for word in c.synapse_memory.as_raw_slice() {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        cores.push(core(
            tables,
            &bundle.target,
            bits.iter().map(|(n, b)| (n.to_string(), b.len() as u64)).collect(),
            *blake3::hash(&bytes).as_bytes(),
            synapses,
        ));
    }
    Ok(BundleView {
        manifest: bundle.manifest_text(),
        target: bundle.target.name.clone(),
        host: HostView::new(&bundle.host),
        populations: PopulationView::all(bundle),
        mask: mask::of_bundle(bundle, &decoded).view(),
        shared: cores.iter().fold(SharedLists::default(), |mut all, c| {
            all += c.shared;
            all
        }),
        cores,
    })
}

fn core(t: &CoreTables, target: &Target, bits: Vec<(String, u64)>, digest: [u8; 32], synapses: bool) -> CoreView {
    let plain = t.in_axons.iter().enumerate().all(|(k, a)| (usize::from(a.list), a.base) == (k, 0));
    let lines = || {
        let mut lines = Vec::new();
        for (a, axon) in t.in_axons.iter().enumerate() {
            for entry in &t.list(*axon).entries {
                for s in &entry.synapses {
                    lines.push(format!(
                        "axon {a} -> compartment {}: {} (format {}, delay {})",
                        axon.compartment(s),
                        s.mantissa,
                        entry.format,
                        s.delay
                    ));
                }
            }
        }
        lines
    };
    CoreView {
        core: t.core,
        bits,
        synapse_memory_digest: hex(&digest),
        delay_bits: t.delay_bits,
        formats: t
            .formats
            .iter()
            .map(|f| {
                format!(
                    "{:?} {:?}: weight {} bits, index {}, skip {}, delay {}, exponent {}",
                    f.compression, f.sign, f.weight_bits, f.index_bits, f.skip_bits, f.delay_bits, f.exponent
                )
            })
            .collect(),
        compartment_profiles: t
            .compartment_profiles
            .iter()
            .map(|p| format!("decay_u {} decay_v {} refractory {}", p.decay_u, p.decay_v, p.refractory))
            .collect(),
        thresholds: t.threshold_profiles.clone(),
        compartments: t
            .compartments
            .iter()
            .map(|c| {
                format!(
                    "profile {} threshold {} bias {}*2^{} out-axons {}..{}",
                    c.profile,
                    c.threshold_profile,
                    c.bias_mantissa,
                    c.bias_exponent,
                    c.out_axon_start,
                    c.out_axon_start as u32 + c.out_axon_count as u32
                )
            })
            .collect(),
        out_axons: t.out_axons.iter().map(|a| (a.core, a.in_axon)).collect(),
        in_axon_synapses: t.in_axons.iter().map(|a| t.list(*a).len() as u32).collect(),
        in_axon_lists: if plain { Vec::new() } else { t.in_axons.iter().map(|a| (a.list, a.base)).collect() },
        shared: shared(t, target),
        synapses: synapses.then(lines),
    }
}

/// The view as text.
pub fn text(v: &BundleView) -> String {
    let mut out = v.manifest.clone();
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&v.host.text());
    out.push_str(&table(
        &["population", "shape", "skew", "on chip"],
        v.populations.iter().map(|p| {
            vec![p.name.clone(), p.shape.iter().map(|d| d.to_string()).collect::<Vec<_>>().join("x"), p.skew.to_string(), count(p.on_chip)]
        }),
    ));
    out.push('\n');
    for p in v.populations.iter().filter(|p| !p.copies.is_empty()) {
        out.push_str(&format!("copies of {}: {}\n", p.name, count(p.copies.len() as u64)));
        for (neuron, core, compartment) in &p.copies {
            out.push_str(&format!("  neuron {neuron}: core {core}, compartment {compartment}\n"));
        }
    }
    out.push_str(&mask::text(&v.mask));
    if v.shared.lists > 0 {
        out.push_str(&format!("shared words: {}\n", v.shared));
    }
    for c in &v.cores {
        out.push_str(&format!("\ncore {} (delay bits {}, synapse memory {})\n", c.core, c.delay_bits, &c.synapse_memory_digest[..16]));
        for (name, bits) in &c.bits {
            out.push_str(&format!("  {name}: {} bits\n", count(*bits)));
        }
        let mut list = |name: &str, lines: &mut dyn Iterator<Item = String>| {
            for (k, line) in lines.enumerate() {
                out.push_str(&format!("  {name} {k}: {line}\n"));
            }
        };
        list("format", &mut c.formats.iter().cloned());
        list("compartment profile", &mut c.compartment_profiles.iter().cloned());
        list("threshold", &mut c.thresholds.iter().map(|t| t.to_string()));
        list("compartment", &mut c.compartments.iter().cloned());
        list("out-axon", &mut c.out_axons.iter().map(|(core, axon)| format!("core {core}, in-axon {axon}")));
        let from = |k: usize| c.in_axon_lists.get(k).map_or(String::new(), |(list, base)| format!(", list {list} at base {base}"));
        list("in-axon", &mut c.in_axon_synapses.iter().enumerate().map(|(k, n)| format!("{n} synapses{}", from(k))));
        if c.shared.lists > 0 {
            out.push_str(&format!("  shared: {}\n", c.shared));
        }
        if let Some(synapses) = &c.synapses {
            for line in synapses {
                out.push_str(&format!("  {line}\n"));
            }
        }
    }
    out
}
