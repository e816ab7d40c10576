//! Array references of a model file into numbers of the right kind and length.

use super::schema::Value;
use crate::Loader;
use crate::error::ImportError;
use crate::half::{bf16_to_f32, f16_to_f32};
use crate::shape::Growth;
use safetensors::{Dtype, SafeTensors};
use spikec_data::{Array, ArrayData, read_npy, read_npz};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The array files of a model, loaded on demand.
pub(crate) struct ArrayFiles<'a> {
    folder: PathBuf,
    load: Loader<'a>,
    loaded: BTreeMap<String, BTreeMap<String, Array>>,
    pub growth: Growth,
}

/// The only array of a `.npy` file.
const ONLY: &str = "";

/// Extension of a file's name, in lower case.
pub(crate) fn extension(name: &str) -> Option<String> {
    Path::new(name).extension().map(|e| e.to_string_lossy().to_lowercase())
}

fn bad(place: &str, found: impl Into<String>, expected: impl Into<String>) -> ImportError {
    ImportError::BadValue { place: place.into(), found: found.into(), expected: expected.into() }
}

fn described(array: &Array) -> String {
    format!("an array of {} {:?}", array.dtype_name(), array.shape)
}

impl<'a> ArrayFiles<'a> {
    pub fn new(folder: &Path, load: Loader<'a>) -> Self {
        ArrayFiles { folder: folder.into(), load, loaded: BTreeMap::new(), growth: Growth::default() }
    }

    fn array(&mut self, place: &str, reference: &str) -> Result<&Array, ImportError> {
        let (file, name) = match (extension(reference).as_deref(), reference.rsplit_once(':')) {
            (Some("npy"), _) => (reference, ONLY),
            (_, Some((file, name))) if !file.is_empty() && !name.is_empty() => (file, name),
            _ => return Err(ImportError::BadReference { reference: reference.into(), place: place.into() }),
        };
        let arrays = self.arrays(place, file)?;
        arrays.get(name).ok_or_else(|| ImportError::MissingArray {
            file: file.into(),
            array: name.into(),
            place: place.into(),
            known: arrays.keys().cloned().collect(),
        })
    }

    /// The bytes of a file that the key `place` names.
    pub fn bytes(&self, place: &str, file: &str) -> Result<Vec<u8>, ImportError> {
        (self.load)(&self.folder.join(file)).map_err(|e| {
            let (file, place, detail) = (file.into(), place.into(), e.to_string());
            ImportError::ArrayFile { file, place, detail, missing: true }
        })
    }

    /// All arrays of a file; each file is loaded once.
    pub fn arrays(&mut self, place: &str, file: &str) -> Result<&BTreeMap<String, Array>, ImportError> {
        let failed = |detail: String| ImportError::ArrayFile { file: file.into(), place: place.into(), detail, missing: false };
        if !self.loaded.contains_key(file) {
            let kind = extension(file);
            if !matches!(kind.as_deref(), Some("npz" | "npy" | "safetensors" | "pth" | "pt")) {
                return Err(failed("not a .npz, .npy, .safetensors, .pth or .pt file".into()));
            }
            let bytes = self.bytes(place, file)?;
            let arrays = match kind.as_deref() {
                Some("npz") => read_npz(&bytes).map_err(|e| failed(e.to_string()))?,
                Some("npy") => BTreeMap::from([(ONLY.into(), read_npy(&bytes).map_err(|e| failed(e.to_string()))?)]),
                Some("pth" | "pt") => crate::torch::read_torch(&bytes).map_err(failed)?,
                _ => read_safetensors(&bytes).map_err(failed)?,
            };
            self.loaded.insert(file.into(), arrays);
        }
        Ok(&self.loaded[file])
    }

    /// `n` floats: a number is repeated; an array or a list has `n` elements, whatever its shape.
    pub fn floats(&mut self, place: &str, value: &Value, n: usize) -> Result<Vec<f32>, ImportError> {
        let wanted = || format!("{n} numbers, or one");
        let found = match value {
            Value::Number(x) => return self.repeat(place, *x as f32, n),
            Value::List(v) => v.iter().map(|&x| x as f32).collect(),
            Value::Reference(r) => {
                let array = self.array(place, r)?;
                let description = described(array);
                let values = array.to_f32().ok_or_else(|| bad(place, &description, "numbers that are exact in f32"))?;
                match values.as_slice() {
                    &[one] => return self.repeat(place, one, n),
                    v if v.len() != n => return Err(bad(place, description, wanted())),
                    _ => values,
                }
            }
        };
        if found.len() == n { Ok(found) } else { Err(bad(place, format!("a list of {} numbers", found.len()), wanted())) }
    }

    fn repeat<T: Clone>(&mut self, place: &str, value: T, n: usize) -> Result<Vec<T>, ImportError> {
        self.growth.repeated(place, n)?;
        Ok(vec![value; n])
    }

    /// A matrix (rows, columns) of floats from an array of rank 2, or a list where `columns` is known.
    pub fn matrix(&mut self, place: &str, value: &Value, columns: usize) -> Result<(usize, Vec<f32>), ImportError> {
        let expected = format!("a matrix (outputs, {columns})");
        match value {
            Value::Number(x) => Err(bad(place, format!("the number {x}"), expected)),
            Value::List(v) if !v.is_empty() && v.len().is_multiple_of(columns) => {
                Ok((v.len() / columns, v.iter().map(|&x| x as f32).collect()))
            }
            Value::List(v) => Err(bad(place, format!("a list of {} numbers", v.len()), expected)),
            Value::Reference(r) => {
                let array = self.array(place, r)?;
                match array.shape.as_slice() {
                    &[rows, c] if c == columns && rows > 0 => {
                        let values = array.to_f32().ok_or_else(|| bad(place, described(array), "numbers that are exact in f32"))?;
                        Ok((rows, values))
                    }
                    _ => Err(bad(place, described(array), expected)),
                }
            }
        }
    }

    /// Whole numbers in `low ..= high`; `n`: how many, a single number is repeated; `None`: as many as there are.
    pub fn integers(&mut self, place: &str, value: &Value, n: Option<usize>, low: i64, high: i64) -> Result<Vec<i64>, ImportError> {
        let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64);
        let values = match (value, n) {
            (Value::Number(x), n) => {
                let one = whole(*x).ok_or_else(|| bad(place, x.to_string(), "a whole number"))?;
                self.repeat(place, one, n.unwrap_or(1))?
            }
            (Value::List(v), _) => v
                .iter()
                .map(|&x| whole(x))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| bad(place, "a list with fractions", "whole numbers"))?,
            (Value::Reference(r), n) => {
                let array = self.array(place, r)?;
                let values = array.to_i64().ok_or_else(|| bad(place, described(array), "whole numbers"))?;
                match (n, values.as_slice()) {
                    (Some(n), &[one]) => self.repeat(place, one, n)?,
                    _ => values,
                }
            }
        };
        if let Some(n) = n
            && values.len() != n
        {
            return Err(bad(place, format!("a list of {} numbers", values.len()), format!("{n} whole numbers, or one")));
        }
        match values.iter().position(|x| !(low..=high).contains(x)) {
            Some(k) => Err(bad(&format!("{place}[{k}]"), values[k].to_string(), format!("a whole number from {low} to {high}"))),
            None => Ok(values),
        }
    }

    /// An array of floats of rank `rank`, and its shape; none of its sizes is 0.
    pub fn tensor(&mut self, place: &str, value: &Value, rank: usize) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
        let expected = format!("a reference to an array of rank {rank}: a list has no shape");
        match value {
            Value::Number(x) => Err(bad(place, format!("the number {x}"), expected)),
            Value::List(v) => Err(bad(place, format!("a list of {} numbers", v.len()), expected)),
            Value::Reference(r) => {
                let array = self.array(place, r)?;
                if array.shape.len() != rank || array.shape.contains(&0) {
                    return Err(bad(place, described(array), format!("an array of rank {rank} without a size of 0")));
                }
                let values = array.to_f32().ok_or_else(|| bad(place, described(array), "numbers that are exact in f32"))?;
                Ok((array.shape.clone(), values))
            }
        }
    }

    /// An integer matrix (rows, columns).
    pub fn integer_matrix(&mut self, place: &str, value: &Value, shape: [usize; 2], low: i64, high: i64) -> Result<Vec<i64>, ImportError> {
        self.check_matrix(place, value, &shape)?;
        self.integers(place, value, Some(shape[0] * shape[1]), low, high)
    }

    /// A mask of a shape, e.g. (rows, columns): true and 1 keep; floats as torch.nn.utils.prune has them will do.
    pub fn mask(&mut self, place: &str, value: &Value, shape: &[usize]) -> Result<Vec<bool>, ImportError> {
        self.check_matrix(place, value, shape)?;
        match value {
            Value::Reference(r) => {
                let array = self.array(place, r)?;
                let whole = || array.to_i64()?.into_iter().map(|x| [false, true].get(usize::try_from(x).ok()?).copied()).collect();
                array.to_bool().or_else(whole).ok_or_else(|| bad(place, described(array), "a mask of bool, or of 0 and 1"))
            }
            _ => Ok(self.integers(place, value, Some(shape.iter().product()), 0, 1)?.into_iter().map(|x| x != 0).collect()),
        }
    }

    fn check_matrix(&mut self, place: &str, value: &Value, shape: &[usize]) -> Result<(), ImportError> {
        let expected = || format!("{} {shape:?}", if shape.len() == 2 { "a matrix" } else { "an array" });
        match value {
            Value::Number(x) => Err(bad(place, format!("the number {x}"), expected())),
            Value::List(v) if v.len() == shape.iter().product::<usize>() => Ok(()),
            Value::List(v) => Err(bad(place, format!("a list of {} numbers", v.len()), expected())),
            Value::Reference(r) => {
                let array = self.array(place, r)?;
                if array.shape == shape { Ok(()) } else { Err(bad(place, described(array), expected())) }
            }
        }
    }
}

fn read_safetensors(bytes: &[u8]) -> Result<BTreeMap<String, Array>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut arrays = BTreeMap::new();
    for (name, view) in file.iter() {
        fn all<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks().0.iter().map(|c| f(*c)).collect()
        }
        let b = view.data();
        let data = match view.dtype() {
            Dtype::BOOL => ArrayData::Bool(b.iter().map(|&x| x != 0).collect()),
            Dtype::U8 => ArrayData::U8(b.to_vec()),
            Dtype::I8 => ArrayData::I8(all(b, i8::from_le_bytes)),
            Dtype::U16 => ArrayData::U16(all(b, u16::from_le_bytes)),
            Dtype::I16 => ArrayData::I16(all(b, i16::from_le_bytes)),
            Dtype::U32 => ArrayData::U32(all(b, u32::from_le_bytes)),
            Dtype::I32 => ArrayData::I32(all(b, i32::from_le_bytes)),
            Dtype::U64 => ArrayData::U64(all(b, u64::from_le_bytes)),
            Dtype::I64 => ArrayData::I64(all(b, i64::from_le_bytes)),
            Dtype::F16 => ArrayData::F32(all(b, |x| f16_to_f32(u16::from_le_bytes(x)))),
            Dtype::BF16 => ArrayData::F32(all(b, |x| bf16_to_f32(u16::from_le_bytes(x)))),
            Dtype::F32 => ArrayData::F32(all(b, f32::from_le_bytes)),
            Dtype::F64 => ArrayData::F64(all(b, f64::from_le_bytes)),
            // Other tensors of the file may still be used.
            _ => continue,
        };
        arrays.insert(name.to_string(), Array { shape: view.shape().to_vec(), data });
    }
    Ok(arrays)
}
