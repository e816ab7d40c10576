//! Faults in the image: decoded tables that are encoded again, and flipped bits of every memory.

use super::{Catch, Edit, Mutator, Nudge, Random, choose, fields};
use spikec_chip::bundle::Bundle;
use spikec_chip::codec::{decode_core, encode_core};
use spikec_chip::image::{
    Bits, Compartment, CompartmentProfile, CoreImage, CoreTables, Image, InAxon, OutAxon, PackedImage, StoredSynapse, SynapseEntry,
    SynapseFormat, SynapseList,
};

fn packed(b: &mut Bundle, r: &mut Random, edit: Edit<PackedImage>) -> bool {
    match &mut b.image {
        Image::Packed(image) => edit(image, r),
        _ => false,
    }
}
fn core(b: &mut Bundle, r: &mut Random, edit: Edit<CoreImage>) -> bool {
    packed(b, r, &mut |image, r| choose(&mut image.cores, r, edit))
}
/// A core's tables, encoded again after the edit; false when the codec refuses them.
fn tables(b: &mut Bundle, r: &mut Random, edit: Edit<CoreTables>) -> bool {
    let target = b.target.clone();
    core(b, r, &mut |core, r| {
        let Ok(mut tables) = decode_core(core, &target) else { return false };
        if !edit(&mut tables, r) {
            return false;
        }
        encode_core(&tables, &target).map(|again| *core = again).is_ok()
    })
}
/// A format record alone: the memory that it describes stays as it is. Another record that reads the same synapses is no fault.
fn format(b: &mut Bundle, r: &mut Random, edit: Edit<SynapseFormat>) -> bool {
    let target = b.target.clone();
    core(b, r, &mut |core, r| {
        let Ok(before) = decode_core(core, &target) else { return false };
        let mut bare = CoreTables { lists: Vec::new(), in_axons: Vec::new(), ..before.clone() };
        let k = r.below(bare.formats.len());
        if !bare.formats.get_mut(k).is_some_and(|f| edit(f, r)) {
            return false;
        }
        let Ok(again) = encode_core(&bare, &target) else { return false };
        core.formats = again.formats;
        decode_core(core, &target).map_or(true, |after| !same_meaning(&before, &after))
    })
}
/// An input axon that reads something else after the edit, lists being in order again.
fn axon(b: &mut Bundle, r: &mut Random, edit: Edit<InAxon>) -> bool {
    tables(b, r, &mut |t, r| {
        let before = reads(t);
        let done = choose(&mut t.in_axons, r, edit) && t.in_axons.iter().all(|a| usize::from(a.list) < t.lists.len());
        t.order_lists();
        done && reads(t) != before
    })
}
fn list(b: &mut Bundle, r: &mut Random, edit: Edit<SynapseList>) -> bool {
    tables(b, r, &mut |t, r| choose(&mut t.lists, r, edit))
}
/// An entry that means something else after the edit: not just another way to store the same synapses.
fn entry(b: &mut Bundle, r: &mut Random, edit: Edit<SynapseEntry>) -> bool {
    tables(b, r, &mut |t, r| {
        let exponents: Vec<i8> = t.formats.iter().map(|f| f.exponent).collect();
        let meaning = |e: &SynapseEntry| (exponents.get(usize::from(e.format)).copied(), e.synapses.clone());
        let k = r.below(t.lists.len());
        t.lists.get_mut(k).is_some_and(|list| {
            choose(&mut list.entries, r, &mut |e, r| {
                let before = meaning(e);
                edit(e, r) && meaning(e) != before
            })
        })
    })
}
fn synapse(b: &mut Bundle, r: &mut Random, edit: Edit<StoredSynapse>) -> bool {
    entry(b, r, &mut |e, r| choose(&mut e.synapses, r, edit))
}
fn profile(b: &mut Bundle, r: &mut Random, edit: Edit<CompartmentProfile>) -> bool {
    tables(b, r, &mut |t, r| choose(&mut t.compartment_profiles, r, edit))
}
fn compartment(b: &mut Bundle, r: &mut Random, edit: Edit<Compartment>) -> bool {
    tables(b, r, &mut |t, r| choose(&mut t.compartments, r, edit))
}
fn out_axon(b: &mut Bundle, r: &mut Random, edit: Edit<OutAxon>) -> bool {
    tables(b, r, &mut |t, r| choose(&mut t.out_axons, r, edit))
}

/// The tables are equal but for the way in which the same synapses are stored: of an entry's format, only the exponent acts.
fn same_meaning(a: &CoreTables, b: &CoreTables) -> bool {
    let rest = |t: &CoreTables| CoreTables { formats: Vec::new(), lists: Vec::new(), in_axons: Vec::new(), ..t.clone() };
    reads(a) == reads(b) && rest(a) == rest(b)
}

/// A synapse as it acts: exponent, compartment, mantissa, delay.
type Acts = (Option<i8>, usize, i16, u8);

/// What each input axon reads, entry by entry.
fn reads(t: &CoreTables) -> Vec<Vec<Vec<Acts>>> {
    let exponent = |e: &SynapseEntry| t.formats.get(usize::from(e.format)).map(|f| f.exponent);
    let entry = |a: InAxon, e: &SynapseEntry| -> Vec<Acts> {
        e.synapses.iter().map(|s| (exponent(e), a.compartment(s), s.mantissa, s.delay)).collect()
    };
    t.in_axons.iter().map(|&a| t.list(a).entries.iter().map(|e| entry(a, e)).collect()).collect()
}

/// Inverts one bit.
fn flip(bits: &mut Bits, r: &mut Random) -> bool {
    let k = r.below(bits.len());
    let Some(bit) = bits.get(k).map(|b| !*b) else { return false };
    bits.set(k, bit);
    true
}

/// A core image with one bit of a memory inverted, unless it reads the same in another width.
fn flip_in(bundle: &Bundle, seed: u64, memory: fn(&mut CoreImage) -> &mut Bits) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    let target = &bundle.target;
    let done = core(&mut mutant, &mut Random::new(seed), &mut |core, r| {
        let before = decode_core(core, target);
        let flipped = flip(memory(core), r);
        flipped && !matches!((before, decode_core(core, target)), (Ok(a), Ok(b)) if same_meaning(&a, &b))
    });
    done.then_some(mutant)
}

/// One bit more, or the last one less.
fn resize(bits: &mut Bits, r: &mut Random) -> bool {
    if r.below(2) == 0 {
        bits.push(r.below(2) == 1);
        return true;
    }
    bits.pop().is_some()
}

/// Takes away an element that means something.
fn lose<T>(list: &mut Vec<T>, r: &mut Random, means: impl Fn(&T) -> bool) -> bool {
    let k = r.below(list.len());
    let done = list.get(k).is_some_and(means);
    if done {
        list.remove(k);
    }
    done
}

fn acts(e: &SynapseEntry) -> bool {
    e.synapses.iter().any(|s| s.mantissa != 0)
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    fields!(out, PackedImage, packed, {
        cores: Refusal => |p, r| if p.cores.len() > 1 && r.below(2) == 0 { p.cores.swap(0, 1); true } else { p.cores.pop().is_some() },
    });
    fields!(out, CoreImage, core, {
        core: Refusal,
        registers: Refusal => |c, r| resize(&mut c.registers, r),
        synapse_memory: Refusal => |c, r| resize(&mut c.synapse_memory, r),
        in_axons: Refusal => |c, r| resize(&mut c.in_axons, r),
        formats: Refusal => |c, r| resize(&mut c.formats, r),
        compartment_profiles: Refusal => |c, r| resize(&mut c.compartment_profiles, r),
        threshold_profiles: Refusal => |c, r| resize(&mut c.threshold_profiles, r),
        compartments: Refusal => |c, r| resize(&mut c.compartments, r),
        out_axons: Refusal => |c, r| resize(&mut c.out_axons, r),
    });
    fields!(out, CoreTables, tables, {
        core: Refusal,
        delay_bits: Refusal => |t, r| {
            let widths = [0, 3, 4, 5, 6];
            t.delay_bits = widths[r.below(widths.len())];
            true
        },
        formats: Refusal => |t, r| {
            let Some(mut f) = t.formats.first().copied() else { return false };
            f.exponent = (f.exponent + 1 + r.below(3) as i8) % 7;
            t.formats.push(f);
            true
        },
        lists: Refusal => |t, r| {
            let k = r.below(t.lists.len().saturating_sub(1));
            t.lists.len() > 1 && t.lists[k] != t.lists[k + 1] && {
                let before = reads(t);
                t.lists.swap(k, k + 1);
                reads(t) != before
            }
        },
        in_axons: Refusal => |t, r| {
            let k = r.below(t.in_axons.len().saturating_sub(1));
            t.in_axons.len() > 1 && {
                let before = reads(t);
                t.in_axons.swap(k, k + 1);
                t.order_lists();
                reads(t) != before
            }
        },
        compartment_profiles: Refusal => |t, _| {
            let Some(p) = t.compartment_profiles.last().copied() else { return false };
            t.compartment_profiles.push(p);
            true
        },
        threshold_profiles: Refusal => |t, r| {
            let k = r.below(t.threshold_profiles.len());
            t.threshold_profiles.get_mut(k).is_some_and(|m| m.nudge(r))
        },
        compartments: Refusal => |t, _| {
            let Some(c) = t.compartments.last().copied() else { return false };
            t.compartments.push(Compartment { out_axon_count: 0, ..c });
            true
        },
        out_axons: Refusal => |t, _| {
            let Some(o) = t.out_axons.last().copied() else { return false };
            t.out_axons.push(o);
            true
        },
    });
    fields!(out, SynapseFormat, format, {
        weight_bits: Refusal,
        index_bits: Refusal,
        skip_bits: Refusal => |f, r| f.skip_bits != 0 && f.skip_bits.nudge(r),
        delay_bits: Refusal => |f, r| {
            let widths = [0, 3, 4, 5, 6];
            f.delay_bits = widths[r.below(widths.len())];
            true
        },
        compression: Refusal => |f, r| {
            f.compression.nudge(r);
            f.skip_bits = if f.compression == spikec_chip::target::Compression::RunLength { 2 } else { 0 };
            true
        },
        sign: Refusal,
        exponent: Refusal,
    });
    fields!(out, SynapseList, list, {
        entries: Refusal => |l, r| lose(&mut l.entries, r, acts),
    });
    fields!(out, InAxon, axon, {
        list: Refusal,
        base: Refusal,
    });
    fields!(out, SynapseEntry, entry, {
        format: Refusal => |e, r| acts(e) && e.format.nudge(r),
        synapses: Refusal => |e, r| lose(&mut e.synapses, r, |s| s.mantissa != 0),
    });
    fields!(out, StoredSynapse, synapse, {
        index: Refusal => |s, r| s.mantissa != 0 && s.index.nudge(r),
        mantissa: Refusal => |s, r| {
            let step = [1, 2, 4, 8, 16, 32, 64, 128][r.below(8)];
            s.mantissa += if r.below(2) == 0 { step } else { -step };
            true
        },
        delay: Refusal => |s, r| s.mantissa != 0 && s.delay.nudge(r),
    });
    fields!(out, CompartmentProfile, profile, {
        decay_u: Refusal,
        decay_v: Refusal,
        refractory: Refusal,
    });
    fields!(out, Compartment, compartment, {
        profile: Refusal,
        threshold_profile: Refusal,
        bias_mantissa: Refusal,
        bias_exponent: Refusal,
        out_axon_start: Refusal => |c, r| c.out_axon_count != 0 && c.out_axon_start.nudge(r),
        out_axon_count: Refusal,
    });
    fields!(out, OutAxon, out_axon, {
        core: Refusal,
        in_axon: Refusal,
    });
    type Flip = (&'static str, fn(&Bundle, u64) -> Option<Bundle>);
    let flips: [Flip; 8] = [
        ("bit of registers", |b, s| flip_in(b, s, |c| &mut c.registers)),
        ("bit of synapse_memory", |b, s| flip_in(b, s, |c| &mut c.synapse_memory)),
        ("bit of in_axons", |b, s| flip_in(b, s, |c| &mut c.in_axons)),
        ("bit of formats", |b, s| flip_in(b, s, |c| &mut c.formats)),
        ("bit of compartment_profiles", |b, s| flip_in(b, s, |c| &mut c.compartment_profiles)),
        ("bit of threshold_profiles", |b, s| flip_in(b, s, |c| &mut c.threshold_profiles)),
        ("bit of compartments", |b, s| flip_in(b, s, |c| &mut c.compartments)),
        ("bit of out_axons", |b, s| flip_in(b, s, |c| &mut c.out_axons)),
    ];
    out.extend(flips.map(|(name, apply)| Mutator { name, catch: Catch::Refusal, apply }));
}
