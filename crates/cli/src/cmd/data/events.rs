//! `spikec data events`: recordings of event cameras.

use super::classes::{self, Labels};
use crate::args::{ChannelsArg, EventFormatArg, EventsArgs, OutOfRangeArg, PolarityOrderArg, SeveralArg, StartArg};
use crate::cmd;
use crate::failure::Failure;
use crate::files::{self, Files};
use spikec_data::events::{Channels, Column, Start, Tally};
use spikec_data::{Binning, DataSet, Event, EventColumns, EventError, Stimulus, read_atis, read_npz, read_table};
use spikec_import::{ImportError, read_hdf5_arrays};
use std::path::{Path, PathBuf};

/// Folders inside of folders.
const MAX_DEPTH: usize = 32;
/// Names of files of events end so.
const EXTENSIONS: [&str; 8] = ["bin", "csv", "txt", "tsv", "npz", "h5", "hdf5", "hdf"];

/// Runs the command.
pub fn run(args: &EventsArgs, json: bool) -> Result<u8, Failure> {
    if args.samples == Some(0) {
        return Err(Failure::input("--samples 0 leaves nothing to write").hint("give at least 1"));
    }
    let binning = binning(args);
    let shape = binning.shape().map_err(|e| Failure::input(&e).hint(e.hint()))?;
    let columns = args.columns.as_ref().map(|names| names.iter().map(|n| Column::named(n.trim())).collect::<Vec<_>>());
    if let Some(columns) = &columns {
        let needed = [(Column::T, "t"), (Column::X, "x"), (Column::Y, "y"), (Column::P, "p")];
        if let Some((_, missing)) = needed.iter().find(|(c, _)| columns.iter().filter(|k| *k == c).count() != 1) {
            let names = args.columns.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
            return Err(Failure::input(format!("--columns {names}: expected '{missing}' once")).hint("such as --columns t,x,y,p"));
        }
    }
    let found = find(&args.paths)?;
    let word = args.labels.as_ref().and_then(|l| l.to_str());
    let labels_file = args.labels.as_deref().filter(|_| !matches!(word, Some("folders" | "none")));
    let mut inputs: Vec<&Path> = found.files.iter().map(PathBuf::as_path).collect();
    inputs.extend(labels_file);
    let output = Files::reading(&inputs).output(&args.output)?;

    let given = labels_file.map(Labels::read).transpose()?;
    let folders = match word {
        Some("folders") => Some(classes::of_folders(&found.files)?),
        None if args.labels.is_none() && found.all_below_folders => Some(classes::of_folders(&found.files)?),
        _ => None,
    };
    let mut all = Recordings { args, binning, given, folders, taken: Taken::default(), seen: 0 };
    for (k, path) in found.files.iter().enumerate() {
        if all.full() && !matches!(all.given, Some(Labels::InOrder(_))) {
            break;
        }
        all.file(k, path, columns.as_deref())?;
    }
    if let (Some(labels), Some(path)) = (&all.given, labels_file) {
        labels.check(all.seen, path)?;
    }
    let Recordings { folders, taken: Taken { samples, labels, tally, files }, seen, .. } = all;
    if samples.is_empty() {
        return Err(Failure::input(format!("no recordings are left: found {seen}, --skip {}", args.skip)).hint("skip fewer"));
    }
    let n = samples.len();
    let labels = if word == Some("none") { Vec::new() } else { labels };
    if !labels.is_empty() && labels.len() != n {
        return Err(Failure::input(format!("{} of {n} recordings have a class", labels.len()))
            .hint("give classes for all in a file (--labels FILE), or --labels none"));
    }
    let labels = (!labels.is_empty()).then_some(labels);
    let set = DataSet { width: shape.iter().product(), samples, labels };
    let classes = folders.map(|(_, names)| names).filter(|_| set.labels.is_some());
    set.check_file().map_err(|e| Failure::file(&args.output, &e).hint("use fewer --samples or --steps"))?;
    output.commit(&set.to_npz())?;
    let report = Report { args, shape, n, files, passed_over: found.passed_over, tally, labelled: set.labels.is_some(), classes };
    if json {
        cmd::print_json(&report.json(&binning));
    } else {
        cmd::print(&report.text(&binning));
    }
    Ok(0)
}

fn binning(args: &EventsArgs) -> Binning {
    Binning {
        width: args.width,
        height: args.height,
        crop: args.crop,
        downscale: args.downscale,
        channels: match (args.channels, args.polarity_order) {
            (ChannelsArg::Merged, _) => Channels::Merged,
            (ChannelsArg::Polarity, PolarityOrderArg::OffOn) => Channels::OffOn,
            (ChannelsArg::Polarity, PolarityOrderArg::OnOff) => Channels::OnOff,
        },
        bin_us: args.bin.or(args.bin_us).unwrap_or(0),
        start: match args.offset {
            StartArg::First => Start::FirstEvent,
            StartArg::At(us) => Start::At(us),
        },
        steps: args.steps,
        each: args.several == SeveralArg::Each,
        drop_outside: args.out_of_range == OutOfRangeArg::Drop,
    }
}

/// What a file is.
#[derive(Clone, Copy)]
enum Format {
    Nmnist,
    Csv,
    Npz,
    Hdf5,
}

/// The files of a command.
struct Found {
    files: Vec<PathBuf>,
    /// Files in folders whose names don't end like those of events.
    passed_over: usize,
    /// Each file is in a folder below one that was given.
    all_below_folders: bool,
}

/// Files as given; those of folders by name, at any depth.
fn find(paths: &[PathBuf]) -> Result<Found, Failure> {
    let mut found = Found { files: Vec::new(), passed_over: 0, all_below_folders: true };
    for path in paths {
        if path.is_dir() {
            let before = found.files.len();
            walk(path, 0, &mut found)?;
            if found.files.len() == before {
                let expected = EXTENSIONS.map(|e| format!(".{e}")).join(", ");
                return Err(Failure::file(path, "holds no files of events").hint(format!("expected names that end in {expected}")));
            }
        } else {
            found.all_below_folders = false;
            found.files.push(path.clone());
        }
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Found) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::file(folder, format_args!("can't be read: {e}"));
    if depth > MAX_DEPTH {
        return Err(Failure::file(folder, format_args!("is more than {MAX_DEPTH} folders deep")).hint("give a folder further in"));
    }
    let mut entries = std::fs::read_dir(folder).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links to folders are not followed: they may lead round in circles.
        if entry.file_type().map_err(fail)?.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if path.is_file() && path.extension().is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known))) {
            found.all_below_folders &= depth > 0;
            found.files.push(path);
        } else {
            found.passed_over += 1;
        }
    }
    Ok(())
}

/// What was made of the recordings so far.
#[derive(Default)]
struct Taken {
    samples: Vec<Stimulus>,
    labels: Vec<i64>,
    tally: Tally,
    files: usize,
}

/// Recordings as they are read, a file at a time.
struct Recordings<'a> {
    args: &'a EventsArgs,
    binning: Binning,
    given: Option<Labels>,
    folders: Option<(Vec<i64>, Vec<String>)>,
    taken: Taken,
    /// Recordings found, also those passed over.
    seen: usize,
}

impl Recordings<'_> {
    fn full(&self) -> bool {
        self.args.samples.is_some_and(|n| self.taken.samples.len() >= n)
    }

    /// Reads file `k`, or passes over it.
    fn file(&mut self, k: usize, path: &Path, columns: Option<&[Column]>) -> Result<(), Failure> {
        let format = format_of(path, self.args.format)?;
        let wrong = |e: EventError| Failure::file(path, &e).hint(e.hint());
        let one = matches!(format, Format::Nmnist | Format::Csv);
        if one && !self.wanted() {
            self.seen += 1;
            return Ok(());
        }
        let bytes = files::read(path)?;
        let before = self.taken.samples.len();
        let class = self.folders.as_ref().map(|(classes, _)| classes[k]);
        let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        match format {
            Format::Npz => {
                let arrays = read_npz(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
                self.columns(path, &name, class, EventColumns::new(arrays).map_err(wrong)?)?;
            }
            Format::Hdf5 => {
                let arrays = read_hdf5_arrays(&bytes, &EventColumns::names()).map_err(|e| match e {
                    ImportError::NotHdf5 => Failure::file(path, &e).hint("say what the file is with --format"),
                    _ => Failure::file(path, &e).hint(e.hint()),
                })?;
                self.columns(path, &name, class, EventColumns::new(arrays).map_err(wrong)?)?;
            }
            Format::Csv => self.recording(path, &name, class, &read_table(&bytes, columns).map_err(wrong)?)?,
            Format::Nmnist => {
                self.recording(path, &name, class, &read_atis(&bytes).map_err(wrong)?)?;
            }
        }
        self.taken.files += usize::from(self.taken.samples.len() > before);
        Ok(())
    }

    /// All recordings of a file of arrays.
    fn columns(&mut self, path: &Path, file: &str, class: Option<i64>, columns: EventColumns) -> Result<(), Failure> {
        for n in 0..columns.recordings() {
            if !self.wanted() {
                self.seen += 1;
                continue;
            }
            let events = columns.recording(n).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
            let name = columns.sample_ids.as_ref().map_or(file.into(), |ids| ids[n].to_string());
            let own = columns.labels.as_ref().map(|labels| labels[n]);
            self.recording(path, &name, own.or(class), &events)?;
        }
        Ok(())
    }

    /// The next recording will be taken.
    fn wanted(&self) -> bool {
        self.seen >= self.args.skip && !self.full()
    }

    fn recording(&mut self, path: &Path, name: &str, class: Option<i64>, events: &[Event]) -> Result<(), Failure> {
        let k = self.seen;
        self.seen += 1;
        let label = match (&self.given, &self.args.labels) {
            (Some(labels), Some(file)) => Some(labels.class(k, name, file)?),
            _ => class,
        };
        let (train, tally) = self.binning.bin(events).map_err(|e| {
            let place = if name.is_empty() || path.ends_with(name) { String::new() } else { format!("recording {name}: ") };
            Failure::file(path, format_args!("{place}{e}")).hint(e.hint())
        })?;
        let taken = &mut self.taken;
        taken.tally.add(&tally);
        taken.samples.push(Stimulus::Spikes(train));
        taken.labels.extend(label);
        let (n, spikes) = (taken.samples.len() as u64, taken.tally.spikes);
        classes::check_size(&self.args.output, n, self.args.steps.into(), spikes, "use fewer --samples or --steps, or a longer --bin")
    }
}

/// The format of a file: as said, else by its name.
fn format_of(path: &Path, said: EventFormatArg) -> Result<Format, Failure> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    Ok(match (said, extension.as_deref()) {
        (EventFormatArg::Nmnist, _) | (EventFormatArg::Auto, Some("bin")) => Format::Nmnist,
        (EventFormatArg::Csv, _) | (EventFormatArg::Auto, Some("csv" | "txt" | "tsv")) => Format::Csv,
        (EventFormatArg::Npz, _) | (EventFormatArg::Auto, Some("npz")) => Format::Npz,
        (EventFormatArg::Hdf5, _) | (EventFormatArg::Auto, Some("h5" | "hdf5" | "hdf")) => Format::Hdf5,
        (EventFormatArg::Auto, Some("aedat" | "aedat4" | "raw" | "dat")) => {
            return Err(Failure::file(path, "is of a format that is not read")
                .hint("convert it to a table t,x,y,p (.csv) or to arrays x, y, t, p (.npz, .h5): docs/data-format.md says how"));
        }
        (EventFormatArg::Auto, _) => {
            return Err(Failure::file(path, "its name does not say what it is").hint("say it with --format nmnist, csv, npz or hdf5"));
        }
    })
}

/// What the command says at its end.
struct Report<'a> {
    args: &'a EventsArgs,
    shape: [u32; 3],
    n: usize,
    files: usize,
    passed_over: usize,
    tally: Tally,
    labelled: bool,
    classes: Option<Vec<String>>,
}

impl Report<'_> {
    fn json(&self, binning: &Binning) -> serde_json::Value {
        let Tally { events, spikes, merged, early, late, cropped, outside, disordered } = self.tally;
        serde_json::json!({
            "samples": self.n, "files": self.files, "files_passed_over": self.passed_over,
            "width": self.shape.iter().product::<u32>(), "shape": self.shape, "steps": binning.steps, "bin_us": binning.bin_us,
            "events": events, "spikes": spikes, "merged": merged, "before_start": early, "beyond_steps": late,
            "cropped": cropped, "out_of_range": outside, "not_in_order": disordered,
            "labels": self.labelled, "classes": self.classes, "output": self.args.output,
        })
    }

    fn text(&self, binning: &Binning) -> String {
        let Tally { events, spikes, merged, early, late, cropped, outside, disordered } = self.tally;
        let [blocks, rows, columns] = self.shape;
        let layout = match binning.channels {
            Channels::OffOn => "polarity 0 then 1, y, x",
            Channels::OnOff => "polarity 1 then 0, y, x",
            Channels::Merged => "both polarities as one, y, x",
        };
        let labels = match (&self.classes, self.labelled) {
            (Some(names), _) => format!("classes of {} folders: {}", names.len(), listed(names)),
            (None, true) => "with labels".into(),
            (None, false) => "without labels".into(),
        };
        let mut lines = vec![
            format!(
                "{}: {} recordings of {} files, {} channels ({blocks} x {rows} x {columns}: {layout}), {} steps of {} us, {labels}",
                self.args.output.display(),
                self.n,
                self.files,
                blocks * rows * columns,
                binning.steps,
                binning.bin_us
            ),
            format!("{events} events: {spikes} spikes, {merged} merged (same channel and step), {late} after the last step"),
        ];
        let rare = [
            (early, "events before step 0, left out"),
            (cropped, "events outside of the crop, left out"),
            (outside, "events out of the camera's range, left out"),
            (disordered, "events earlier than the one before them in the file, binned all the same"),
            (self.passed_over as u64, "files in the folders passed over: their names are not those of events"),
        ];
        lines.extend(rare.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        lines.join("\n")
    }
}

/// The first names of a list.
fn listed(names: &[String]) -> String {
    let more = if names.len() > 12 { ", ..." } else { "" };
    names[..names.len().min(12)].join(", ") + more
}
