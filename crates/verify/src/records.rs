//! The tables of the image on their own: every record is used, none is repeated, and every bit is what its tables encode to.
//!
//! In: a bundle and its decoded cores. Out: differences. Invariant: nothing of the network is asked. Cost: linear in the image.

use crate::difference::{At, Difference, Differences, Field, Side, Value};
use spikec_chip::bundle::Bundle;
use spikec_chip::codec::encode_core;
use spikec_chip::cost;
use spikec_chip::image::{CoreImage, CoreTables};
use spikec_chip::target::Target;

/// Every record is used.
fn records_used(core: u32, table: &'static str, uses: &[u64], differences: &mut Differences) {
    for (record, _) in uses.iter().enumerate().filter(|(_, uses)| **uses == 0) {
        differences.push(|| Difference {
            side: Side::Image,
            at: At { core: Some(core), item: Some(format!("{table} {record}")), ..At::default() },
            field: Field::UnusedRecord,
            found: "no use".into(),
            expected: "a use".into(),
        });
    }
}

/// No bit is left unexplained: the bits are what their tables encode to, every record is used, none is repeated, and the delay bits
/// are the fewest that hold the core's delays. (Limits of the target are the decoder's: what decodes, fits.)
pub(crate) fn check_records(bundle: &Bundle, tables: &[CoreTables], differences: &mut Differences) {
    let image = bundle.image.packed();
    for (bits, core) in image.cores.iter().zip(tables) {
        check_bits(bits, core, &bundle.target, differences);
        let mut formats = vec![0u64; core.formats.len()];
        let mut largest_delay = 0u32;
        for entry in core.lists.iter().flat_map(|l| &l.entries) {
            if let Some(uses) = formats.get_mut(entry.format as usize) {
                *uses += 1;
            }
            largest_delay = entry.synapses.iter().fold(largest_delay, |m, s| m.max(s.delay as u32));
        }
        records_used(core.core, "synapse format", &formats, differences);
        let mut profiles = vec![0u64; core.compartment_profiles.len()];
        let mut thresholds = vec![0u64; core.threshold_profiles.len()];
        for c in &core.compartments {
            if let Some(uses) = profiles.get_mut(c.profile as usize) {
                *uses += 1;
            }
            if let Some(uses) = thresholds.get_mut(c.threshold_profile as usize) {
                *uses += 1;
            }
        }
        records_used(core.core, "compartment profile", &profiles, differences);
        records_used(core.core, "threshold profile", &thresholds, differences);
        not_repeated(core.core, "synapse format", &core.formats, differences);
        not_repeated(core.core, "compartment profile", &core.compartment_profiles, differences);
        not_repeated(core.core, "threshold profile", &core.threshold_profiles, differences);
        let memory = &bundle.target.packed().synapse_memory;
        let wanted = cost::delay_bits(memory, largest_delay);
        let at = || At { core: Some(core.core), ..At::default() };
        differences.compare(Side::Image, Field::DelayBits, Some(core.delay_bits), wanted, at);
    }
}

fn check_bits(bits: &CoreImage, core: &CoreTables, target: &Target, differences: &mut Differences) {
    let mut report = |memory: &'static str, found: Value, expected: Value| {
        differences.push(|| Difference {
            side: Side::Image,
            at: At { core: Some(core.core), item: Some(memory.into()), ..At::default() },
            field: Field::UnreadBits,
            found,
            expected,
        });
    };
    let again = match encode_core(core, target) {
        Ok(again) => again,
        Err(e) => return report("decoded tables", e.to_string().into(), "tables that the codec encodes".into()),
    };
    let CoreImage {
        core: _,
        registers,
        synapse_memory,
        in_axons,
        formats,
        compartment_profiles,
        threshold_profiles,
        compartments,
        out_axons,
    } = bits;
    for (memory, found, expected) in [
        ("registers", registers, &again.registers),
        ("synapse memory", synapse_memory, &again.synapse_memory),
        ("input axon table", in_axons, &again.in_axons),
        ("format table", formats, &again.formats),
        ("compartment profile table", compartment_profiles, &again.compartment_profiles),
        ("threshold profile table", threshold_profiles, &again.threshold_profiles),
        ("compartment table", compartments, &again.compartments),
        ("output axon table", out_axons, &again.out_axons),
    ] {
        if found.len() != expected.len() {
            report(memory, format!("{} bits", found.len()).into(), format!("{} bits", expected.len()).into());
        } else if let Some(bit) = (0..found.len()).find(|&b| found[b] != expected[b]) {
            report(memory, format!("{} at bit {bit}", found[bit] as u8).into(), (expected[bit] as u8).into());
        }
    }
}

fn not_repeated<T: PartialEq>(core: u32, table: &'static str, records: &[T], differences: &mut Differences) {
    for (k, record) in records.iter().enumerate() {
        if let Some(first) = records[..k].iter().position(|r| r == record) {
            differences.push(|| Difference {
                side: Side::Image,
                at: At { core: Some(core), item: Some(format!("{table} {k}")), ..At::default() },
                field: Field::RepeatedRecord,
                found: format!("the same as {first}").into(),
                expected: "a record of its own".into(),
            });
        }
    }
}
