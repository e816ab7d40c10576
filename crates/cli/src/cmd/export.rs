//! `spikec export`: a bundle in another tool's format.

use crate::args::{ExportArgs, ExportFormatArg};
use crate::failure::Failure;
use crate::files::{Files, put_all};
use crate::load;
use serde_json::{Value, json};
use spikec_chip::Bundle;
use spikec_export::ExportError;
use spikec_export::odin::{Chip, Spi};
use spikec_export::ranc::{RancJson, RancMem};
use spikec_export::sanafe::{Sample, SanaFe};
use std::io::Write;

/// A file and what writes it.
type File<'a> = (String, Box<dyn Fn(&mut dyn Write) -> std::io::Result<()> + 'a>);

/// What is written of a bundle.
struct Written {
    /// Names of the files.
    names: Vec<String>,
    /// In words.
    size: String,
    /// As numbers.
    numbers: Value,
    notes: Vec<String>,
}

/// Files that belong to a sample: those of an earlier export are another sample's.
const OF_SAMPLES: [&str; 2] = ["expected.json", "events.json"];

/// Runs the command.
pub fn run(args: &ExportArgs, as_json: bool) -> Result<u8, Failure> {
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
    let written = match args.format {
        ExportFormatArg::SanaFe => sana_fe(args, &bundle, sample),
        ExportFormatArg::RancJson => ranc_json(args, &bundle, sample),
        ExportFormatArg::RancMem => ranc_mem(args, &bundle, sample),
        ExportFormatArg::TinyodinSpi => spi(args, &bundle, Chip::TinyOdin, sample),
        ExportFormatArg::OdinSpi => spi(args, &bundle, Chip::Odin, sample),
        ExportFormatArg::Nir => nir(args, &bundle),
    }?;
    let Written { names, size, mut numbers, notes } = written;
    if as_json {
        if let Some(map) = numbers.as_object_mut() {
            map.insert("files".into(), json!(names));
            map.insert("notes".into(), json!(notes));
        }
        super::print_json(&numbers);
        return Ok(0);
    }
    let names = if names.len() > 8 { format!("{} and {} more", names[..2].join(", "), names.len() - 2) } else { names.join(", ") };
    let mut text = format!("{}: {names} written: {size}\n", args.output.display());
    for note in &notes {
        text.push_str(&format!("not exact: {note}\n"));
    }
    super::print(&text);
    Ok(0)
}

/// Writes all files, or none; their names.
fn write(args: &ExportArgs, all: Vec<File>) -> Result<Vec<String>, Failure> {
    let folder = &args.output;
    std::fs::create_dir_all(folder).map_err(|e| {
        Failure::file(folder, format_args!("can't be made: {e}")).hint("name a folder, new or not, in one that is writable")
    })?;
    let inputs: Vec<&std::path::Path> = std::iter::once(args.bundle.as_path()).chain(args.input.as_deref()).collect();
    let mut files = Files::reading(&inputs);
    let mut written = Vec::with_capacity(all.len());
    for (name, fill) in &all {
        written.push(files.output(&folder.join(name))?.fill(|out| fill(out))?);
    }
    // All are written before the first one takes its place.
    put_all(written)?;
    for name in OF_SAMPLES.iter().filter(|name| all.iter().all(|(written, _)| written != *name)) {
        let stale = folder.join(name);
        match std::fs::remove_file(&stale) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(
                    Failure::file(&stale, format_args!("is of an earlier export and can't be removed: {e}")).hint("remove it by hand")
                );
            }
            _ => {}
        }
    }
    Ok(all.into_iter().map(|(name, _)| name).collect())
}

fn refused(args: &ExportArgs) -> impl Fn(ExportError) -> Failure + '_ {
    |e| Failure::file(&args.bundle, &e).hint(e.hint())
}

/// A file of text.
fn text<'a>(name: &str, text: &'a str) -> File<'a> {
    (name.into(), Box::new(move |out: &mut dyn Write| out.write_all(text.as_bytes())))
}

fn sana_fe(args: &ExportArgs, bundle: &Bundle, sample: Option<Sample>) -> Result<Written, Failure> {
    let export = SanaFe::new(bundle.loadable(), sample).map_err(refused(args))?;
    let expected = export.expected();
    let mut files: Vec<File> =
        vec![("arch.yaml".into(), Box::new(|out| export.arch(out))), ("snn.yaml".into(), Box::new(|out| export.snn(out)))];
    files.extend(expected.as_deref().map(|e| text("expected.json", e)));
    let (groups, neurons, edges) = export.size();
    Ok(Written {
        names: write(args, files)?,
        size: format!("{groups} groups, {neurons} neurons, {edges} edges"),
        numbers: json!({ "groups": groups, "neurons": neurons, "edges": edges }),
        notes: export.notes().iter().map(ToString::to_string).collect(),
    })
}

fn ranc_json(args: &ExportArgs, bundle: &Bundle, sample: Option<Sample>) -> Result<Written, Failure> {
    let export = RancJson::new(bundle.loadable(), sample).map_err(refused(args))?;
    let mut files: Vec<File> =
        vec![("input.json".into(), Box::new(|out| export.input(out))), ("config.json".into(), Box::new(|out| export.config(out)))];
    files.extend(export.expected().map(|e| text("expected.json", e)));
    let (cores, neurons, packets) = export.size();
    Ok(Written {
        names: write(args, files)?,
        size: format!("{cores} cores, {neurons} neurons, {packets} packets"),
        numbers: json!({ "cores": cores, "neurons": neurons, "packets": packets }),
        notes: Vec::new(),
    })
}

fn ranc_mem(args: &ExportArgs, bundle: &Bundle, sample: Option<Sample>) -> Result<Written, Failure> {
    let export = RancMem::new(bundle.loadable(), sample).map_err(refused(args))?;
    let (cores, used) = export.size();
    let mut files: Vec<File> = Vec::new();
    let export = &export;
    for core in 0..cores {
        let [csram, types] = export.names(core);
        files.push((csram, Box::new(move |out| export.csram(core, out))));
        files.push((types, Box::new(move |out| export.types(core, out))));
    }
    files.extend(export.events().map(|e| text("events.json", e)));
    files.extend(export.expected().map(|e| text("expected.json", e)));
    Ok(Written {
        names: write(args, files)?,
        size: format!("{cores} cores, {used} of them in use"),
        numbers: json!({ "cores": cores, "used": used }),
        notes: Vec::new(),
    })
}

fn spi(args: &ExportArgs, bundle: &Bundle, chip: Chip, sample: Option<Sample>) -> Result<Written, Failure> {
    let export = Spi::new(bundle.loadable(), chip, sample).map_err(refused(args))?;
    let mut files: Vec<File> = vec![
        ("spi.txt".into(), Box::new(|out| export.spi(out))),
        ("neurons.mem".into(), Box::new(|out| export.neurons(out))),
        ("synapses.mem".into(), Box::new(|out| export.synapses(out))),
        text("host.json", export.host()),
    ];
    files.extend(export.events().map(|e| text("events.json", e)));
    files.extend(export.expected().map(|e| text("expected.json", e)));
    let ((neurons, synapses), writes) = (export.size(), export.writes().len());
    Ok(Written {
        names: write(args, files)?,
        size: format!("{writes} writes, {neurons} neurons, {synapses} synapses"),
        numbers: json!({ "writes": writes, "neurons": neurons, "synapses": synapses }),
        notes: Vec::new(),
    })
}

fn nir(args: &ExportArgs, bundle: &Bundle) -> Result<Written, Failure> {
    let export = spikec_export::nir::nir(bundle).map_err(refused(args))?;
    let bytes = &export.bytes;
    let files: Vec<File> = vec![("net.nir".into(), Box::new(move |out| out.write_all(bytes)))];
    let (populations, projections) = (export.network.populations.len(), export.network.projections.len());
    Ok(Written {
        names: write(args, files)?,
        size: format!("{populations} populations, {projections} projections"),
        numbers: json!({ "populations": populations, "projections": projections }),
        notes: export.notes.clone(),
    })
}
