//! Edge lists into nets, by hand.

use crate::{ImportError, ImportOptions, Imported, Model, read};
use spikec_data::{Array, ArrayData, write_npz};
use spikec_net::{Fixed, Net, Role};
use std::path::Path;

const NEURON: &str = "neuron: (decay_u: 1024, decay_v: 205, threshold: 300)";

fn model(text: &str, list: &[u8]) -> Result<Imported, ImportError> {
    let text = format!("Connectome({text})");
    read(Path::new("larva.ron"), text.as_bytes(), &ImportOptions::default(), &|_| Ok(list.to_vec()))
}

fn net(text: &str, list: &[u8]) -> (Net<Fixed>, Vec<String>) {
    let Imported { model: Model::Registers(net), warnings } = model(text, list).unwrap() else { panic!("registers") };
    net.check().unwrap();
    (net, warnings)
}

fn error(text: &str, list: &[u8]) -> String {
    model(text, list).unwrap_err().to_string()
}

fn synapses(net: &Net<Fixed>, name: &str) -> Vec<(u32, u32, i16, u16)> {
    net.projections.iter().filter(|p| p.name == name).flat_map(|p| p.synapses.iter()).collect()
}

#[test]
fn csv_with_header_and_signs() {
    let list = b"# by hand\nto;from;n\n1;0;3\n2;0;-4\n0;2;300\n1;0;2\n";
    let text = format!("edges: \"e.csv\", source: \"from\", weight: \"n\", delay: 2, {NEURON}, input: (weight: -7, neurons: [2])");
    let (net, warnings) = net(&text, list);
    assert_eq!(synapses(&net, "excitatory"), [(0, 1, 5, 3), (2, 0, 255, 3)]);
    assert_eq!(synapses(&net, "inhibitory"), [(0, 2, -4, 3)]);
    assert_eq!(synapses(&net, "input"), [(0, 2, -7, 0)]);
    let Role::Neurons(neurons) = &net.populations[1].role else { panic!("neurons") };
    assert_eq!((neurons.len(), neurons[2].decay_v, neurons[0].threshold, net.output.index()), (3, 205, 300, 1));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("1 of 4 edges repeat"), "{warnings:?}");
    assert!(warnings[1].contains("1 of 2 weights are beyond 255") && warnings[1].contains("scale: 0.850"), "{warnings:?}");
}

#[test]
fn csv_without_header_or_weights() {
    let (net, warnings) = net(&format!("edges: \"e.csv\", neurons: 5, {NEURON}"), b"\xef\xbb\xbf0,1\n1,1\n");
    assert_eq!(synapses(&net, "excitatory"), [(0, 1, 1, 1), (1, 1, 1, 1)]);
    assert_eq!((net.populations.len(), net.populations[0].len(), net.output.index()), (1, 5, 0));
    assert!(warnings[0].contains("no weights"));
}

#[test]
fn labels_are_numbered_in_their_order() {
    let text = format!("edges: \"e.tsv\", numbering: Label, {NEURON}");
    let (named, _) = net(&text, b"pre\tpost\tcount\nAVB\tAVA\t2\nAVA\t\"B\"\t1\n");
    assert_eq!(synapses(&named, "excitatory"), [(0, 2, 1, 1), (1, 0, 2, 1)]);
    let (numbered, _) = net(&text, b"pre\tpost\tcount\n720575940612\t9\t2\n9\t-3\t1\n");
    assert_eq!(synapses(&numbered, "excitatory"), [(1, 0, 1, 1), (2, 1, 2, 1)]);
}

#[test]
fn a_share_of_the_neurons_inhibits() {
    let n = 1000u32;
    let array = |v: Vec<u32>| Array { shape: vec![v.len()], data: ArrayData::U32(v) };
    let counts = Array { shape: vec![n as usize], data: ArrayData::F32((0..n).map(|k| (1 + k % 9) as f32).collect()) };
    let list =
        write_npz(&[("src", array((0..n).collect())), ("dst", array((0..n).map(|k| (k + 1) % n).collect())), ("synapse_count", counts)]);
    let get = |seed: u64| {
        net(&format!("edges: \"e.npz\", inhibitory_share: 0.2, seed: {seed}, scale: 2, weight_exponent: -1, {NEURON}"), &list).0
    };
    let (one, two) = (get(1), get(2));
    assert_eq!([synapses(&one, "excitatory").len(), synapses(&one, "inhibitory").len()], [800, 200]);
    assert_eq!((&one, one == two), (&get(1), false));
    assert!(one.projections.iter().flat_map(|p| p.synapses.iter()).all(|(i, _, w, _)| w.unsigned_abs() as u32 == 2 * (1 + i % 9)));
    // SplitMix64 from 0 starts with 0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f: the third is the smallest.
    let (third, _) = net(&format!("edges: \"e.csv\", inhibitory_share: 0.3, seed: 0, {NEURON}"), b"0,1,1\n1,2,1\n2,0,1\n");
    assert_eq!(synapses(&third, "inhibitory"), [(2, 0, -1, 1)]);
    let (named, _) = net(&format!("edges: \"e.csv\", inhibitory: [0, 1], {NEURON}"), b"0,1,1\n1,2,1\n2,0,1\n");
    assert_eq!(synapses(&named, "inhibitory"), [(0, 1, -1, 1), (1, 2, -1, 1)]);
}

#[test]
fn narrow_weights_are_rounded_and_counted() {
    let text = format!("edges: \"e.csv\", weight_bits: 6, {NEURON}");
    let (net, warnings) = net(&text, b"0,1,5\n0,2,1\n0,3,2\n0,4,252\n0,5,253\n0,0,-2\n0,6,0\n");
    assert_eq!(synapses(&net, "excitatory"), [(0, 1, 4, 1), (0, 4, 252, 1), (0, 5, 252, 1)]);
    assert!(synapses(&net, "inhibitory").is_empty(), "half way goes to even");
    assert!(warnings.iter().any(|w| w.contains("2 of 5 weights were rounded")), "{warnings:?}");
    assert!(warnings.iter().any(|w| w.contains("2 of 5 weights are nearer to 0")), "{warnings:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let plain = format!("edges: \"e.csv\", {NEURON}");
    for (text, list, expected) in [
        (plain.as_str(), "a,b,c\n1,2,3\n", "`source` is not there: the list has `a`, `b`, `c`"),
        (&format!("edges: \"e.csv\", weight: \"w\", {NEURON}"), "source,target\n1,2\n", "no array `w`"),
        (&plain, "", "the list is empty"),
        (&plain, "0,1,2\n0,1\n", "record 1"),
        (&plain, "0,1,2\n0,x,2\n", "`target of edge 1` is `x`"),
        (&plain, "0,1,2\n-1,1,2\n", "`source of edge 1` is -1"),
        (&plain, "0,99999999,2\n", "numbering: Label"),
        (&plain, "0,1,nan\n", "line 1: the weight is `nan`"),
        (&plain, "source,target\n", "a list of 0 neurons"),
        (&format!("edges: \"e.csv\", neurons: 1, {NEURON}"), "0,1,2\n", "at least 2"),
        (&format!("edges: \"e.csv\", inhibitory_share: 1.5, {NEURON}"), "0,1,2\n", "0 to 1"),
        (&format!("edges: \"e.csv\", inhibitory_share: 0.5, {NEURON}"), "0,1,-2\n", "`weight of edge 0` is -2"),
        (&format!("edges: \"e.csv\", scale: 0, {NEURON}"), "0,1,2\n", "a number > 0"),
        (&format!("edges: \"e.csv\", weight_bits: 9, {NEURON}"), "0,1,2\n", "1 to 8"),
        (&format!("edges: \"e.csv\", {NEURON}, input: (weight: 0)"), "0,1,2\n", "not 0"),
        (&format!("edges: \"e.csv\", {NEURON}, input: (weight: 9, neurons: [2])"), "0,1,2\n", "input.neurons[0]"),
        (&format!("edges: \"e.txt\", {NEURON}"), "0,1,2\n", "a .npz, .csv or .tsv file"),
        (&format!("edges: \"e.npz\", {NEURON}"), "0,1,2\n", "array file `e.npz`"),
    ] {
        let found = error(text, list.as_bytes());
        assert!(found.contains(expected), "{text}: {found}");
    }
    let alone = read(Path::new("e.csv"), b"0,1", &ImportOptions::default(), &|_| Ok(Vec::new())).unwrap_err();
    assert!(alone.to_string().contains("holds arrays") && alone.hint().contains("Connectome("));
}

#[test]
fn damaged_lists_never_panic() {
    let mut random = 1u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((random >> 33) % n as u64) as usize
    };
    let text = format!("edges: \"e.csv\", inhibitory_share: 0.2, {NEURON}, input: (weight: 9)");
    let alphabet = b"0123456789,;\t\"\n\r-.ex#\xff\0";
    for _ in 0..3000 {
        let mut list = b"source,target,weight\n0,1,2\n1,0,3\n2,1,255\n".to_vec();
        for _ in 0..1 + below(6) {
            let at = below(list.len());
            match below(3) {
                0 => list[at] = alphabet[below(alphabet.len())],
                1 => list.insert(at, alphabet[below(alphabet.len())]),
                _ => list.truncate(at.max(1)),
            }
        }
        if let Err(e) = model(&text, &list) {
            assert!(!e.to_string().is_empty());
        }
    }
}
