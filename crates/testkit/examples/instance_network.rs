//! A mapping instance as a network in chip integers: `instance_network IN.npz OUT.ron [SEED [constant]]`; `constant` adds a constant source of all neurons.
//!
//! Writes OUT.ron, its arrays OUT.npz, and OUT.data.npz: one sample of 32 steps without input spikes.
//! IN.npz is a file of `spikec map`; `-` makes the convolutional network of a million neurons that `benches/million.rs` uses.

use spikec_map::instance::Instance;
use spikec_testkit::instance::{Stack, model, silence, with_constant};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(input), Some(output)) = (args.next(), args.next()) else {
        return Err("usage: instance_network IN.npz OUT.ron [SEED [constant]]".into());
    };
    let seed = args.next().map_or(Ok(1), |s| s.parse())?;
    let constant = args.next().is_some_and(|a| a == "constant");
    let output = PathBuf::from(output);
    let mut graph = match input.as_str() {
        "-" => Stack::MILLION.graph(),
        path => Instance::new(&spikec_data::read_npz(&std::fs::read(path)?)?, true)?.graph,
    };
    if constant {
        graph = with_constant(&graph);
    }
    let name = output.file_stem().ok_or("OUT.ron has no name")?.to_string_lossy().into_owned();
    let model = model(&graph, &name, &format!("{name}.npz"), seed);
    std::fs::write(&output, &model.ron)?;
    std::fs::write(output.with_extension("npz"), model.npz())?;
    std::fs::write(output.with_extension("data.npz"), silence(1, 32, graph.inputs()))?;
    println!("{}: {} neurons, {} axons into them, {} inputs", output.display(), graph.neurons(), graph.pins(), graph.inputs());
    Ok(())
}
