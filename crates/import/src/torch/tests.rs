//! Files that torch made (tests/external/torch_fixtures.py), and damaged ones.

use super::{pickle, read_torch};
use crate::{ImportOptions, Model, read};
use spikec_data::{Array, ArrayData, read_npz};
use spikec_net::{NeuronModel, Operator, TrainedRole};
use std::path::{Path, PathBuf};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/torch").join(name)).unwrap()
}

#[test]
fn a_state_dict_has_the_numbers_that_numpy_sees() {
    let (found, expected) = (read_torch(&file("state.pth")).unwrap(), read_npz(&file("state.npz")).unwrap());
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, array) in &expected {
        let other = &found[name];
        assert_eq!(other.shape, array.shape, "{name}");
        assert_eq!(other.to_f32(), array.to_f32(), "{name}");
        let widened = ["half", "bfloat16", "double"].contains(&name.as_str());
        assert!(widened || other.dtype_name() == array.dtype_name(), "{name}");
    }
    assert_eq!(found["fc1.weight_mask"].dtype_name(), "bool");
}

#[test]
fn a_checkpoint_has_dotted_names_and_sparse_tensors() {
    let found = read_torch(&file("checkpoint.pt")).unwrap();
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["history.0", "history.1.0", "net.fc1", "net.fc2", "sparse", "sparse.columns", "sparse.rows", "sparse.values"]);
    assert_eq!(found["net.fc1"].shape, [3, 4]);
    let dense = [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -4.0, 0.0, 0.0, 0.5];
    assert_eq!(found["sparse"], Array { shape: vec![3, 4], data: ArrayData::F32(dense.to_vec()) });
    assert_eq!(found["sparse.rows"].to_i64(), Some(vec![0, 2, 2]));
    assert_eq!(found["sparse.columns"].to_i64(), Some(vec![1, 0, 3]));
    assert_eq!(found["sparse.values"].to_f32(), Some(vec![2.0, -4.0, 0.5]));
}

#[test]
fn what_is_not_read_is_named() {
    for (name, expected) in [
        ("module.pth", "torch.nn.modules.container.Sequential"),
        ("legacy.pth", "before 1.6"),
        ("complex.pth", "torch.ComplexFloatStorage"),
        ("repeated.pth", "tensor `wide`: it is much larger than the file"),
        ("state.npz", "data.pkl"),
    ] {
        let e = read_torch(&file(name)).unwrap_err();
        assert!(e.contains(expected), "{name}: {e}");
    }
    assert!(read_torch(b"xyz").unwrap_err().contains("zip"));
    let refused = |pickle: &[u8]| pickle::read(pickle).unwrap_err();
    assert!(refused(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.").contains("`os.system`"));
    assert!(refused(b"\x80\x02i.").contains("opcode 0x69"));
    assert!(refused(b"\x80\x02(.").contains("missing"));
    assert!(refused(b"\x80\x02h\x05.").contains("not there"));
}

#[test]
fn deep_and_cyclic_pickles_end() {
    let deep = [b"\x80\x02)".to_vec(), vec![0x85; 1 << 20], b".".to_vec()].concat();
    let (heap, root) = pickle::read(&deep).unwrap();
    assert!(super::tensors(&heap, root).unwrap_err().contains("nested deeper"));
    // A list that holds itself.
    let (heap, root) = pickle::read(b"\x80\x02]q\0h\0a.").unwrap();
    assert!(super::tensors(&heap, root).unwrap_err().contains("nested deeper"));
    // Each list holds the one before it 100 times.
    let mut wide = b"\x80\x02]q\0".to_vec();
    for k in 1..20u8 {
        wide.extend([b']', b'q', k, b'(']);
        (0..100).for_each(|_| wide.extend([b'h', k - 1]));
        wide.push(b'e');
    }
    wide.push(b'.');
    let (heap, root) = pickle::read(&wide).unwrap();
    assert!(super::tensors(&heap, root).unwrap_err().contains("too many"));
}

#[test]
fn damaged_files_never_panic() {
    let mut random = 9u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((random >> 33) % n as u64) as usize
    };
    let mut readable = 0;
    for name in ["state.pth", "checkpoint.pt"] {
        let whole = file(name);
        for _ in 0..1500 {
            let mut bytes = whole.clone();
            match below(3) {
                0 => bytes.truncate(below(bytes.len())),
                1 => (0..1 + below(4)).for_each(|_| bytes[below(whole.len())] = below(256) as u8),
                _ => bytes[below(whole.len())] ^= 1 << below(8),
            }
            readable += usize::from(read_torch(&bytes).is_ok());
        }
        // The pickle itself, whose damage the zip file's checksums would show.
        let start = whole.windows(3).position(|w| w == b"\x80\x02}" || w == b"\x80\x02c").unwrap();
        let pickle = &whole[start..start + whole[start..].windows(2).position(|w| w == b"u." || w == b"b.").unwrap() + 2];
        assert!(pickle::read(pickle).is_ok());
        for _ in 0..20_000 {
            let mut bytes = pickle.to_vec();
            (0..1 + below(3)).for_each(|_| bytes[below(pickle.len())] = below(256) as u8);
            if let Ok((heap, root)) = pickle::read(&bytes) {
                let _ = super::tensors(&heap, root);
            }
        }
    }
    assert!(readable > 100, "{readable}");
}

#[test]
fn models_name_tensors_of_a_state_dict() {
    let model = |weight: &str, mask: &str| {
        let text = format!(
            "Trained(dt: 1, convention: \"spikingjelly\", populations: [(name: \"in\", shape: [4], neurons: Input),
                (name: \"fc1\", shape: [3], neurons: Lif(tau: 2.0, v_threshold: 1.0))],
             projections: [(name: \"fc1\", pre: \"in\", post: \"fc1\", chain: [Linear(weight: \"{weight}\"{mask}), Bias(bias: \"state.pth:fc1.bias\")])], output: \"fc1\")"
        );
        read(Path::new("nets/m.ron"), text.as_bytes(), &ImportOptions::default(), &|p| Ok(file(p.file_name().unwrap().to_str().unwrap())))
    };
    let weights = |weight: &str, mask: &str| {
        let Model::Trained(n) = model(weight, mask).unwrap().model else { panic!("trained") };
        assert!(matches!(&n.populations[1].role, TrainedRole::Neurons(NeuronModel::Lif { .. })));
        let Operator::Linear { weight, .. } = &n.projections[0].operators[0] else { panic!("a matrix") };
        weight.clone()
    };
    let all: Vec<f32> = (0..12).map(|k| (k - 3) as f32 / 2.0).collect();
    assert_eq!(weights("state.pth:fc1.weight", ""), all);
    assert_eq!(weights("checkpoint.pt:net.fc1", ""), all);
    assert_eq!(
        weights("state.npz:fc1.weight", ", mask: \"state.pth:fc1.weight_mask\""),
        all.iter().map(|w| w.max(0.0)).collect::<Vec<_>>()
    );
    assert_eq!(weights("checkpoint.pt:sparse", "").iter().filter(|w| **w != 0.0).count(), 3);
    let e = model("state.pth:fc9.weight", "").unwrap_err();
    assert!(e.to_string().contains("no array `fc9.weight`") && e.to_string().contains("`fc1.weight`"), "{e}");
    let e = model("module.pth:fc1.weight", "").unwrap_err();
    assert!(e.to_string().contains("Sequential") && e.hint().contains("state_dict()"), "{e} {}", e.hint());
}
