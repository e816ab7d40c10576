//! The memories of RANC's RTL as `$readmemb` reads them: a row of the CSRAM a line, its highest bit first, and an axon's type a line; and a sample's packets.

use super::cores;
use crate::error::ExportError;
use crate::expected;
use crate::sample::Sample;
use serde::Serialize;
use spikec_chip::Loadable;
use spikec_chip::bundle::Place;
use spikec_chip::crossbar::{Crossbar, CrossbarRow, CrossbarTables, NegativeCompare, Overflow, encode_core};
use spikec_chip::image::Bits;
use spikec_chip::mesh::Mesh;
use std::io::{self, Write};

/// A bundle, ready to be written for RANC's RTL.
#[derive(Debug)]
pub struct RancMem {
    spec: Crossbar,
    cores: u32,
    used: Vec<CrossbarTables>,
    events: Option<String>,
    expected: Option<String>,
}

/// What the host sends.
#[derive(Debug, Serialize)]
struct Events {
    sample: usize,
    network_steps: u32,
    /// For each chip step, the packets as words, to be sent during the tick before.
    packets: Vec<Vec<u64>>,
}

impl RancMem {
    /// Decodes a bundle and, with a sample, makes its packets.
    ///
    /// # Errors
    /// Another family, a sample that doesn't fit, or a target whose potentials don't wrap, or are compared with the negative threshold in another way, than the RTL's.
    pub fn new(bundle: Loadable<'_>, sample: Option<Sample<'_>>) -> Result<RancMem, ExportError> {
        let format = "ranc-mem";
        let (spec, used) = cores(&bundle, format)?;
        let n = &spec.neuron;
        let differs = |quantity, found: String, expected: String| Err(ExportError::Target { format, quantity, found, expected });
        if *n.overflow != Overflow::Wrap {
            return differs("an overflow", format!("{:?}", *n.overflow), format!("{:?}", Overflow::Wrap));
        }
        if *n.negative_compare != NegativeCompare::Less {
            return differs("a negative comparison", format!("{:?}", *n.negative_compare), format!("{:?}", NegativeCompare::Less));
        }
        let mesh = Mesh::new(&bundle.target.topology);
        let packet = |p: &Place| {
            // RANC's packets begin at its first router.
            let router = mesh.router(p.core);
            packet(spec, (router.x, router.y), p.index)
        };
        let events = sample.as_ref().map(|s| s.sent(&bundle, true)).transpose()?.zip(sample.as_ref()).map(|(sent, s)| {
            let packets = sent.places.iter().map(|of| of.iter().map(packet).collect()).collect();
            let events = Events { sample: s.index, network_steps: sent.steps, packets };
            serde_json::to_string(&events).unwrap_or_default() + "\n"
        });
        let expected = sample.map(|s| expected::json(bundle, format, &s)).transpose()?;
        Ok(RancMem { spec: spec.clone(), cores: bundle.target.total_cores(), used, events, expected })
    }

    /// `events.json`; none without a sample.
    pub fn events(&self) -> Option<&str> {
        self.events.as_deref()
    }

    /// What spikec expects of the sample; none without one.
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// Cores of the grid, and those that are used.
    pub fn size(&self) -> (u32, usize) {
        (self.cores, self.used.len())
    }

    /// Digits of a core's number in a file's name: three, or as many as the last core has.
    fn digits(&self) -> usize {
        self.cores.saturating_sub(1).to_string().len().max(3)
    }

    /// Names of a core's files: the rows of its neurons, the types of its axons.
    pub fn names(&self, core: u32) -> [String; 2] {
        let digits = self.digits();
        [format!("csram_{core:0digits$}.mem"), format!("tc_{core:0digits$}.mem")]
    }

    /// A core's tables; a core that is not used has neurons that are not used.
    fn tables(&self, core: u32) -> CrossbarTables {
        let known = self.used.binary_search_by_key(&core, |t| t.core).ok();
        known.map_or_else(
            || CrossbarTables {
                core,
                types: vec![0; *self.spec.core.axons as usize],
                neurons: vec![CrossbarRow::unused(&self.spec); *self.spec.core.neurons as usize],
            },
            |k| self.used[k].clone(),
        )
    }

    /// Writes the rows of a core's neurons.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn csram(&self, core: u32, out: &mut dyn Write) -> io::Result<()> {
        let image = encode_core(&self.tables(core), &self.spec).map_err(io::Error::other)?;
        lines(&image.rows, self.spec.row_bits(), out)
    }

    /// Writes the types of a core's axons.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn types(&self, core: u32, out: &mut dyn Write) -> io::Result<()> {
        let image = encode_core(&self.tables(core), &self.spec).map_err(io::Error::other)?;
        lines(&image.types, usize::from(self.spec.type_bits()), out)
    }
}

/// The word of a packet of delay 0: from its highest bit dx, dy, axon, delay.
fn packet(spec: &Crossbar, (dx, dy): (u32, u32), axon: u16) -> u64 {
    ((u64::from(dx) << *spec.routing.offset_bits | u64::from(dy)) << spec.axon_bits() | u64::from(axon)) << spec.delay_bits()
}

/// A record a line, its highest bit first.
fn lines(bits: &Bits, record: usize, out: &mut dyn Write) -> io::Result<()> {
    for record in bits.chunks(record.max(1)) {
        let line: String = record.iter().rev().map(|bit| if *bit { '1' } else { '0' }).collect();
        writeln!(out, "{line}")?;
    }
    Ok(())
}
