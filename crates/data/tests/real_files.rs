//! Real data files, read from `shared` beside the project where it is there.

use spikec_data::{ArrayData, DataSet, Stimulus, read_idx, read_npz, write_npy};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

fn shared(file: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    bytes
}

const MNIST: &str = "mnist_test_poisson_T8_seed1234.npz";

#[test]
fn poisson_mnist() {
    let Some(bytes) = shared(MNIST) else { return };
    let start = Instant::now();
    let set = DataSet::from_bytes(&bytes, None).unwrap();
    let time = start.elapsed();
    eprintln!("loaded in {time:?}");
    assert!(time < Duration::from_secs(2), "{time:?}");
    assert_eq!((set.samples.len(), set.width), (10_000, 784));
    assert!(set.samples.iter().all(|s| s.steps() == Some(8)));
    assert_eq!(set.labels.as_ref().unwrap()[..5], [7, 2, 1, 0, 4]);

    let first = DataSet::from_bytes(&bytes, Some(3)).unwrap();
    assert_eq!((first.samples.as_slice(), first.labels.unwrap()), (&set.samples[..3], vec![7, 2, 1]));

    let arrays = read_npz(&bytes).unwrap();
    let ArrayData::U8(packed) = &arrays["spikes_packed"].data else { panic!("not bytes") };
    let bits: usize = packed.iter().map(|b| b.count_ones() as usize).sum();
    let spikes = |s: &Stimulus| match s {
        Stimulus::Spikes(train) => train.channels.len(),
        Stimulus::Values(_) => 0,
    };
    assert_eq!(set.samples.iter().map(spikes).sum::<usize>(), bits);

    let back = DataSet::from_bytes(&set.to_npz(), None).unwrap();
    assert_eq!(back, set);
}

#[test]
fn numpys_files_are_written_back_byte_for_byte() {
    for file in [MNIST, "drosophila_larva_winding_elife_edgelist.npz", "nmnist/nmnist_small_1000train_100test.npz"] {
        let Some(bytes) = shared(file) else { continue };
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes.as_slice())).unwrap();
        let arrays = read_npz(&bytes).unwrap();
        assert_eq!(arrays.len(), zip.len());
        for (name, array) in &arrays {
            let mut raw = Vec::new();
            zip.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut raw).unwrap();
            assert!(write_npy(array) == raw, "{file}: {name}");
        }
    }
}

/// The spikes of the Poisson file come from the same images: a black pixel never spikes.
#[test]
fn idx_mnist() {
    let (Some(images), Some(labels)) = (shared("mnist/t10k-images-idx3-ubyte.gz"), shared("mnist/t10k-labels-idx1-ubyte.gz")) else {
        return;
    };
    let (images, labels) = (read_idx(&images).unwrap(), read_idx(&labels).unwrap());
    assert_eq!((images.shape.as_slice(), labels.shape.as_slice()), (&[10_000, 28, 28][..], &[10_000][..]));
    assert_eq!(labels.to_i64().unwrap()[..5], [7, 2, 1, 0, 4]);
    let Some(spikes) = shared(MNIST) else { return };
    let spikes = DataSet::from_bytes(&spikes, Some(100)).unwrap();
    let ArrayData::U8(pixels) = &images.data else { panic!("not bytes") };
    for (image, sample) in pixels.chunks_exact(784).zip(&spikes.samples) {
        let Stimulus::Spikes(train) = sample else { panic!("not spikes") };
        assert!(train.channels.iter().all(|&c| image[c as usize] > 0));
    }
}
