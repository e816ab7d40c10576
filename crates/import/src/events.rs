//! Arrays of numbers in an HDF5 file, such as recordings of events.
//!
//! In: bytes. Out: the arrays of the group `events`, or of the file's root where there is no such group.
//! Invariant: as for networks, the reading ends whatever the bytes are, with memory bounded by [`Budget`].

use crate::error::ImportError;
use crate::hdf5::{Budget, corrupt, elements, open, raw_bytes, type_name, with_root};
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype};
use spikec_data::{Array, ArrayData};
use std::collections::BTreeMap;

/// The group whose arrays are read.
const GROUP: &str = "events";

/// Reads those of `names` that are in the group `events`, else in the root. They must be of integers, booleans or floats of 32 or 64 bits.
///
/// # Errors
/// `NotHdf5`, `Corrupt` (also where the HDF5 library panics), `TooLarge` or `WrongType`.
pub fn read_hdf5_arrays(bytes: &[u8], names: &[&str]) -> Result<BTreeMap<String, Array>, ImportError> {
    with_root(bytes, |root, budget| read(root, budget, names))
}

fn read(root: &Group, budget: &Budget, names: &[&str]) -> Result<BTreeMap<String, Array>, ImportError> {
    let (groups, _) = root.member_names().map_err(corrupt("/"))?;
    let (group, place) = match groups.iter().any(|g| g == GROUP) {
        true => (root.group(GROUP).map_err(corrupt(GROUP))?, GROUP),
        false => (root.clone(), ""),
    };
    let (_, datasets) = group.member_names().map_err(corrupt(place))?;
    let mut arrays = BTreeMap::new();
    for name in datasets.into_iter().filter(|d| names.contains(&d.as_str())) {
        let at = format!("{place}/{name}");
        let dataset = open(&group, &name, &at)?;
        arrays.insert(name.clone(), array(&dataset, place, &name, budget)?);
    }
    Ok(arrays)
}

fn array(dataset: &Dataset, group: &str, name: &str, budget: &Budget) -> Result<Array, ImportError> {
    let at = format!("{group}/{name}");
    let shape = dataset.shape().iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| ImportError::Corrupt { place: at.clone(), detail: "its shape is beyond memory".into() })?;
    let wrong = || ImportError::WrongArray { place: at.clone(), found: type_name(dataset.dtype()) };
    let known = match dataset.dtype() {
        Datatype::FixedPoint { .. } | Datatype::FloatingPoint { .. } => true,
        Datatype::Enum { base, .. } => matches!(**base, Datatype::FixedPoint { .. }),
        _ => false,
    };
    if !known {
        return Err(wrong());
    }
    let (raw, dtype) = raw_bytes(dataset, &at, budget)?;
    let data = decode(&raw, dtype).ok_or_else(wrong)?;
    let array = Array { shape, data };
    if array.shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)) != Some(array.len()) {
        return Err(ImportError::Corrupt { place: at, detail: format!("{} elements, its shape is {:?}", array.len(), array.shape) });
    }
    Ok(array)
}

fn decode(raw: &[u8], dtype: &Datatype) -> Option<ArrayData> {
    macro_rules! numbers {
        ($kind:ident, $t:ty, $order:expr) => {
            ArrayData::$kind(elements(raw, $order).map(<$t>::from_le_bytes).collect())
        };
    }
    Some(match *dtype {
        Datatype::FixedPoint { size, signed, byte_order: o } => match (size, signed) {
            (1, false) => numbers!(U8, u8, o),
            (2, false) => numbers!(U16, u16, o),
            (4, false) => numbers!(U32, u32, o),
            (8, false) => numbers!(U64, u64, o),
            (1, true) => numbers!(I8, i8, o),
            (2, true) => numbers!(I16, i16, o),
            (4, true) => numbers!(I32, i32, o),
            (8, true) => numbers!(I64, i64, o),
            _ => return None,
        },
        Datatype::FloatingPoint { size: 4, byte_order: o } => numbers!(F32, f32, o),
        Datatype::FloatingPoint { size: 8, byte_order: o } => numbers!(F64, f64, o),
        // h5py's bool.
        Datatype::Enum { ref base, .. } => return decode(raw, base),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};

    const NAMES: [&str; 4] = ["x", "y", "t", "p"];

    /// A file with x, y, t, p below a prefix.
    fn file(prefix: &str) -> Vec<u8> {
        let path = |name: &str| format!("{prefix}{name}");
        let builder = Hdf5Builder::new()
            .dataset(DatasetBuilder::typed_data(path("x"), vec![3u64], &[1u16, 2, 3]).unwrap())
            .dataset(DatasetBuilder::typed_data(path("y"), vec![3u64], &[4i32, 5, 6]).unwrap())
            .dataset(DatasetBuilder::typed_data(path("t"), vec![3u64], &[0.0f64, 9_007_199_254_740_991.0, 2.0]).unwrap())
            .dataset(DatasetBuilder::typed_data(path("p"), vec![3u64], &[0u8, 1, 0]).unwrap())
            .dataset(DatasetBuilder::typed_data(path("more"), vec![1u64], &[0u8]).unwrap());
        builder.into_plan().and_then(|plan| plan.encode(WriteOptions::default())).unwrap()
    }

    #[test]
    fn arrays_of_the_group_or_the_root() {
        for prefix in ["", "events/"] {
            let arrays = read_hdf5_arrays(&file(prefix), &NAMES).unwrap();
            assert_eq!(arrays.keys().collect::<Vec<_>>(), ["p", "t", "x", "y"]);
            assert_eq!(arrays["x"], Array { shape: vec![3], data: ArrayData::U16(vec![1, 2, 3]) });
            assert_eq!(arrays["y"].data, ArrayData::I32(vec![4, 5, 6]));
            assert_eq!(arrays["t"].data, ArrayData::F64(vec![0.0, 9_007_199_254_740_991.0, 2.0]));
        }
    }

    #[test]
    fn texts_are_refused_by_name() {
        let builder = Hdf5Builder::new().dataset(DatasetBuilder::vlen_string_data("x", Vec::<u64>::new(), &["a"]).unwrap());
        let bytes = builder.into_plan().and_then(|plan| plan.encode(WriteOptions::default())).unwrap();
        let error = read_hdf5_arrays(&bytes, &NAMES).unwrap_err();
        assert_eq!(error, ImportError::WrongArray { place: "/x".into(), found: "text".into() });
        assert_eq!(read_hdf5_arrays(b"PK", &NAMES).unwrap_err(), ImportError::NotHdf5);
    }

    /// A file cut anywhere is an error, or its arrays are whole.
    #[test]
    fn cut_files_are_errors() {
        let whole = file("events/");
        let expected = read_hdf5_arrays(&whole, &NAMES).unwrap();
        let mut errors = 0;
        for n in 0..whole.len() {
            match read_hdf5_arrays(&whole[..n], &NAMES) {
                Ok(arrays) => assert_eq!(arrays, expected, "{n} of {} bytes", whole.len()),
                Err(_) => errors += 1,
            }
        }
        assert!(errors > whole.len() / 2, "{errors} of {}", whole.len());
    }
}
