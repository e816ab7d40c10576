//! Classes of samples: from a file, or from the names of folders.

use crate::failure::Failure;
use crate::files;
use spikec_data::{Array, DataSet, read_idx, read_npy, read_npz};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// What a file of labels says.
pub enum Labels {
    /// One for each sample, in order.
    InOrder(Vec<i64>),
    /// By the sample's name.
    ByName(HashMap<String, i64>),
}

impl Labels {
    /// Reads an IDX, `.npy` or `.npz` file, or text: a class a line, or a name and a class; `#` starts a comment.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = files::read(path)?;
        let array = |array| Self::of_array(array, path);
        if bytes.starts_with(b"\x93NUMPY") {
            array(read_npy(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?)
        } else if bytes.starts_with(b"PK") {
            let mut arrays = read_npz(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
            let found = arrays.remove("labels").or_else(|| arrays.remove("label"));
            array(found.ok_or_else(|| Failure::file(path, "has no array 'labels' or 'label'"))?)
        } else if bytes.starts_with(&[0, 0]) || bytes.starts_with(&[0x1f, 0x8b]) {
            array(read_idx(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?)
        } else {
            let text = String::from_utf8(bytes)
                .map_err(|e| Failure::file(path, format_args!("is not UTF-8 text (byte {})", e.utf8_error().valid_up_to())))?;
            Self::of_text(&text, path)
        }
    }

    /// The labels of an array.
    pub fn of_array(array: Array, path: &Path) -> Result<Self, Failure> {
        let found = format!("labels are {} of shape {:?}; expected one axis of integers from 0", array.dtype_name(), array.shape);
        let labels = array.to_i64().filter(|l| array.shape.len() == 1 && l.iter().all(|&l| l >= 0));
        labels.map(Labels::InOrder).ok_or_else(|| Failure::file(path, found))
    }

    fn of_text(text: &str, path: &Path) -> Result<Self, Failure> {
        let (mut in_order, mut by_name) = (Vec::new(), HashMap::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |expected: &str| {
                Failure::file(path, format_args!("line {number}: found '{line}', expected {expected}"))
                    .hint("write a class (0, 1, ...) on each line, or a name and a class on each line")
            };
            let fields: Vec<&str> = line.split([',', ';', '\t', ' ']).filter(|f| !f.is_empty()).collect();
            let class = |field: &str| field.parse::<i64>().ok().filter(|&c| c >= 0).ok_or_else(|| wrong("a class from 0"));
            match fields.as_slice() {
                [label] if by_name.is_empty() => in_order.push(class(label)?),
                [name, label] if in_order.is_empty() => {
                    let label = class(label)?;
                    if by_name.insert(plain_name(name), label).is_some_and(|old| old != label) {
                        return Err(wrong("a name that has one class"));
                    }
                }
                _ => return Err(wrong("a class, or a name and a class, as on the lines before")),
            }
        }
        Ok(if by_name.is_empty() { Labels::InOrder(in_order) } else { Labels::ByName(by_name) })
    }

    /// The class of sample `k` of that name.
    pub fn class(&self, k: usize, name: &str, path: &Path) -> Result<i64, Failure> {
        match self {
            Labels::InOrder(labels) => labels.get(k).copied().ok_or_else(|| {
                Failure::file(path, format_args!("has {} labels, expected one for each recording", labels.len()))
                    .hint("give as many labels as recordings (before --skip and --samples), in the same order")
            }),
            Labels::ByName(labels) => labels.get(&plain_name(name)).copied().ok_or_else(|| {
                Failure::file(path, format_args!("has no class for '{name}'")).hint("add a line with this name and its class")
            }),
        }
    }

    /// Refuses labels in order that are more or fewer than there are samples.
    pub fn check(&self, samples: usize, path: &Path) -> Result<(), Failure> {
        match self {
            Labels::InOrder(labels) if labels.len() != samples => {
                Err(Failure::file(path, format_args!("has {} labels, expected one for each of the {samples} recordings", labels.len()))
                    .hint("give as many labels as recordings (before --skip and --samples), in the same order"))
            }
            _ => Ok(()),
        }
    }
}

/// A name without its extension; a number without zeros before it.
fn plain_name(name: &str) -> String {
    let stem = Path::new(name).file_stem().map_or(name.into(), |s| s.to_string_lossy());
    if stem.bytes().all(|b| b.is_ascii_digit()) {
        let digits = stem.trim_start_matches('0');
        return if digits.is_empty() { "0".into() } else { digits.into() };
    }
    stem.into_owned()
}

/// Classes from the names of the files' folders: the numbers that they are, or, where one is no number, their places in order.
pub fn of_folders(files: &[std::path::PathBuf]) -> Result<(Vec<i64>, Vec<String>), Failure> {
    let mut names = Vec::with_capacity(files.len());
    for file in files {
        let folder = file.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
        names.push(folder.ok_or_else(|| {
            Failure::file(file, "is in no named folder, whose name could be its class").hint("give classes in a file: --labels FILE")
        })?);
    }
    let different: BTreeSet<&String> = names.iter().collect();
    let numbers: Option<Vec<i64>> = names.iter().map(|n| n.parse().ok().filter(|&c: &i64| c >= 0)).collect();
    let classes = match numbers {
        Some(numbers) => numbers,
        None => {
            let place: HashMap<&String, i64> = different.iter().copied().zip(0..).collect();
            names.iter().map(|n| place[n]).collect()
        }
    };
    Ok((classes, different.into_iter().cloned().collect()))
}

/// Refuses a set that no file can hold, before it is written.
pub fn check_size(path: &Path, samples: u64, steps: u64, spikes: u64, hint: &str) -> Result<(), Failure> {
    DataSet::check_size(samples, steps, spikes).map_err(|e| Failure::file(path, e).hint(hint))
}
