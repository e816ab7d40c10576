use super::*;
use crate::arrays::{write_npy, write_npz};
use crate::stimulus::SpikeTrain;
use proptest::prelude::*;

fn array(shape: &[usize], data: ArrayData) -> Array {
    Array { shape: shape.to_vec(), data }
}

fn ints(v: &[i64]) -> Array {
    array(&[v.len()], ArrayData::I64(v.to_vec()))
}

fn scalar(v: i64) -> Array {
    array(&[], ArrayData::I64(vec![v]))
}

fn bytes(shape: &[usize], v: &[u8]) -> Array {
    array(shape, ArrayData::U8(v.to_vec()))
}

fn read(arrays: &[(&str, Array)]) -> Result<DataSet, DataError> {
    DataSet::from_bytes(&write_npz(arrays), None)
}

fn error(arrays: &[(&str, Array)]) -> String {
    let error = read(arrays).unwrap_err();
    assert!(!error.hint().is_empty());
    error.to_string()
}

fn train(width: u32, steps: &[&[u32]]) -> Stimulus {
    Stimulus::Spikes(SpikeTrain::from_steps(width, steps.iter().map(|s| s.to_vec())))
}

/// Spikes with up to `most` of a channel in a step.
fn spike_sets(most: u8) -> impl Strategy<Value = (usize, usize, usize, Vec<u8>)> {
    (1usize..4, 1usize..5, 1usize..20)
        .prop_flat_map(move |(n, t, w)| (Just(n), Just(t), Just(w), prop::collection::vec(0..=most, n * t * w)))
}

/// The same spikes as samples, built element by element.
fn samples(n: usize, t: usize, w: usize, counts: &[u8]) -> Vec<Stimulus> {
    let step = |n: usize, s: usize| {
        let base = (n * t + s) * w;
        (0..w).flat_map(|c| vec![c as u32; counts[base + c].into()]).collect::<Vec<u32>>()
    };
    (0..n).map(|n| Stimulus::Spikes(SpikeTrain::from_steps(w as u32, (0..t).map(|s| step(n, s))))).collect()
}

proptest! {
    #[test]
    fn spikes_of_every_integer_type((n, t, w, counts) in spike_sets(3), take in 0usize..5) {
        let shape = [n, t, w];
        let expected = samples(n, t, w, &counts);
        let forms = [
            ArrayData::U8(counts.clone()),
            ArrayData::U16(counts.iter().map(|&x| x.into()).collect()),
            ArrayData::U64(counts.iter().map(|&x| x.into()).collect()),
            ArrayData::I8(counts.iter().map(|&x| x as i8).collect()),
            ArrayData::I32(counts.iter().map(|&x| x.into()).collect()),
            ArrayData::I64(counts.iter().map(|&x| x.into()).collect()),
        ];
        for data in forms {
            let file = write_npz(&[("spikes", array(&shape, data)), ("label", ints(&vec![4; n]))]);
            let set = DataSet::from_bytes(&file, Some(take)).unwrap();
            prop_assert_eq!(set.width, w as u32);
            prop_assert_eq!(&set.samples[..], &expected[..n.min(take)]);
            prop_assert_eq!(set.labels.unwrap(), vec![4; n.min(take)]);
        }
        let plain = write_npy(&bytes(&shape, &counts));
        prop_assert_eq!(DataSet::from_bytes(&plain, None).unwrap().samples, expected);
    }

    #[test]
    fn spike_sets_round_trip((n, t, w, counts) in spike_sets(2), labelled: bool) {
        let set = DataSet {
            width: w as u32,
            samples: samples(n, t, w, &counts),
            labels: labelled.then(|| (0..n as i64).map(|k| k - 1).collect()),
        };
        let file = set.to_npz();
        prop_assert_eq!(&file, &set.to_npz());
        prop_assert_eq!(DataSet::from_bytes(&file, None).unwrap(), set);
    }

    #[test]
    fn packed_sets_round_trip((n, t, w, counts) in spike_sets(1)) {
        let set = DataSet { width: w as u32, samples: samples(n, t, w, &counts), labels: None };
        let file = set.to_npz();
        let keys: Vec<String> = read_npz(&file).unwrap().into_keys().collect();
        prop_assert_eq!(keys, ["spikes_packed", "width"]);
        prop_assert_eq!(DataSet::from_bytes(&file, None).unwrap(), set);
    }

    #[test]
    fn value_sets_round_trip(n in 1usize..4, t in 1usize..4, w in 1usize..6, constant: bool, seed in -1e30f32..1e30) {
        let frames = if constant { w } else { t * w };
        let sample = |n: usize| Stimulus::Values(Values {
            width: w as u32,
            frames: (0..frames).map(|k| seed + (n * frames + k) as f32).collect(),
            constant,
        });
        let set = DataSet { width: w as u32, samples: (0..n).map(sample).collect(), labels: Some(vec![i64::MAX; n]) };
        prop_assert_eq!(DataSet::from_bytes(&set.to_npz(), None).unwrap(), set);
    }

    #[test]
    fn damaged_files_never_panic(
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        form in 0usize..4,
    ) {
        let values = Stimulus::Values(Values { width: 2, frames: vec![1.0, 2.0], constant: false });
        let arrays = read_npz(&match form {
            0 => DataSet { width: 9, samples: vec![train(9, &[&[1, 8], &[]])], labels: Some(vec![3]) }.to_npz(),
            1 => DataSet { width: 9, samples: vec![train(9, &[&[1, 1], &[]])], labels: Some(vec![3]) }.to_npz(),
            2 => DataSet { width: 2, samples: vec![values], labels: None }.to_npz(),
            _ => write_npz(&[("spikes", bytes(&[2, 1, 2], &[0, 1, 2, 0])), ("label", ints(&[1, 2]))]),
        })
        .unwrap();
        // Damage the .npy files inside, where no checksum guards them.
        for (name, array) in &arrays {
            let mut file = write_npy(array);
            for (k, byte) in &at {
                let k = k.index(file.len());
                file[k] = *byte;
            }
            if let Ok(damaged) = read_npy(&file) {
                let mut source = Source { arrays: arrays.clone() };
                source.arrays.insert(name.clone(), damaged);
                if let Ok(set) = source.data_set(None) {
                    prop_assert_eq!(set.check(), Ok(()));
                }
            }
        }
    }

    #[test]
    fn events_in_any_order((n, t, w, counts) in spike_sets(3), shift in 0usize..97) {
        let expected = samples(n, t, w, &counts);
        let mut events: Vec<[i64; 3]> = counts
            .iter()
            .enumerate()
            .flat_map(|(k, &count)| vec![[(k / w / t) as i64, (k / w % t) as i64, (k % w) as i64]; count.into()])
            .collect();
        let turn = shift % events.len().max(1);
        events.rotate_left(turn);
        events.reverse();
        let column = |c: usize| ints(&events.iter().map(|e| e[c]).collect::<Vec<_>>());
        let file = write_npz(&[
            ("events_sample", column(0)),
            ("events_t", column(1)),
            ("events_i", column(2)),
            ("width", scalar(w as i64)),
            ("steps", scalar(t as i64)),
            ("samples", scalar(n as i64)),
        ]);
        prop_assert_eq!(DataSet::from_bytes(&file, None).unwrap().samples, &expected[..]);
        prop_assert_eq!(DataSet::from_bytes(&file, Some(1)).unwrap().samples, &expected[..1]);
    }
}

#[test]
fn packed_bits_are_numpys_order() {
    // numpy.packbits([1,0,0,0,0,0,0,1, 0,1]) = [0x81, 0x40].
    let packed = ("spikes_packed", bytes(&[1, 2, 2], &[0x81, 0x40, 0, 0xff]));
    let set = read(std::slice::from_ref(&packed)).unwrap();
    assert_eq!(set.width, 16);
    assert_eq!(set.samples, [train(16, &[&[0, 7, 9], &[8, 9, 10, 11, 12, 13, 14, 15]])]);
    let wide = bytes(&[1, 1, 98], &[0; 98]);
    assert_eq!(read(&[("spikes_packed", wide)]).unwrap().width, 784);
    let narrow = ("spikes_packed", bytes(&[1, 1, 2], &[0x81, 0x40]));
    assert_eq!(read(&[narrow.clone(), ("width", scalar(10))]).unwrap().samples, [train(10, &[&[0, 7, 9]])]);
    assert_eq!(error(&[packed, ("width", scalar(10))]), "array 'spikes_packed' at [0, 1, 1]: bits set beyond channel 10");
    assert_eq!(error(&[narrow, ("width", scalar(17))]), "scalar 'width' is 17, expected 9 to 16 for 2 bytes a step");
}

#[test]
fn trailing_axes_are_the_channels() {
    let mut v = vec![0u8; 2 * 28 * 28];
    v[28 * 28 + 29] = 1;
    let set = read(&[("spikes", bytes(&[1, 2, 28, 28], &v))]).unwrap();
    assert_eq!((set.width, set.samples), (784, vec![train(784, &[&[], &[29]])]));
    let spikes = array(&[1, 1, 3], ArrayData::Bool(vec![true, false, true]));
    assert_eq!(read(&[("spikes", spikes)]).unwrap().samples, [train(3, &[&[0, 2]])]);
}

#[test]
fn values_are_constant_unless_told() {
    let values = ("values", array(&[1, 2, 2], ArrayData::F64(vec![0.5, 1.0, 2.0, -3.0])));
    let frames = vec![0.5, 1.0, 2.0, -3.0];
    let constant = Stimulus::Values(Values { width: 4, frames: frames.clone(), constant: true });
    let stepped = Stimulus::Values(Values { width: 2, frames, constant: false });
    assert_eq!(read(std::slice::from_ref(&values)).unwrap().samples, std::slice::from_ref(&constant));
    let flag = |v| ("values_per_step", array(&[], ArrayData::Bool(vec![v])));
    assert_eq!(read(&[values.clone(), flag(false)]).unwrap().samples, std::slice::from_ref(&constant));
    assert_eq!(read(&[values.clone(), flag(true)]).unwrap().samples, [stepped]);
    assert_eq!(DataSet::from_bytes(&write_npy(&values.1), None).unwrap().samples, [constant]);
    let pixels = ("values", bytes(&[2, 1], &[255, 7]));
    let set = read(&[pixels]).unwrap();
    assert_eq!(set.samples[0], Stimulus::Values(Values { width: 1, frames: vec![255.0], constant: true }));
}

#[test]
fn events_without_scalars() {
    let events = [("events_sample", ints(&[1, 0, 1])), ("events_t", ints(&[2, 0, 2])), ("events_i", ints(&[4, 3, 4]))];
    let set = read(&events).unwrap();
    assert_eq!((set.width, set.samples.len()), (5, 2));
    assert_eq!(set.samples, [train(5, &[&[3], &[], &[]]), train(5, &[&[], &[], &[4, 4]])]);
    let labelled = [&events[..], &[("labels", ints(&[5, 6, 7]))]].concat();
    let set = read(&labelled).unwrap();
    assert_eq!((set.samples.len(), set.samples[2].clone()), (3, train(5, &[&[], &[], &[]])));
    let few = [&events[..], &[("labels", ints(&[5]))]].concat();
    assert_eq!(error(&few), "array 'events_sample' at [0]: 1, expected 0 to 0");
}

#[test]
fn empty_sets_keep_their_width() {
    let set = DataSet { width: 12, samples: vec![], labels: Some(vec![]) };
    assert_eq!(DataSet::from_bytes(&set.to_npz(), None).unwrap(), set);
}

#[test]
fn refuses_values_that_are_not_numbers() {
    let at = |v: f64| error(&[("values", array(&[2, 3], ArrayData::F64(vec![0.0, 1.0, 2.0, 3.0, v, 5.0])))]);
    assert_eq!(at(f64::NAN), "array 'values' at [1, 1]: NaN is not a finite 32-bit float");
    assert_eq!(at(f64::NEG_INFINITY), "array 'values' at [1, 1]: -inf is not a finite 32-bit float");
    assert_eq!(at(1e39), "array 'values' at [1, 1]: inf is not a finite 32-bit float");
    let nan = write_npz(&[("values", array(&[2, 1], ArrayData::F32(vec![1.0, f32::NAN])))]);
    assert!(DataSet::from_bytes(&nan, None).is_err());
    assert_eq!(DataSet::from_bytes(&nan, Some(1)).unwrap().samples.len(), 1, "only the samples taken are looked at");
}

#[test]
fn refuses_numbers_out_of_range() {
    let spikes = |v: i64| ("spikes", array(&[1, 2, 2], ArrayData::I64(vec![0, 1, v, 0])));
    assert_eq!(error(&[spikes(-1)]), "array 'spikes' at [0, 1, 0]: -1, expected 0 to 255");
    assert_eq!(error(&[spikes(256)]), "array 'spikes' at [0, 1, 0]: 256, expected 0 to 255");
    assert_eq!(read(&[spikes(255)]).unwrap().samples, [train(2, &[&[1], &[0; 255]])]);
    let huge = array(&[1, 1, 1], ArrayData::U64(vec![u64::MAX]));
    assert_eq!(error(&[("spikes", huge)]), format!("array 'spikes' at [0, 0, 0]: {}, expected 0 to 255", i64::MAX));
    let events = |n: i64, t: i64, i: i64| [("events_sample", ints(&[0, n])), ("events_t", ints(&[0, t])), ("events_i", ints(&[0, i]))];
    assert_eq!(error(&events(0, -1, 0)), "array 'events_t' at [1]: -1, expected 0 to 4294967294");
    assert_eq!(error(&events(0, 0, i64::MAX)), format!("array 'events_i' at [1]: {}, expected 0 to 4294967294", i64::MAX));
    let narrow = [&events(0, 0, 3)[..], &[("width", scalar(3))]].concat();
    assert_eq!(error(&narrow), "array 'events_i' at [1]: 3, expected 0 to 2");
    let limit = "passes the limit of 134217728";
    assert_eq!(error(&events(1 << 31, 0, 0)), format!("2147483649 samples of 1 steps: samples * (steps + 32) {limit}"));
    assert_eq!(error(&events(0, 1 << 31, 0)), format!("1 samples of 2147483649 steps: samples * (steps + 32) {limit}"));
    let claims = [&events(0, 0, 0)[..], &[("samples", scalar(i64::from(u32::MAX)))]].concat();
    assert!(error(&claims).contains("passes the limit"));
    assert_eq!(DataSet::from_bytes(&write_npz(&claims), Some(1)).unwrap().samples, [train(1, &[&[0, 0]])]);
}

#[test]
fn refuses_ambiguous_and_incomplete_files() {
    let spikes = ("spikes", bytes(&[1, 1, 8], &[0; 8]));
    let packed = ("spikes_packed", bytes(&[1, 1, 1], &[0]));
    let values = ("values", bytes(&[1, 8], &[0; 8]));
    assert_eq!(error(&[packed.clone(), values]), "samples in more than one form: 'spikes_packed' and 'values'");
    assert_eq!(error(&[spikes.clone(), packed]), "samples in more than one form: 'spikes' and 'spikes_packed'");
    let partial = [("events_sample", ints(&[0])), ("events_i", ints(&[0]))];
    assert_eq!(error(&partial), "array 'events_t' is missing: events are 'events_sample', 'events_t' and 'events_i'");
    let uneven = [("events_sample", ints(&[0])), ("events_t", ints(&[0, 0])), ("events_i", ints(&[0]))];
    assert_eq!(error(&uneven), "array 'events_t': 2 elements, expected 1, one for each event");
    assert!(error(&[("x", scalar(1)), ("y", scalar(2))]).ends_with("found [\"x\", \"y\"]"));
    assert_eq!(error(&[spikes.clone(), ("labels", ints(&[1, 2]))]), "array 'labels': 2 elements, expected 1, one for each sample");
    assert_eq!(error(&[spikes.clone(), ("labels", ints(&[1])), ("label", ints(&[1]))]), "both 'labels' and 'label' are there");
    let one_hot = bytes(&[1, 2], &[0, 1]);
    assert_eq!(error(&[spikes.clone(), ("label", one_hot)]), "array 'labels': shape [1, 2], expected one axis");
    assert_eq!(error(&[spikes.clone(), ("width", scalar(9))]), "scalar 'width' is 9, expected 8 as the shape of the samples says");
    assert_eq!(error(&[spikes.clone(), ("steps", scalar(-1))]), "scalar 'steps' is -1, expected 1 as the shape of the samples says");
    assert_eq!(error(&[spikes, ("width", ints(&[8, 8]))]), "array 'width': shape [2], expected a scalar");
    let floats = array(&[1, 1, 1], ArrayData::F32(vec![1.0]));
    assert_eq!(error(&[("spikes", floats)]), "array 'spikes': elements are float32, expected bool or uint8");
    let wide = array(&[1, 1, 1], ArrayData::U16(vec![1]));
    assert_eq!(error(&[("spikes_packed", wide)]), "array 'spikes_packed': elements are uint16, expected uint8");
}

#[test]
fn refuses_shapes_without_steps_or_channels() {
    for shape in [&[2usize, 3][..], &[4], &[], &[2, 0, 3], &[2, 3, 0], &[1 << 40, 0, 1], &[1 << 40, 1, 0], &[0, 1, 1 << 40]] {
        let zeros = vec![0; shape.iter().product()];
        let without_channels = shape.len() == 3 && shape[2] == 0;
        if !without_channels {
            assert!(error(&[("spikes", bytes(shape, &zeros))]).starts_with("array 'spikes': shape"), "{shape:?}");
        }
        if shape.len() == 3 {
            assert!(error(&[("spikes_packed", bytes(shape, &zeros))]).starts_with("array 'spikes_packed': shape"), "{shape:?}");
        }
        if shape.len() != 2 {
            let values = [("values", bytes(shape, &zeros)), ("values_per_step", scalar(1))];
            assert!(error(&values).starts_with("array 'values': shape"), "{shape:?}");
        }
    }
    let plain = write_npy(&bytes(&[2, 3], &[0; 6]));
    assert!(matches!(DataSet::from_bytes(&plain, None), Err(DataError::Shape { .. })));
    assert_eq!(DataSet::from_bytes(b"hello, world", None), Err(DataError::Format { found: b"hello, w".to_vec() }));
}

#[test]
fn checks_that_samples_agree() {
    let set = |samples: Vec<Stimulus>| DataSet { width: 2, samples, labels: None };
    let values = |constant| Stimulus::Values(Values { width: 2, frames: vec![0.0; 2], constant });
    assert_eq!(set(vec![values(true), values(true)]).check(), Ok(()));
    for wrong in [
        set(vec![train(2, &[&[]]), train(2, &[&[], &[]])]),
        set(vec![train(3, &[&[]])]),
        set(vec![train(2, &[])]),
        set(vec![values(true), values(false)]),
        set(vec![values(true), train(2, &[&[]])]),
        set(vec![Stimulus::Values(Values { width: 2, frames: vec![0.0; 3], constant: false })]),
    ] {
        assert!(matches!(wrong.check(), Err(DataError::Mixed { .. })), "{wrong:?}");
    }
    let labels = DataSet { labels: Some(vec![1]), ..set(vec![]) };
    assert!(matches!(labels.check(), Err(DataError::Length { found: 1, expected: 0, .. })));
}

#[test]
fn spikes_may_have_no_channel() {
    let none = |events: &[i64]| array(&[events.len()], ArrayData::I64(events.to_vec()));
    let events = |width: i64, at: &[i64]| {
        let scalars = [("samples", scalar(2)), ("steps", scalar(3)), ("width", scalar(width))];
        [("events_sample", none(at)), ("events_t", none(at)), ("events_i", none(at))].into_iter().chain(scalars).collect::<Vec<_>>()
    };
    let expected = DataSet { width: 0, samples: vec![train(0, &[&[], &[], &[]]); 2], labels: None };
    assert_eq!(read(&[("spikes", bytes(&[2, 3, 0], &[]))]).unwrap(), expected);
    assert_eq!(read(&events(0, &[])).unwrap(), expected);
    assert_eq!(DataSet::from_bytes(&expected.to_npz(), None).unwrap(), expected);
    assert!(matches!(read(&[("spikes", bytes(&[1 << 40, 1, 0], &[]))]), Err(DataError::TooLarge { .. })));
    assert!(error(&events(0, &[0])).starts_with("array 'events_i'"));
    assert!(error(&[("spikes", bytes(&[2, 0, 0], &[]))]).starts_with("array 'spikes': shape"));
    assert!(error(&[("values", array(&[2, 0], ArrayData::F32(vec![])))]).starts_with("array 'values': shape"));
}
