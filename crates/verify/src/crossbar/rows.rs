//! Rows against the neurons whose they are.

use super::spec;
use crate::difference::{At, Difference, Differences, Field, Side, Value};
use crate::owners::{Owners, name};
use spikec_chip::bundle::Bundle;
use spikec_chip::crossbar::{Crossbar as Spec, CrossbarReset, CrossbarRow, CrossbarTables};
use spikec_net::{Crossbar, CrossbarNeuron, CrossbarRules, Net};

/// Compares the registers of each row with its neuron's; the rows that are a neuron's.
pub(super) fn compare(
    bundle: &Bundle,
    net: &Net<Crossbar>,
    tables: &[CrossbarTables],
    owners: &Owners,
    differences: &mut Differences,
) -> u64 {
    let (spec, topology) = (spec(&bundle.target), &bundle.target.topology);
    let (bus_x, bus_y) = *spec.routing.output_bus;
    let bus = bus_y * *topology.width + bus_x;
    let mut checked = 0;
    for (k, core) in tables.iter().enumerate() {
        if core.core >= bundle.target.total_cores() || core.core == bus {
            differences.push(|| Difference {
                side: Side::Image,
                at: At { core: Some(core.core), ..At::default() },
                field: Field::Place,
                found: (if core.core == bus { "a core at the output bus" } else { "a core" }).into(),
                expected: format!("a core of {}, none at {bus}", bundle.target.total_cores()).into(),
            });
        }
        let mut used = false;
        for (index, row) in core.neurons.iter().enumerate() {
            let Some(seat) = owners.owner_at(k, index) else {
                unused(core.core, index, row, spec, differences);
                continue;
            };
            used = true;
            checked += 1;
            let p = &net.populations[seat.cell.population as usize];
            let at = || At { core: Some(core.core), compartment: Some(index as u16), neuron: Some(name(net, seat.cell)), ..At::default() };
            compare_row(&net.rules, row, &p.neurons()[seat.cell.neuron as usize], p.skew, at, differences);
        }
        if !used {
            differences.push(|| Difference {
                side: Side::Image,
                at: At { core: Some(core.core), ..At::default() },
                field: Field::UnusedRecord,
                found: "a core without a neuron".into(),
                expected: "a use".into(),
            });
        }
    }
    checked
}

fn unused(core: u32, index: usize, row: &CrossbarRow, spec: &Spec, differences: &mut Differences) {
    if !row.is_unused(spec) {
        differences.push(|| Difference {
            side: Side::Image,
            at: At { core: Some(core), compartment: Some(index as u16), ..At::default() },
            field: Field::CompartmentOwner,
            found: "a row that is used, of no neuron".into(),
            expected: "a neuron of the symbols, or the unused row".into(),
        });
    }
}

fn compare_row(
    rules: &CrossbarRules,
    row: &CrossbarRow,
    neuron: &CrossbarNeuron,
    skew: u32,
    at: impl Fn() -> At,
    differences: &mut Differences,
) {
    // Connections, weights and destination are wires.
    let CrossbarRow { connections: _, potential, reset, weights: _, leak, positive_threshold, negative_threshold, mode, destination: _ } =
        row;
    let CrossbarNeuron { leak: wanted_leak, threshold, floor, reset: wanted_reset, linear, start } = *neuron;
    let side = Side::Image;
    differences.compare(side, Field::Leak, *leak, wanted_leak, &at);
    differences.compare(side, Field::Threshold, *positive_threshold, threshold, &at);
    differences.compare(side, Field::Floor, *negative_threshold, floor, &at);
    differences.compare(side, Field::ResetValue, *reset, wanted_reset, &at);
    let text = |linear: bool| if linear { "linear" } else { "absolute" };
    differences.compare(side, Field::Reset, text(*mode == CrossbarReset::Linear), text(linear), &at);
    let first = i64::from(start) - i64::from(skew) * i64::from(wanted_leak);
    differences.compare(side, Field::Potential, i64::from(*potential), first, &at);
    if skew > 0 && !quiet(rules, neuron, first) {
        differences.push(|| Difference {
            side,
            at: at(),
            field: Field::Potential,
            found: format!("{first} to {start} in the {skew} ticks before its first step").into(),
            expected: Value::Text(format!("below the threshold {threshold}, not beyond {floor}, and in the range")),
        });
    }
}

/// Whether nothing happens on the way from `first` to the start. Potentials of ticks lie between the two, the last of them being the start, the first one step
/// from `first`; that `first` itself is quiet is asked as well.
fn quiet(rules: &CrossbarRules, n: &CrossbarNeuron, first: i64) -> bool {
    let (least, most) = rules.range();
    let one = |v: i64| {
        let low = if rules.floor_inclusive { v <= i64::from(n.floor) } else { v < i64::from(n.floor) };
        (least..=most).contains(&v) && v < i64::from(n.threshold) && !low
    };
    one(first) && one(i64::from(n.start))
}
