//! State dicts and checkpoints as `torch.save` writes them since PyTorch 1.6: a zip file of a pickle and the storages.
//!
//! In: bytes. Out: arrays by name: keys of nested dicts and positions in lists joined by dots, e.g. `net.fc1.weight`.
//! Invariant: nothing is executed; arrays take at most 8 times the file's bytes, sparse tensors written out at most 2^27 numbers.
//! A sparse tensor (COO) of two axes gives `NAME` as a matrix, and `NAME.rows`, `NAME.columns`, `NAME.values` of its entries.
//! Why an own reader: candle's skips bool tensors, which masks are, and serde-pickle lacks storages.

mod pickle;
#[cfg(test)]
mod tests;

use crate::half::{bf16_to_f32, f16_to_f32};
use pickle::{Heap, Id, Node};
use spikec_data::{Array, ArrayData};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

/// Most values that are looked at: more than any network has tensors and numbers beside them.
const MAX_VISITS: usize = 1 << 20;
/// Most bytes of a pickle: a thousand tensors take some 100,000, a byte becomes a value of up to 100 bytes.
const MAX_PICKLE: usize = 1 << 24;
/// Most dicts and lists inside of each other.
const MAX_DEPTH: usize = 32;
/// Most numbers of sparse tensors written out.
const MAX_WRITTEN_OUT: usize = 1 << 27;
/// First bytes of the pickle of a magic number, with which older files start.
const LEGACY: [&[u8]; 2] = [b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\x04\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."];

/// All tensors of a file.
pub(crate) fn read_torch(bytes: &[u8]) -> Result<BTreeMap<String, Array>, String> {
    if LEGACY.iter().any(|magic| bytes.starts_with(magic)) {
        return Err("it is in PyTorch's format of before 1.6: load it with torch and save it again with torch.save".into());
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("not a zip file as torch.save writes it: {e}"))?;
    if zip.has_overlapping_files().map_err(|e| e.to_string())? {
        return Err("entries of the zip file overlap".into());
    }
    let names: Vec<String> = zip.file_names().filter_map(|n| Some(n.ok()?.into_owned())).collect();
    let folder = names.iter().find_map(|n| n.strip_suffix("data.pkl").filter(|p| p.is_empty() || p.ends_with('/')));
    let folder = folder.ok_or("the zip file has no data.pkl: it is not of torch.save")?.to_string();
    let order = format!("{folder}byteorder");
    if names.contains(&order) && entry(&mut zip, bytes, &order)? != b"little" {
        return Err("its numbers are big-endian: save it on a little-endian machine".into());
    }
    let described = entry(&mut zip, bytes, &format!("{folder}data.pkl"))?;
    if described.len() > MAX_PICKLE {
        return Err(format!("its data.pkl has {} bytes, more than the limit of {MAX_PICKLE}", described.len()));
    }
    let (heap, root) = pickle::read(&described)?;
    let mut reader = Reader { heap: &heap, bytes, zip, folder, storages: BTreeMap::new(), budget: 8 * bytes.len(), written_out: 0 };
    let mut arrays = BTreeMap::new();
    for (name, id) in tensors(&heap, root)? {
        reader.add(name, id, &mut arrays)?;
    }
    Ok(arrays)
}

/// The bytes of an entry.
fn entry(zip: &mut ZipArchive<Cursor<&[u8]>>, bytes: &[u8], name: &str) -> Result<Vec<u8>, String> {
    let entry = zip.by_name(name).map_err(|e| format!("entry {name}: {e}"))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(format!("entry {name} is compressed: torch.save stores them as they are"));
    }
    let mut out = Vec::new();
    entry.take(bytes.len() as u64).read_to_end(&mut out).map_err(|e| format!("entry {name}: {e}"))?;
    Ok(out)
}

/// Names and nodes of all tensors, in the order of the file.
fn tensors(heap: &Heap, root: Id) -> Result<Vec<(String, Id)>, String> {
    let mut found = Vec::new();
    let mut todo = vec![(String::new(), root, 0)];
    let mut visits = 0;
    while let Some((name, id, depth)) = todo.pop() {
        visits += 1;
        if visits > MAX_VISITS || depth > MAX_DEPTH || name.len() > 4096 {
            return Err(format!("its dicts and lists are too many, or nested deeper than {MAX_DEPTH}"));
        }
        let joined = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
        let first = todo.len();
        match &heap.nodes[id] {
            Node::Tensor { .. } | Node::Sparse { .. } => found.push((name, id)),
            Node::Dict(items) => {
                for &(key, value) in items {
                    match &heap.nodes[key] {
                        Node::Text(key) => todo.push((joined(key), value, depth + 1)),
                        Node::Int(key) => todo.push((joined(&key.to_string()), value, depth + 1)),
                        _ => {}
                    }
                }
            }
            Node::List(items) | Node::Tuple(items) => {
                todo.extend(items.iter().enumerate().map(|(k, &value)| (joined(&k.to_string()), value, depth + 1)));
            }
            _ => {}
        }
        if todo.len() > MAX_VISITS {
            return Err("its dicts and lists are too many".into());
        }
        todo[first..].reverse();
    }
    Ok(found)
}

struct Reader<'b> {
    heap: &'b Heap,
    bytes: &'b [u8],
    zip: ZipArchive<Cursor<&'b [u8]>>,
    folder: String,
    storages: BTreeMap<String, Vec<u8>>,
    /// Bytes that arrays may still take.
    budget: usize,
    written_out: usize,
}

impl Reader<'_> {
    fn add(&mut self, name: String, id: Id, arrays: &mut BTreeMap<String, Array>) -> Result<(), String> {
        let of = |e: String| format!("tensor `{name}`: {e}");
        if let Node::Sparse { indices, values, shape } = &self.heap.nodes[id] {
            let (indices, values) = (self.tensor(*indices).map_err(of)?, self.tensor(*values).map_err(of)?);
            let [rows, columns] = sizes(shape).map_err(of)?[..] else {
                return Err(of(format!("sparse of shape {shape:?}, expected two axes")));
            };
            let entries = values.len();
            let Some(at) =
                indices.to_i64().filter(|v| indices.shape == [2, entries] && v.len() == 2 * entries && values.shape == [entries])
            else {
                return Err(of(format!("sparse with indices {:?} and values {:?}", indices.shape, values.shape)));
            };
            let (i, j) = at.split_at(entries);
            let inside = |v: &[i64], n: usize| v.iter().all(|&x| usize::try_from(x).is_ok_and(|x| x < n));
            if !inside(i, rows) || !inside(j, columns) {
                return Err(of(format!("an index outside of its shape {shape:?}")));
            }
            let numbers = values.to_f32().ok_or_else(|| of("its values are not exact in float32".into()))?;
            // Where even this would be too large, the entries can still be used.
            let size = rows.checked_mul(columns).filter(|n| *n <= MAX_WRITTEN_OUT - self.written_out);
            if let Some(n) = size {
                self.written_out += n;
                let mut dense = vec![0f32; n];
                for k in 0..entries {
                    dense[i[k] as usize * columns + j[k] as usize] += numbers[k];
                }
                arrays.insert(name.clone(), Array { shape: vec![rows, columns], data: ArrayData::F32(dense) });
            }
            let line = |v: &[i64]| Array { shape: vec![entries], data: ArrayData::I64(v.to_vec()) };
            arrays.insert(format!("{name}.rows"), line(i));
            arrays.insert(format!("{name}.columns"), line(j));
            arrays.insert(format!("{name}.values"), values);
            return Ok(());
        }
        let array = self.tensor(id).map_err(of)?;
        arrays.insert(name, array);
        Ok(())
    }

    /// A view of a storage in C order.
    fn tensor(&mut self, id: Id) -> Result<Array, String> {
        let Node::Tensor { storage, offset, shape, stride } = &self.heap.nodes[id] else { return Err("no tensor".into()) };
        let Node::Storage { element, key, length } = &self.heap.nodes[*storage] else { return Err("no storage".into()) };
        let shape = sizes(shape)?;
        let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or("its shape is too large")?;
        let width = match *element {
            "torch BoolStorage" | "torch ByteStorage" | "torch CharStorage" => 1,
            "torch HalfStorage" | "torch BFloat16Storage" | "torch ShortStorage" => 2,
            "torch FloatStorage" | "torch IntStorage" => 4,
            "torch DoubleStorage" | "torch LongStorage" => 8,
            other => return Err(format!("elements of {}, which are not read", other.replace(' ', "."))),
        };
        let wanted = n.checked_mul(width).ok_or("its shape is too large")?;
        self.budget =
            self.budget.checked_sub(wanted).ok_or("it is much larger than the file: a repeated view? save tensor.contiguous()")?;
        let place = format!("{}data/{key}", self.folder);
        if !self.storages.contains_key(key) {
            let data = entry(&mut self.zip, self.bytes, &place)?;
            self.storages.insert(key.clone(), data);
        }
        let data = &self.storages[key];
        let held = data.len() / width;
        if usize::try_from(*length).ok() != Some(held) {
            return Err(format!("its storage has {held} elements, expected {length}"));
        }
        let mut strides = Vec::with_capacity(shape.len());
        let mut last = usize::try_from(*offset).map_err(|_| "its offset is negative")?;
        if stride.len() != shape.len() {
            return Err("it has not as many strides as axes".into());
        }
        for (&s, &d) in stride.iter().zip(&shape) {
            let s = usize::try_from(s).map_err(|_| "a stride is negative")?;
            last = s.checked_mul(d.max(1) - 1).and_then(|x| x.checked_add(last)).ok_or("its strides are too large")?;
            strides.push(s);
        }
        if n > 0 && last >= held {
            return Err(format!("it reaches element {last} of a storage of {held}"));
        }
        let picked = pick(data, *offset as usize, &shape, &strides, n, width);
        fn all<const N: usize, T>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks().0.iter().map(|c| f(*c)).collect()
        }
        let data = match *element {
            "torch BoolStorage" => ArrayData::Bool(picked.iter().map(|&b| b != 0).collect()),
            "torch ByteStorage" => ArrayData::U8(picked),
            "torch CharStorage" => ArrayData::I8(all(&picked, i8::from_le_bytes)),
            "torch HalfStorage" => ArrayData::F32(all(&picked, |b| f16_to_f32(u16::from_le_bytes(b)))),
            "torch BFloat16Storage" => ArrayData::F32(all(&picked, |b| bf16_to_f32(u16::from_le_bytes(b)))),
            "torch ShortStorage" => ArrayData::I16(all(&picked, i16::from_le_bytes)),
            "torch FloatStorage" => ArrayData::F32(all(&picked, f32::from_le_bytes)),
            "torch IntStorage" => ArrayData::I32(all(&picked, i32::from_le_bytes)),
            "torch DoubleStorage" => ArrayData::F64(all(&picked, f64::from_le_bytes)),
            _ => ArrayData::I64(all(&picked, i64::from_le_bytes)),
        };
        Ok(Array { shape, data })
    }
}

fn sizes(shape: &[i64]) -> Result<Vec<usize>, String> {
    if shape.len() > 32 {
        return Err(format!("it has {} axes", shape.len()));
    }
    shape.iter().map(|&d| usize::try_from(d).map_err(|_| format!("its shape is {shape:?}"))).collect()
}

/// The bytes of a view's elements in C order; every element lies inside of `data`.
fn pick(data: &[u8], offset: usize, shape: &[usize], strides: &[usize], n: usize, width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(n * width);
    let mut index = vec![0; shape.len()];
    let mut at = offset;
    for _ in 0..n {
        out.extend_from_slice(&data[at * width..(at + 1) * width]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}
