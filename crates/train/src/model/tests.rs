//! Gradients against finite differences of smoothed neurons.

use super::*;
use crate::random::normals;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

fn recipe(layers: &str, loss: &str) -> Recipe {
    let text = format!("(steps: 4, epochs: 1, data: (train: Npz(\"x\")), loss: {loss}, layers: [{layers}])");
    Recipe::read(&text).unwrap_or_else(|e| panic!("{e}"))
}

/// The derivative of the loss in random directions of each parameter, by differences and by the gradient.
fn check(layers: &str, loss: &str, input: Shape, steps: usize, spikes: bool) {
    let recipe = recipe(layers, loss);
    let mut model = Model::new(&recipe, input, 3).unwrap_or_else(|e| panic!("{e}"));
    model.smooth();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(11);
    let batch = 6;
    let n = batch * steps * input.len();
    let data = (0..n).map(|_| if spikes { f32::from(u8::from(random.random_bool(0.2))) } else { 1.5 * normals(&mut random).0 }).collect();
    let x = Tensor { batch, steps, size: input.len(), data, background: 0.0 };
    let classes: Vec<u32> = (0..batch as u32).map(|b| b % 3).collect();
    // Larger weights, so that something happens.
    for p in model.parameters_mut() {
        p.value.iter_mut().for_each(|v| *v = *v * 2.0 + 0.3 * normals(&mut random).0);
    }
    model.learn(&x, &classes, 3);
    let gradients: Vec<Vec<f32>> = model.parameters().iter().map(|p| p.gradient.clone()).collect();
    for (k, gradient) in gradients.iter().enumerate() {
        for _ in 0..3 {
            let direction: Vec<f32> = gradient.iter().map(|_| normals(&mut random).0).collect();
            let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let value = model.parameters()[k].value.clone();
            let size = (gradient.len() as f32).sqrt();
            let mut at = |e: f32| {
                let moved = value.iter().zip(&direction).map(|(v, d)| v + e / size * d).collect();
                model.parameters_mut()[k].value = moved;
                model.learn(&x, &classes, 3).loss / batch as f64
            };
            let e = 4e-3;
            let found = (at(e) - at(-e)) / (2.0 * f64::from(e / size));
            model.parameters_mut()[k].value = value;
            let name = &model.parameters()[k].name;
            assert!((found - slope).abs() < 2e-3 + 0.02 * slope.abs(), "{name} of {layers}: {found} by differences, {slope}");
        }
    }
}

#[test]
fn gradients_are_those_of_differences() {
    let flat = Shape::flat(9);
    let map = Shape { channels: 2, height: 7, width: 6 };
    check("Linear(outputs: 12), Lif(detach: false), Linear(outputs: 3, bias: true), Lif(detach: false)", "MseRate", flat, 1, false);
    check(
        "Linear(outputs: 12, bias: true), If(detach: false, reset: Soft, surrogate: Sigmoid(4.0)), Linear(outputs: 3), Lif(tau: 3.0, detach: false, reset: Soft)",
        "CrossEntropyCount",
        flat,
        4,
        true,
    );
    check(
        "Linear(outputs: 12), If(detach: false, surrogate: SuperSpike(2.0)), Dropout(0.4), Linear(outputs: 3), Readout()",
        "CrossEntropySum",
        flat,
        4,
        true,
    );
    check(
        "Linear(outputs: 12), Lif(detach: false, surrogate: Triangle(0.5)), Linear(outputs: 3), Readout(tau: 4.0, decay_input: false)",
        "CrossEntropyLast",
        flat,
        1,
        false,
    );
    check(
        "Conv(outputs: 4, padding: 1), BatchNorm, Lif(detach: false), Pool(kind: Average, kernel: 2), Conv(outputs: 3, kernel: 2, bias: true), Lif(detach: false), Flatten, Linear(outputs: 3), Lif(detach: false)",
        "MseRate",
        map,
        1,
        false,
    );
    check(
        "Conv(outputs: 4, stride: 2, bias: true), Lif(detach: false), Linear(outputs: 5), BatchNorm, If(detach: false), Linear(outputs: 3), Lif(detach: false)",
        "MseRate",
        map,
        4,
        true,
    );
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let map = Shape { channels: 1, height: 6, width: 6 };
    for (layers, loss, words) in [
        ("Linear(outputs: 3)", "MseRate", "Lif or If"),
        ("Linear(outputs: 3), Lif()", "CrossEntropySum", "Readout"),
        ("Linear(outputs: 3), Readout()", "MseRate", "Lif or If"),
        ("Linear(outputs: 2), Lif()", "MseRate", "3"),
        ("Linear(outputs: 0), Lif()", "MseRate", "layers[0].outputs"),
        ("Linear(outputs: 3), Lif(tau: 0.5)", "MseRate", "layers[1].tau"),
        ("Linear(outputs: 3), Lif(threshold: -1.0)", "MseRate", "layers[1].threshold"),
        ("Linear(outputs: 3), Lif(surrogate: Arctan(0.0))", "MseRate", "layers[1].surrogate"),
        ("Linear(outputs: 3), Lif(), Linear(outputs: 3), Lif(reset: Soft)", "MseRate", "one reset"),
        ("Conv(outputs: 3, kernel: 9), Lif(), Linear(outputs: 3), Lif()", "MseRate", "layers[0].kernel"),
        ("Conv(outputs: 3), Pool(kind: Max, kernel: 2), Lif(), Linear(outputs: 3), Lif()", "MseRate", "right after"),
        ("Linear(outputs: 3), Dropout(1.0), Lif()", "MseRate", "layers[1]"),
        ("Linear(outputs: 99999999999), Lif()", "MseRate", "layers[0].outputs"),
        ("Linear(outputs: 3), Lif(tau: 1e7)", "MseRate", "layers[1].tau"),
        ("Conv(outputs: 3), Lif(), Linear(outputs: 3), Lif(tau: NaN)", "MseRate", "layers[3].tau"),
    ] {
        let error = Model::new(&recipe(layers, loss), map, 3).unwrap_err().to_string();
        assert!(error.contains(words), "{layers}: {error}");
    }
}

/// Where a window finds no map, the remedy is for what took it away.
#[test]
fn a_window_on_a_vector_says_where_the_map_went() {
    let map = Shape { channels: 1, height: 6, width: 6 };
    for (layers, input, words) in [
        ("Conv(outputs: 3), Lif(), Linear(outputs: 9), Lif(), Conv(outputs: 3), Lif()", map, "layers[2] makes a vector"),
        ("Flatten, Conv(outputs: 3), Lif()", map, "layers[0] makes a vector"),
        ("Conv(outputs: 3, kernel: 6), Lif(), Conv(outputs: 3), Lif()", map, "one place"),
        ("Conv(outputs: 3), Lif()", Shape::flat(36), "data.shape"),
        ("Conv(outputs: 3, kernel: 7), Lif()", map, "smaller kernel"),
    ] {
        let hint = Model::new(&recipe(layers, "MseRate"), input, 3).unwrap_err().hint();
        assert!(hint.contains(words), "{layers}: {hint}");
    }
}

/// What a recipe takes is known before it is allocated: these would take terabytes.
#[test]
fn memory_is_bounded_before_it_is_taken() {
    let map = Shape { channels: 1, height: 1024, width: 1024 };
    let of = |text: &str| Recipe::read(text).unwrap_or_else(|e| panic!("{e}"));
    for (head, layers, words) in [
        ("steps: 4096, batch: 65536", "Linear(outputs: 9), Lif(), Linear(outputs: 3), Lif()", "for activations"),
        ("steps: 1, batch: 1", "Conv(outputs: 1, kernel: 1001), Lif(), Linear(outputs: 3), Lif()", "for patches"),
        ("steps: 1, batch: 1", "Linear(outputs: 900), Lif(), Linear(outputs: 3), Lif()", "for weights"),
    ] {
        let recipe = of(&format!("({head}, epochs: 1, data: (train: Npz(\"x\"), encoder: Poisson()), layers: [{layers}])"));
        let error = Model::new(&recipe, map, 3).unwrap_err();
        let (text, hint) = (error.to_string(), error.hint());
        assert!(text.contains("`memory_gib` is 8, expected at least") && text.contains(words), "{layers}: {text}");
        assert!(hint.contains("batch") && hint.contains("raise memory_gib"), "{hint}");
    }
    // The largest part is told, and it is the limit that counts.
    let text = "(steps: 8, epochs: 1, data: (train: Npz(\"x\")), layers: [Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif()])";
    let memory = plan::Plan::new(&of(text), Shape::flat(784)).unwrap().memory(1, 1).total();
    assert!((30 << 20..200 << 20).contains(&memory), "{memory}");
    let tight = text.replace("epochs: 1", "epochs: 1, memory_gib: 0.01");
    assert!(Model::new(&of(&tight), Shape::flat(784), 10).is_err() && Model::new(&of(text), Shape::flat(784), 10).is_ok());
}
