//! `spikec export`: a bundle in another tool's format.

use crate::args::{ExportArgs, ExportFormatArg};
use crate::failure::Failure;
use crate::files::Files;
use crate::load;
use spikec_export::sanafe::{Sample, SanaFe};

/// Runs the command.
pub fn run(args: &ExportArgs, json: bool) -> Result<u8, Failure> {
    let ExportFormatArg::SanaFe = args.format;
    let bundle = load::bundle(&args.bundle)?;
    let set = args.input.as_deref().map(|path| load::data(path, args.sample.checked_add(1))).transpose()?;
    let sample = match (&set, &args.input) {
        (Some(set), Some(path)) => {
            let stimulus = set.samples.get(args.sample).ok_or_else(|| {
                Failure::file(path, format_args!("has {} samples, there is no sample {}", set.samples.len(), args.sample))
                    .hint("samples count from 0")
            })?;
            Some(Sample { index: args.sample, stimulus, steps: args.steps })
        }
        _ => None,
    };
    let export = SanaFe::new(bundle.loadable(), sample).map_err(|e| Failure::file(&args.bundle, &e).hint(e.hint()))?;

    let folder = &args.output;
    std::fs::create_dir_all(folder).map_err(|e| {
        Failure::file(folder, format_args!("can't be made: {e}")).hint("name a folder, new or not, in one that is writable")
    })?;
    let inputs: Vec<&std::path::Path> = std::iter::once(args.bundle.as_path()).chain(args.input.as_deref()).collect();
    let mut files = Files::reading(&inputs);
    let mut file = |name: &str| files.output(&folder.join(name));
    // All are written before the first one takes its place.
    let mut names = vec!["arch.yaml", "snn.yaml"];
    let mut written = vec![file("arch.yaml")?.fill(|out| export.arch(out))?, file("snn.yaml")?.fill(|out| export.snn(out))?];
    if let Some(text) = export.expected() {
        names.push("expected.json");
        written.push(file("expected.json")?.fill(|out| out.write_all(text.as_bytes()))?);
    }
    for file in written {
        file.put()?;
    }
    if export.expected().is_none() {
        // What an earlier export expected belongs to another bundle or sample.
        let stale = folder.join("expected.json");
        match std::fs::remove_file(&stale) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(
                    Failure::file(&stale, format_args!("is of an earlier export and can't be removed: {e}")).hint("remove it by hand")
                );
            }
            _ => {}
        }
    }

    let (groups, neurons, edges) = export.size();
    let notes: Vec<String> = export.notes().iter().map(ToString::to_string).collect();
    if json {
        super::print_json(&serde_json::json!({ "files": names, "groups": groups, "neurons": neurons, "edges": edges, "notes": notes }));
        return Ok(0);
    }
    let mut text = format!("{}: {} written: {groups} groups, {neurons} neurons, {edges} edges\n", folder.display(), names.join(", "));
    for note in &notes {
        text.push_str(&format!("not exact: {note}\n"));
    }
    super::print(&text);
    Ok(0)
}
