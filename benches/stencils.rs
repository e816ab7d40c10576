//! A trained network from its file to registers: time and memory of each stage, and what its synapses take.
//!
//! Run with `cargo bench -p spikec --bench stencils -- NET.ron [TARGET]` (`tests/external/conv_nets.py` writes large ones). The target is
//! `loihi1_nahuku32` by default; whether the network fits it is not asked. A stage's memory is the peak of the process while it ran, what earlier
//! stages left included.

mod stages;

use spikec_compile::Kernels;
use spikec_compile::lower::{LowerOptions, lower};
use spikec_compile::pack::Wiring;
use spikec_compile::quantize::{QuantizeOptions, quantize_all};
use spikec_import::{ImportOptions, Model};
use spikec_net::{InputKind, Net, Number, Quantized};
use stages::stage;
use std::path::PathBuf;

fn sizes<N: Number>(what: &str, net: &Net<N>) {
    let sum = |of: fn(&spikec_net::Projection<N>) -> usize| net.projections.iter().map(of).sum::<usize>();
    let (rows, stored) = (sum(|p| p.synapses.templates()), sum(|p| p.synapses.stored()));
    let bytes = sum(|p| p.synapses.bytes());
    println!("{what}: {} synapses, {rows} rows of {stored} weights stored, {:.1} MiB", net.synapse_count(), bytes as f64 / 1048576.0);
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let Some(path) = args.next().map(PathBuf::from) else {
        println!("no NET.ron: nothing to do");
        return;
    };
    let target = spikec_chip::find(args.next().as_deref().unwrap_or("loihi1_nahuku32")).expect("built in");
    let network = stage("import", || {
        let text = std::fs::read(&path).expect("readable");
        match spikec_import::read(&path, &text, &ImportOptions::default(), &|p| std::fs::read(p)).expect("a network").model {
            Model::Trained(network) => network,
            Model::Registers(_) => panic!("in chip integers, expected a trained network"),
        }
    });
    let net = stage("elaborate", || network.elaborate(InputKind::Spikes).expect("it elaborates"));
    let digest = network.digest();
    drop(network);
    sizes("floats", &net);
    let (net, _) = stage("lower", || lower(net, &target, &LowerOptions::default()).expect("it lowers"));
    sizes("lowered", &net);
    let (q, _) = stage("quantize", || quantize_all(&net, digest, &target, &QuantizeOptions::default()).expect("it quantizes"));
    drop(net);
    sizes("registers", &q.net);
    let bytes = stage("write the reference section", || q.to_bytes());
    println!("{} bytes", bytes.len());
    stage("read it", || <Quantized>::from_bytes(&bytes).expect("what was written"));
    drop(bytes);
    stage("digest", || q.net.digest());
    stage("interpreter", || spikec_net::Interpreter::new(&q.net).map(drop).expect("it runs"));
    stage("wiring", || Wiring::new(&q, &target, Kernels::default()).synapse_count());
}
