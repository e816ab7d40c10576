//! Trained networks of others, beside the project; skipped where they are absent.

use spikec_data::read_npz;
use spikec_import::{ImportError, ImportOptions, read_nir};
use spikec_net::{Discretization, FireRule, NeuronModel, Operator, ResetRule, TrainedRole};
use std::path::PathBuf;

fn nets() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/nets");
    if !path.is_dir() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn options(dt: f64) -> ImportOptions {
    ImportOptions { dt_s: Some(dt), name: "net".into(), ..Default::default() }
}

#[test]
fn mnist_networks_have_the_weights_they_were_trained_with() {
    let Some(nets) = nets() else { return };
    for name in ["fc800_direct_gradr", "fc800_direct_gradr_a6", "fc800_poisson_dense", "fc800_poisson_gradr"] {
        let folder = nets.join("mnist").join(name);
        let (n, warnings) = read_nir(&std::fs::read(folder.join("net.nir")).unwrap(), &ImportOptions::default()).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let c = &n.conventions;
        assert_eq!((c.dt_s, c.fire, c.reset, c.discretization), (1.0, FireRule::Greater, ResetRule::ToValue, Discretization::Euler));
        let truth = read_npz(&std::fs::read(folder.join("weights.npz")).unwrap()).unwrap();
        assert_eq!(n.projections.len(), 2);
        for (p, key, shape) in [(0, "w1", (800u32, 784u32)), (1, "w2", (10, 800))] {
            let weight = truth[key].to_f32().unwrap();
            let expected = Operator::Linear { outputs: shape.0, inputs: shape.1, weight };
            assert!(n.projections[p].operators == [expected], "{name} {key}");
        }
        let sizes: Vec<_> = n.populations.iter().map(|p| p.shape.clone()).collect();
        assert_eq!(sizes, [vec![784], vec![800], vec![10]]);
        let lif = |n: usize| {
            let (one, zero) = (vec![1.0; n], vec![0.0; n]);
            NeuronModel::Lif { tau: vec![2.0; n], r: one.clone(), v_leak: zero.clone(), v_threshold: one, v_reset: zero }
        };
        assert!(n.populations[1].role == TrainedRole::Neurons(lif(800)) && n.populations[2].role == TrainedRole::Neurons(lif(10)));
        assert_eq!(n.output.index(), 2);
    }
}

#[test]
fn single_neurons_import_given_a_step() {
    let Some(nets) = nets() else { return };
    let read = |file: &str, dt| read_nir(&std::fs::read(nets.join("nir_paper").join(file)).unwrap(), &options(dt));
    for file in ["lif_norse.nir", "lif_rockpool.nir", "two_lif_neurons.nir"] {
        let bytes = std::fs::read(nets.join("nir_paper").join(file)).unwrap();
        assert_eq!(read_nir(&bytes, &ImportOptions::default()).unwrap_err(), ImportError::NoDt, "{file}");
    }
    let (norse, _) = read("lif_norse.nir", 1e-4).unwrap();
    let lif = NeuronModel::Lif { tau: vec![0.0025], r: vec![1.0], v_leak: vec![0.0], v_threshold: vec![0.1], v_reset: vec![0.0] };
    assert_eq!(norse.populations[1].role, TrainedRole::Neurons(lif));
    let (rockpool, warnings) = read("lif_rockpool.nir", 1e-4).unwrap();
    // Its output declares (1, 1, 1): dimensions of size 1 don't matter.
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(rockpool.projections[0].operators, [Operator::Linear { outputs: 1, inputs: 1, weight: vec![0.04] }]);
    let (two, _) = read("two_lif_neurons.nir", 1e-4).unwrap();
    assert_eq!(two.populations.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["in", "lif1", "lif2"]);
}
