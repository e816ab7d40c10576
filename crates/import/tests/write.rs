//! Written models: they read back as the same network, whatever it is called and whatever its numbers are.

use proptest::prelude::*;
use spikec_data::{ArrayData, read_npz, write_npz};
use spikec_import::{Format, ImportError, ImportOptions, Model, conventions, read, write, write_model};
use spikec_net::{Network, NeuronModel, Operator, TrainedRole};
use spikec_testkit::generate::random_network;
use std::path::{Path, PathBuf};

/// Writes to `nets/NAME` and reads that.
fn again(network: &Network, name: &str) -> Network {
    let path = Path::new("nets").join(name);
    let files = write(network, &path).unwrap();
    assert_eq!(files, write(network, &path).unwrap());
    let find = |p: &Path| files.iter().find(|(q, _)| q == p).map(|(_, b)| b.clone());
    let load = |p: &Path| find(p).ok_or_else(|| std::io::Error::other(format!("{} is not there", p.display())));
    let read = read(&path, &find(&path).unwrap(), &ImportOptions::default(), &load).unwrap();
    match read.model {
        Model::Trained(n) if read.warnings.is_empty() => n,
        other => panic!("{other:?}"),
    }
}

fn network(seed: u64) -> Network {
    let mut n = random_network(seed);
    n.conventions.name = conventions::ALL[seed as usize % conventions::ALL.len()].name.into();
    n
}

/// All numbers of a network.
fn numbers(n: &mut Network) -> Vec<&mut f32> {
    let mut all = Vec::new();
    for p in &mut n.populations {
        match &mut p.role {
            TrainedRole::Neurons(NeuronModel::Lif { tau, v_leak, v_reset, .. }) => all.extend([tau, v_leak, v_reset].into_iter().flatten()),
            TrainedRole::Neurons(NeuronModel::CubaLif { tau_mem, w_in, .. }) => all.extend([tau_mem, w_in].into_iter().flatten()),
            _ => {}
        }
    }
    for operator in n.projections.iter_mut().flat_map(|p| &mut p.operators) {
        match operator {
            Operator::Linear { weight: v, .. } | Operator::Bias { bias: v } | Operator::Scale { scale: v } => all.extend(v),
            _ => {}
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn networks_read_back_with_the_same_digest(
        seed: u64,
        dt in prop::num::f64::POSITIVE,
        name: String,
        names in prop::collection::vec(".*", 4),
        values in prop::collection::vec(any::<u32>(), 0..40),
        uniform in any::<u32>(),
        step in 1usize..9,
    ) {
        let mut n = network(seed);
        n.conventions.dt_s = dt;
        n.name = name;
        for (k, p) in n.populations.iter_mut().enumerate() {
            p.name = format!("{}{k}", names[k]);
        }
        for (p, name) in n.projections.iter_mut().zip(&names) {
            p.name.clone_from(name);
        }
        if let TrainedRole::Neurons(NeuronModel::Lif { v_threshold, .. } | NeuronModel::If { v_threshold, .. }) = &mut n.populations[1].role {
            v_threshold.fill(f32::from_bits(uniform));
        }
        for (x, bits) in numbers(&mut n).into_iter().step_by(step).zip(values) {
            // Zeros of both signs, infinities, what is no number, and all others.
            *x = match bits % 8 { 0 => -0.0, 1 => 0.0, _ => f32::from_bits(bits) };
        }
        let read = again(&n, "a net.ron");
        prop_assert_eq!(&read.name, &n.name);
        prop_assert_eq!(read.digest(), n.digest());
    }
}

#[test]
fn nets_of_every_kind_are_equal() {
    for seed in 0..40 {
        let n = network(seed);
        assert_eq!(again(&n, "net.ron"), n, "{seed}");
    }
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/nir");
    for name in ["written_by_nir.nir", "old_contiguous.nir", "fixed_strings.nir", "nested.nir", "branches.nir"] {
        let options = ImportOptions { dt_s: Some(1e-4), convention: Some("sinabs".into()), ..ImportOptions::default() };
        let bytes = std::fs::read(sample.join(name)).unwrap();
        let Model::Trained(n) = read(Path::new(name), &bytes, &options, &|_: &Path| unreachable!()).unwrap().model else { panic!() };
        let twice = again(&n, "net.ron");
        assert_eq!((&twice, twice.digest()), (&n, n.digest()), "{name}");
    }
}

#[test]
fn arrays_are_those_of_a_state_dict() {
    let mut n = network(1);
    let (inputs, outputs) = (n.populations[0].len() as u32, n.populations[1].len() as u32);
    let weight: Vec<f32> = (0..inputs * outputs).map(|k| if k % 3 == 0 { -0.0 } else { k as f32 }).collect();
    let bias = Operator::Bias { bias: vec![0.5; outputs as usize] };
    n.populations[0].shape = vec![inputs];
    n.populations[1].shape = vec![outputs];
    n.projections.truncate(1);
    n.projections[0].name = "features/0:fc".into();
    n.projections[0].operators = vec![Operator::Linear { outputs, inputs, weight: weight.clone() }, bias];
    let (text, bytes) = write_model(&n, "w.npz").unwrap();
    let arrays = read_npz(&bytes).unwrap();
    let names: Vec<&str> = arrays.keys().map(String::as_str).filter(|n| n.starts_with("features")).collect();
    assert_eq!(names, ["features_0_fc.bias", "features_0_fc.mask", "features_0_fc.weight"], "{text}");
    let w = &arrays["features_0_fc.weight"];
    assert_eq!((&w.shape[..], &w.data), (&[outputs as usize, inputs as usize][..], &ArrayData::F32(weight.clone())));
    let stays: Vec<bool> = weight.iter().map(|w| *w != 0.0).collect();
    assert_eq!(arrays["features_0_fc.mask"].data, ArrayData::Bool(stays.clone()));
    // Trained on without care for the mask: what it hides stays away.
    let mut tuned = arrays.clone();
    tuned.get_mut("features_0_fc.weight").unwrap().data = ArrayData::F32(vec![2.0; weight.len()]);
    let tuned: Vec<_> = tuned.iter().map(|(n, a)| (n.as_str(), a.clone())).collect();
    let load = |_: &Path| Ok(write_npz(&tuned));
    let Model::Trained(read) = read(Path::new("m.ron"), text.as_bytes(), &ImportOptions::default(), &load).unwrap().model else { panic!() };
    let expected = stays.iter().map(|s| if *s { 2.0 } else { 0.0 }).collect();
    assert_eq!(read.projections[0].operators[0], Operator::Linear { outputs, inputs, weight: expected });
}

#[test]
fn what_a_model_can_not_say_is_refused() {
    let n = network(3);
    let refused = |n: &Network, place: &str, says: &[&str]| {
        let e = write(n, Path::new("m.ron")).unwrap_err();
        assert!(matches!(&e, ImportError::NotWritable { place: p, .. } if p == place), "{e}");
        for text in says {
            assert!(e.to_string().contains(text), "{e}");
        }
        assert!(e.hint().contains("network-format.md"), "{}", e.hint());
    };
    let mut late = n.clone();
    late.projections[0].delay_steps = 65_536;
    refused(&late, "fc0", &["65536", "65535"]);
    let mut other = n.clone();
    other.conventions.name = "brian".into();
    refused(&other, "convention", &["brian", "snntorch"]);
    let mut twins = n.clone();
    twins.populations[1].name = twins.populations[0].name.clone();
    refused(&twins, "random", &["used twice"]);
    let mut open = n.clone();
    let outputs = open.populations[1].len() as u32;
    open.populations[1].shape = vec![outputs];
    open.projections[0].operators.push(Operator::Reshape { shape: vec![1, outputs] });
    refused(&open, "random", &["another network"]);
    for (path, extension) in [("m.h5", "`h5`"), ("model", "``")] {
        let e = Format::of(Path::new(path)).unwrap_err();
        assert!(e.to_string().contains(extension) && e.to_string().contains(".ron (a model") && e.hint().contains(".nir"), "{e}");
    }
    assert_eq!(Format::of(Path::new("M.RON")).unwrap().arrays_beside(Path::new("a/M.RON")), Some(PathBuf::from("a/M.npz")));
}
