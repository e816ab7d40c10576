//! `spikec import-ranc`: a network made for RANC as a bundle.

use crate::args::ImportRancArgs;
use crate::failure::Failure;
use crate::files::{self, Files, put_all};
use crate::load;
use spikec_data::{DataSet, Stimulus};
use spikec_export::ranc;
use std::path::Path;

/// Runs the command.
pub fn run(args: &ImportRancArgs, json: bool) -> Result<u8, Failure> {
    let target = load::target(&args.target)?;
    let bytes = files::read(&args.file)?;
    let name = args.file.file_stem().map_or_else(|| "network".into(), |s| s.to_string_lossy().into_owned());
    let imported = ranc::read(&bytes, &name, &target, args.pad, args.steps).map_err(|e| Failure::file(&args.file, &e).hint(e.hint()))?;
    if let Some(finding) = imported.bundle.validate().first() {
        return Err(Failure::file(&args.file, finding).hint("the network doesn't fit the target"));
    }
    let inputs: Vec<&Path> = vec![args.file.as_path()];
    let mut files = Files::reading(&inputs);
    let bundle = imported.bundle.to_bytes();
    let mut written = vec![files.output(&args.output)?.fill(|out| out.write_all(&bundle))?];
    let (steps, packets) = (imported.packets.steps(), imported.packets.channels.len());
    if let Some(path) = &args.data {
        let width = imported.packets.width;
        let set = DataSet { width, samples: vec![Stimulus::Spikes(imported.packets)], labels: None };
        set.check().and_then(|()| set.check_file()).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
        written.push(files.output(path)?.fill(|out| out.write_all(&set.to_npz()))?);
    }
    put_all(written)?;
    let host = &imported.bundle.host;
    let neurons: usize = imported.bundle.symbols.populations.iter().map(|p| p.neurons.len()).sum();
    let (channels, outputs) = (host.input_width, host.decoder.outputs.len());
    if json {
        super::print_json(&serde_json::json!({
            "channels": channels, "neurons": neurons, "outputs": outputs, "packets": packets, "steps": steps
        }));
    } else {
        super::print(&format!(
            "{}: {channels} input channels, {neurons} neurons, {outputs} outputs; {packets} packets in {steps} steps\n",
            args.output.display()
        ));
    }
    Ok(0)
}
