//! Bundles that are wrong: booting names the place, and nothing panics whatever the bits are.

mod common;

use common::{SPARSE, axon, bundle, core, place, population, profile, sends, spikes, synapse};
use proptest::prelude::*;
use spikec_chip::CoreImage;
use spikec_chip::bundle::{BiasWrite, Bundle, DecoderKind, Encoder, HostMap};
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::Packed;
use spikec_data::{Stimulus, Values};
use spikec_sim::{Machine, Record, RunOptions};

fn good() -> Bundle {
    let p = profile(1024, 128, 2);
    let mut a = core(3, &[(p, 10), (p, 20)]);
    a.delay_bits = 3;
    a.formats = vec![SynapseFormat { delay_bits: 3, ..SPARSE }];
    let mut b = core(9, &[(p, 10), (profile(4096, 0, 1), 5)]);
    let x = axon(&mut a, 0, &[synapse(0, 120, 0), synapse(1, 250, 1)]);
    let h = axon(&mut b, 0, &[synapse(0, 200, 0), synapse(1, -20, 0)]);
    sends(&mut a, 0, &[place(9, h)]);
    sends(&mut a, 1, &[place(9, h), place(3, x)]);
    let populations = vec![population("h", 0, &[place(3, 0), place(3, 1)]), population("o", 1, &[place(9, 0), place(9, 1)])];
    let mut bundle = bundle(&[a, b], vec![vec![place(3, x)], vec![]], populations);
    bundle.host.bias_writes = vec![BiasWrite { chip_step: 1, place: place(9, 1), mantissa: 7, exponent: 2 }];
    bundle
}

fn analog() -> Bundle {
    let mut bundle = good();
    bundle.host.encoder = Encoder::Bias;
    bundle.host.input_axons.clear();
    bundle.host.maps = vec![HostMap {
        name: "map".into(),
        first_channel: 1,
        delay_steps: 0,
        targets: vec![place(3, 0), place(3, 1)],
        offsets: vec![0, 0, 1],
        channels: vec![0],
        weights: vec![1.0],
        constants: vec![1.0, 2.0],
        gains: vec![10.0, 20.0],
    }];
    bundle
}

fn cores(b: &mut Bundle) -> &mut Vec<CoreImage> {
    let image = b.image.packed_mut();
    &mut image.cores
}

fn packed(b: &mut Bundle) -> &mut Packed {
    b.target.packed_mut()
}

/// Boots and, when that works, runs both kinds of samples.
fn exercise(bundle: &Bundle) -> Result<(), String> {
    let machine = Machine::boot(bundle.loadable()).map_err(|e| {
        assert!(!e.hint().is_empty());
        e.to_string()
    })?;
    let width = bundle.host.input_width.min(1000);
    let options =
        RunOptions { steps: Some(3), record: Record { spikes: true, potentials: true, ..Record::default() }, ..RunOptions::default() };
    let channels: Vec<u32> = (0..width).flat_map(|c| [c, c]).collect();
    let values = Values { width, frames: vec![1e30; width as usize], constant: true };
    for sample in [spikes(width, &[&channels, &[], &channels]), Stimulus::Values(values)] {
        let _ = machine.run(&sample, &options);
    }
    Ok(())
}

#[test]
fn good_bundles_boot() {
    assert_eq!(exercise(&good()), Ok(()));
    assert_eq!(exercise(&analog()), Ok(()));
}

type Change = fn(&mut Bundle);

#[test]
fn each_damage_is_named() {
    let spiking: &[(Change, &str)] = &[
        (|b| b.target.topology.chips.value = 0, "topology.chips"),
        (|b| b.target.topology.neuron_hop_steps.value = 0, "neuron_hop_steps"),
        (|b| b.target.topology.neuron_hop_steps.value = 1000, "neuron_hop_steps"),
        (|b| packed(b).neuron.u_bits.value = 99, "u_bits"),
        (|b| packed(b).neuron.v_min.value = 5, "v_min"),
        (|b| cores(b).swap(0, 1), "core 3 stands after core 9"),
        (|b| cores(b).truncate(1), "core 3, output axon 0: core 9 is not in the image"),
        (|b| cores(b)[1].core = 8, "core 9 is not in the image"),
        (|b| cores(b)[0].registers.clear(), "core 3"),
        (|b| cores(b)[1].synapse_memory.clear(), "core 9"),
        (|b| b.host.input_axons[0][0].core = 77, "input_axons 0: core 77 is not in the image"),
        (|b| b.host.input_axons[0][0].index = 1, "input_axons 0: core 3 has 1 input axons, but input axon 1 is referred to"),
        (|b| b.host.input_axons.truncate(1), "host: input_axons: channels is 1, expected 2"),
        (|b| b.host.encoder = Encoder::Rate { full_scale: 1.0 }, "channels is 2, expected 4"),
        (|b| b.host.encoder = Encoder::Rate { full_scale: f64::NAN }, "full_scale"),
        (|b| b.host.encoder = Encoder::Latency { full_scale: 0.0 }, "full_scale"),
        (|b| b.host.encoder = Encoder::Bias, "channels is 2, expected 0"),
        (|b| b.host.maps = analog().host.maps, "maps"),
        (|b| b.host.max_skew = u32::MAX, "max_skew"),
        (|b| b.host.max_skew = 0, "skew is 1, expected 0"),
        (|b| b.host.bias_writes[0].chip_step = 2, "bias_writes 0: chip_step is 2, expected 0 to 1"),
        (|b| b.host.bias_writes[0].place.index = 2, "bias_writes 0: core 9 has 2 compartments, but compartment 2"),
        (|b| b.host.bias_writes[0].mantissa = 4096, "bias_writes 0: mantissa is 4096, expected -4095 to 4095"),
        (|b| b.host.bias_writes[0].exponent = 8, "bias_writes 0: exponent is 8, expected 0 to 7"),
        (|b| b.host.decoder.outputs[1] = Some(place(9, 2)), "decoder output 1"),
        (|b| b.host.decoder.outputs.clear(), "decoder: outputs is 0, expected 2"),
        (|b| b.host.decoder.skew = 0, "decoder: skew"),
        (|b| b.host.decoder.kind = DecoderKind::Vote(0), "vote"),
        (|b| b.symbols.output = 2, "symbols: output is 2, expected 0 to 1"),
        (|b| b.symbols.populations[0].skew = 9, "symbols: population 0: skew is 9"),
        (|b| b.symbols.populations[0].neurons[1].0 = 2, "symbols: population 0: neuron is 2, expected 0 to 1"),
        (|b| b.symbols.populations[0].neurons[1].1 = place(4, 0), "symbols: population 0: core 4"),
        (|b| b.symbols.populations[0].neurons[1].1 = place(9, 0), "another population"),
        (|b| b.symbols.populations[1].shape = vec![u32::MAX; 9], "decoder: outputs is 2"),
    ];
    let driven: &[(Change, &str)] = &[
        (|b| b.host.maps[0].offsets.clear(), "map 0: offsets is 0, expected 3"),
        (|b| b.host.maps[0].offsets = vec![1, 1, 1], "map 0: first offset is 1, expected 0"),
        (|b| b.host.maps[0].offsets = vec![0, 2, 1], "map 0: offsets (ascending) is 2, expected 0 to 1"),
        (|b| b.host.maps[0].offsets = vec![0, 0, 0], "map 0: last offset is 0, expected 1"),
        (|b| b.host.maps[0].constants.truncate(1), "map 0: constants is 1, expected 2"),
        (|b| b.host.maps[0].gains.truncate(1), "map 0: gains is 1, expected 2"),
        (|b| b.host.maps[0].weights.clear(), "map 0: weights is 0, expected 1"),
        (|b| b.host.maps[0].channels[0] = 1, "map 0: channel is 1, expected 0"),
        (|b| b.host.maps[0].first_channel = 3, "map 0: first_channel is 3"),
        (|b| b.host.maps[0].delay_steps = u32::MAX, "map 0: delay_steps"),
        (|b| b.host.maps[0].targets[1] = place(3, 2), "map 0: core 3 has 2 compartments"),
        (|b| b.host.maps[0].targets[1] = place(9, 0), "map 0: skew of a target"),
        (|b| b.symbols.populations[0].neurons.truncate(1), "map 0: compartment 1 of core 3 belongs to no population"),
        (|b| b.host.maps[0].weights[0] = f32::INFINITY, "map 0: weights must be finite"),
        (|b| b.host.maps[0].gains[0] = f64::NAN, "map 0: gains must be finite"),
    ];
    for (base, cases) in [(good as fn() -> Bundle, spiking), (analog, driven)] {
        for (k, (change, expected)) in cases.iter().enumerate() {
            let mut bundle = base();
            change(&mut bundle);
            let message = exercise(&bundle).expect_err(&format!("case {k} ({expected}) must not boot"));
            assert!(message.contains(expected), "case {k}: {message:?} doesn't say {expected:?}");
        }
    }
}

#[test]
fn weights_that_could_pass_32_bits_are_refused() {
    // 111 channels with 600 synapses of the largest weight on one compartment pass 2^31 units.
    let mut a = core(0, &[(profile(4096, 0, 1), 1)]);
    a.formats[0].exponent = 7;
    let x = axon(&mut a, 0, &vec![synapse(0, 254, 0); 600]);
    let bundle = bundle(&[a], vec![vec![place(0, x)]; 111], vec![population("n", 0, &[place(0, 0)])]);
    let message = Machine::boot(bundle.loadable()).unwrap_err().to_string();
    assert_eq!(message, format!("core 0, compartment 0: its weights add up to {} units, more than 2147483647", 111u64 * 600 * 32_512));
}

#[test]
fn a_channel_that_spikes_too_often_at_once_is_refused() {
    let mut a = core(0, &[(profile(4096, 0, 1), 1)]);
    a.formats[0].exponent = 7;
    let x = axon(&mut a, 0, &vec![synapse(0, 254, 0); 600]);
    let bundle = bundle(&[a], vec![vec![place(0, x)]], vec![population("n", 0, &[place(0, 0)])]);
    let machine = Machine::boot(bundle.loadable()).unwrap();
    let often = |n: usize| machine.run(&spikes(1, &[&vec![0; n]]), &RunOptions::default());
    assert_eq!(often(110).unwrap().counters.u_wraps, 1);
    assert!(often(111).unwrap_err().to_string().contains("111 times in step 0"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Flipped bits anywhere in the image: an error or a machine that runs.
    #[test]
    fn flipped_bits_never_panic(flips in prop::collection::vec((0usize..2, 0usize..8, any::<prop::sample::Index>()), 1..6)) {
        let mut bundle = good();
        for (k, table, at) in flips {
            let c = &mut cores(&mut bundle)[k];
            let tables = [
                &mut c.registers, &mut c.synapse_memory, &mut c.in_axons, &mut c.formats,
                &mut c.compartment_profiles, &mut c.threshold_profiles, &mut c.compartments, &mut c.out_axons,
            ];
            let bits = tables.into_iter().nth(table).unwrap();
            if !bits.is_empty() {
                let at = at.index(bits.len());
                let bit = bits[at];
                bits.set(at, !bit);
            }
        }
        let _ = exercise(&bundle);
    }

    /// Wild numbers in the host section: an error or a machine that runs.
    #[test]
    fn wild_host_numbers_never_panic(n in prop::collection::vec(prop_oneof![0u32..4, any::<u32>()], 10), which in 0usize..10, encoder in 0usize..4) {
        let mut b = if encoder == 1 { analog() } else { good() };
        let other = place(n[0], n[1] as u16);
        match which {
            0 => b.host.input_axons = vec![vec![other]; 2],
            1 => b.host.max_skew = n[2],
            2 => b.host.bias_writes[0] = BiasWrite { chip_step: n[3], place: other, mantissa: n[4] as i16, exponent: n[5] as u8 },
            3 => b.host.decoder.outputs = vec![Some(other); 2],
            4 => b.symbols.populations[1].neurons = vec![(n[6], other)],
            5 => b.symbols.populations[n[7] as usize % 2].shape = vec![n[8], n[9]],
            6 => b.host.input_width = n[7],
            7 => if let Some(map) = b.host.maps.first_mut() { map.offsets = n[..3].to_vec() },
            8 => if let Some(map) = b.host.maps.first_mut() { map.first_channel = n[0]; map.delay_steps = n[1] },
            _ => b.host.decoder.kind = DecoderKind::Vote(n[0]),
        }
        match encoder {
            2 => b.host.encoder = Encoder::Rate { full_scale: f64::from(n[0]) },
            3 => b.host.encoder = Encoder::Latency { full_scale: f64::from(n[0]) },
            _ => {}
        }
        if encoder > 1 {
            b.host.input_axons.resize(4, vec![]);
        }
        let _ = exercise(&b);
    }
}
