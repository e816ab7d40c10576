//! A trained network from its file to registers: time and memory of each stage, and what its synapses take.
//!
//! Run with `cargo bench -p spikec --bench stencils -- NET.ron [TARGET]` (`tests/external/conv_nets.py` writes large ones). The target is
//! `loihi1_nahuku32` by default; whether the network fits it is not asked. A stage's memory is the peak of the process while it ran, what earlier
//! stages left included.

use spikec_compile::Kernels;
use spikec_compile::lower::{LowerOptions, lower};
use spikec_compile::pack::Wiring;
use spikec_compile::quantize::{QuantizeOptions, quantize_all};
use spikec_import::{ImportOptions, Model};
use spikec_net::{InputKind, Net, Number, Quantized};
use std::path::PathBuf;
use std::time::Instant;

/// A number of kB in `/proc/self/status`, in MiB.
fn status_mib(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// User time of the process in seconds, where the system tells (in ticks of 10 ms).
fn user_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    Some(stat.rsplit_once(") ")?.1.split_whitespace().nth(11)?.parse::<f64>().ok()? / 100.0)
}

/// Runs a stage and prints what it took.
fn stage<T>(name: &str, work: impl FnOnce() -> T) -> T {
    // Linux: the peak starts again from what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (started, user) = (Instant::now(), user_seconds());
    let result = work();
    let wall = started.elapsed().as_secs_f64();
    let user = user_seconds().zip(user).map_or(String::from("?"), |(now, then)| format!("{:.2}", now - then));
    let mib = |key| status_mib(key).map_or(String::from("?"), |m| m.to_string());
    println!("{name:<28} {user:>7} s user {wall:>7.2} s wall {:>6} MiB peak {:>6} MiB held after", mib("VmHWM:"), mib("VmRSS:"));
    result
}

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
    stage("read it", || Quantized::from_bytes(&bytes).expect("what was written"));
    drop(bytes);
    stage("digest", || q.net.digest());
    stage("interpreter", || spikec_net::Interpreter::new(&q.net).map(drop).expect("it runs"));
    stage("wiring", || Wiring::new(&q, &target, Kernels::default()).synapse_count());
}
