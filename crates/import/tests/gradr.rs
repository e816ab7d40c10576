//! The network of Gradient Rewiring for CIFAR-10, small: kernels, batch normalization and pools in a RON model, with arrays of `.npz` and of a checkpoint of PyTorch.

use spikec_data::{ArrayData, write_npz as npz_of};
use spikec_import::{ImportOptions, Model, read};
use spikec_net::{InputKind, Network, NeuronModel, TrainedRole};
use spikec_testkit::gradr::Gradr;
use std::io::{Cursor, Write};
use std::path::Path;

fn import(text: &str, file: &str, bytes: &[u8]) -> Network {
    let beside = |p: &Path| if p.ends_with(file) { Ok(bytes.to_vec()) } else { Err(std::io::ErrorKind::NotFound.into()) };
    let imported = read(Path::new("gradr.ron"), text.as_bytes(), &ImportOptions::default(), &beside).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(imported.warnings, Vec::<String>::new());
    match imported.model {
        Model::Trained(network) => network,
        Model::Registers(_) => panic!("a network in floats"),
    }
}

fn npz(gradr: &Gradr) -> Vec<u8> {
    let arrays: Vec<_> = gradr.arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
    npz_of(&arrays)
}

fn zip(files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(name, stored).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn arrays_of_npz_and_of_a_checkpoint_make_the_same_network() {
    let gradr = Gradr::new(4, 8, 0.3, 1);
    let network = import(&gradr.text("gradr.npz"), "gradr.npz", &npz(&gradr));
    let shapes: Vec<_> = network.populations.iter().map(|p| p.shape.clone()).collect();
    let (large, small) = (vec![4, 8, 8], vec![4, 4, 4]);
    let of_layers = [vec![3, 8, 8], large.clone(), large.clone(), large, small.clone(), small.clone(), small, vec![32], vec![100]];
    assert_eq!(shapes[..9], of_layers);
    // Max pools are populations of their own, after those of the file.
    assert_eq!(shapes[9..], [vec![4, 4, 4], vec![4, 2, 2]]);
    assert!(network.populations[9..].iter().all(|p| p.role == TrainedRole::Neurons(NeuronModel::Or)));

    let checkpoint = zip(gradr.checkpoint());
    let torch = import(&gradr.text("gradr.pth").replace("gradr.pth:", "gradr.pth:net."), "gradr.pth", &checkpoint);
    assert_eq!(torch.digest(), network.digest());
    assert_eq!(torch, network);
}

#[test]
fn synapses_are_those_of_the_kernels_that_are_not_zero() {
    let gradr = Gradr::new(4, 8, 0.3, 2);
    let network = import(&gradr.text("gradr.npz"), "gradr.npz", &npz(&gradr));
    let net = network.elaborate(InputKind::Analog).unwrap();
    // By hand: a weight at (i, j) of a 3x3 kernel has a place in the map for each row and column that it doesn't push over the border.
    let places = |i: usize, size: usize| if i == 1 { size } else { size - 1 };
    let weights = |name: &str| {
        let array = &gradr.arrays.iter().find(|(n, _)| *n == format!("{name}.weight")).unwrap().1;
        let ArrayData::F32(values) = &array.data else { panic!() };
        values.clone()
    };
    let mut expected = Vec::new();
    for k in 1..=6 {
        let size = if k < 4 { 8 } else { 4 };
        let at = |(n, w): (usize, f32)| if w == 0.0 { 0 } else { places(n / 3 % 3, size) * places(n % 3, size) };
        expected.push(weights(&format!("conv{k}")).into_iter().enumerate().map(at).sum::<usize>());
    }
    for name in ["fc1", "fc2"] {
        expected.push(weights(name).iter().filter(|&&w| w != 0.0).count());
    }
    assert_eq!(net.host_projections.iter().map(|h| h.weights.len()).collect::<Vec<_>>(), expected[..1]);
    let found = |name: &str| net.projections.iter().find(|p| p.name == name).map_or(0, |p| p.synapses.len());
    let names = ["conv2", "conv3", "conv4", "conv5", "conv6", "fc1", "fc2"];
    assert_eq!(names.map(found), expected[1..]);
    // Each pool hears every neuron before it once.
    let pools: Vec<usize> = net.projections.iter().filter(|p| p.post.index() >= 9).map(|p| p.synapses.len()).collect();
    assert_eq!(pools, [256, 64]);
}
