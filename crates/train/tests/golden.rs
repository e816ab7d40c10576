//! Gradients and optimizers against vectors that PyTorch made in float64 (tests/external/torch_gradients.py).

use safetensors::SafeTensors;
use spikec_train::export::inside;
use spikec_train::layers::{Layer, Parameter, Role};
use spikec_train::model::Model;
use spikec_train::recipe::Recipe;
use spikec_train::rewire::{Clock, Rewiring};
use spikec_train::tensor::{Shape, Tensor};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/train/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn array(file: &SafeTensors, name: &str) -> (Vec<usize>, Vec<f32>) {
    let view = file.tensor(name).unwrap();
    let values = view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    (view.shape().to_vec(), values)
}

/// From PyTorch's order, (outputs, inputs) or (outputs, channels, rows, columns), to ours.
fn ours(shape: &[usize], values: &[f32]) -> Vec<f32> {
    if shape.len() < 2 { values.to_vec() } else { inside(values, shape[1], shape[0]) }
}

fn recipe(steps: u32, rest: &str) -> Recipe {
    Recipe::read(&format!("(steps: {steps}, epochs: 1, data: (train: Npz(\"x\")), {rest})")).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn gradients_are_those_of_pytorch() {
    let bytes = file("gradients.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let map = Shape { channels: 2, height: 8, width: 8 };
    for (name, input, rest) in [
        ("dense", Shape::flat(9), "layers: [Linear(outputs: 12), Lif(), Linear(outputs: 3, bias: true), Lif()]"),
        (
            "attached",
            Shape::flat(9),
            "layers: [Linear(outputs: 12), Lif(tau: 3.0, detach: false), Linear(outputs: 3), Lif(threshold: 0.7, detach: false)]",
        ),
        (
            "soft",
            Shape::flat(9),
            "loss: CrossEntropyCount, layers: [Linear(outputs: 12, bias: true), If(reset: Soft, surrogate: Sigmoid(4.0)), Linear(outputs: 3, bias: true), If(reset: Soft, surrogate: Triangle(0.5))]",
        ),
        (
            "potential",
            Shape::flat(9),
            "loss: CrossEntropySum, layers: [Linear(outputs: 12), Lif(surrogate: SuperSpike(3.0)), Linear(outputs: 3, bias: true), Readout(tau: 4.0)]",
        ),
        (
            "conv",
            map,
            "vote: 2, layers: [Conv(outputs: 4, padding: 1), BatchNorm, Lif(), Pool(kind: Max, kernel: 2), Conv(outputs: 5, kernel: 2, bias: true), BatchNorm, Lif(), Pool(kind: Average, kernel: 2, stride: 1), Flatten, Linear(outputs: 6), Lif()]",
        ),
    ] {
        let mut model = Model::new(&recipe(4, rest), input, 3).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut expected = Vec::new();
        for (k, p) in model.parameters_mut().into_iter().enumerate() {
            let (shape, values) = array(&file, &format!("{name}.{k}.value"));
            p.value = ours(&shape, &values);
            expected.push(ours(&shape, &array(&file, &format!("{name}.{k}.gradient")).1));
        }
        let (shape, data) = array(&file, &format!("{name}.x"));
        let x = Tensor { batch: shape[0], steps: shape[1], size: input.len(), data, background: 0.0 };
        let judged = model.learn(&x, &[0, 1, 2, 0, 1, 2], 0);
        let loss = array(&file, &format!("{name}.loss")).1[0];
        assert!((judged.loss / 6.0 - f64::from(loss)).abs() < 1e-5, "{name}: loss {} {loss}", judged.loss / 6.0);
        for (p, expected) in model.parameters().iter().zip(expected) {
            let most = expected.iter().fold(0f32, |m, g| m.max(g.abs()));
            // What a batch normalisation takes away again has no gradient.
            let nothing = name == "conv" && p.name == "conv2.bias";
            assert!(nothing || most > 1e-4, "{name}: {} has no gradient to speak of", p.name);
            assert_eq!(p.gradient.len(), expected.len());
            for (k, (found, expected)) in p.gradient.iter().zip(&expected).enumerate() {
                let difference = (found - expected).abs();
                assert!(difference < 2e-5 * most.max(0.05), "{name}: {} at {k}: {found}, PyTorch {expected}", p.name);
            }
        }
        assert!(matches!(model.layers.last(), Some(Layer::Neurons(_))));
    }
}

/// 100 steps of Adam and plain descent as PyTorch does them, and of Grad R by its formula.
#[test]
fn optimizers_are_their_formulas() {
    let bytes = file("optimizers.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, start) = array(&file, "start");
    let (shape, gradients) = array(&file, "gradients");
    let n = shape[1];
    for (name, rest) in [
        ("adam", "optimizer: Adam(lr: 0.01, weight_decay: 0.1)"),
        ("sgd", "optimizer: Sgd(lr: 0.05, momentum: 0.9, weight_decay: 0.1)"),
        ("grad_r", "optimizer: Adam(lr: 0.01), sparsity: GradR(target: Connectivity(0.1), penalty: 0.1)"),
    ] {
        let recipe = recipe(1, &format!("layers: [], {rest}"));
        let mut p = Parameter::new("w".into(), Role::Weight, start.clone());
        let mut rewiring = Rewiring::new(&recipe, &mut [&mut p]).unwrap();
        let (_, path) = array(&file, name);
        let (mut pruned, mut regrown) = (0, 0);
        for (step, (g, expected)) in gradients.chunks(n).zip(path.chunks(n)).enumerate() {
            let before = p.value.clone();
            p.gradient = g.to_vec();
            rewiring.step(&mut [&mut p], 1.0, Clock { epoch: 0, step: step as u64, steps_in_epoch: 100 }, 1);
            for (k, (found, expected)) in p.value.iter().zip(expected).enumerate() {
                assert!((found - expected).abs() < 1e-5, "{name}: weight {k} after {} steps: {found}, expected {expected}", step + 1);
            }
            pruned += before.iter().zip(&p.value).filter(|(b, a)| **b != 0.0 && **a == 0.0).count();
            regrown += before.iter().zip(&p.value).filter(|(b, a)| **b == 0.0 && **a != 0.0).count();
        }
        assert!(name != "grad_r" || (pruned > 20 && regrown > 5), "{pruned} pruned, {regrown} regrown: the vectors test too little");
    }
}
