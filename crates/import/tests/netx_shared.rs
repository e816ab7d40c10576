//! lava-dl's networks and the traces beside them, where they stand beside the project; skipped where they are absent.
//!
//! Network step n of layer k is step n + k of the traces (n + k + 1 where the input is spikes): each of lava's layers is a step behind
//! the one before it. PilotNet's traces are of two samples: layer k starts anew in steps k and k + 17.

use spikec_data::{Array, SpikeTrain, Stimulus, Values, read_npy};
use spikec_import::{ImportOptions, Model, read_netx};
use spikec_net::{Fixed, Interpreter, Net, Observer, PopulationId, fixed_drive};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/nets/netx").join(name);
    if !path.is_dir() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn net(folder: &Path, file: &str) -> Net<Fixed> {
    let bytes = std::fs::read(folder.join(file)).unwrap();
    let imported = read_netx(&bytes, &ImportOptions { name: "net".into(), ..Default::default() }).unwrap();
    let Model::Registers(net) = imported.model else { panic!("registers") };
    net.check().unwrap();
    net
}

fn array(folder: &Path, name: &str) -> Array {
    read_npy(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// A trace with time last as whole numbers by (step, neuron): (columns, rows, channels) become (channels, rows, columns).
fn trace(folder: &Path, name: &str) -> Vec<Vec<i64>> {
    let array = array(folder, &format!("{name}.npy"));
    let values = array.to_i64().unwrap();
    let (&steps, space) = array.shape.split_last().unwrap();
    let n: usize = space.iter().product();
    let source = |at: usize| match space {
        &[columns, rows, channels] => {
            let (c, y, x) = (at / (rows * columns), at / columns % rows, at % columns);
            debug_assert!(x < columns);
            (x * rows + y) * channels + c
        }
        _ => at,
    };
    (0..steps).map(|t| (0..n).map(|at| values[source(at) * steps + t]).collect()).collect()
}

/// State of every population in every step: u, v, spikes.
#[derive(Default)]
struct States(Vec<Vec<State>>);

/// u and v after the step, and who fired.
type State = (Vec<i64>, Vec<i64>, Vec<u32>);

impl Observer<Fixed> for States {
    fn step(&mut self, _: u32, population: PopulationId, u: &[i32], v: &[i32], fired: &[u32]) {
        if self.0.len() <= population.index() {
            self.0.resize_with(population.index() + 1, Vec::new);
        }
        let wide = |x: &[i32]| x.iter().map(|&x| x.into()).collect();
        self.0[population.index()].push((wide(u), wide(v), fired.to_vec()));
    }
}

fn fired(trace: &[i64]) -> Vec<u32> {
    (0..).zip(trace).filter(|(_, s)| **s != 0).map(|(i, _)| i).collect()
}

#[test]
fn pilotnet_equals_its_traces_in_every_layer() {
    let Some(folder) = folder("pilotnet_lif_test") else { return };
    let net = net(&folder, "network.net");
    assert_eq!(net.synapse_count(), 10_685_862);
    // The image as quantized: 40 x + 36.
    let image = array(&folder, "image.npy");
    let values = image.to_i64().unwrap();
    let (columns, rows) = (image.shape[0], image.shape[1]);
    let frames: Vec<f32> = (0..3 * rows * columns)
        .map(|at| (values[(at % columns * rows + at / columns % rows) * 3 + at / (rows * columns)] - 36) as f32 / 40.0)
        .collect();
    let values = Values { width: frames.len() as u32, frames, constant: true };
    let (drives, saturated) = fixed_drive(&net, &values, 4095, 7);
    assert_eq!(saturated, 0);
    let mut states = States::default();
    let counters = Interpreter::new(&net).unwrap().run(None, &drives, 17, &mut states);
    assert_eq!((counters.u_wraps, counters.v_clips), (0, 0));

    let names = ["input", "conv-0", "conv-1", "conv-2", "conv-3", "conv-4", "fc-0", "fc-1", "fc-2"];
    let mut compared = 0;
    for (k, name) in names.into_iter().enumerate() {
        let spikes = trace(&folder, name);
        let potentials = (k > 1).then(|| (trace(&folder, &format!("{name}-u")), trace(&folder, &format!("{name}-v"))));
        for t in k..spikes.len() {
            let (u, v, now) = &states.0[k + 1][(t - k) % 17];
            assert!(*now == fired(&spikes[t]), "{name}, step {t}");
            let Some((us, vs)) = &potentials else { continue };
            assert!(*u == us[t], "u of {name}, step {t}");
            // The traces have 128 where a neuron fired.
            let differs = (0..).zip(v.iter().zip(&vs[t])).find(|(i, (a, b))| a != b && !now.contains(i));
            assert_eq!(differs, None, "v of {name}, step {t}");
            compared += 2 * u.len() + now.len();
        }
    }
    assert!(compared > 1_900_000, "{compared}");
}

#[test]
fn oxford_first_layer_equals_its_spikes() {
    let Some(folder) = folder("oxford") else { return };
    let net = net(&folder, "network.net");
    let inputs = trace(&folder, "in");
    let mut train = SpikeTrain::empty(200);
    for step in &inputs {
        train.channels.extend(fired(step));
        train.end_step();
    }
    let mut states = States::default();
    Interpreter::new(&net).unwrap().run(Some(&train), &[], inputs.len() as u32, &mut states);
    let expected = trace(&folder, "out");
    let mut spikes = 0;
    for (t, (expected, (_, _, now))) in expected[1..].iter().zip(&states.0[1]).enumerate() {
        assert_eq!(*now, fired(expected), "step {t}");
        spikes += now.len();
    }
    assert_eq!((spikes, fired(&expected[0]).len()), (1826, 0));
    let weights = array(&folder, "weight.npy").to_i64().unwrap();
    assert!(net.projections[0].synapses.iter().all(|(i, j, w, _)| weights[j as usize * 200 + i as usize] == i64::from(w)));
}

#[test]
fn tiny_equals_its_spikes() {
    let Some(folder) = folder("tiny") else { return };
    let net = net(&folder, "tiny.net");
    // Biases of the input as (columns, rows, channels): 36 x + 34.
    let biases = array(&folder, "input_bias.npy").to_i64().unwrap();
    let frames: Vec<f32> = (0..768).map(|at| (biases[(at % 16 * 16 + at / 16 % 16) * 3 + at / 256] - 34) as f32 / 36.0).collect();
    let (run, _) = Interpreter::new(&net)
        .unwrap()
        .sample(&Stimulus::Values(Values { width: 768, frames, constant: true }), Some(15), (4095, 7), true)
        .unwrap();
    for (k, name, n) in [(1, "input", 768), (2, "layer1", 864), (3, "output", 36)] {
        let expected = array(&folder, &format!("{name}.npy")).to_i64().unwrap();
        for t in 0..15 {
            // Recorded a step late, all layers alike.
            let spikes: Vec<i64> = (0..n).map(|at| expected[at * 16 + t + 1]).collect();
            assert_eq!(run.spikes[k][t], fired(&spikes), "{name}, step {t}");
        }
    }
}

#[test]
fn bootstrap_mnist_is_read_whole() {
    let Some(folder) = folder("bootstrap_mnist") else { return };
    let net = net(&folder, "network.net");
    let sizes: Vec<usize> = net.populations.iter().map(|p| p.len()).collect();
    assert_eq!(sizes, [784, 784, 512, 512, 10]);
    assert_eq!(net.projections.iter().map(|p| p.synapses.len()).collect::<Vec<_>>(), [248_679, 236_346, 4_749]);
}
