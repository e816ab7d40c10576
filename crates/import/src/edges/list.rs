//! A list of edges from a `.npz` or `.csv` file.
//!
//! In: the file, names of its columns. Out: [`Edges`]: two indices and a weight for each row, in the order of the file.
//! Invariant: indices are below `neurons`, weights are finite; memory grows with the file.

use crate::error::{ImportError, list};
use crate::model::arrays::{ArrayFiles, extension};
use crate::model::schema::{Connectome, Numbering};
use crate::shape::MAX_POPULATION;
use spikec_data::{Array, ArrayData};
use std::str::FromStr;

/// Names that a column may have where the model gives none.
const SOURCES: [&str; 8] = ["source", "src", "pre", "pre_index", "from", "row", "pre_id", "presynaptic"];
const TARGETS: [&str; 8] = ["target", "dst", "post", "post_index", "to", "col", "post_id", "postsynaptic"];
const WEIGHTS: [&str; 6] = ["weight", "synapse_count", "count", "syn_count", "synapses", "w"];

/// Edges in the order of their file.
#[derive(Debug, PartialEq)]
pub(super) struct Edges {
    pub neurons: usize,
    pub sources: Vec<u32>,
    pub targets: Vec<u32>,
    /// `None`: the file has no weights.
    pub weights: Option<Vec<f64>>,
}

/// A column of neurons.
enum Ends {
    Whole(Vec<i64>),
    Text(Vec<String>),
}

impl Ends {
    fn len(&self) -> usize {
        match self {
            Ends::Whole(v) => v.len(),
            Ends::Text(v) => v.len(),
        }
    }
}

fn bad(place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> ImportError {
    ImportError::BadValue { place: place.into(), found: found.into(), expected: expected.into() }
}

/// Reads the list that `file.edges` names.
pub(super) fn read(file: &Connectome, files: &mut ArrayFiles) -> Result<Edges, ImportError> {
    let (sources, targets, weights) = match extension(&file.edges).as_deref() {
        Some("npz") => from_arrays(file, files)?,
        Some("csv" | "tsv") => from_table(file, &files.bytes("edges", &file.edges)?)?,
        _ => {
            return Err(bad("edges", format!("`{}`", file.edges), "a .npz, .csv or .tsv file"));
        }
    };
    if sources.len() != targets.len() || weights.as_ref().is_some_and(|w| w.len() != sources.len()) {
        let weights = weights.as_ref().map_or_else(String::new, |w| format!(" and {} weights", w.len()));
        return Err(bad("edges", format!("{} sources, {} targets{weights}", sources.len(), targets.len()), "columns of one length"));
    }
    if sources.len() > u32::MAX as usize {
        let found = sources.len() as u64;
        return Err(ImportError::TooLarge { place: "edges".into(), what: "edges", found, limit: u32::MAX.into() });
    }
    let (sources, targets, found) = match (file.numbering, sources, targets) {
        (Numbering::Index, Ends::Whole(a), Ends::Whole(b)) => indices(a, b)?,
        (_, Ends::Whole(a), Ends::Whole(b)) => labels(a, b),
        (_, a, b) => labels(texts(a), texts(b)),
    };
    let neurons = match file.neurons {
        None => found,
        Some(n) if n as usize >= found => n as usize,
        Some(n) => return Err(bad("neurons", n.to_string(), format!("at least {found}, the neurons of the list"))),
    };
    Ok(Edges { neurons, sources, targets, weights })
}

/// Numbers that are indices.
fn indices(a: Vec<i64>, b: Vec<i64>) -> Result<(Vec<u32>, Vec<u32>, usize), ImportError> {
    let mut most = None;
    for (k, &x) in a.iter().chain(&b).enumerate() {
        if !(0..MAX_POPULATION as i64).contains(&x) {
            let (what, k) = if k < a.len() { ("source", k) } else { ("target", k - a.len()) };
            let expected = format!("an index from 0 to {} (`numbering: Label` takes any numbers or names)", MAX_POPULATION - 1);
            return Err(bad(format!("{what} of edge {k}"), x.to_string(), expected));
        }
        most = most.max(Some(x));
    }
    let narrow = |v: Vec<i64>| v.into_iter().map(|x| x as u32).collect();
    Ok((narrow(a), narrow(b), most.map_or(0, |x| x as usize + 1)))
}

/// Names into indices, ascending.
fn labels<T: Ord + Clone>(a: Vec<T>, b: Vec<T>) -> (Vec<u32>, Vec<u32>, usize) {
    let mut all: Vec<&T> = a.iter().chain(&b).collect();
    all.sort_unstable();
    all.dedup();
    let index = |v: &[T]| v.iter().map(|x| all.partition_point(|y| *y < x) as u32).collect();
    (index(&a), index(&b), all.len())
}

fn texts(ends: Ends) -> Vec<String> {
    match ends {
        Ends::Whole(v) => v.iter().map(i64::to_string).collect(),
        Ends::Text(v) => v,
    }
}

/// The column of this name, else of one of the usual names.
fn column(key: &str, given: Option<&String>, usual: &[&str], known: &[String], file: &str) -> Result<Option<usize>, ImportError> {
    let find = |name: &str| known.iter().position(|k| k.eq_ignore_ascii_case(name));
    match given {
        None => Ok(usual.iter().find_map(|name| find(name))),
        Some(name) => known.iter().position(|k| k == name).map(Some).ok_or_else(|| ImportError::MissingArray {
            file: file.into(),
            array: name.clone(),
            place: key.into(),
            known: known.to_vec(),
        }),
    }
}

/// Positions of source, target and, if there is one, weight.
fn columns(file: &Connectome, known: &[String]) -> Result<(usize, usize, Option<usize>), ImportError> {
    let find = |key: &str, given: &Option<String>, usual: &[&str]| column(key, given.as_ref(), usual, known, &file.edges);
    let required = |key: &str, given: &Option<String>, usual: &[&str]| {
        find(key, given, usual)?.ok_or_else(|| {
            let found = format!("not there: the list has {}", list(known));
            bad(key, found, format!("the name of a column (without the key: {})", list(usual)))
        })
    };
    Ok((required("source", &file.source, &SOURCES)?, required("target", &file.target, &TARGETS)?, find("weight", &file.weight, &WEIGHTS)?))
}

type Columns = (Ends, Ends, Option<Vec<f64>>);

fn from_arrays(file: &Connectome, files: &mut ArrayFiles) -> Result<Columns, ImportError> {
    let arrays = files.arrays("edges", &file.edges)?;
    let names: Vec<String> = arrays.keys().cloned().collect();
    let (source, target, weight) = columns(file, &names)?;
    let get = |k: usize, what: &str| {
        let array = &arrays[&names[k]];
        let described = || format!("`{}`, an array of {} {:?}", names[k], array.dtype_name(), array.shape);
        if array.shape.len() == 1 { Ok(array) } else { Err(bad(what, described(), "an array with one axis")) }
    };
    let ends = |k: usize, what: &str| {
        let array = get(k, what)?;
        let whole = array.to_i64().map(Ends::Whole);
        whole.ok_or_else(|| bad(what, format!("`{}`, an array of {} with fractions", names[k], array.dtype_name()), "whole numbers"))
    };
    let weights = weight.map(|k| {
        let values = floats(get(k, "weight")?);
        match values.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(bad(format!("weight of edge {at}"), values[at].to_string(), "a finite number")),
            None => Ok(values),
        }
    });
    Ok((ends(source, "source")?, ends(target, "target")?, weights.transpose()?))
}

fn floats(array: &Array) -> Vec<f64> {
    match (&array.data, array.to_i64()) {
        (_, Some(whole)) => whole.into_iter().map(|x| x as f64).collect(),
        (ArrayData::F64(v), None) => v.clone(),
        // Only integers beyond i64 are neither whole nor exact in f32: they are no weights.
        (_, None) => array.to_f32().unwrap_or_default().into_iter().map(f64::from).collect(),
    }
}

/// The separator: a tab, a semicolon or else a comma, by the first line that is no comment.
fn separator(bytes: &[u8]) -> u8 {
    let line = bytes.split(|&b| b == b'\n').find(|l| !l.is_empty() && l[0] != b'#').unwrap_or_default();
    [b'\t', b';'].into_iter().find(|s| line.contains(s)).unwrap_or(b',')
}

fn from_table(file: &Connectome, bytes: &[u8]) -> Result<Columns, ImportError> {
    let failed = |detail: String| ImportError::ArrayFile { file: file.edges.clone(), place: "edges".into(), detail, missing: false };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).delimiter(separator(bytes)).comment(Some(b'#')).trim(csv::Trim::All);
    let mut reader = reader.from_reader(bytes);
    let mut record = csv::StringRecord::new();
    let mut place: Option<(usize, usize, Option<usize>)> = None;
    let (mut sources, mut targets) = (Vec::new(), Vec::new());
    let mut weights = Vec::new();
    while reader.read_record(&mut record).map_err(|e| failed(e.to_string()))? {
        let (source, target, weight) = match place {
            Some(place) => place,
            None => {
                // Without a header the columns are called by their positions.
                let header = record.iter().all(|f| f64::from_str(f).is_err());
                let named = |k: usize| ["source", "target", "weight"].get(k).map_or_else(|| k.to_string(), |s| s.to_string());
                let names: Vec<String> = record.iter().enumerate().map(|(k, f)| if header { f.into() } else { named(k) }).collect();
                let found = *place.insert(columns(file, &names)?);
                if header {
                    continue;
                }
                found
            }
        };
        // Every record has as many fields as the first.
        let field = |k: usize| record.get(k).unwrap_or_default();
        sources.push(field(source).to_string());
        targets.push(field(target).to_string());
        if let Some(k) = weight {
            let line = record.position().map_or(0, csv::Position::line);
            let value = f64::from_str(field(k)).ok().filter(|x| x.is_finite());
            weights.push(value.ok_or_else(|| failed(format!("line {line}: the weight is `{}`, expected a number", field(k))))?);
        }
    }
    let Some((.., weight)) = place else { return Err(failed("the list is empty".into())) };
    let whole = |v: &[String]| v.iter().map(|x| i64::from_str(x)).collect::<Result<Vec<_>, _>>();
    let ends = match (whole(&sources), whole(&targets), file.numbering) {
        (Ok(a), Ok(b), _) => (Ends::Whole(a), Ends::Whole(b)),
        (.., Numbering::Label) => (Ends::Text(sources), Ends::Text(targets)),
        _ => {
            let (k, found) = (sources.iter().zip(&targets).flat_map(|(a, b)| [a, b]).enumerate())
                .find(|(_, x)| i64::from_str(x).is_err())
                .unwrap_or((0, &file.edges));
            let what = if k % 2 == 0 { "source" } else { "target" };
            let expected = "a whole number from 0 (`numbering: Label` takes any numbers or names)";
            return Err(bad(format!("{what} of edge {}", k / 2), format!("`{found}`"), expected));
        }
    };
    Ok((ends.0, ends.1, weight.map(|_| weights)))
}
