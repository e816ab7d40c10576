//! `.net` files written here, layer by layer, and damaged ones.

use super::read_netx;
use crate::{ImportError, ImportOptions, Imported, Model, read};
use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use spikec_net::{Bias, Fixed, Net, Role, SignMode};
use std::path::Path;

/// A file in the making.
#[derive(Default)]
struct File {
    datasets: Vec<DatasetBuilder>,
}

impl File {
    fn floats(mut self, path: &str, shape: &[u64], values: &[f32]) -> Self {
        self.datasets.push(DatasetBuilder::typed_data(path, shape.to_vec(), values).unwrap());
        self
    }
    fn ints(mut self, path: &str, values: &[i64]) -> Self {
        let shape = if values.len() == 1 { vec![] } else { vec![values.len() as u64] };
        self.datasets.push(DatasetBuilder::typed_data(path, shape, values).unwrap());
        self
    }
    fn text(mut self, path: &str, text: &str) -> Self {
        self.datasets.push(DatasetBuilder::vlen_string_data(path, Vec::<u64>::new(), &[text]).unwrap());
        self
    }
    fn neuron(self, layer: usize) -> Self {
        let at = |key: &str| format!("layer/{layer}/neuron/{key}");
        self.text(&at("type"), "CUBA")
            .ints(&at("iDecay"), &[4096])
            .ints(&at("vDecay"), &[128])
            .ints(&at("vThMant"), &[10])
            .ints(&at("refDelay"), &[1])
    }
    fn dense(self, layer: usize, outputs: u64, inputs: u64, values: &[f32]) -> Self {
        let at = |key: &str| format!("layer/{layer}/{key}");
        self.text(&at("type"), "dense")
            .ints(&at("shape"), &[outputs as i64])
            .ints(&at("inFeatures"), &[inputs as i64])
            .ints(&at("outFeatures"), &[outputs as i64])
            .floats(&at("weight"), &[outputs, inputs], values)
    }
    fn input(self, shape: &[i64]) -> Self {
        self.text("layer/0/type", "input")
            .ints("layer/0/shape", shape)
            .floats("layer/0/weight", &[], &[36.0])
            .ints("layer/0/bias", &[34])
            .neuron(0)
    }
    fn bytes(self) -> Vec<u8> {
        let file = self.datasets.into_iter().fold(Hdf5Builder::new(), |file, dataset| file.dataset(dataset));
        file.into_plan().and_then(|plan| plan.encode(WriteOptions::default())).unwrap()
    }
    fn net(self) -> (Net<Fixed>, Vec<String>) {
        let Imported { model: Model::Registers(net), warnings } = read_netx(&self.bytes(), &ImportOptions::default()).unwrap() else {
            panic!("registers")
        };
        net.check().unwrap();
        (net, warnings)
    }
    fn error(self) -> String {
        let e = read_netx(&self.bytes(), &ImportOptions::default()).unwrap_err();
        assert!(!e.hint().is_empty());
        e.to_string()
    }
}

fn synapses(net: &Net<Fixed>, k: usize) -> Vec<(u32, u32, i16, u16)> {
    net.projections[k].synapses.iter().collect()
}

#[test]
fn dense_layers_keep_their_integers() {
    let file = File::default()
        .dense(0, 2, 3, &[2.0, 0.0, -4.0, 6.0, 8.0, 0.0])
        .neuron(0)
        .floats("layer/0/bias", &[2], &[-3.0, 0.0])
        .ints("layer/0/neuron/wgtExp", &[-2])
        .ints("layer/0/delay", &[2, 5])
        .dense(1, 1, 2, &[1.0, -255.0])
        .text("layer/1/neuron/extra", "x")
        .neuron(1)
        .dense(2, 1, 1, &[32.0]);
    let (net, warnings) = file.net();
    assert_eq!(synapses(&net, 0), [(0, 0, 2, 0), (0, 1, 6, 0), (1, 1, 8, 0), (2, 0, -4, 0)]);
    assert_eq!(synapses(&net, 1), [(0, 0, 1, 2), (1, 0, -255, 5)], "spikes of the layer before are late");
    assert_eq!(net.projections[2].synapses.uniform_delay(), Some(0));
    let formats = net.projections.iter().map(|p| (p.format.bits, p.format.exponent, p.format.sign)).collect::<Vec<_>>();
    assert_eq!(formats, [(8, -2, SignMode::Mixed), (8, 0, SignMode::Split), (3, 0, SignMode::Excitatory)]);
    let names: Vec<&str> = net.populations.iter().map(|p| p.name.as_str()).collect();
    assert_eq!((names, net.output.index()), (vec!["input", "0_dense", "1_dense", "2_dense"], 3));
    let first = net.populations[1].neurons();
    assert_eq!((first[0].bias, first[1].bias), (Bias { mantissa: -3, exponent: 6 }, Bias::default()));
    assert_eq!((first[0].decay_u, first[0].decay_v, first[0].threshold, first[0].refractory), (4096, 128, 10, 1));
    let last = net.populations[3].neurons()[0];
    assert_eq!((last.decay_v, last.threshold), (0, 131_071));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("layer/1/neuron/extra") && warnings[1].contains("--decoder potential"));
}

#[test]
fn values_become_biases_and_kernels_synapses() {
    let file = File::default()
        .input(&[1, 2, 3])
        .text("layer/1/type", "conv")
        .ints("layer/1/shape", &[2, 1, 2])
        .ints("layer/1/stride", &[1, 1])
        .ints("layer/1/padding", &[0, 0])
        .ints("layer/1/dilation", &[1, 1])
        .ints("layer/1/groups", &[1])
        .floats("layer/1/weight", &[2, 1, 2, 2, 1], &[2.0, 4.0, 6.0, 0.0, -2.0, 0.0, 0.0, 10.0])
        .ints("layer/1/bias", &[7, -1])
        .neuron(1)
        .text("layer/2/type", "flatten")
        .ints("layer/2/shape", &[1, 1, 4])
        .dense(3, 1, 4, &[2.0, 2.0, 2.0, -2.0])
        .neuron(3);
    let (net, warnings) = file.net();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(matches!(net.populations[0].role, Role::AnalogInput));
    let host = &net.host_projections[0];
    assert_eq!((host.weights[5], host.constants[5], host.gains[5], &host.channels), (36.0, 34.0, 64.0, &vec![0, 1, 2, 3, 4, 5]));
    // Pixels 0 1 2 over 3 4 5; outputs 0 1 of channel 0 and 2 3 of channel 1.
    let mut expected = vec![
        (0, 0, 2, 0),
        (0, 2, -2, 0),
        (1, 0, 4, 0),
        (1, 1, 2, 0),
        (1, 3, -2, 0),
        (2, 1, 4, 0),
        (3, 0, 6, 0),
        (4, 1, 6, 0),
        (4, 2, 10, 0),
        (5, 3, 10, 0),
    ];
    expected.sort_unstable();
    assert_eq!(synapses(&net, 0), expected);
    assert_eq!(net.populations[2].shape, [2, 1, 2]);
    let biases: Vec<i16> = net.populations[2].neurons().iter().map(|n| n.bias.mantissa).collect();
    assert_eq!(biases, [7, 7, -1, -1]);
    assert_eq!(synapses(&net, 1).len(), 4);
}

#[test]
fn what_is_wrong_is_named() {
    let dense = || File::default().dense(0, 1, 2, &[2.0, 4.0]);
    for (file, expected) in [
        (File::default().ints("node/x", &[1]), "`layer` is missing"),
        (dense().neuron(0).text("layer/2/type", "dense"), "`layer/2` is one of 2 layers"),
        (dense().neuron(0).text("layer/1/type", "concat"), "`layer/1` (concat)"),
        (dense().text("layer/0/neuron/type", "SDNN"), "`layer/0/neuron` (SDNN)"),
        (dense().neuron(0).ints("layer/0/neuron/gradedSpike", &[1]), "graded spikes"),
        (dense().text("layer/0/neuron/type", "CUBA"), "`layer/0/neuron/iDecay` is missing"),
        (dense().neuron(0).ints("layer/0/neuron/wgtExp", &[9]), "`layer/0/neuron/wgtExp` is 9"),
        (File::default().dense(0, 1, 2, &[2.0, 0.5]), "`layer/0/weight[1]` is no whole number"),
        (File::default().dense(0, 1, 2, &[2.0, 400.0]), "`layer/0/weight[1]` is 400"),
        (File::default().dense(0, 1, 2, &[-256.0, 1.0]), "odd numbers beside -256"),
        (dense().neuron(0).dense(1, 1, 3, &[2.0; 3]), "`layer/1/inFeatures` is 3"),
        (dense().ints("layer/0/bias", &[1, 2]), "`layer/0/bias`"),
        (dense().ints("layer/0/delay", &[-1]), "`layer/0/delay[0]` is -1"),
        (File::default().input(&[1, 2, 2]).input(&[1, 2, 2]), ""),
        (File::default().text("layer/0/type", "conv"), "before all other layers"),
        (File::default().input(&[4096, 4096, 4096]), "16777216 elements"),
    ] {
        let found = if expected.is_empty() { continue } else { file.error() };
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let conv = |key: &str, values: &[i64]| {
        let file =
            File::default().input(&[1, 4, 4]).text("layer/1/type", "conv").floats("layer/1/weight", &[1, 1, 2, 2], &[2.0; 4]).neuron(1);
        file.ints(&format!("layer/1/{key}"), values).error()
    };
    assert!(conv("stride", &[0, 1]).contains("stride [0, 1]"));
    assert!(conv("shape", &[1, 4, 4]).contains("[1, 3, 3], what the kernel gives"));
    assert!(conv("groups", &[3]).contains("in 3 groups"));
    let large = File::default()
        .input(&[1, 4000, 4000])
        .text("layer/1/type", "conv")
        .floats("layer/1/weight", &[1, 1, 3, 3], &[2.0; 9])
        .neuron(1)
        .error();
    assert!(large.contains("limit"), "{large}");
    let zeros = File::default()
        .input(&[1, 2000, 2000])
        .text("layer/1/type", "conv")
        .floats("layer/1/weight", &[1, 1, 300, 300], &[0.0; 90_000])
        .neuron(1)
        .error();
    assert!(zeros.contains("places of kernels"), "{zeros}");
}

#[test]
fn kinds_of_hdf5_are_told_apart() {
    let bytes = File::default().dense(0, 1, 2, &[2.0, 4.0]).neuron(0).bytes();
    let options = ImportOptions { dt_s: Some(1.0), ..ImportOptions::default() };
    let none = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    for name in ["a.net", "a.h5"] {
        assert!(matches!(read(Path::new(name), &bytes, &options, &none).unwrap().model, Model::Registers(_)), "{name}");
    }
    let e = read(Path::new("a.nir"), &bytes, &options, &none).unwrap_err();
    assert!(e.hint().contains(".net"), "{}", e.hint());
    assert_eq!(read(Path::new("a.net"), b"xyz", &options, &none).unwrap_err(), ImportError::NotHdf5);
}

#[test]
fn damaged_files_never_panic() {
    let whole = File::default()
        .input(&[1, 3, 3])
        .text("layer/1/type", "conv")
        .ints("layer/1/stride", &[1, 1])
        .floats("layer/1/weight", &[2, 1, 2, 2], &[2.0; 8])
        .neuron(1)
        .text("layer/2/type", "flatten")
        .dense(3, 2, 8, &[4.0; 16])
        .neuron(3)
        .bytes();
    assert!(read_netx(&whole, &ImportOptions::default()).is_ok());
    let used: Vec<usize> = (0..whole.len()).filter(|&k| whole[k] != 0).collect();
    let mut random = 5u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((random >> 33) % n as u64) as usize
    };
    let mut readable = 0;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        match below(4) {
            0 => bytes.truncate(below(bytes.len())),
            1 => bytes[used[below(used.len())]] ^= 1 << below(8),
            2 => (0..1 + below(8)).for_each(|_| bytes[used[below(used.len())]] = below(256) as u8),
            _ => {
                let at = used[below(used.len())];
                let end = (at + 1 + below(8)).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
        if let Ok(Imported { model: Model::Registers(net), .. }) = read_netx(&bytes, &ImportOptions::default()) {
            net.check().unwrap();
            readable += 1;
        }
    }
    assert!(readable > 0 && readable < 300, "{readable}");
}
