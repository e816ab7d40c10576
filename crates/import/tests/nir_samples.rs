//! NIR files of tests/data/nir (made by tests/data/tools/make_nir_samples.py) and files of our own writer.

use spikec_import::{ImportError, ImportOptions, read_nir, write_nir};
use spikec_net::{
    Axis, Conv, Discretization, FireRule, InputKind, Network, NeuronModel, Operator, Pool, PoolKind, PopulationId, ResetRule, Role,
    TrainedRole,
};
use std::path::PathBuf;

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/nir").join(name)).unwrap()
}

fn options() -> ImportOptions {
    ImportOptions { dt_s: Some(1.0), name: "test".into(), ..Default::default() }
}

fn import(name: &str) -> (Network, Vec<String>) {
    read_nir(&sample(name), &options()).unwrap()
}

/// weight[j, i] = (j - i) / 4.
fn weight(outputs: u32, inputs: u32) -> Vec<f32> {
    (0..outputs).flat_map(|j| (0..inputs).map(move |i| (j as f32 - i as f32) / 4.0)).collect()
}

fn linear(outputs: u32, inputs: u32) -> Operator {
    Operator::Linear { outputs, inputs, weight: weight(outputs, inputs) }
}

fn names(n: &Network) -> Vec<&str> {
    n.populations.iter().map(|p| p.name.as_str()).collect()
}

fn model(n: &Network, k: usize) -> &NeuronModel {
    match &n.populations[k].role {
        TrainedRole::Neurons(m) => m,
        TrainedRole::Input => panic!("population {k} is an input"),
    }
}

#[test]
fn a_file_of_the_nir_package() {
    let bytes = sample("written_by_nir.nir");
    let (n, warnings) = read_nir(&bytes, &ImportOptions::default()).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((n.conventions.name.as_str(), n.conventions.dt_s), ("nir", 0.5));
    assert_eq!(names(&n), ["input", "lif1", "li"]);
    assert_eq!(n.output, PopulationId(2));
    assert_eq!(n.projections.len(), 2);
    assert_eq!(n.projections[0].operators, [linear(4, 3), Operator::Bias { bias: vec![0.0, 0.5, 1.0, 1.5] }]);
    assert_eq!((n.projections[0].pre, n.projections[0].post, n.projections[0].name.as_str()), (PopulationId(0), PopulationId(1), "fc1"));
    assert_eq!(n.projections[1].operators, [linear(2, 4)]);
    assert_eq!(*model(&n, 2), NeuronModel::Li { tau: vec![4.0; 2], r: vec![1.0; 2], v_leak: vec![0.25; 2] });
    // The option wins over the file.
    assert_eq!(read_nir(&bytes, &options()).unwrap().0.conventions.dt_s, 1.0);
}

#[test]
fn old_files_lack_v_reset_and_w_in() {
    let (n, warnings) = import("old_contiguous.nir");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(names(&n), ["input", "block.0.lif", "block.1.lif"]);
    let NeuronModel::CubaLif { v_reset, w_in, tau_mem, .. } = model(&n, 1) else { panic!() };
    assert_eq!((v_reset, w_in, tau_mem), (&vec![0.0; 2], &vec![1.0; 2], &vec![4.0; 2]));
    // A scalar r is repeated; an integer threshold is read; a scalar scale is repeated.
    assert_eq!(*model(&n, 2), NeuronModel::If { r: vec![1.0; 2], v_threshold: vec![1.0, 2.0], v_reset: vec![0.0; 2] });
    assert_eq!(n.projections[1].operators, [Operator::Scale { scale: vec![2.0; 2] }]);
    assert_eq!(n.projections[0].operators, [linear(2, 3)]);
}

#[test]
fn fixed_strings_other_byte_orders_and_halves() {
    let (n, _) = import("fixed_strings.nir");
    assert_eq!(names(&n), ["in", "a", "b"]);
    assert_eq!(n.populations[0].shape, [1, 2, 2]);
    assert_eq!(n.projections[0].name, "flat+half");
    assert_eq!(n.projections[0].operators, [Operator::Reshape { shape: vec![4] }, linear(2, 4)]);
    assert_eq!(n.projections[1].operators, [Operator::Linear { outputs: 2, inputs: 2, weight: vec![1.0, 0.0, 0.0, 1.0] }]);
    assert_eq!(*model(&n, 2), NeuronModel::If { r: vec![1.0; 2], v_threshold: vec![1.0; 2], v_reset: vec![0.0; 2] });
}

#[test]
fn nested_graphs_are_flattened() {
    let (n, warnings) = import("nested.nir");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(names(&n), ["input", "layer/lif"]);
    assert_eq!(n.projections.len(), 1);
    assert_eq!(n.projections[0].name, "layer/linear/fc");
    assert_eq!(n.projections[0].operators, [linear(2, 3)]);
    assert_eq!(n.output, PopulationId(1));
}

#[test]
fn branches_expand_and_constants_count_once() {
    let (n, warnings) = import("branches.nir");
    assert_eq!(names(&n), ["input", "one", "two"]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("lonely"), "{warnings:?}");
    let shown: Vec<_> = n.projections.iter().map(|p| (p.name.as_str(), p.pre.0, p.post.0)).collect();
    assert_eq!(shown, [("p+sum", 0, 1), ("q+sum", 0, 1), ("input -> two", 0, 2), ("one -> two", 1, 2)]);
    let biases = |k: usize| n.projections[k].operators.iter().filter(|o| matches!(o, Operator::Bias { .. })).cloned().collect::<Vec<_>>();
    // The constant of `sum` must reach `one` once, although two ways lead through it.
    assert_eq!(biases(0), [Operator::Bias { bias: vec![5.0, 6.0] }]);
    assert_eq!(biases(1), [Operator::Bias { bias: vec![1.0, 2.0, 3.0] }]);
    assert_eq!(n.projections[2].operators, []);
}

#[test]
fn a_convolution_of_the_nir_package() {
    let (n, warnings) = import("conv.nir");
    assert_eq!(warnings, Vec::<String>::new());
    let axis = Axis { size: 3, kernel: 2, stride: 1, dilation: 1, padding: [0, 0] };
    // A bias of zeros is none.
    let conv = Conv { channels: 1, outputs: 1, groups: 1, axes: vec![axis; 2], weight: vec![1.0; 4] };
    assert_eq!(n.projections[0].operators, [Operator::Conv(conv)]);
}

#[test]
fn nodes_with_places_of_the_nir_package() {
    let (n, warnings) = import("spatial.nir");
    assert_eq!(warnings, ["projection `pool+wait`: delays are rounded to whole steps of 1, by up to 0.250 steps"]);
    assert_eq!(names(&n), ["input", "if", "limit"]);
    let same = Axis { size: 4, kernel: 3, stride: 1, dilation: 1, padding: [1, 1] };
    let even = Axis { size: 6, kernel: 2, stride: 1, dilation: 3, padding: [1, 2] };
    let weight = (0..2 * 2 * 6).map(|k| k as f32 / 4.0).collect();
    assert_eq!(
        n.projections[0].operators,
        [
            Operator::Conv(Conv { channels: 4, outputs: 2, groups: 2, axes: vec![same, even], weight }),
            Operator::Bias { bias: [[0.5; 24], [-1.0; 24]].concat() },
        ]
    );
    let axis = |size, stride| Axis { size, kernel: 2, stride, dilation: 1, padding: [1, 1] };
    assert_eq!(
        n.projections[1].operators,
        [
            Operator::Pool(Pool { kind: PoolKind::Average, channels: 2, axes: vec![axis(4, 2), axis(6, 3)] }),
            Operator::Delay { delay: (0..18).map(|k| if k == 0 { 1.25 } else { 2.0 }).collect() },
        ]
    );
    assert_eq!(*model(&n, 2), NeuronModel::Threshold { v_threshold: vec![0.25; 18] });
    let net = n.elaborate(InputKind::Spikes).unwrap();
    assert_eq!(net.projections[1].synapses.uniform_delay(), None);
}

#[test]
fn a_loop_acts_one_step_later() {
    let (n, warnings) = import("loop.nir");
    assert_eq!(warnings, ["`lif` -> `lif` closes a loop: spikes of step t act in step t + 1"]);
    assert_eq!(n.projections.iter().map(|p| p.delay_steps).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_step_length_is_needed() {
    let bytes = sample("nested.nir");
    let e = read_nir(&bytes, &ImportOptions::default()).unwrap_err();
    assert_eq!(e, ImportError::NoDt);
    assert!(e.hint().contains("--dt"));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let e = read_nir(&bytes, &ImportOptions { dt_s: Some(bad), ..Default::default() }).unwrap_err();
        assert!(matches!(e, ImportError::BadDt { .. }), "{bad}");
    }
}

#[test]
fn conventions_come_from_the_option() {
    let mut o = options();
    o.convention = Some("sinabs".into());
    let c = read_nir(&sample("nested.nir"), &o).unwrap().0.conventions;
    assert_eq!((c.fire, c.reset, c.discretization), (FireRule::GreaterEqual, ResetRule::Subtract, Discretization::Exact));
    o.discretization = Some(Discretization::Euler);
    assert_eq!(read_nir(&sample("nested.nir"), &o).unwrap().0.conventions.discretization, Discretization::Euler);
    o.convention = Some("brian".into());
    assert!(matches!(read_nir(&sample("nested.nir"), &o).unwrap_err(), ImportError::UnknownConvention { .. }));
}

#[test]
fn what_is_written_reads_back_the_same() {
    for name in ["written_by_nir.nir", "old_contiguous.nir", "fixed_strings.nir"] {
        let mut o = options();
        o.convention = Some("spikingjelly".into());
        let (n, _) = read_nir(&sample(name), &o).unwrap();
        let bytes = write_nir(&n).unwrap();
        assert_eq!(write_nir(&n).unwrap(), bytes);
        let (again, warnings) = read_nir(&bytes, &ImportOptions::default()).unwrap();
        assert_eq!((&again, warnings.len()), (&n, 0), "{name}");
    }
}

#[test]
fn large_arrays_are_compressed_and_read_back() {
    let (mut n, _) = import("written_by_nir.nir");
    n.populations[0].shape = vec![40, 50];
    let weight: Vec<f32> = (0..4 * 2000).map(|k| if k % 7 == 0 { k as f32 } else { 0.0 }).collect();
    n.projections[0].operators[0] = Operator::Linear { outputs: 4, inputs: 2000, weight };
    n.projections[0].operators.insert(0, Operator::Reshape { shape: vec![2000] });
    n.projections[0].name = "flat+fc1".into();
    let bytes = write_nir(&n).unwrap();
    assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
    assert_eq!(read_nir(&bytes, &options()).unwrap().0, n);
}

#[test]
fn what_nir_lacks_is_not_written() {
    let (n, _) = import("written_by_nir.nir");
    let mut delayed = n.clone();
    delayed.projections[0].delay_steps = 2;
    let mut constant = n.clone();
    constant.projections[0].operators = vec![Operator::Bias { bias: vec![0.0; 4] }];
    let mut shape = n.clone();
    shape.projections[0].operators.push(Operator::Reshape { shape: vec![2, 2] });
    for (k, bad) in [delayed, constant, shape].iter().enumerate() {
        assert!(matches!(write_nir(bad).unwrap_err(), ImportError::NotWritable { place, .. } if place == "fc1"), "{k}");
    }
}

/// What is read is what the next stage takes.
#[test]
fn what_is_read_elaborates() {
    for name in ["written_by_nir.nir", "old_contiguous.nir", "fixed_strings.nir", "nested.nir", "branches.nir"] {
        let (n, _) = import(name);
        let net = n.elaborate(InputKind::Spikes).unwrap();
        assert!(net.synapse_count() > 0, "{name}");
    }
    let net = import("branches.nir").0.elaborate(InputKind::Spikes).unwrap();
    let Role::Neurons(one) = &net.populations[1].role else { panic!() };
    // sum: weight[0] = [0, -1/4, -1/2], constant 5; q: constants 1, 2, 3.
    assert_eq!(one[0].bias, 5.0 - 2.0 / 4.0 - 3.0 / 2.0);
}
