//! `spikec data events` and `spikec data frames` from outside.

mod common;

use common::spikec;
use spikec_data::{Array, ArrayData, DataSet, SpikeTrain, Stimulus, read_npz, write_npy, write_npz};
use std::path::Path;

/// (t, x, y, p) as records of N-MNIST.
fn bin(events: &[(u32, u8, u8, u8)]) -> Vec<u8> {
    events.iter().flat_map(|&(t, x, y, p)| [x, y, p << 7 | (t >> 16) as u8, (t >> 8) as u8, t as u8]).collect()
}

fn set(at: &Path, name: &str) -> DataSet {
    DataSet::from_bytes(&std::fs::read(at.join(name)).unwrap(), None).unwrap()
}

fn train(set: &DataSet, k: usize) -> &SpikeTrain {
    match &set.samples[k] {
        Stimulus::Spikes(train) => train,
        Stimulus::Values(_) => panic!("not spikes"),
    }
}

fn steps(set: &DataSet, k: usize) -> Vec<Vec<u32>> {
    let train = train(set, k);
    (0..train.steps()).map(|t| train.at(t).to_vec()).collect()
}

/// Two classes of recordings, of a camera of 4 x 3 pixels.
fn recordings(at: &Path) {
    for (class, name, events) in [
        ("1", "00002.bin", &[(0, 0, 0, 0), (999, 1, 0, 1), (1000, 1, 0, 1), (1500, 1, 0, 1), (3000, 0, 0, 0)][..]),
        ("0", "00001.bin", &[(2999, 3, 2, 1)][..]),
        ("1", "00010.bin", &[][..]),
    ] {
        std::fs::create_dir_all(at.join("train").join(class)).unwrap();
        std::fs::write(at.join("train").join(class).join(name), bin(events)).unwrap();
    }
    std::fs::write(at.join("train/README.md"), "no events").unwrap();
}

const CAMERA: [&str; 8] = ["--width", "4", "--height", "3", "--bin", "1ms", "--steps", "3"];

/// `data events` with the camera's options.
fn events(at: &Path, paths: &[&str], options: &[&str]) -> common::Run {
    spikec(at, &[&["data", "events"], paths, &CAMERA, options].concat())
}

#[test]
fn folders_of_events_become_data() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    recordings(at);
    let report = events(at, &["train"], &["-o", "a.npz", "--json"]).ok().json();
    let found =
        ["samples", "files", "files_passed_over", "events", "spikes", "merged", "beyond_steps"].map(|k| report[k].as_u64().unwrap());
    assert_eq!(found, [3, 3, 1, 6, 4, 1, 1]);
    let a = set(at, "a.npz");
    assert_eq!((a.width, &a.labels), (24, &Some(vec![0, 1, 1])));
    assert_eq!(steps(&a, 0), [vec![], vec![], vec![12 + 2 * 4 + 3]]);
    assert_eq!(steps(&a, 1), [vec![0, 13], vec![13], vec![]]);
    assert_eq!(steps(&a, 2), vec![Vec::<u32>::new(); 3]);

    // The same bytes again; and every option that changes channels or spikes.
    events(at, &["train"], &["-o", "again.npz", "--threads", "1"]).ok();
    assert_eq!(std::fs::read(at.join("a.npz")).unwrap(), std::fs::read(at.join("again.npz")).unwrap());
    let text = events(at, &["train"], &["-o", "b.npz", "--polarity-order", "on-off", "--several", "each"]).ok().out;
    assert!(text.contains("polarity 1 then 0") && text.contains("classes of 2 folders: 0, 1"), "{text}");
    assert_eq!(steps(&set(at, "b.npz"), 1), [vec![1, 12], vec![1, 1], vec![]]);
    events(at, &["train/1"], &["-o", "c.npz", "--channels", "merged", "--downscale", "2", "--labels", "folders", "--samples", "1"]).ok();
    let c = set(at, "c.npz");
    assert_eq!((c.width, &c.labels, steps(&c, 0)), (4, &Some(vec![1]), vec![vec![0], vec![0], vec![]]));
    events(at, &["train/1/00002.bin"], &["-o", "d.npz", "--crop", "2x1+1+0", "--offset", "1000"]).ok();
    let d = set(at, "d.npz");
    assert_eq!((d.width, &d.labels, steps(&d, 0)), (4, &None, vec![vec![2], vec![], vec![]]));

    // Classes by name and in order.
    std::fs::write(at.join("named.txt"), "# name class\n1 4\n2\t5\n10,6\n").unwrap();
    events(at, &["train"], &["-o", "e.npz", "--labels", "named.txt"]).ok();
    assert_eq!(set(at, "e.npz").labels, Some(vec![4, 5, 6]));
    std::fs::write(at.join("listed.txt"), "7\n8\n9\n").unwrap();
    events(at, &["train"], &["-o", "e.npz", "--labels", "listed.txt", "--skip", "1"]).ok();
    assert_eq!(set(at, "e.npz").labels, Some(vec![8, 9]));
    std::fs::rename(at.join("train/0"), at.join("train/zero")).unwrap();
    events(at, &["train"], &["-o", "e.npz"]).ok();
    assert_eq!(set(at, "e.npz").labels, Some(vec![0, 0, 1]), "folders 1, zero by name");
}

#[test]
fn tables_and_arrays_hold_the_same_events() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let list = [(5u32, 1u8, 2u8, 1u8), (1200, 3, 0, 0), (900, 0, 0, 1)];
    std::fs::write(at.join("a.bin"), bin(&list)).unwrap();
    let line = |order: [usize; 4]| {
        let lines = list.iter().map(|&(t, x, y, p)| {
            let fields = [t, x.into(), y.into(), p.into()].map(|n| n.to_string());
            order.map(|k| fields[k].clone()).join(",") + "\n"
        });
        lines.collect::<String>()
    };
    std::fs::write(at.join("b.csv"), "t,x,y,p\n".to_string() + &line([0, 1, 2, 3])).unwrap();
    std::fs::write(at.join("c.csv"), line([3, 2, 1, 0])).unwrap();
    let column = |f: fn(&(u32, u8, u8, u8)) -> u32| Array { shape: vec![3], data: ArrayData::U32(list.iter().map(f).collect()) };
    let (x, y, t, p) = (column(|e| e.1.into()), column(|e| e.2.into()), column(|e| e.0), column(|e| e.3.into()));
    let label = Array { shape: vec![1], data: ArrayData::U8(vec![6]) };
    let of_events = |name: &str, a: &Array| {
        let ArrayData::U32(v) = &a.data else { unreachable!() };
        hdf5_writer::DatasetBuilder::typed_data(format!("events/{name}"), vec![3u64], v).unwrap()
    };
    let file =
        [("x", &x), ("y", &y), ("t", &t), ("p", &p)].iter().fold(hdf5_writer::Hdf5Builder::new(), |f, (n, a)| f.dataset(of_events(n, a)));
    std::fs::write(at.join("e.h5"), file.into_plan().unwrap().encode(Default::default()).unwrap()).unwrap();
    std::fs::write(at.join("d.npz"), write_npz(&[("x", x), ("y", y), ("t", t), ("p", p), ("label", label)])).unwrap();
    let out = |name: &str, more: &[&str]| {
        let report = events(at, &[name], &[&["-o", "out.npz", "--json"], more].concat()).ok().json();
        assert_eq!((report["not_in_order"].as_u64(), report["spikes"].as_u64()), (Some(1), Some(3)), "{name}");
        set(at, "out.npz")
    };
    let a = out("a.bin", &[]);
    assert_eq!(steps(&a, 0), [vec![12, 21], vec![3], vec![]]);
    assert_eq!(out("b.csv", &[]), a);
    assert_eq!(out("c.csv", &["--columns", "p,y,x,t"]), a);
    assert_eq!(out("e.h5", &[]), a);
    let d = out("d.npz", &[]);
    assert_eq!((&d.samples, &d.labels), (&a.samples, &Some(vec![6])));
    assert_eq!(out("d.npz", &["--labels", "none"]).labels, None);
}

#[test]
fn bad_events_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    recordings(at);
    let whole = bin(&[(0, 0, 0, 0), (1, 1, 1, 1)]);
    std::fs::write(at.join("cut.bin"), &whole[..8]).unwrap();
    events(at, &["cut.bin"], &["-o", "x.npz"]).fails(2, &["cut.bin", "byte 5", "expected 5 bytes, found 3", "hint"]);
    std::fs::write(at.join("wide.bin"), bin(&[(0, 0, 0, 0), (1, 4, 1, 1)])).unwrap();
    events(at, &["wide.bin"], &["-o", "x.npz"]).fails(2, &["wide.bin", "event 1", "x = 4", "--out-of-range"]);
    let dropped = events(at, &["wide.bin"], &["-o", "dropped.npz", "--out-of-range", "drop", "--json"]).ok().json();
    assert_eq!((dropped["out_of_range"].as_u64(), dropped["spikes"].as_u64()), (Some(1), Some(1)));
    std::fs::write(at.join("a.csv"), "t,x,y,p\n1,2,1,1\n2,2,1\n").unwrap();
    events(at, &["a.csv"], &["-o", "x.npz"]).fails(2, &["a.csv", "line 3", "byte 16", "3 columns"]);
    events(at, &["a.csv"], &["-o", "x.npz", "--columns", "t,x,y"]).fails(2, &["--columns t,x,y", "'p'"]);
    std::fs::write(at.join("a.h5"), "no hdf5").unwrap();
    events(at, &["a.h5"], &["-o", "x.npz"]).fails(2, &["a.h5", "not an HDF5 file"]);
    std::fs::write(at.join("a.npz"), write_npz(&[("x", Array { shape: vec![0], data: ArrayData::U8(vec![]) })])).unwrap();
    events(at, &["a.npz"], &["-o", "x.npz"]).fails(2, &["a.npz", "no array 'y'"]);
    std::fs::write(at.join("a.aedat4"), "#!AER-DAT4.0\r\n").unwrap();
    events(at, &["a.aedat4"], &["-o", "x.npz"]).fails(2, &["a.aedat4", "not read", ".csv"]);
    std::fs::write(at.join("a.what"), "").unwrap();
    events(at, &["a.what"], &["-o", "x.npz"]).fails(2, &["a.what", "--format"]);
    events(at, &["nowhere"], &["-o", "x.npz"]).fails(2, &["nowhere"]);
    std::fs::create_dir(at.join("empty")).unwrap();
    events(at, &["empty"], &["-o", "x.npz"]).fails(2, &["empty", "no files of events"]);
    std::fs::write(at.join("few.txt"), "1\n2\n").unwrap();
    events(at, &["train"], &["-o", "x.npz", "--labels", "few.txt"]).fails(2, &["few.txt", "2 labels"]);
    std::fs::write(at.join("named.txt"), "1 4\n2 five\n").unwrap();
    events(at, &["train"], &["-o", "x.npz", "--labels", "named.txt"]).fails(2, &["named.txt", "line 2", "2 five"]);
    std::fs::write(at.join("named.txt"), "1 4\n").unwrap();
    events(at, &["train"], &["-o", "x.npz", "--labels", "named.txt"]).fails(2, &["named.txt", "00002.bin"]);
    events(at, &["train"], &["-o", "x.npz", "--skip", "3"]).fails(2, &["--skip 3"]);
    events(at, &["train"], &["-o", "x.npz", "--samples", "0"]).fails(2, &["--samples 0"]);
    events(at, &["train"], &["-o", "x.npz", "--crop", "4x3+1+0"]).fails(2, &["4x3+1+0"]);
    events(at, &["train"], &["-o", "x.npz", "--crop", "4x3"]).fails(2, &["--crop", "WIDTHxHEIGHT"]);
    for bin in ["1", "0ms", "1h", "-1ms", "99999999999999999999s"] {
        let bin = format!("--bin={bin}");
        spikec(at, &["data", "events", "train", "--width", "4", "--height", "3", &bin, "--steps", "3", "-o", "x.npz"]).fails(2, &["--bin"]);
    }
    std::fs::write(at.join("out.bin"), bin(&[(0, 0, 0, 0)])).unwrap();
    events(at, &["out.bin"], &["-o", "out.bin"]).fails(2, &["out.bin", "input"]);
    assert_eq!(std::fs::read(at.join("out.bin")).unwrap(), bin(&[(0, 0, 0, 0)]));
    assert!(!at.join("x.npz").exists());
}

/// A file cut at any byte is an error, or its full records; what is there already stays when it is an error.
#[test]
fn cut_recordings_leave_the_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let whole = bin(&[(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 0)]);
    for n in 0..=whole.len() {
        std::fs::write(at.join("a.bin"), &whole[..n]).unwrap();
        std::fs::write(at.join("out.npz"), "before").unwrap();
        let run = events(at, &["a.bin"], &["-o", "out.npz", "--json"]);
        if n % 5 == 0 {
            assert_eq!(run.ok().json()["events"], n / 5);
        } else {
            run.fails(2, &["a.bin", &format!("byte {}", n - n % 5)]);
            assert_eq!(std::fs::read(at.join("out.npz")).unwrap(), b"before");
        }
    }
}

/// Recorded digits beside the project.
#[test]
fn recorded_digits_become_data() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/nmnist/nmnist_small_1000train_100test.npz");
    if !file.is_file() {
        eprintln!("skipped: {} is absent", file.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (path, labels) = (file.to_str().unwrap(), file.with_file_name("test100.txt"));
    let options = ["--width", "34", "--height", "34", "--bin", "1ms", "--steps", "300", "--skip", "1000", "--samples", "100", "--json"];
    let command = |more: &[&str]| spikec(at, &[&["data", "events", path], &options[..], more].concat()).ok().json();
    let report = command(&["-o", "a.npz"]);
    let counts = ["samples", "events", "spikes", "merged", "beyond_steps", "not_in_order"].map(|k| report[k].as_u64().unwrap());
    assert_eq!(counts, [100, 385_596, 382_888, 451, 2_257, 0]);
    let own = set(at, "a.npz");
    assert_eq!((own.width, &own.labels.as_ref().unwrap()[..4]), (2 * 34 * 34, &[7, 2, 1, 0][..]));
    // Every event once, by a plain count of the file's arrays.
    command(&["-o", "b.npz", "--several", "each", "--labels", labels.to_str().unwrap()]);
    let each = set(at, "b.npz");
    assert_eq!(each.labels, own.labels);
    let arrays = read_npz(&std::fs::read(&file).unwrap()).unwrap();
    let [x, y, p, t, offsets] = ["x", "y", "p", "t_us", "offsets"].map(|k| arrays[k].to_i64().unwrap());
    for k in [0, 57, 99] {
        let mut expected = vec![Vec::new(); 300];
        for e in offsets[1000 + k] as usize..offsets[1001 + k] as usize {
            if let Some(step) = expected.get_mut(t[e] as usize / 1000) {
                step.push(((p[e] * 34 + y[e]) * 34 + x[e]) as u32);
            }
        }
        expected.iter_mut().for_each(|step| step.sort_unstable());
        assert_eq!(steps(&each, k), expected, "recording {k}");
    }
}

fn frames(at: &Path, file: &str, options: &[&str]) -> common::Run {
    spikec(at, &[&["data", "frames", file, "-o", "out.npz"], options].concat())
}

#[test]
fn frames_become_data_in_every_coding() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let images = Array { shape: vec![2, 1, 3], data: ArrayData::F32(vec![0.0, 0.5, 1.0, 0.25, 0.0, 0.75]) };
    let labels = Array { shape: vec![2], data: ArrayData::I64(vec![3, 4]) };
    std::fs::write(at.join("i.npz"), write_npz(&[("x", images.clone()), ("labels", labels)])).unwrap();
    std::fs::write(at.join("i.npy"), write_npy(&images)).unwrap();
    let bytes = Array { shape: vec![2, 1, 3], data: ArrayData::U8(vec![0, 51, 255, 102, 0, 204]) };
    std::fs::write(at.join("bytes.npy"), write_npy(&bytes)).unwrap();

    frames(at, "i.npz", &["--mean", "0.5", "--std", "0.25"]).ok();
    let direct = set(at, "out.npz");
    let Stimulus::Values(values) = &direct.samples[1] else { panic!("not values") };
    assert_eq!((values.frames.as_slice(), direct.labels), (&[-1.0, -2.0, 1.0][..], Some(vec![3, 4])));

    for coding in ["poisson", "rate"] {
        let options = ["--coding", coding, "--steps", "2000", "--seed", "3"];
        frames(at, "bytes.npy", &options).ok();
        let made = set(at, "out.npz");
        assert_eq!((made.width, train(&made, 0).steps()), (3, 2000), "{coding}");
        for (k, rates) in [[0.0f64, 0.2, 1.0], [0.4, 0.0, 0.8]].iter().enumerate() {
            for (channel, rate) in (0u32..).zip(rates) {
                let n = train(&made, k).channels.iter().filter(|&&c| c == channel).count() as f64;
                let slack = if coding == "rate" { 1.0 } else { 5.0 * (2000.0f64 * rate * (1.0 - rate)).sqrt() };
                assert!((n - 2000.0 * rate).abs() <= slack, "{coding}, {rate}: {n}");
            }
        }
        let first = std::fs::read(at.join("out.npz")).unwrap();
        frames(at, "bytes.npy", &[&options[..], &["--threads", "1"]].concat()).ok();
        assert_eq!(std::fs::read(at.join("out.npz")).unwrap(), first, "{coding}: the same seed");
        frames(at, "bytes.npy", &["--coding", coding, "--steps", "2000", "--seed", "4"]).ok();
        assert_eq!(std::fs::read(at.join("out.npz")).unwrap() == first, coding == "rate", "{coding}: another seed");
    }

    frames(at, "i.npy", &["--coding", "latency", "--steps", "5"]).ok();
    assert_eq!(steps(&set(at, "out.npz"), 0), [vec![2], vec![], vec![1], vec![], vec![]]);
    frames(at, "i.npy", &["--coding", "delta", "--steps", "3", "--threshold", "0.5"]).ok();
    let delta = set(at, "out.npz");
    assert_eq!((delta.width, steps(&delta, 0), steps(&delta, 1)), (6, vec![vec![1, 2], vec![2], vec![]], vec![vec![2], vec![], vec![]]));

    // A frame a step.
    let film = Array { shape: vec![1, 3, 2], data: ArrayData::F64(vec![0.0, 1.0, 1.0, -1.0, 0.0, 0.0]) };
    std::fs::write(at.join("film.npy"), write_npy(&film)).unwrap();
    frames(at, "film.npy", &["--per-step", "--coding", "delta", "--threshold", "1", "--from-first"]).ok();
    assert_eq!(steps(&set(at, "out.npz"), 0), [vec![], vec![0, 3], vec![2]]);
    frames(at, "film.npy", &["--per-step", "--coding", "poisson", "--negative", "channels"]).ok();
    assert_eq!(steps(&set(at, "out.npz"), 0), [vec![1], vec![0, 3], vec![]]);
    frames(at, "film.npy", &["--per-step"]).ok();
    let Stimulus::Values(values) = &set(at, "out.npz").samples[0] else { panic!("not values") };
    assert_eq!((values.constant, values.frame(1)), (false, Some(&[1.0f32, -1.0][..])));

    // IDX files have every coding, too.
    std::fs::write(at.join("idx"), [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2][..], &[255, 0]].concat()).unwrap();
    for coding in ["direct", "poisson", "rate", "latency", "delta"] {
        spikec(at, &["data", "idx", "idx", "--coding", coding, "-o", "out.npz"]).ok();
        let made = set(at, "out.npz");
        assert_eq!(made.width, if coding == "delta" { 4 } else { 2 });
        let spikes = match &made.samples[0] {
            Stimulus::Spikes(train) => train.channels.iter().filter(|&&c| c == 0).count(),
            Stimulus::Values(_) => 0,
        };
        let expected = match coding {
            "direct" => 0,
            "latency" => 1,
            _ => 8,
        };
        assert_eq!(spikes, expected, "{coding}");
        frames(at, "idx", &["--coding", coding, "--mean", "0.1307", "--std", "0.3081"]).ok();
        assert_eq!(set(at, "out.npz"), made, "{coding}");
    }
}

#[test]
fn bad_frames_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let array = |shape: &[usize], data: Vec<f32>| Array { shape: shape.to_vec(), data: ArrayData::F32(data) };
    std::fs::write(at.join("i.npz"), write_npz(&[("a", array(&[1, 2], vec![0.0, 1.0])), ("b", array(&[2], vec![0.0, 1.0]))])).unwrap();
    frames(at, "i.npz", &[]).fails(2, &["i.npz", "--key"]);
    frames(at, "i.npz", &["--key", "c"]).fails(2, &["no array 'c'"]);
    frames(at, "i.npz", &["--key", "b"]).fails(2, &["shape [2]", "expected images"]);
    frames(at, "i.npz", &["--key", "a", "--per-step"]).fails(2, &["shape [1, 2]", "expected frames"]);
    std::fs::write(at.join("n.npy"), write_npy(&array(&[1, 2], vec![0.5, -0.5]))).unwrap();
    for coding in ["poisson", "rate", "latency"] {
        frames(at, "n.npy", &["--coding", coding]).fails(2, &["image 0, element 1", "-0.5", "--negative channels"]);
        frames(at, "n.npy", &["--coding", coding, "--negative", "channels"]).ok();
        assert_eq!(set(at, "out.npz").width, 4);
    }
    std::fs::remove_file(at.join("out.npz")).unwrap();
    std::fs::write(at.join("nan.npy"), write_npy(&array(&[1, 2], vec![0.5, f32::NAN]))).unwrap();
    frames(at, "nan.npy", &[]).fails(2, &["image 0, element 1", "finite"]);
    frames(at, "n.npy", &["--coding", "delta", "--threshold", "0"]).fails(2, &["--threshold 0"]);
    frames(at, "n.npy", &["--full-scale", "0"]).fails(2, &["--full-scale 0"]);
    frames(at, "n.npy", &["--samples", "0"]).fails(2, &["--samples 0"]);
    std::fs::write(at.join("film.npy"), write_npy(&array(&[1, 2, 1], vec![0.0, 1.0]))).unwrap();
    frames(at, "film.npy", &["--per-step", "--coding", "latency"]).fails(2, &["latency"]);
    frames(at, "film.npy", &["--per-step", "--coding", "delta", "--steps", "3"]).fails(2, &["2 frames", "--steps 3"]);
    std::fs::write(at.join("l.txt"), "1\n2\n").unwrap();
    frames(at, "film.npy", &["--labels", "l.txt"]).fails(2, &["l.txt", "2 labels"]);
    let whole = write_npy(&array(&[1, 2], vec![0.0, 1.0]));
    for n in 0..whole.len() {
        std::fs::write(at.join("cut.npy"), &whole[..n]).unwrap();
        if n % 16 == 0 || n > whole.len() - 9 {
            frames(at, "cut.npy", &[]).fails(2, &["cut.npy"]);
        }
    }
    assert!(!at.join("out.npz").exists());
}
