use super::*;
use spikec_import::ImportOptions;
use std::path::Path;

fn wiring(text: &str) -> Wiring {
    let none = |p: &Path| Err(std::io::Error::other(format!("{} is not wanted", p.display())));
    of_model(&spikec_import::read(Path::new("m.ron"), text.as_bytes(), &ImportOptions::default(), &none).unwrap().model)
}

const NET: &str = r#"Trained(dt: 1, populations: [
    (name: "image", shape: [2, 2, 3], neurons: Input),
    (name: "hidden", shape: [3], neurons: If(v_threshold: 1)),
    (name: "out", shape: [3], neurons: If(v_threshold: 1)),
], projections: [
    (name: "fc", pre: "image", post: "hidden", chain: [Linear(weight: [
        1, 0, 0, 0, 0, 0,  2, 0, 0, 0, 0, 3,
        0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0,
        1, 0, 0, 0, 0, 0,  0, 1, 0, 0, 0, 0,
    ])]),
    (name: "two", pre: "hidden", post: "out", chain: [Linear(weight: [1, 0, -0.0, 0, 2, 0]), Linear(weight: [1, 0, 0, 0, 1, 1])]),
    (pre: "hidden", post: "hidden", delay: 1),
], output: "out")"#;

#[test]
fn what_stays_is_counted() {
    let w = wiring(NET);
    let v = w.view();
    let fc = &v.layers[0];
    assert_eq!((fc.kept, fc.possible, fc.inputs_without, fc.outputs_without), (5, 36, 8, 1));
    assert_eq!((fc.fan_out, fc.fan_in), (Some(Spread { min: 1, median: 1, max: 2 }), Some(Spread { min: 2, median: 2, max: 3 })));
    assert_eq!(w.names(), ["fc", "two[0]", "two[1]", "hidden -> hidden"]);
    assert_eq!((v.layers[1].kept, v.layers[1].possible, v.layers[2].kept, v.layers[3].kept), (2, 6, 3, 3));
    let by: Vec<_> = v.populations.iter().map(|p| (p.without_inputs, p.without_outputs)).collect();
    // Each hidden neuron hears itself and is heard by itself.
    assert_eq!(by, [(None, Some(8)), (Some(0), Some(0)), (Some(1), None)]);
    // Both channels of the image, added.
    assert_eq!(v.pictures.len(), 1);
    assert_eq!((v.pictures[0].grid.rows, v.pictures[0].grid.columns, v.pictures[0].grid.channels), (2, 3, 2));
    assert_eq!(v.pictures[0].synapses, [3, 1, 0, 0, 0, 1]);
    let text = text(&v);
    for line in ["5 of 36", "fc: synapses of each input, 2 x 3, 2 channels added", "  ██▃▃··", "  ····▃▃", "13.89 %", "8 of 12"]
    {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}

#[test]
fn layers_are_found_by_name_and_by_ends() {
    let w = wiring(NET);
    assert_eq!(w.find("image -> hidden").unwrap().name, "fc");
    assert!(w.find("hidden -> out").is_none(), "two matrices");
    assert!(w.find("fc2").is_none());
    let one = w.one(w.find("fc").unwrap(), Some((4, 3))).unwrap();
    assert_eq!(one.picture.synapses, [2, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1]);
    let e = w.one(w.find("fc").unwrap(), Some((5, 2))).unwrap_err().to_string();
    assert!(e.contains("12 inputs") && e.contains("5 x 2") && e.contains("[2, 2, 3]"), "{e}");
}

#[test]
fn grids_suit_shapes() {
    let of = |shape: &[u32]| grid(shape, None).map(|g| (g.rows, g.columns, g.channels)).unwrap();
    assert_eq!(of(&[1, 28, 28]), (28, 28, 1));
    assert_eq!(of(&[2, 34, 34]), (34, 34, 2));
    assert_eq!(of(&[784]), (28, 28, 1));
    assert_eq!(of(&[1, 700]), (11, 64, 1));
    assert_eq!(of(&[1, 1]), (1, 1, 1));
    // Both signs of a coded input.
    assert_eq!(of(&[2, 784]), (28, 28, 2));
    assert_eq!(of(&[2, 100_003]), (1563, 64, 2));
    assert!(grid(&[6], Some((0, 2))).is_err() && grid(&[6], Some((usize::MAX, 2))).is_err());
}

#[test]
fn pictures_of_any_size_are_small() {
    for (shape, n) in [(vec![7u32], 7usize), (vec![1], 1), (vec![700], 700), (vec![1000, 3000], 3_000_000), (vec![3, 70_001], 210_003)] {
        let counts: Vec<u32> = (0..n as u32).map(|k| k % 5).collect();
        let picture = Picture::new("a <layer>", grid(&shape, None).unwrap(), &counts);
        let text = picture.text();
        assert!(text.lines().count() <= 66 && text.lines().all(|l| l.chars().count() <= 98 || l.contains(':')), "{shape:?}\n{text}");
        let svg = picture.svg("net & co");
        assert!(svg.matches("<rect").count() <= 256 * 256 + 34, "{shape:?}");
        assert!(svg.contains("net &amp; co") && svg.contains("a &lt;layer&gt;") && !svg.contains("NaN"), "{shape:?}");
    }
    // Nothing stays.
    let none = Picture::new("none", grid(&[2, 2], None).unwrap(), &[0; 4]);
    assert!(none.text().ends_with("  ····\n  ····\n") && none.svg("n").matches("#f4f4f4").count() >= 4, "{}", none.text());
}

#[test]
fn registers_are_counted_too() {
    let w = wiring(
        r#"Registers(inputs: [(name: "in", n: 2)], populations: [(name: "p", shape: [2], decay_u: 4096, decay_v: 0, threshold: 1)],
           projections: [(pre: "in", post: "p", synapses: Coo(pre_index: [0, 0], post_index: [0, 1], weight: [8, 8]))], output: "p")"#,
    );
    let v = w.view();
    assert_eq!((v.layers[0].kept, v.layers[0].possible, v.populations[0].without_outputs), (2, 4, Some(1)));
    assert!(v.pictures.is_empty());
}
