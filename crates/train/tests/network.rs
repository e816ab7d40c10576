//! A trained model as a network file: what is written is what was trained.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_data::SpikeTrain;
use spikec_import::{ImportOptions, Model as File};
use spikec_net::{InputKind, Interpreter, run_sample};
use spikec_train::export::{arrays, network};
use spikec_train::layers::{Layer, Role};
use spikec_train::model::Model;
use spikec_train::recipe::Recipe;
use spikec_train::tensor::{Shape, Tensor};
use std::path::Path;

/// Trains a little on noise, writes, reads back, and runs both.
fn check(layers: &str, rest: &str, input: Shape, file: &str) {
    let text = format!("(steps: 6, epochs: 1, data: (train: Npz(\"x\")), layers: [{layers}]{rest})");
    let recipe = Recipe::read(&text).unwrap_or_else(|e| panic!("{e}"));
    let mut model = Model::new(&recipe, input, 3).unwrap_or_else(|e| panic!("{e}"));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    for p in model.parameters_mut() {
        let weight = p.role == Role::Weight;
        // Larger and mostly positive, so that something spikes; a third pruned.
        for v in &mut p.value {
            *v = if weight && random.random_bool(0.33) { 0.0 } else { 5.0 * v.abs() * if random.random_bool(0.25) { -1.0 } else { 1.0 } };
        }
    }
    let (batch, steps, n) = (8, 6, input.len());
    let data = (0..batch * steps * n).map(|_| f32::from(u8::from(random.random_bool(0.3)))).collect();
    let x = Tensor { batch, steps, size: n, data, background: 0.0 };
    // Statistics of batch normalisation.
    for k in 0..20 {
        model.forward(&x, true, k);
    }
    let made = network(&model, "small");
    let written = spikec_import::write(&made, Path::new(file)).unwrap_or_else(|e| panic!("{e}"));
    let beside = |p: &Path| Ok(written.iter().find(|(q, _)| q == p).expect("a file that was written").1.clone());
    let bytes = &written.last().unwrap().1;
    let read = spikec_import::read(Path::new(file), bytes, &ImportOptions::default(), &beside).unwrap_or_else(|e| panic!("{e}"));
    let File::Trained(read) = read.model else { panic!("in registers") };
    assert!(read == made, "{layers}: {}", difference(&read, &made));
    let synapses = |w: &[f32]| w.iter().filter(|w| **w != 0.0).count();
    let kept: usize = model.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| synapses(&p.value)).sum();
    let there: usize = read.projections.iter().flat_map(|p| &p.operators).filter_map(|o| o.weights()).map(synapses).sum();
    assert_eq!(kept, there, "zeros stay zeros");
    let net = read.elaborate(InputKind::Spikes).unwrap_or_else(|e| panic!("{e}"));
    let interpreter = Interpreter::new(&net).unwrap_or_else(|e| panic!("{e}"));
    let y = model.forward(&x, false, 0).clone();
    let readout = matches!(model.layers.last(), Some(Layer::Neurons(n)) if n.firing.is_none());
    let mut spikes = 0;
    for b in 0..batch {
        let row = |t: usize| &x.data[(b * steps + t) * n..][..n];
        // The model's inputs are in the order of the file here: one channel, or no map.
        let train = SpikeTrain::from_steps(n as u32, (0..steps).map(|t| (0..n as u32).filter(|&i| row(t)[i as usize] != 0.0).collect()));
        let run = run_sample(&interpreter, Some(&train), &[], steps as u32, false);
        for k in 0..y.size {
            let of = |t: usize| y.data[(b * steps + t) * y.size + k];
            if readout {
                assert!((f64::from(of(steps - 1)) - run.potentials[k]).abs() < 1e-4, "sample {b}, output {k} of {layers}");
                spikes += u32::from(run.potentials[k].abs() > 1e-3);
            } else {
                let count = (0..steps).map(of).sum::<f32>() as u32;
                assert_eq!(count, run.out_counts[k], "sample {b}, output {k} of {layers}");
                spikes += count;
            }
        }
    }
    assert!(spikes > 5, "{layers} is silent");
    // The arrays have the masks.
    let bytes = arrays(&model);
    let arrays = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let masks = arrays.names().into_iter().filter(|n| n.ends_with(".mask"));
    let ones: usize = masks.map(|n| arrays.tensor(n).unwrap().data().iter().filter(|b| **b == 1).count()).sum();
    let raw: usize = model.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| synapses(&p.value)).sum();
    assert_eq!(ones, raw);
}

#[test]
fn what_is_written_is_what_was_trained() {
    let (flat, map) = (Shape::flat(20), Shape { channels: 1, height: 8, width: 7 });
    check("Linear(outputs: 15), Lif(), Linear(outputs: 3, bias: true), Lif(tau: 4)", "", flat, "net.nir");
    check("Linear(outputs: 15), BatchNorm, If(reset: Soft), Dropout(0.3), Linear(outputs: 3), Lif(reset: Soft)", "", map, "net.nir");
    check("Linear(outputs: 15), Lif(decay_input: false), Linear(outputs: 3), Readout(tau: 3)", ", loss: CrossEntropyLast", flat, "net.nir");
    check(
        "Conv(outputs: 4, padding: 1, bias: true), BatchNorm, Lif(decay_input: false), Pool(kind: Average, kernel: 2), Conv(outputs: 5, kernel: 2, stride: 2), If(), Flatten, Linear(outputs: 3), Lif()",
        "",
        map,
        "net.nir",
    );
    check(
        "Conv(outputs: 4, bias: true), Lif(decay_input: false), Pool(kind: Max, kernel: 2), Pool(kind: Average, kernel: 2), BatchNorm, Lif(), Linear(outputs: 3), Lif()",
        "",
        map,
        "net.ron",
    );
}

/// Where two networks differ.
fn difference(a: &spikec_net::Network, b: &spikec_net::Network) -> String {
    let mut found = vec![format!("{:?}, {:?}", a.conventions, b.conventions)];
    found.extend(
        a.populations
            .iter()
            .zip(&b.populations)
            .filter(|(a, b)| a != b)
            .map(|(a, b)| format!("{} {:?}, {} {:?}", a.name, a.shape, b.name, b.shape)),
    );
    for (a, b) in a.projections.iter().zip(&b.projections).filter(|(a, b)| a != b) {
        let kinds = |p: &spikec_net::TrainedProjection| p.operators.iter().map(|o| o.kind()).collect::<Vec<_>>();
        let same: Vec<bool> = a.operators.iter().zip(&b.operators).map(|(a, b)| a == b).collect();
        found.push(format!("{} {:?}, {} {:?}: {same:?}", a.name, kinds(a), b.name, kinds(b)));
    }
    found.join("; ")
}
