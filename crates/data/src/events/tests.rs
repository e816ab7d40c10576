//! Readers and binning of events.

use super::*;
use crate::{Array, ArrayData};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Events as the camera of N-MNIST has them: coordinates of a byte, y not 240, ascending times.
fn recordings() -> impl Strategy<Value = Vec<Event>> {
    let event = (0u32..256, 0u32..256, any::<bool>(), 0i64..3000).prop_filter("240 is an overflow", |e| e.1 != 240);
    prop::collection::vec(event, 0..40).prop_map(|list| {
        let mut now = 0;
        list.into_iter()
            .map(|(x, y, on, later)| {
                now += later;
                Event { t: now, x, y, on }
            })
            .collect()
    })
}

/// A `.bin` file; where `turn` is set, the clock turns over as often as it can.
fn atis(events: &[Event], turn: bool) -> Vec<u8> {
    let (mut bytes, mut base) = (Vec::new(), 0);
    for e in events {
        while turn && e.t - base >= 1 << 13 {
            bytes.extend([7, 240, 0xff, 0xff, 0xff]);
            base += 1 << 13;
        }
        let t = u32::try_from(e.t - base).unwrap();
        assert!(t < 1 << 23);
        bytes.extend([e.x as u8, e.y as u8, u8::from(e.on) << 7 | (t >> 16) as u8, (t >> 8) as u8, t as u8]);
    }
    bytes
}

fn table(events: &[Event], header: &str, separator: &str, order: [usize; 4]) -> String {
    let mut text = if header.is_empty() { String::new() } else { format!("{header}\n") };
    for e in events {
        let fields = [e.t.to_string(), e.x.to_string(), e.y.to_string(), u8::from(e.on).to_string()];
        text += &order.map(|k| fields[k].clone()).join(separator);
        text.push('\n');
    }
    text
}

fn columns(events: &[Event]) -> BTreeMap<String, Array> {
    let column = |data: ArrayData| Array { shape: vec![events.len()], data };
    BTreeMap::from([
        ("x".to_owned(), column(ArrayData::U16(events.iter().map(|e| e.x as u16).collect()))),
        ("y".to_owned(), column(ArrayData::I32(events.iter().map(|e| e.y as i32).collect()))),
        ("t_us".to_owned(), column(ArrayData::F64(events.iter().map(|e| e.t as f64).collect()))),
        ("p".to_owned(), column(ArrayData::Bool(events.iter().map(|e| e.on).collect()))),
    ])
}

proptest! {
    #[test]
    fn what_is_written_is_read(events in recordings()) {
        prop_assert_eq!(&read_atis(&atis(&events, false)).unwrap(), &events);
        prop_assert_eq!(&read_atis(&atis(&events, true)).unwrap(), &events);
        let plain = table(&events, "", ",", [0, 1, 2, 3]);
        prop_assert_eq!(&read_table(plain.as_bytes(), None).unwrap(), &events);
        let named = table(&events, "x;y;Polarity;timestamp", ";", [1, 2, 3, 0]);
        prop_assert_eq!(&read_table(named.as_bytes(), None).unwrap(), &events);
        let told = table(&events, "# a comment\nd c b a", " ", [3, 2, 1, 0]);
        prop_assert_eq!(&read_table(told.as_bytes(), Some(&[Column::P, Column::Y, Column::X, Column::T])).unwrap(), &events);
        prop_assert_eq!(&EventColumns::new(columns(&events)).unwrap().recording(0).unwrap(), &events);
    }

    /// A file cut anywhere is an error, or exactly its full records.
    #[test]
    fn cut_files_are_errors_or_whole_records(events in recordings()) {
        let bytes = atis(&events, false);
        for n in 0..bytes.len() {
            let found = (n % 5) as u64;
            match read_atis(&bytes[..n]) {
                Ok(read) => prop_assert!(found == 0 && read == events[..n / 5]),
                Err(e) => prop_assert_eq!(e, EventError::CutRecord { at: n as u64 - found, expected: 5, found }),
            }
        }
        for (order, header) in [([0, 1, 2, 3], "t,x,y,p"), ([3, 0, 1, 2], "p,t,x,y")] {
            let text = table(&events, header, ",", order);
            for n in header.len() + 1..text.len() {
                let whole = text[header.len() + 1..n].matches('\n').count();
                match read_table(&text.as_bytes()[..n], None) {
                    // A line that lacks nothing but its end counts too.
                    Ok(read) => prop_assert!(read == events[..whole] || text.as_bytes()[n] == b'\n' && read == events[..=whole]),
                    Err(e) => prop_assert!(matches!(e, EventError::CutLine { .. } | EventError::Fields { .. } | EventError::Field { .. }), "{}", e),
                }
            }
        }
    }

    /// Spikes and counts against a loop over every channel and step.
    #[test]
    fn binning_counts_as_a_plain_loop(
        events in prop::collection::vec((-50i64..400, 0u32..9, 0u32..7, any::<bool>()), 0..120),
        crop in prop::option::of((0u32..3, 0u32..3, 1u32..6, 1u32..5)),
        (downscale, bin_us, steps, at) in (1u32..4, 1u64..40, 1u32..12, -60i64..60),
        (channels, each, first) in (0usize..3, any::<bool>(), any::<bool>()),
    ) {
        let events: Vec<Event> = events.into_iter().map(|(t, x, y, on)| Event { t, x, y, on }).collect();
        let binning = Binning {
            width: 8, height: 6,
            crop: crop.map(|(x, y, width, height)| Crop { x, y, width, height }),
            downscale, bin_us, steps, each,
            channels: [Channels::OffOn, Channels::OnOff, Channels::Merged][channels],
            start: if first { Start::FirstEvent } else { Start::At(at) },
            drop_outside: true,
        };
        let part = binning.crop.unwrap_or(Crop { x: 0, y: 0, width: 8, height: 6 });
        prop_assume!(part.x + part.width <= 8 && part.y + part.height <= 6);
        let [blocks, rows, cols] = binning.shape().unwrap();
        let (train, tally) = binning.bin(&events).unwrap();
        prop_assert_eq!((train.width, train.steps()), (blocks * rows * cols, steps));
        let start = if first { events.iter().map(|e| e.t).min().unwrap_or(0) } else { at };
        let mut expected = Tally { events: events.len() as u64, ..Tally::default() };
        for t in 0..steps {
            let (from, to) = (start + i64::from(t) * bin_us as i64, start + i64::from(t + 1) * bin_us as i64);
            for block in 0..blocks {
                for row in 0..rows {
                    for col in 0..cols {
                        let n = events.iter().filter(|e| {
                            let polarity = match binning.channels {
                                Channels::OffOn => u32::from(e.on) == block,
                                Channels::OnOff => u32::from(e.on) != block,
                                Channels::Merged => true,
                            };
                            let within = |at: u32, corner: u32, length: u32, k: u32| {
                                (corner + k * downscale..corner + ((k + 1) * downscale).min(length)).contains(&at)
                            };
                            polarity && (from..to).contains(&e.t) && within(e.x, part.x, part.width, col) && within(e.y, part.y, part.height, row)
                        }).count();
                        let spikes = if each { n } else { n.min(1) };
                        let channel = (block * rows + row) * cols + col;
                        prop_assert_eq!(train.at(t).iter().filter(|&&c| c == channel).count(), spikes);
                        expected.spikes += spikes as u64;
                        expected.merged += (n - spikes) as u64;
                    }
                }
            }
        }
        let on_camera = |e: &&Event| e.x < 8 && e.y < 6;
        let kept = |e: &&Event| e.x >= part.x && e.x < part.x + part.width && e.y >= part.y && e.y < part.y + part.height;
        expected.outside = events.iter().filter(|e| !on_camera(e)).count() as u64;
        expected.cropped = events.iter().filter(|e| on_camera(e) && !kept(e)).count() as u64;
        expected.early = events.iter().filter(|e| kept(e) && e.t < start).count() as u64;
        expected.late = events.iter().filter(|e| kept(e) && e.t >= start + i64::from(steps) * bin_us as i64).count() as u64;
        expected.disordered = (1..events.len()).filter(|&k| events[k].t < events[k - 1].t).count() as u64;
        prop_assert_eq!(tally, expected);
        prop_assert_eq!(tally.spikes + tally.merged + tally.early + tally.late + tally.cropped + tally.outside, tally.events);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (read_atis(&bytes), read_table(&bytes, None));
    }
}

#[test]
fn a_record_of_nmnist_bit_by_bit() {
    // x = 33, y = 2, polarity 1, time 0x7bcdef; an overflow; then time 1 of the next turn, polarity 0.
    let bytes = [33, 2, 0x80 | 0x7b, 0xcd, 0xef, 0, 240, 0, 0, 0, 1, 241, 0, 0, 1];
    let expected = [Event { t: 0x7b_cdef, x: 33, y: 2, on: true }, Event { t: 8193, x: 1, y: 241, on: false }];
    assert_eq!(read_atis(&bytes).unwrap(), expected);
}

#[test]
fn tables_say_what_is_wrong() {
    let error = |text: &str| read_table(text.as_bytes(), None).unwrap_err();
    let field = |line, at, column, found: &str, expected| EventError::Field { line, at, column, found: found.into(), expected };
    assert_eq!(error("1,2,3,1\n2,3,4\n"), EventError::Fields { line: 2, at: 8, expected: 4, found: 3 });
    assert_eq!(error("1,2,3,2\n"), field(1, 0, "p", "2", "0 (or -1) or 1"));
    assert_eq!(error("t,x,y,p\n1,-2,3,1\n"), field(2, 8, "x", "-2", "0 to 4294967295"));
    assert_eq!(error("1.5,2,3,1\n"), field(1, 0, "t", "1.5", "microseconds as a 64-bit integer"));
    assert_eq!(error("t,x,p\n"), EventError::Header { line: 1, found: "t,x,p".into(), missing: "y" });
    assert_eq!(error("p,x,y,t\n1,2,3,4567"), EventError::CutLine { line: 2, at: 8, column: "t".into() });
    assert!(matches!(read_table(b"1,2,3,\xff\n", None), Err(EventError::Text { line: 1, at: 0 })));
    let read = read_table(b"\xef\xbb\xbft,x,y,p,more\r\n5.0,1,2,-1,x\r\n", None).unwrap();
    assert_eq!(read, [Event { t: 5, x: 1, y: 2, on: false }]);
    assert_eq!(read_table(b"", None).unwrap(), []);
}

#[test]
fn arrays_say_what_is_wrong() {
    let events = [Event { t: 1, x: 2, y: 3, on: true }, Event { t: 2, x: 4, y: 5, on: false }];
    let with = |name: &str, shape: &[usize], data: ArrayData| {
        let mut arrays = columns(&events);
        arrays.insert(name.into(), Array { shape: shape.to_vec(), data });
        arrays
    };
    let parts = with("offsets", &[4], ArrayData::I32(vec![0, 1, 1, 2]));
    let parts = EventColumns::new(parts).unwrap();
    let read: Vec<_> = (0..3).map(|k| parts.recording(k).unwrap()).collect();
    assert_eq!(read, [vec![events[0]], vec![], vec![events[1]]]);

    let mut missing = columns(&events);
    missing.remove("t_us");
    assert!(matches!(EventColumns::new(missing), Err(EventError::Missing { missing: "t", .. })));
    for (offsets, at) in [(vec![0, 3], 1), (vec![1, 2], 0), (vec![0, 2, 1, 2], 2), (vec![0, 1], 1), (vec![-1, 2], 0)] {
        let error = EventColumns::new(with("offsets", &[offsets.len()], ArrayData::I64(offsets))).unwrap_err();
        assert!(matches!(error, EventError::Element { array: "offsets", at: found, .. } if found == at), "{error}");
    }
    let no_offsets = EventColumns::new(with("offsets", &[0], ArrayData::I64(vec![])));
    assert!(matches!(no_offsets, Err(EventError::Shape { array: "offsets", .. })));
    let short = EventColumns::new(with("y", &[1], ArrayData::U8(vec![0])));
    assert!(matches!(short, Err(EventError::Shape { array: "y", .. })));
    let labels = EventColumns::new(with("labels", &[2], ArrayData::U8(vec![0, 1])));
    assert!(matches!(labels, Err(EventError::Shape { array: "labels", .. })));
    for (name, data) in [
        ("p", ArrayData::U8(vec![1, 2])),
        ("x", ArrayData::I64(vec![1, -1])),
        ("t_us", ArrayData::F32(vec![0.0, f32::NAN])),
        ("t_us", ArrayData::U64(vec![0, u64::MAX])),
    ] {
        let error = EventColumns::new(with(name, &[2], data)).unwrap().recording(0).unwrap_err();
        assert!(matches!(error, EventError::Element { at: 1, .. }), "{error}");
    }
}

#[test]
fn binnings_that_make_no_sense_are_refused() {
    let good = Binning {
        width: 4,
        height: 3,
        crop: None,
        downscale: 1,
        channels: Channels::OffOn,
        bin_us: 10,
        start: Start::At(0),
        steps: 2,
        each: false,
        drop_outside: false,
    };
    assert_eq!(good.shape(), Ok([2, 3, 4]));
    assert_eq!(Binning { downscale: 3, ..good }.shape(), Ok([2, 1, 2]));
    for wrong in [Binning { width: 0, ..good }, Binning { bin_us: 0, ..good }, Binning { steps: 0, ..good }] {
        assert!(matches!(wrong.shape(), Err(BinError::Nothing { .. })));
    }
    for crop in [
        Crop { x: 2, y: 0, width: 3, height: 3 },
        Crop { x: u32::MAX, y: 0, width: 2, height: 3 },
        Crop { x: 0, y: 0, width: 0, height: 1 },
    ] {
        assert!(matches!(Binning { crop: Some(crop), ..good }.shape(), Err(BinError::Crop { .. })));
    }
    let wide = Binning { width: u32::MAX, height: u32::MAX, ..good };
    assert!(matches!(wide.shape(), Err(BinError::Channels { .. })));
    let events = [Event { t: 0, x: 3, y: 2, on: false }, Event { t: 0, x: 4, y: 2, on: false }];
    assert_eq!(good.bin(&events), Err(BinError::Outside { event: 1, x: 4, y: 2, width: 4, height: 3 }));
    // The ends of the clock.
    let far = [Event { t: i64::MIN, x: 0, y: 0, on: true }, Event { t: i64::MAX, x: 0, y: 0, on: true }];
    let (train, _) = Binning { start: Start::FirstEvent, bin_us: u64::MAX, ..good }.bin(&far).unwrap();
    assert_eq!((train.at(0), train.at(1)), (&[12][..], &[12][..]));
}
