//! The network of Gradient Rewiring for CIFAR-10, small: a RON model and its arrays, as `.npz` or as PyTorch's `.pth`.
//!
//! In: width, rows of the image, density, seed. Out: the model's text for a file of arrays, and the arrays. Invariant: layers, operators, names and coding are
//! those of the network at full size (tests/external/paper_nets.py); kernels have zeros anywhere.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_data::{Array, ArrayData};

/// A model and its arrays.
#[derive(Debug, Clone)]
pub struct Gradr {
    width: u32,
    size: u32,
    /// Arrays by their names in the state dict.
    pub arrays: Vec<(String, Array)>,
}

impl Gradr {
    /// `width` channels instead of 256, `size` rows and columns instead of 32 (a multiple of 4), `density` of each layer's weights not 0.
    pub fn new(width: u32, size: u32, density: f64, seed: u64) -> Self {
        let r = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut arrays = Vec::new();
        let mut weight = |name: &str, shape: Vec<usize>, arrays: &mut Vec<(String, Array)>| {
            let n = shape.iter().product::<usize>();
            let row = n / shape[0];
            let scale = (1.0 / (density * row as f64).max(1.0)).sqrt() as f32 * if shape.len() == 2 { 4.0 } else { 1.0 };
            let data = (0..n).map(|_| if r.random_bool(density) { scale * r.random_range(-1.5..2.0f32) } else { 0.0 }).collect();
            arrays.push((format!("{name}.weight"), Array { shape, data: ArrayData::F32(data) }));
        };
        let (w, mut channels) = (width as usize, 3);
        for k in 1..=6 {
            weight(&format!("conv{k}"), vec![w, channels, 3, 3], &mut arrays);
            channels = w;
            let rate = if k == 1 { 1.0 } else { 0.2f32 };
            for (key, from, to) in [("weight", 0.6, 1.4f32), ("bias", 0.0, 0.8), ("mean", -0.1, 0.1), ("variance", 0.7 * rate, 1.3 * rate)]
            {
                let values = (0..w as u32).map(|c| from + (to - from) * ((c * 37 + k * 11) % 64) as f32 / 64.0).collect();
                arrays.push((format!("bn{k}.{key}"), Array { shape: vec![w], data: ArrayData::F32(values) }));
            }
        }
        let inputs = w * (size as usize / 4).pow(2);
        weight("fc1", vec![8 * w, inputs], &mut arrays);
        weight("fc2", vec![100, 8 * w], &mut arrays);
        Gradr { width, size, arrays }
    }

    /// The model, which takes its arrays from `file`.
    pub fn text(&self, file: &str) -> String {
        let (w, mut size) = (self.width, self.size);
        let array = |name: String| format!("\"{file}:{name}\"");
        let mut populations = vec![format!("(name: \"image\", shape: [3, {size}, {size}], neurons: Input)")];
        let mut projections = Vec::new();
        let mut last = "image".to_string();
        for k in 1..=6 {
            let name = format!("conv{k}");
            let pool = if k == 4 { "MaxPool2d(kernel: 2), " } else { "" };
            size /= if k == 4 { 2 } else { 1 };
            populations.push(format!("(name: \"{name}\", shape: [{w}, {size}, {size}], neurons: Lif(tau: 2.0, v_threshold: 1.0))"));
            let keys = ["weight", "bias", "mean", "variance"].map(|key| format!("{key}: {}", array(format!("bn{k}.{key}"))));
            let weight = array(format!("{name}.weight"));
            let chain = format!("{pool}Conv2d(weight: {weight}, padding: 1), BatchNorm({})", keys.join(", "));
            projections.push(format!("(name: \"{name}\", pre: \"{last}\", post: \"{name}\", chain: [{chain}])"));
            last = name;
        }
        for (name, outputs, first) in [("fc1", 8 * w, "MaxPool2d(kernel: 2), Flatten, "), ("fc2", 100, "")] {
            populations.push(format!("(name: \"{name}\", shape: [{outputs}], neurons: Lif(tau: 2.0, v_threshold: 1.0))"));
            let weight = array(format!("{name}.weight"));
            projections.push(format!("(name: \"{name}\", pre: \"{last}\", post: \"{name}\", chain: [{first}Linear(weight: {weight})])"));
            last = name.into();
        }
        format!(
            "Trained(name: \"gradr\", dt: 1.0, convention: \"spikingjelly\", populations: [{}], projections: [{}], output: \"fc2\")",
            populations.join(", "),
            projections.join(", ")
        )
    }

    /// The arrays as `torch.save` writes a checkpoint `{"net": state dict, "epoch": 7}` (PyTorch 1.6 and later): names are `net.NAME` then. Not compressed.
    pub fn checkpoint(&self) -> Vec<(String, Vec<u8>)> {
        let mut pickle = b"\x80\x02}(".to_vec();
        let text = |out: &mut Vec<u8>, s: &str| {
            out.push(b'X');
            out.extend((s.len() as u32).to_le_bytes());
            out.extend(s.as_bytes());
        };
        let int = |out: &mut Vec<u8>, n: usize| {
            out.push(b'J');
            out.extend((n as i32).to_le_bytes());
        };
        text(&mut pickle, "net");
        pickle.extend(b"ccollections\nOrderedDict\n)R(");
        let mut files = Vec::new();
        for (k, (name, array)) in self.arrays.iter().enumerate() {
            let ArrayData::F32(values) = &array.data else { panic!("floats only") };
            text(&mut pickle, name);
            // _rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks)
            pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut pickle, "storage");
            pickle.extend(b"ctorch\nFloatStorage\n");
            text(&mut pickle, &k.to_string());
            text(&mut pickle, "cuda:0");
            int(&mut pickle, values.len());
            pickle.extend(b"tQK\x00(");
            array.shape.iter().for_each(|&n| int(&mut pickle, n));
            pickle.extend(b"t(");
            (0..array.shape.len()).for_each(|a| int(&mut pickle, array.shape[a + 1..].iter().product()));
            pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
            files.push((format!("checkpoint/data/{k}"), values.iter().flat_map(|v| v.to_le_bytes()).collect()));
        }
        pickle.push(b'u');
        text(&mut pickle, "epoch");
        pickle.extend(b"K\x07u.");
        files.insert(0, ("checkpoint/data.pkl".into(), pickle));
        files.push(("checkpoint/version".into(), b"3\n".to_vec()));
        files
    }
}
