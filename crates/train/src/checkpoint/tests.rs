//! What is written comes back, and what no run can have written is refused.

use super::*;
use crate::data::Samples;
use crate::recipe::Recipe;

const LAYERS: &str = "Linear(outputs: 5), BatchNorm, Lif(), Linear(outputs: 2), Lif()";

fn trainer(sparsity: &str) -> Trainer {
    let text = format!(
        "(steps: 3, epochs: 3, batch: 4, data: (train: Npz(\"-\"), encoder: Direct()), layers: [{LAYERS}], sparsity: {sparsity}, checkpoint_steps: 1)"
    );
    let recipe = Recipe::read(&text).unwrap_or_else(|e| panic!("{e}"));
    let header = |shape: &[u32]| [vec![0, 0, 8, shape.len() as u8], shape.iter().flat_map(|d| d.to_be_bytes()).collect()].concat();
    let images: Vec<u8> = (0..10 * 6).map(|k| (k * 37 % 251) as u8).collect();
    let labels: Vec<u8> = (0..10).map(|k| k % 2).collect();
    let samples = Samples::from_idx(&[header(&[10, 2, 3]), images].concat(), &[header(&[10]), labels].concat()).unwrap();
    Trainer::new(recipe, samples).unwrap_or_else(|e| panic!("{e}"))
}

/// The same checkpoint with another text of its scalars, and with a checksum that holds.
fn with_scalars(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let body = &bytes[32..];
    let (_, metadata) = SafeTensors::read_metadata(body).unwrap();
    let file = SafeTensors::deserialize(body).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["run"]).unwrap();
    change(&mut run);
    let body = safetensors::serialize(file.tensors(), Some(HashMap::from([("run".to_string(), run.to_string())]))).unwrap();
    [blake3::hash(&body).as_bytes(), &body[..]].concat()
}

/// The same with another array in the place of one.
fn with_array(bytes: &[u8], name: &str, values: &[f32]) -> Vec<u8> {
    let body = &bytes[32..];
    let (_, metadata) = SafeTensors::read_metadata(body).unwrap();
    let file = SafeTensors::deserialize(body).unwrap();
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut all = file.tensors();
    let at = all.iter_mut().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}"));
    at.1 = TensorView::new(Dtype::F32, vec![values.len()], &data).unwrap();
    let body = safetensors::serialize(all, metadata.metadata().clone()).unwrap();
    [blake3::hash(&body).as_bytes(), &body[..]].concat()
}

#[test]
fn what_no_run_can_have_written_is_refused() {
    let mut run = trainer("GradR(target: Connectivity(0.5))");
    for _ in 0..4 {
        run.step().unwrap();
    }
    let good = run.checkpoint().unwrap();
    let restored = |bytes: &[u8]| trainer("GradR(target: Connectivity(0.5))").restore(bytes);
    assert_eq!(restored(&good), Ok(()));
    assert_eq!(restored(&with_scalars(&good, |_| ())), Ok(()));
    let nan = serde_json::json!(f64::NAN.to_bits());
    for (key, value) in [
        ("in_epoch", 3.into()),
        ("in_epoch", u64::MAX.into()),
        ("epoch", 4.into()),
        ("epoch", 3.into()),
        ("step", 7.into()),
        ("step", u64::MAX.into()),
        ("correct", 99.into()),
        ("samples", 99.into()),
        ("loss", nan.clone()),
        ("penalty", f32::NAN.to_bits().into()),
        ("target", nan),
        ("before", 0.into()),
        ("best", serde_json::json!([2, 0])),
    ] {
        let error = restored(&with_scalars(&good, |run| run[key] = value)).unwrap_err();
        assert!(matches!(error, CheckpointError::Impossible { .. }), "{key}: {error}");
        assert!(!error.hint().is_empty());
    }
    for (name, values) in [("0.cost", &[1.0; 7][..]), ("0.value", &[1.0; 7]), ("norm1.mean", &[])] {
        let error = restored(&with_array(&good, name, values)).unwrap_err();
        assert_eq!(error, CheckpointError::Lacks(name.into()));
    }
    for name in ["0.strength", "0.first", "norm1.variance"] {
        let n = if name == "norm1.variance" { 5 } else { 30 };
        assert!(matches!(restored(&with_array(&good, name, &vec![f32::INFINITY; n])), Err(CheckpointError::Impossible { .. })), "{name}");
    }
}

#[test]
fn no_checkpoint_holds_what_is_no_number() {
    type Spoil = (&'static str, fn(&mut Trainer));
    let spoil: [Spoil; 4] = [
        ("fc1.weight", |t| t.model.parameters_mut()[0].value[3] = f32::NAN),
        ("bn1", |t| {
            let Layer::Norm(norm) = &mut t.model.layers[1] else { panic!() };
            norm.variance[2] = f32::INFINITY;
        }),
        ("fc1.weight", |t| t.rewiring.moments[0].second[1] = f32::INFINITY),
        ("fc1.weight", |t| {
            let Synapses::Signed { strength, .. } = &mut t.rewiring.synapses[0] else { panic!() };
            strength[1] = f32::NEG_INFINITY;
        }),
    ];
    for (words, spoil) in spoil {
        let mut run = trainer("GradR(target: Connectivity(0.5))");
        run.step().unwrap();
        spoil(&mut run);
        let error = run.checkpoint().unwrap_err().to_string();
        assert!(error.contains("epoch 1, step 1") && error.contains(words) && error.contains("not finite"), "{error}");
    }
}
