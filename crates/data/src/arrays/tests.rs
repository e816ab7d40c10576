use super::*;
use npyz::WriterBuilder;
use proptest::prelude::*;
use std::io::Write;

fn array(shape: &[usize], data: ArrayData) -> Array {
    Array { shape: shape.to_vec(), data }
}

/// A `.npy` file with any header text and payload.
fn npy(text: &str, payload: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", (text.len() as u16).to_le_bytes().as_slice(), text.as_bytes(), payload].concat()
}

fn header_of(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
}

/// Any array with up to 4 axes.
fn arrays() -> impl Strategy<Value = Array> {
    prop::collection::vec(0usize..5, 0..=4).prop_flat_map(|shape| {
        let n = shape.iter().product::<usize>();
        macro_rules! of {
            ($kind:ident, $t:ty) => {
                prop::collection::vec(any::<$t>(), n).prop_map(ArrayData::$kind).boxed()
            };
        }
        let data = prop_oneof![
            of!(Bool, bool),
            of!(U8, u8),
            of!(U16, u16),
            of!(U32, u32),
            of!(U64, u64),
            of!(I8, i8),
            of!(I16, i16),
            of!(I32, i32),
            of!(I64, i64),
            of!(F32, f32),
            of!(F64, f64),
        ];
        data.prop_map(move |data| Array { shape: shape.clone(), data })
    })
}

/// What the independent writer makes of i32 elements in the order given.
fn by_npyz(descr: &str, shape: &[u64], order: npyz::Order, elements: &[i32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let dtype = npyz::DType::Plain(descr.parse().unwrap());
    let mut writer = npyz::WriteOptions::new().dtype(dtype).shape(shape).order(order).writer(&mut bytes).begin_nd().unwrap();
    writer.extend(elements).unwrap();
    writer.finish().unwrap();
    bytes
}

proptest! {
    #[test]
    fn npy_round_trip(a in arrays()) {
        let bytes = write_npy(&a);
        let b = read_npy(&bytes).unwrap();
        prop_assert_eq!(&b.shape, &a.shape);
        prop_assert_eq!(b.dtype_name(), a.dtype_name());
        prop_assert_eq!(write_npy(&b), bytes.clone());
        prop_assert_eq!((10 + u16::from_le_bytes([bytes[8], bytes[9]])) % 64, 0);
    }

    #[test]
    fn npz_round_trip(a in arrays(), b in arrays()) {
        let bytes = write_npz(&[("b", b.clone()), ("dir/a", a.clone())]);
        prop_assert_eq!(&bytes, &write_npz(&[("b", b.clone()), ("dir/a", a.clone())]));
        let back = read_npz(&bytes).unwrap();
        prop_assert_eq!(back.keys().collect::<Vec<_>>(), ["b", "dir/a"]);
        prop_assert_eq!(write_npy(&back["b"]), write_npy(&b));
        prop_assert_eq!(write_npy(&back["dir/a"]), write_npy(&a));
    }

    #[test]
    fn orders_and_endians_as_npyz_writes_them(
        shape in prop::collection::vec(1u64..5, 0..=4),
        fortran: bool,
        big: bool,
        seed: i32,
    ) {
        let n = shape.iter().product::<u64>() as i32;
        let stored: Vec<i32> = (0..n).map(|k| seed.wrapping_mul(31).wrapping_add(k)).collect();
        let order = if fortran { npyz::Order::Fortran } else { npyz::Order::C };
        let bytes = by_npyz(if big { ">i4" } else { "<i4" }, &shape, order, &stored);
        let read = read_npy(&bytes).unwrap();
        let file = npyz::NpyFile::new(bytes.as_slice()).unwrap();
        let strides = file.strides().to_vec();
        // Element at each index in C order, by the file's own strides.
        let expected: Vec<i32> = (0..n as u64)
            .map(|mut k| {
                let mut at = 0;
                for axis in (0..shape.len()).rev() {
                    at += k % shape[axis] * strides[axis];
                    k /= shape[axis];
                }
                stored[at as usize]
            })
            .collect();
        prop_assert_eq!(read.shape.iter().map(|&x| x as u64).collect::<Vec<_>>(), shape);
        prop_assert_eq!(read.data, ArrayData::I32(expected));
    }

    #[test]
    fn npyz_reads_what_is_written(v in prop::collection::vec(any::<f64>(), 1..20)) {
        let bytes = write_npy(&array(&[1, v.len()], ArrayData::F64(v.clone())));
        let file = npyz::NpyFile::new(bytes.as_slice()).unwrap();
        prop_assert_eq!(file.shape(), &[1, v.len() as u64]);
        prop_assert_eq!(file.into_vec::<f64>().unwrap(), v);
    }

    #[test]
    fn damaged_files_never_panic(at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), zip: bool) {
        let a = array(&[2, 3], ArrayData::I16(vec![1, 2, 3, 4, 5, 6]));
        let mut bytes = if zip { write_npz(&[("a", a.clone()), ("b", a)]) } else { write_npy(&a) };
        for (k, byte) in at {
            let k = k.index(bytes.len());
            bytes[k] = byte;
        }
        let _ = read_npz(&bytes);
        let _ = read_npy(&bytes);
    }
}

#[test]
fn headers_are_numpys_bytes() {
    // numpy.save(f, numpy.array([1, 2, 3])), numpy 2.
    let golden = [
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }".as_slice(),
        &[b' '; 60],
        b"\n\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0",
    ]
    .concat();
    assert_eq!(write_npy(&array(&[3], ArrayData::I64(vec![1, 2, 3]))), golden);
    assert_eq!(read_npy(&golden).unwrap(), array(&[3], ArrayData::I64(vec![1, 2, 3])));
    let text = |a: &Array| String::from_utf8_lossy(&write_npy(a)[10..128]).trim_end().to_owned();
    let scalar = array(&[], ArrayData::Bool(vec![true]));
    assert_eq!(text(&scalar), "{'descr': '|b1', 'fortran_order': False, 'shape': (), }");
    let matrix = array(&[1, 2], ArrayData::F32(vec![1.0, -2.0]));
    assert_eq!(text(&matrix), "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }");
    assert!(write_npy(&matrix).ends_with(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]));
}

#[test]
fn headers_of_other_writers() {
    let expected = array(&[2], ArrayData::U8(vec![7, 9]));
    let v1 = "{\"shape\": (2L,), \"fortran_order\": False, \"descr\": \"<u1\"}";
    assert_eq!(read_npy(&npy(v1, &[7, 9])).unwrap(), expected);
    for version in [2, 3] {
        let text = header_of("|u1", "(2,)");
        let bytes = [&[0x93, b'N', b'U', b'M', b'P', b'Y', version, 0], &(text.len() as u32).to_le_bytes()[..], text.as_bytes(), &[7, 9]];
        assert_eq!(read_npy(&bytes.concat()).unwrap(), expected);
    }
}

#[test]
fn halves_are_exact() {
    let cases: [(u16, f32); 10] = [
        (0x0000, 0.0),
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0001, 2f32.powi(-24)),
        (0x03ff, 1023.0 * 2f32.powi(-24)),
        (0x0400, 2f32.powi(-14)),
        (0x3555, 0.333_251_95),
        (0xfc00, f32::NEG_INFINITY),
        (0x7c00, f32::INFINITY),
    ];
    for big in [false, true] {
        let bytes: Vec<u8> = cases.iter().flat_map(|(h, _)| if big { h.to_be_bytes() } else { h.to_le_bytes() }).collect();
        let read = read_npy(&npy(&header_of(if big { ">f2" } else { "<f2" }, "(10,)"), &bytes)).unwrap();
        assert_eq!(read.data, ArrayData::F32(cases.iter().map(|c| c.1).collect()));
    }
    let nan = read_npy(&npy(&header_of("<f2", "()"), &[0x01, 0x7e])).unwrap();
    assert!(nan.to_f32().unwrap()[0].is_nan());
    let minus_zero = read_npy(&npy(&header_of("<f2", "()"), &[0, 0x80])).unwrap();
    assert!(minus_zero.to_f32().unwrap()[0].is_sign_negative());
}

#[test]
fn conversions_are_exact_or_refused() {
    let of = |data| array(&[2], data);
    assert_eq!(of(ArrayData::U32(vec![3, 1 << 24])).to_f32(), Some(vec![3.0, 16_777_216.0]));
    assert_eq!(of(ArrayData::U32(vec![3, (1 << 24) + 1])).to_f32(), None);
    assert_eq!(of(ArrayData::U64(vec![0, u64::MAX])).to_f32(), None);
    assert_eq!(of(ArrayData::I64(vec![0, i64::MIN])).to_f32(), Some(vec![0.0, -9_223_372_036_854_775_808.0]));
    assert_eq!(of(ArrayData::F64(vec![0.1, 1e300])).to_f32(), Some(vec![0.1, f32::INFINITY]));
    assert_eq!(of(ArrayData::Bool(vec![true, false])).to_f32(), Some(vec![1.0, 0.0]));
    assert_eq!(of(ArrayData::U64(vec![0, u64::MAX])).to_i64(), None);
    assert_eq!(of(ArrayData::F64(vec![-3.0, 4.0])).to_i64(), Some(vec![-3, 4]));
    assert_eq!(of(ArrayData::F64(vec![0.5, 4.0])).to_i64(), None);
    assert_eq!(of(ArrayData::F64(vec![9_223_372_036_854_775_808.0, 0.0])).to_i64(), None);
    assert_eq!(of(ArrayData::F32(vec![f32::NAN, 0.0])).to_i64(), None);
    assert_eq!(of(ArrayData::I8(vec![-1, 2])).to_i64(), Some(vec![-1, 2]));
    assert_eq!(of(ArrayData::U8(vec![1, 0])).to_bool(), Some(vec![true, false]));
    assert_eq!(of(ArrayData::I8(vec![-1, 0])).to_bool(), None);
    assert_eq!(of(ArrayData::U8(vec![2, 0])).to_bool(), None);
    assert_eq!(of(ArrayData::F32(vec![1.0, 0.0])).to_bool(), None);
}

#[test]
fn errors_name_the_array_and_the_bytes() {
    let short = npy(&header_of("<f4", "(5,)"), &[0; 13]);
    let error = read_npy(&short).unwrap_err();
    assert_eq!(error.to_string(), "array '': the data ends early: expected 20 bytes, found 13");
    let long = npy(&header_of("<f4", "(2,)"), &[0; 13]);
    assert_eq!(read_npy(&long), Err(ArrayError::Excess { array: String::new(), expected: 8, found: 9 }));

    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("weights.npy", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&short).unwrap();
    let zipped = zip.finish().unwrap().into_inner();
    let error = read_npz(&zipped).unwrap_err();
    assert_eq!(error.to_string(), "array 'weights': the data ends early: expected 20 bytes, found 13");
    assert!(error.hint().contains("again"));
}

#[test]
fn refuses_what_it_cannot_hold() {
    let name = String::new;
    let kind = |bytes: &[u8]| read_npy(bytes).unwrap_err();
    assert_eq!(kind(b"PK\x03\x04aa"), ArrayError::Magic { array: name(), found: b"PK\x03\x04aa".to_vec() });
    assert_eq!(kind(b"\x93NUMPY\x04\x00aaaa"), ArrayError::Version { array: name(), major: 4, minor: 0 });
    let dtype = |d: &str| kind(&npy(&header_of(d, "(1,)"), &[0; 16]));
    for d in ["<c8", "|S3", "|O", "<U1", "<i3", "=i4", "|i4", "", "é"] {
        assert_eq!(dtype(d), ArrayError::Dtype { array: name(), dtype: d.to_owned() });
    }
    let record = "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }";
    assert_eq!(kind(&npy(record, &[0; 4])), ArrayError::Dtype { array: name(), dtype: "structured".into() });
    let huge = "(4294967296, 4294967296)";
    assert_eq!(kind(&npy(&header_of("<i4", huge), &[])), ArrayError::Shape { array: name(), shape: vec![1 << 32, 1 << 32] });
    assert_eq!(kind(&npy(&header_of("|u1", "(9223372036854775808,)"), &[])), ArrayError::Shape { array: name(), shape: vec![1 << 63] });
    let axes = format!("({})", "1,".repeat(65));
    assert_eq!(kind(&npy(&header_of("|u1", &axes), &[1])), ArrayError::Axes { array: name(), axes: 65, limit: 64 });
    let claims = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{";
    assert_eq!(kind(claims), ArrayError::HeaderSize { array: name(), claimed: u64::from(u32::MAX), limit: 65_535 });
    for (text, at, expected) in [
        ("", 0, "'{'"),
        ("{'descr': '<i4'", 15, "',' or '}'"),
        ("{'descr': '<i4', 'fortran_order': 1}", 34, "True or False"),
        ("{'descr': '<i4', 'fortran_order': True}", 39, "the key 'shape'"),
        ("{'shape': (-1,)}", 11, "a length below 2^64"),
        ("{'shape': (18446744073709551616,)}", 11, "a length below 2^64"),
        ("{'shape': ((1,),)}", 11, "a length below 2^64"),
        ("{'other': 1}", 1, "one of the keys 'descr', 'fortran_order', 'shape'"),
        ("{'descr", 2, "a closing quote"),
        ("{} x", 3, "the end of the header"),
    ] {
        assert_eq!(kind(&npy(text, &[])), ArrayError::Header { array: name(), at, expected }, "{text}");
    }
}

#[test]
fn truncation_is_an_error_at_every_byte() {
    let a = array(&[2, 2], ArrayData::F32(vec![1.5, 2.5, -3.5, 4.5]));
    let npy = write_npy(&a);
    let npz = write_npz(&[("first", a.clone()), ("second", a)]);
    for n in 0..npy.len() {
        assert!(matches!(read_npy(&npy[..n]), Err(ArrayError::Truncated { .. })), "{n} bytes");
    }
    let mut named = Vec::new();
    for n in 0..npz.len() {
        match read_npz(&npz[..n]).unwrap_err() {
            ArrayError::Truncated { array, expected, found, .. } => {
                assert!(found < expected);
                named.push(array);
            }
            ArrayError::Zip { bytes, .. } => assert_eq!(bytes, n as u64),
            other => panic!("{n} bytes: {other}"),
        }
    }
    named.dedup();
    assert_eq!(named, ["first", "second"]);
    assert_eq!(read_npz(&npz).unwrap().len(), 2);
}

#[test]
fn corrupt_data_fail_the_checksum() {
    let data = (0..64).collect::<Vec<u8>>();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("a.npy", stored).unwrap();
    zip.write_all(&write_npy(&array(&[64], ArrayData::U8(data.clone())))).unwrap();
    zip.start_file("notes.txt", stored).unwrap();
    zip.write_all(b"passed over").unwrap();
    let mut bytes = zip.finish().unwrap().into_inner();
    assert_eq!(read_npz(&bytes).unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
    let at = bytes.windows(64).position(|w| w == data).unwrap();
    bytes[at + 5] ^= 1;
    assert!(matches!(read_npz(&bytes), Err(ArrayError::Corrupt { array, .. }) if array == "a"));
}

/// Two directory entries on one local entry: the way a small zip file expands without bound.
#[test]
fn overlapping_entries_are_refused() {
    let a = array(&[2], ArrayData::U8(vec![1, 2]));
    let mut bytes = write_npz(&[("a", a)]);
    let end = bytes.windows(4).position(|w| w == b"PK\x05\x06").unwrap();
    let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut second = bytes[directory..end].to_vec();
    second[46] = b'b';
    let (length, count) = (2 * (end - directory) as u32, [2, 0, 2, 0]);
    bytes[end + 8..end + 12].copy_from_slice(&count);
    bytes[end + 12..end + 16].copy_from_slice(&length.to_le_bytes());
    bytes.splice(end..end, second);
    assert_eq!(read_npz(&bytes), Err(ArrayError::Overlap));
}

#[test]
fn compressed_files_are_unpacked_within_a_budget() {
    let bytes = |n: usize| Array { shape: vec![n], data: ArrayData::U8(vec![0; n]) };
    let npz = write_npz(&[("a", bytes(1000)), ("b", bytes(2000))]);
    assert_eq!(super::npz::read_npz_within(&npz, 3000).unwrap().len(), 2);
    let error = super::npz::read_npz_within(&npz, 2999).unwrap_err();
    assert_eq!(error, ArrayError::Unpacked { array: "b".into(), needed: 2000, left: 1999, limit: 2999 });
}
