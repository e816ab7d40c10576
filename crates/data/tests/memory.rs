//! Files that claim more than they hold: memory stays near what they hold.

use spikec_data::{Array, ArrayData, DataSet, read_idx, read_npy, read_npz, write_npz};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, with the bytes in use and their peak.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(IN_USE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that a call needs at its peak.
fn peak<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = call();
    (result, PEAK.load(Relaxed) - before)
}

fn npy(shape: &str, payload: usize) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", (text.len() as u16).to_le_bytes().as_slice(), text.as_bytes(), &vec![0; payload]].concat()
}

fn zipped(entry: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("spikes.npy", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(entry).unwrap();
    zip.finish().unwrap().into_inner()
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn claims_are_not_allocated() {
    const LIMIT: usize = 1 << 20;
    let huge = npy("(1099511627776,)", 100);
    let (result, bytes) = peak(|| read_npy(&huge));
    assert!(result.is_err() && bytes < LIMIT, "shape: {bytes} bytes");

    let header = b"\x93NUMPY\x03\x00\xff\xff\xff\xff{'descr'";
    let (result, bytes) = peak(|| read_npy(header));
    assert!(result.is_err() && bytes < LIMIT, "header length: {bytes} bytes");

    let mut zip = zipped(&huge);
    let (result, bytes) = peak(|| read_npz(&zip));
    assert!(result.is_err() && bytes < LIMIT, "shape in a zip: {bytes} bytes");
    // The directory's uncompressed size (at 24) claims 4 GiB too.
    let directory = zip.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    zip[directory + 24..directory + 28].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
    let (result, bytes) = peak(|| read_npz(&zip));
    assert!(result.is_err() && bytes < LIMIT, "size in a zip: {bytes} bytes");

    let bomb = zipped(&npy("(10,)", 64 << 20));
    let (result, bytes) = peak(|| read_npz(&bomb));
    assert!(result.is_err() && bytes < LIMIT, "64 MiB behind 10 elements: {bytes} bytes");

    let (result, bytes) = peak(|| DataSet::from_bytes(&zipped(&npy("(1099511627776, 1, 0)", 0)), None));
    assert!(result.is_err() && bytes < LIMIT, "empty samples: {bytes} bytes");

    let one = |name, value: u64| (name, Array { shape: vec![1], data: ArrayData::U64(vec![value]) });
    let events = [one("events_sample", 0), one("events_t", 0), one("events_i", 0), one("samples", 1 << 31), one("steps", 1 << 31)];
    let events = write_npz(&events);
    let (result, bytes) = peak(|| DataSet::from_bytes(&events, None));
    assert!(result.is_err() && bytes < LIMIT, "events: {bytes} bytes");

    let idx = [0, 0, 8, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 5];
    let (result, bytes) = peak(|| read_idx(&idx));
    assert!(result.is_err() && bytes < LIMIT, "IDX: {bytes} bytes");
}
