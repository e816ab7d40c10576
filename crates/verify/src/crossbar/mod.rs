//! The image check of the crossbar family.
//!
//! # The argument
//!
//! (a) **Bits = reference.** The state of the chip is the potential of each row and the delay slots of each axon. A row is driven by (1) its registers and
//! (2) the axons that are active in a tick, of which each that it is connected to adds the row's weight for the axon's type.
//! A row is one neuron's; a neuron has a row of its own (its place) and perhaps others, its *copies*, for it has one destination a row. An axon
//! has one source and one delay: a channel of the host (`input_axons`: 0; injections: theirs), or a neuron (1 + the delay of the destination, whichever of its rows sends). So an axon is active in tick t exactly
//! when its source spiked in chip step t less that delay: no two spikes fall together, which would make it active once. If (1) each row's leak, thresholds, reset and mode are its neuron's, and
//! (2) for each row, the sum of the weights over the axons of one source and delay is the sum of the reference's synapses from it with chip delay = net delay + skew(post) - skew(pre), then in
//! equal states the sums of a tick are equal (sums of integers don't depend on order, and `hold` follows the whole sum), and the step
//! of docs/semantics.md, section 10, maps equal states to equal states. It remains that row and neuron begin alike. A neuron of population p is at `start` in network step 0,
//! which is tick skew(p); the row is at its potential in tick 0, and the leak acts in every tick. Nothing reaches the row in ticks before skew(p), as every chip delay is at least the hop and every
//! source begins at its own skew, if no row fires before it should. So the row shall be quiet until then: its potential is start - skew * leak, and no potential from there to start is at the threshold, beyond the floor or beyond the range.
//! Potentials between move evenly, so the two ends are all that is asked. By induction over ticks every row is in its neuron's state.
//!
//! The bus: spikes of the output population are what leaves the chip. Neuron i of it (as trained) has its place's destination at the bus, output i, without delay; no other row has.
//!
//! A neuron that nothing hears (all its weights were rounded to 0) has one row, which sends to the axon of its own core behind the last that is heard, without delay: there it ends.
//!
//! Nothing is left unexplained: rows without a neuron are as `CrossbarRow::unused` makes them, axons without a source have type 0 and no connection, axons with one have a connection (but those where spikes end), a connection has a weight other than 0, weights
//! of types that a row doesn't hear are 0, cores hold a neuron, every bit is what its tables encode to. A neuron's spikes can't come from the host: injections are channels'.
//!
//! (b) **Reference = network**: `given::integers`.
//!
//! In: a bundle of the family, and the network as given. Out: differences. Cost: linear in connections and synapses, and a sort of
//! the latter. Memory: the reference's synapses, and one row of the image.

mod rows;
pub(crate) mod wires;

use crate::difference::{At, Difference, Differences, Field, Side, Value};
use crate::given::integers;
use crate::image::{Checked, Given, ImageVerdict, VerifyError};
use crate::owners::{Owners, Seats};
use crate::wellformed::{MAX_SKEW, Malformed, Part, within};
use crate::{family::Registers, host};
use spikec_chip::bundle::Bundle;
use spikec_chip::crossbar::{self as chip, CrossbarImage, CrossbarTables, decode_core, encode_core};
use spikec_chip::image::{Bits, Image};
use spikec_chip::target::{Family, Target};
use spikec_net::{Crossbar, CrossbarRules, Net, PotentialOverflow, Quantized};

/// The whole check.
pub(crate) fn check(bundle: &Bundle, given: &Given) -> Result<ImageVerdict, VerifyError> {
    integers::check::<Crossbar>(bundle, given)
}

/// The family's part of a target.
pub(crate) fn spec(target: &Target) -> &chip::Crossbar {
    match &target.family {
        Family::Crossbar(spec) => spec,
        other => unreachable!("`Registers::holds` was asked first: {}", other.name()),
    }
}

fn image(bundle: &Bundle) -> &CrossbarImage {
    match &bundle.image {
        Image::Crossbar(image) => image,
        other => unreachable!("`Registers::holds` was asked first: {}", other.family()),
    }
}

/// Ranges of the reference's registers.
pub(crate) fn check_registers(net: &Net<Crossbar>, target: &Target) -> Result<(), Malformed> {
    let n = &spec(target).neuron;
    within(Part::Net, "potential bits", net.rules.potential_bits.into(), 1, 32)?;
    within(Part::Net, "host maps", net.host_projections.len() as i64, 0, 0)?;
    for (k, p) in net.populations.iter().enumerate() {
        let part = Part::Population(k as u32);
        within(part, "skew", p.skew.into(), 0, if p.is_input() { 0 } else { MAX_SKEW })?;
        for neuron in p.neurons() {
            for (what, value, bits) in [
                ("leak", neuron.leak, *n.leak_bits),
                ("threshold", neuron.threshold, *n.threshold_bits),
                ("negative threshold", neuron.floor, *n.threshold_bits),
                ("reset value", neuron.reset, *n.potential_bits),
                ("potential at the start", neuron.start, *n.potential_bits),
            ] {
                let half = 1i64 << (bits - 1);
                within(part, what, value.into(), -half, half - 1)?;
            }
        }
    }
    Ok(())
}

/// Part (a).
pub(crate) fn compare(
    bundle: &Bundle,
    quantized: &Quantized<Crossbar>,
    differences: &mut Differences,
    checked: &mut Checked,
) -> Result<(), VerifyError> {
    let net = &quantized.net;
    compare_rules(net, &bundle.target, differences);
    let tables = decode(bundle)?;
    checked.cores = tables.len() as u64;
    check_bits(bundle, &tables, differences);
    host::compare_symbols(bundle, quantized, differences);
    let cores: Vec<(u32, usize)> = tables.iter().map(|t| (t.core, t.neurons.len())).collect();
    let owners = Owners::new(bundle, net, Seats { cores: &cores, beside: true }, differences);
    checked.copies = owners.copy_count();
    checked.compartments = rows::compare(bundle, net, &tables, &owners, differences);
    let feeds = wires::feeds(bundle, net, &tables, &owners, differences);
    checked.synapses = wires::compare(net, &tables, &owners, &feeds, differences);
    compare_host(bundle, net, &owners, differences, checked);
    Ok(())
}

/// What the host does on chips whose neurons have no biases.
pub(crate) fn compare_host<N: Registers>(
    bundle: &Bundle,
    net: &Net<N>,
    owners: &Owners,
    differences: &mut Differences,
    checked: &mut Checked,
) {
    host::compare_inputs(bundle, net, differences, checked);
    for (field, what, found) in
        [(Field::Count, "host maps", bundle.host.maps.len()), (Field::Bias, "bias writes", bundle.host.bias_writes.len())]
    {
        differences.compare(Side::Host, field, found, 0, || At { item: Some(what.into()), ..At::default() });
    }
    host::compare_decoder(bundle, net, owners, differences);
    differences.compare(Side::Host, Field::MaxSkew, bundle.host.max_skew, net.max_skew(), At::default);
}

fn compare_rules(net: &Net<Crossbar>, target: &Target, differences: &mut Differences) {
    let n = &spec(target).neuron;
    let overflow = match *n.overflow {
        chip::Overflow::Wrap => PotentialOverflow::Wrap,
        chip::Overflow::Saturate => PotentialOverflow::Saturate,
        // No potential passes 32 bits there: either says the same.
        chip::Overflow::Unbounded => net.rules.overflow,
    };
    let floor_inclusive = *n.negative_compare == chip::NegativeCompare::LessEqual;
    let expected = CrossbarRules { potential_bits: *n.potential_bits, overflow, floor_inclusive };
    differences.compare(Side::Image, Field::Rules, format!("{:?}", net.rules), format!("{expected:?}"), At::default);
}

fn decode(bundle: &Bundle) -> Result<Vec<CrossbarTables>, VerifyError> {
    let (image, spec) = (image(bundle), spec(&bundle.target));
    if let Some(pair) = image.cores.windows(2).find(|pair| pair[0].core >= pair[1].core) {
        return Err(VerifyError::CoreOrder { core: pair[1].core, after: pair[0].core });
    }
    image.cores.iter().map(|core| decode_core(core, spec).map_err(VerifyError::Crossbar)).collect()
}

fn check_bits(bundle: &Bundle, tables: &[CrossbarTables], differences: &mut Differences) {
    let spec = spec(&bundle.target);
    for (bits, core) in image(bundle).cores.iter().zip(tables) {
        match encode_core(core, spec) {
            Ok(again) => {
                unread(Some(core.core), "axon types", &bits.types, &again.types, differences);
                unread(Some(core.core), "rows", &bits.rows, &again.rows, differences);
            }
            Err(e) => differences.push(|| Difference {
                side: Side::Image,
                at: At { core: Some(core.core), item: Some("decoded tables".into()), ..At::default() },
                field: Field::UnreadBits,
                found: e.to_string().into(),
                expected: "tables that the codec encodes".into(),
            }),
        }
    }
}

/// Reports the first bit that is not what the tables encode to.
pub(crate) fn unread(core: Option<u32>, memory: &str, found: &Bits, expected: &Bits, differences: &mut Differences) {
    let mut report = |found: Value, expected: Value| {
        let at = At { core, item: Some(memory.into()), ..At::default() };
        differences.push(|| Difference { side: Side::Image, at, field: Field::UnreadBits, found, expected });
    };
    if found.len() != expected.len() {
        report(format!("{} bits", found.len()).into(), format!("{} bits", expected.len()).into());
    } else if let Some(bit) = (0..found.len()).find(|&b| found[b] != expected[b]) {
        report(format!("{} at bit {bit}", found[bit] as u8).into(), (expected[bit] as u8).into());
    }
}

#[cfg(test)]
mod tests;
