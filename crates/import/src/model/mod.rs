//! A network as a RON model file beside its arrays; every key is in docs/network-format.md.
//!
//! In: the text, and a loader for array files. Out: a trained network or a net in registers; `write` goes the other way.
//! Invariant: unknown keys are errors with their place; every array is checked against the shapes it must have.
//! Cost: each array file is loaded once.

pub(crate) mod arrays;
pub(crate) mod registers;
pub(crate) mod schema;
mod spatial;
mod trained;
pub(crate) mod write;
pub(crate) mod write_spatial;

use crate::error::ImportError;
use crate::{ImportOptions, Imported, Loader, Model};
use arrays::ArrayFiles;
use ron::extensions::Extensions;
use schema::File;
use std::collections::BTreeMap;
use std::path::Path;

/// Whether the first word outside of comments is one of the format's.
pub(crate) fn looks_like_model(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 12)];
    let text = String::from_utf8_lossy(head);
    text.lines()
        .map(str::trim_start)
        .find(|l| !l.is_empty() && !l.starts_with("//") && !l.starts_with("#!["))
        .is_some_and(|l| ["Trained", "Registers", "Connectome"].iter().any(|word| l.starts_with(word)))
}

/// Reads a RON model. `load` gets the paths of array files, relative ones joined to the folder of `path`.
///
/// # Errors
/// [`ImportError::Ron`] with line and column; arrays that are missing or don't fit.
pub fn read_model(path: &Path, bytes: &[u8], options: &ImportOptions, load: Loader) -> Result<Imported, ImportError> {
    let at = |line: usize, column: usize, message: String| ImportError::Ron { path: path.display().to_string(), line, column, message };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        at(line, column, "the text is not UTF-8".into())
    })?;
    // `Trained(name: ...)` and `mask: "..."`, without a second pair of brackets and without `Some`.
    let extensions = Extensions::UNWRAP_VARIANT_NEWTYPES | Extensions::IMPLICIT_SOME;
    let ron = ron::Options::default().with_default_extension(extensions).with_recursion_limit(32);
    let file: File = ron.from_str(text).map_err(|e| {
        let (line, column) = after_space(text, e.span.start.line, e.span.start.col);
        at(line, column, e.code.to_string())
    })?;
    let mut arrays = ArrayFiles::new(path.parent().unwrap_or(Path::new("")), load);
    let mut warnings = Vec::new();
    let model = match file {
        File::Trained(file) => Model::Trained(trained::network(file, options, &mut arrays)?),
        File::Registers(file) => Model::Registers(registers::net(file, options, &mut arrays, &mut warnings)?),
        File::Connectome(file) => Model::Registers(crate::edges::net(*file, options, &mut arrays, &mut warnings)?),
    };
    Ok(Imported { model, warnings })
}

/// The first place at or behind (line, column) that isn't white space, the place itself where the text ends; all from 1.
fn after_space(text: &str, line: usize, column: usize) -> (usize, usize) {
    let mut at = (line, column);
    let rest = text.split_inclusive('\n').skip(line.saturating_sub(1)).enumerate();
    for (k, l) in rest {
        let skipped = if k == 0 { column.saturating_sub(1) } else { 0 };
        if let Some(c) = l.chars().skip(skipped).position(|c| !c.is_whitespace()) {
            at = (line + k, skipped + c + 1);
            break;
        }
    }
    at
}

/// The given name, else the option's.
pub(crate) fn name_or(name: Option<String>, options: &ImportOptions) -> String {
    name.unwrap_or_else(|| options.name.clone())
}

/// Index of each name.
fn unique<'a>(names: impl Iterator<Item = (String, &'a str)>) -> Result<BTreeMap<&'a str, usize>, ImportError> {
    let mut index = BTreeMap::new();
    for (k, (place, name)) in names.enumerate() {
        if index.insert(name, k).is_some() {
            return Err(ImportError::DuplicateName { place, name: name.into() });
        }
    }
    Ok(index)
}

fn population(index: &BTreeMap<&str, usize>, place: String, name: &str) -> Result<usize, ImportError> {
    index.get(name).copied().ok_or_else(|| ImportError::UnknownPopulation {
        place,
        name: name.into(),
        known: index.keys().map(|s| s.to_string()).collect(),
    })
}
