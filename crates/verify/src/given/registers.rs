//! The reference section against a network in registers: everything is equal, but for dead neurons.

use super::*;
use crate::resolve::bias_value;
use spikec_net::Fixed;

/// Compares a network in registers.
pub(crate) fn compare(given: &Net<Fixed>, reference: &Net<Fixed>, differences: &mut Differences, checked: &mut Checked) {
    // The width of the input sum decides what is counted, not what happens: it may be the target's.
    let counted = spikec_net::FixedRules { input_bits: reference.rules.input_bits, ..given.rules };
    if reference.rules != counted {
        let text = |n: &Net<Fixed>| Value::Text(format!("{:?}", n.rules));
        differences.push(|| Difference {
            side: SIDE,
            at: At::default(),
            field: Field::Rules,
            found: text(reference),
            expected: text(given),
        });
    }
    let Some(kept) = compare_populations(given, reference, differences, checked) else { return };
    for (k, (g, r)) in given.populations.iter().zip(&reference.populations).enumerate() {
        for (j, (wanted, kept)) in g.neurons().iter().zip(&kept[k]).enumerate() {
            let Some(found) = kept.and_then(|n| r.neurons().get(n as usize)) else { continue };
            let at = || At { neuron: Some(given_name(given, k, j)), ..At::default() };
            differences.compare(SIDE, Field::DecayU, found.decay_u, wanted.decay_u, at);
            differences.compare(SIDE, Field::DecayV, found.decay_v, wanted.decay_v, at);
            differences.compare(SIDE, Field::Threshold, found.threshold, wanted.threshold, at);
            differences.compare(SIDE, Field::Refractory, found.refractory, wanted.refractory, at);
            let bias = |n: &spikec_net::FixedNeuron| bias_value(n.bias.mantissa, n.bias.exponent);
            differences.compare(SIDE, Field::Bias, bias(found), bias(wanted), at);
        }
    }
    for (g, r) in pair_projections(given, reference, &kept, differences) {
        if r.format != g.format {
            let text = |p: &Projection<Fixed>| Value::Text(format!("{:?}", p.format));
            differences.push(|| Difference { side: SIDE, at: item(&g.name), field: Field::Format, found: text(r), expected: text(g) });
        }
        compare_synapses((given, reference), (g, r), &kept, differences, checked);
    }
    for (g, r) in pair_host_projections(given, reference, &kept, differences) {
        for (i, row) in kept[g.post.index()].iter().enumerate() {
            let Some(j) = row.map(|n| n as usize) else { continue };
            let at = || At { neuron: Some(given_name(given, g.post.index(), i)), ..item(&g.name) };
            compare_host_terms((given, reference), (g, r), (i, j), at, differences);
            for (field, found, wanted) in [(Field::HostConstant, r.constants[j], g.constants[i]), (Field::HostGain, r.gains[j], g.gains[i])]
            {
                if found.to_bits() != wanted.to_bits() {
                    differences.push(|| Difference { side: SIDE, at: at(), field, found: found.into(), expected: wanted.into() });
                }
            }
        }
    }
}

/// The reference's synapses are the given ones between kept neurons: as multisets of (pre, post, delay, mantissa).
fn compare_synapses(
    nets: (&Net<Fixed>, &Net<Fixed>),
    pair: (&Projection<Fixed>, &Projection<Fixed>),
    kept: &Kept,
    differences: &mut Differences,
    checked: &mut Checked,
) {
    let ((given, reference), (g, r)) = (nets, pair);
    for (i, row) in kept[g.pre.index()].iter().enumerate() {
        let renumber = |(post, weight, delay): (u32, i16, u16)| kept[g.post.index()][post as usize].map(|j| (j, delay, weight));
        let Some(row) = *row else { continue };
        // Both rows ascend by (post, delay): renumbering keeps the order. Equal keys: any order of weights.
        let mut wanted: Vec<(u32, u16, i16)> = g.synapses.row(i).iter().filter_map(renumber).collect();
        let mut found: Vec<(u32, u16, i16)> =
            r.synapses.row(row as usize).iter().map(|(post, weight, delay)| (post, delay, weight)).collect();
        checked.given_synapses += wanted.len() as u64;
        if found == wanted {
            continue;
        }
        wanted.sort_unstable();
        found.sort_unstable();
        let name = |(j, ..): (u32, u16, i16)| At {
            pre: Some(given_name(given, g.pre.index(), i)),
            neuron: Some(NeuronName {
                population: r.post.0,
                name: given.population(g.post).name.clone(),
                index: reference.population(r.post).origin[j as usize],
            }),
            ..item(&g.name)
        };
        let (mut a, mut b) = (found.iter().copied().peekable(), wanted.iter().copied().peekable());
        loop {
            match (a.peek().copied(), b.peek().copied()) {
                (None, None) => break,
                (Some(x), Some(y)) if x.0 == y.0 => {
                    differences.compare(SIDE, Field::Delay, x.1, y.1, || name(x));
                    differences.compare(SIDE, Field::Mantissa, x.2, y.2, || name(x));
                    a.next();
                    b.next();
                }
                (Some(x), y) if y.is_none_or(|y| x.0 < y.0) => {
                    differences.compare(SIDE, Field::Synapse, Some(x.2), None, || name(x));
                    a.next();
                }
                (_, Some(y)) => {
                    differences.compare(SIDE, Field::Synapse, None, Some(y.2), || name(y));
                    b.next();
                }
                (Some(_), None) => break,
            }
        }
    }
}
