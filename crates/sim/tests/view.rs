//! What exporters are told: acting weights, thresholds, and biases over time.

mod common;

use common::*;
use spikec_chip::bundle::Encoder;
use spikec_chip::bundle::{BiasWrite, HostMap};
use spikec_data::Values;
use spikec_sim::{Arithmetic, BiasChange, RunError};

#[test]
fn weights_and_thresholds_in_v_units() {
    let arithmetic = Arithmetic::new(&spikec_chip::find("loihi1").unwrap()).unwrap();
    assert_eq!(arithmetic.acting_weight(100, 0), 6400);
    assert_eq!((arithmetic.acting_weight(6, -2), arithmetic.acting_weight(-6, -2)), (64, -128));
    assert_eq!(arithmetic.acting_weight(255, 8), (1 << 21) - (1 << 6));
    assert_eq!(arithmetic.threshold(200), 12_800);
}

#[test]
fn biases_change_when_the_host_writes_them() {
    let keep = profile(4096, 0, 1);
    let neurons = [place(3, 0), place(3, 1), place(3, 2)];
    let populations = vec![population("a", 0, &neurons[..1]), population("b", 2, &neurons[1..])];
    let mut bundle = bundle(&[core(3, &[(keep, 100); 3])], Vec::new(), populations);
    bundle.host.max_skew = 2;
    bundle.host.input_width = 1;
    bundle.host.encoder = Encoder::Bias;
    bundle.host.input_axons = Vec::new();
    bundle.host.bias_writes = vec![
        BiasWrite { chip_step: 2, place: neurons[1], mantissa: -5, exponent: 3 },
        BiasWrite { chip_step: 0, place: neurons[0], mantissa: 7, exponent: 0 },
    ];
    bundle.host.maps = vec![HostMap {
        name: "map".into(),
        first_channel: 0,
        delay_steps: 0,
        targets: vec![neurons[2]],
        offsets: vec![0, 1],
        channels: vec![0],
        weights: vec![2.0],
        constants: vec![1.0],
        gains: vec![10.0],
    }];
    let change = |chip_step, compartment, bias| BiasChange { chip_step, core: 3, compartment, bias };
    let machine = boot(&bundle);
    let constant = [change(0, 0, 7), change(2, 1, -40)];
    assert_eq!(machine.bias_changes(None, 3).unwrap(), constant);
    // The same value again is no change.
    let values = Values { width: 1, frames: vec![4.0, 4.0, 0.0], constant: false };
    let changes = machine.bias_changes(Some(&values), 3).unwrap();
    assert_eq!(changes, [constant[0], constant[1], change(2, 2, 90), change(4, 2, 10)]);
    let wide = Values { width: 2, ..values };
    assert_eq!(machine.bias_changes(Some(&wide), 3), Err(RunError::Width { found: 2, expected: 1 }));
    assert!(matches!(machine.bias_changes(None, u32::MAX), Err(RunError::TooManySteps { .. })));
}
