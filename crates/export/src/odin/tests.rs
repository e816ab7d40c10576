use super::*;
use spikec_chip::bundle::{Bundle, Decoder, DecoderKind, Encoder, Host as HostSection, Injection, Provenance, Symbols};
use spikec_chip::event::{EventWord, encode};
use spikec_chip::target::Target;
use spikec_data::{SpikeTrain, Stimulus};

fn bundle(target: Target, edit: impl FnOnce(&mut EventTables)) -> Bundle {
    let Family::EventCrossbar(spec) = &target.family else { panic!("another family") };
    let rows = *spec.core.rows as usize;
    let mut tables = EventTables {
        open_loop: true,
        last_neuron: 9,
        negative_rows: if *spec.weights.sign == EventSign::EachRow { vec![false; rows] } else { vec![] },
        neurons: vec![EventWord::unused(spec); 256],
        weights: vec![0; 256 * 256],
    };
    edit(&mut tables);
    let image = encode(&tables, spec).expect("it fits");
    let at = |index| Place { core: 0, index };
    Bundle {
        host: HostSection {
            input_width: 2,
            encoder: Encoder::Spikes,
            input_axons: vec![vec![at(7)], vec![at(2)]],
            injections: vec![
                Injection { from: Origin::Channel(0), to: at(3), delay_steps: 1 },
                Injection { from: Origin::Neuron(at(9)), to: at(17), delay_steps: 2 },
            ],
            maps: vec![],
            bias_writes: vec![],
            default_steps: Some(4),
            max_skew: 1,
            decoder: Decoder { kind: DecoderKind::Count, outputs: vec![Some(at(9)), None], skew: 1 },
        },
        symbols: Symbols { populations: vec![], output: 0 },
        provenance: Provenance {
            tool: String::new(),
            network_name: String::new(),
            network_digest: String::new(),
            options: vec![],
            seed: 0,
        },
        image: Image::EventCrossbar(image),
        target,
        reference: vec![],
    }
}

fn find(name: &str) -> Target {
    spikec_chip::find(name).expect("it is built in")
}

fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Vec<String> {
    let mut out = Vec::new();
    write(&mut out).expect("memory can be written");
    String::from_utf8(out).expect("it is text").lines().map(String::from).collect()
}

#[test]
fn tinyodin_is_written_as_by_hand() {
    let bundle = bundle(find("tinyodin"), |t| {
        t.neurons[9] = EventWord { potential: -3, threshold: 0x123, leak: 5, disabled: false };
        (t.weights[2 * 256 + 9], t.weights[2 * 256 + 8], t.weights[255 * 256 + 255]) = (-1, 6, 7);
    });
    let spi = Spi::new(bundle.loadable(), Chip::TinyOdin, None).expect("it is tinyODIN's");
    let writes = spi.writes();
    assert_eq!(writes.len(), 4 + 256 * 4 + 8192 * 4 + 1);
    // Gate on, open loop, spikes from the neuron, last neuron.
    assert_eq!(writes[..4], [(0, 1), (1, 1), (2, 0), (3, 9)]);
    assert_eq!(writes.last(), Some(&(0, 0)));
    // Potential 0xffd, threshold 0x123, leak 5, enabled: 0x05123ffd.
    assert_eq!(writes[4 + 9 * 4..][..4], [(0x5_0009, 0xfd), (0x5_0109, 0x3f), (0x5_0209, 0x12), (0x5_0309, 0x05)]);
    // Row 2, neurons 8 and 9: word 2 * 32 + 1, byte 0: -1 in the high half, 6 in the low one.
    assert_eq!(writes[4 + 1024 + 65 * 4..][..2], [(0x6_0041, 0xf6), (0x6_2041, 0)]);
    // Row 255, neuron 255: word 8191, byte 3, high half.
    assert_eq!(writes[4 + 1024 + 8191 * 4 + 3], (0x6_7fff, 0x70));
    let neurons = written(|out| spi.neurons(out));
    // Unused: threshold at its largest, disabled.
    assert_eq!((neurons.len(), neurons[9].as_str(), neurons[0].as_str()), (256, "05123ffd", "80fff000"));
    let synapses = written(|out| spi.synapses(out));
    assert_eq!((synapses.len(), synapses[65].as_str(), synapses[8191].as_str()), (8192, "000000f6", "70000000"));
    let lines = written(|out| spi.spi(out));
    assert_eq!((lines.len(), lines[3].as_str(), lines[40].as_str()), (writes.len(), "00003 00009", "50009 000fd"));
    assert_eq!(spi.size(), (1, 3));
}

/// While words are written the RTL compares potentials with thresholds of which some bytes are still 0: with a closed loop such spikes enter the scheduler.
#[test]
fn the_loop_is_closed_when_all_is_written() {
    for (name, chip) in [("tinyodin", Chip::TinyOdin), ("odin", Chip::Odin)] {
        let bundle = bundle(find(name), |t| t.open_loop = false);
        let writes = Spi::new(bundle.loadable(), chip, None).expect("it fits").writes();
        let of_loop: Vec<(usize, u32)> = writes.iter().enumerate().filter(|w| w.1.0 == 1).map(|(k, w)| (k, w.1)).collect();
        assert_eq!(of_loop, [(1, 1), (writes.len() - 2, 0)], "{name}");
        assert_eq!(writes.last(), Some(&(0, 0)));
    }
}

#[test]
fn odin_is_written_as_by_hand() {
    let bundle = bundle(find("odin"), |t| {
        t.neurons[0] = EventWord { potential: 7, threshold: 200, leak: 5, disabled: false };
        t.negative_rows[17] = true;
        t.weights[17 * 256] = -7;
        t.weights[1] = 5;
    });
    let spi = Spi::new(bundle.loadable(), Chip::Odin, None).expect("it is ODIN's");
    let writes = spi.writes();
    assert_eq!(writes.len(), 26 + 256 * 16 + 8192 * 4 + 1);
    // Sign of row 17: bit 1 of the second register of signs. All weights count (24), nothing learns (23, 25).
    assert_eq!(writes[..5], [(0, 1), (1, 1), (2, 0), (3, 2), (4, 0)]);
    assert_eq!(writes[18..26], [(18, 0), (19, 0), (20, 0), (21, 0), (22, 0), (23, 0), (24, 1), (25, 0)]);
    // Model 1, leak 5 and its switch, threshold 200 from bit 9: 0x1910b; potential 7 from bit 70.
    let neurons = written(|out| spi.neurons(out));
    assert_eq!(neurons[0], "00000000000001c0000000000001910b");
    // Disabled: bit 127; threshold 255, no leak.
    assert_eq!(neurons[1], "8000000000000000000000000001fe01");
    assert_eq!(writes[26..][..3], [(0x5_0000, 0x0b), (0x5_0100, 0x91), (0x5_0200, 0x01)]);
    assert_eq!(writes[26 + 8], (0x5_0800, 0xc0));
    let synapses = written(|out| spi.synapses(out));
    assert_eq!((synapses[0].as_str(), synapses[17 * 32].as_str()), ("00000050", "00000007"));
}

#[test]
fn the_hosts_part_is_as_by_hand() {
    let bundle = bundle(find("tinyodin"), |_| {});
    let stimulus = Stimulus::Spikes(SpikeTrain::from_steps(2, vec![vec![0, 1, 1], vec![]]));
    let host: serde_json::Value =
        serde_json::from_str(Spi::new(bundle.loadable(), Chip::TinyOdin, None).expect("it fits").host()).expect("JSON");
    let expected = serde_json::json!({
        "target": "tinyodin", "default_steps": 4, "max_skew": 1, "input_rows": [[7], [2]], "delayed_inputs": [[0, 3, 1]],
        "reinject": [[9, 17, 2]], "outputs": [9, null], "output_skew": 1
    });
    assert_eq!(host, expected);
    let sent = Sample { index: 3, stimulus: &stimulus, steps: None }.sent(&bundle.loadable(), false).expect("it fits");
    let rows: Vec<Vec<u16>> = sent.places.iter().map(|of| of.iter().map(|p| p.index).collect()).collect();
    // Channel 0 at once and a step later, channel 1 twice; a chip step more than network steps.
    assert_eq!(rows, [vec![7, 2, 2], vec![3], vec![]]);
}

#[test]
fn another_chip_is_refused_by_the_number() {
    let text = |target: Target, chip| Spi::new(bundle(target, |_| {}).loadable(), chip, None).expect_err("another chip").to_string();
    assert_eq!(text(find("odin"), Chip::TinyOdin), "the format tinyodin-spi has bits of a weight of 4, the target 3");
    assert_eq!(text(find("tinyodin"), Chip::Odin), "the format odin-spi has bits of a weight of 3, the target 4");
    let crossbar = find("ranc256");
    let mut bundle = bundle(find("odin"), |_| {});
    bundle.target = crossbar;
    let e = Spi::new(bundle.loadable(), Chip::Odin, None).expect_err("another family");
    assert_eq!(e.to_string(), "the format odin-spi holds chips of the family EventCrossbar, the bundle is of the family Crossbar");
}
