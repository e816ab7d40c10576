//! `spikec simulate` from outside: levels of timing, reports whose sums agree, recordings, waveforms, early exit, and their errors.

mod common;

use common::{example, spikec};
use serde_json::Value;
use spikec_data::Array;
use std::collections::BTreeMap;
use std::path::Path;

/// A folder with the recurrent example on cores of 16 compartments, so that it takes several: `net.spkb`, `samples.npz`, `compile.json`.
fn compiled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for file in ["net.ron", "weights.npz", "samples.npz"] {
        std::fs::copy(example("recurrent-integers").join(file), at.join(file)).unwrap();
    }
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/loihi1.ron")).unwrap();
    let small = text.replacen("compartments: (value: 1024", "compartments: (value: 16", 1);
    assert_ne!(small, text);
    std::fs::write(at.join("small.ron"), small).unwrap();
    spikec(at, &["compile", "net.ron", "--target", "./small.ron", "-o", "net.spkb", "--report", "compile.json"]).ok();
    folder
}

/// `spikec simulate net.spkb --input samples.npz` and more.
fn simulate(at: &Path, more: &[&str]) -> common::Run {
    spikec(at, &[&["simulate", "net.spkb", "--input", "samples.npz"], more].concat())
}

fn arrays(at: &Path, file: &str) -> BTreeMap<String, Array> {
    spikec_data::read_npz(&std::fs::read(at.join(file)).unwrap()).unwrap()
}

fn numbers(arrays: &BTreeMap<String, Array>, name: &str) -> Vec<i64> {
    arrays[name].to_i64().unwrap_or_else(|| panic!("{name}"))
}

fn sum(list: &Value, of: impl Fn(&Value) -> f64) -> f64 {
    list.as_array().unwrap().iter().map(of).sum()
}

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

#[track_caller]
fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * a.abs().max(b.abs()), "{a} and {b}");
}

#[test]
fn every_level_gives_the_same_spikes() {
    let folder = compiled();
    let at = folder.path();
    let mut runs = Vec::new();
    for level in ["none", "analytic", "cycle"] {
        let run = simulate(at, &["--timing", level, "--json", "-o", "run.npz", "--record", "spikes,potentials"]).ok().json();
        assert_eq!(run["timing"].is_null(), level == "none");
        runs.push((run["predictions"].clone(), run["totals"].clone(), arrays(at, "run.npz")));
    }
    assert!(runs.iter().all(|r| *r == runs[0]));
    let expected = arrays(&example("recurrent-integers"), "expected.npz");
    assert_eq!(numbers(&runs[0].2, "out_spike_counts"), numbers(&expected, "out_spike_counts"));
}

#[test]
fn the_sums_of_a_report_agree() {
    let folder = compiled();
    let at = folder.path();
    for level in ["analytic", "cycle"] {
        let run = simulate(at, &["--timing", level, "--json", "--report", "r.json"]).ok().json();
        let file: Value = serde_json::from_str(&std::fs::read_to_string(at.join("r.json")).unwrap()).unwrap();
        assert_eq!(run, file);
        let (t, totals) = (&run["timing"], &run["totals"]);
        let total = number(&t["energy"]["total_pj"]);
        let energy = |v: &Value| number(&v["energy"]["total_pj"]);
        let units = ["neurons_pj", "synapses_pj", "axons_pj", "mesh_pj", "host_spikes_pj"];
        near(total, units.iter().map(|u| number(&t["energy"][u])).sum());
        near(total, sum(&t["cores"], energy) + energy(&t["host"]));
        near(total, sum(&t["layers"], energy));
        near(total, sum(&t["steps"], |s| number(&s["energy_pj"])) + number(&t["load"]["energy_pj"]));
        near(total, sum(&t["samples"], |s| number(&s["energy_pj"])));
        near(total, 20.0 * number(&t["energy_per_inference"]["mean_pj"]));
        for unit in units {
            near(number(&t["energy"][unit]), sum(&t["cores"], |c| number(&c["energy"][unit])) + number(&t["host"]["energy"][unit]));
        }
        let time = number(&t["time_ps"]);
        near(time, sum(&t["samples"], |s| number(&s["time_ps"])));
        near(time, sum(&t["bounds"], |b| number(&b["time_ps"])) + number(&t["load"]["time_ps"]));
        near(time, sum(&t["steps"], |s| number(&s["samples"]) * number(&s["time"]["mean_ps"])) + number(&t["load"]["time_ps"]));
        near(time, 20.0 * number(&t["latency_per_inference"]["mean_ps"]));
        assert!(number(&t["latency_per_inference"]["min_ps"]) <= number(&t["latency_per_inference"]["max_ps"]));
        near(number(&totals["chip_steps"]), sum(&t["bounds"], |b| number(&b["steps"])));
        near(1.0, sum(&t["bounds"], |b| number(&b["fraction_of_steps"])));
        near(1.0, sum(&t["bounds"], |b| number(&b["fraction_of_time"])));
        let cores = |key: &str| sum(&t["cores"], |c| number(&c[key]));
        near(cores("messages_in"), number(&totals["messages"]) + number(&totals["host_spikes"]));
        near(cores("messages_out"), number(&totals["messages"]));
        near(cores("synaptic_ops"), number(&totals["synaptic_ops"]));
        near(cores("spikes"), number(&totals["neuron_spikes"]));
        near(sum(&t["links"], |l| number(&l["messages"])), number(&totals["hops"]));
        assert!(cores("critical_steps") <= number(&totals["chip_steps"]));
        assert!(t["cores"].as_array().unwrap().iter().all(|c| number(&c["busy_fraction"]) <= 1.0));
        assert_eq!(t["host_writes"]["confidence"], "Assumed");
    }
    // What the cores hold, counted from the bits, is what the compiler counted, under the same names.
    let run = simulate(at, &["--json"]).ok().json();
    let compile: Value = serde_json::from_str(&std::fs::read_to_string(at.join("compile.json")).unwrap()).unwrap();
    let cores = run["utilization"].as_array().unwrap();
    assert!(cores.len() >= 5);
    for (mine, theirs) in cores.iter().zip(compile["core_usage"].as_array().unwrap()) {
        assert_eq!(mine["core"], theirs["core"]);
        for resource in mine["resources"].as_array().unwrap() {
            let same = |u: &&Value| ["resource", "used", "available"].iter().all(|key| u[key] == resource[key]);
            assert!(theirs["resources"].as_array().unwrap().iter().any(|u| same(&u)), "{resource} is not in {theirs}");
        }
    }
}

#[test]
fn the_summary_shows_what_binds() {
    let folder = compiled();
    let at = folder.path();
    let out = simulate(at, &["--timing", "cycle"]).ok().out;
    for text in [
        "latency per inference",
        "energy per inference",
        "energy goes to",
        "host writes, apart",
        "steps bound by",
        "  y 0  ",
        "slowest cores",
        "busiest links",
        "what binds: ",
        "estimates, not measurements",
        "Next: ",
    ] {
        assert!(out.contains(text), "no `{text}` in\n{out}");
    }
    assert!(simulate(at, &[]).ok().out.contains("Next: add --timing analytic"));
}

#[test]
fn messages_steps_and_cores_are_recorded() {
    let folder = compiled();
    let at = folder.path();
    let all = ["--timing", "cycle", "--json", "-o", "run.npz", "--record", "messages,steps,cores"];
    let run = simulate(at, &all).ok().json();
    let found = arrays(at, "run.npz");
    let column = |name: &str| numbers(&found, name);
    let total = |name: &str| column(name).iter().sum::<i64>() as f64;
    let messages = column("message_to").len() as f64;
    near(messages, number(&run["totals"]["messages"]) + number(&run["totals"]["host_spikes"]));
    near(total("message_synapses"), number(&run["totals"]["synaptic_ops"]));
    near(column("message_from").iter().filter(|c| **c == -1).count() as f64, number(&run["totals"]["host_spikes"]));
    assert!(column("message_sent_ps").iter().zip(column("message_done_ps")).all(|(sent, done)| *sent < done));
    assert!(column("message_sample").is_sorted());
    assert!(column("message_chip_step").iter().all(|s| (-1..41).contains(s)));
    let (n, steps) = (found["step_time_ps"].shape[0], found["step_time_ps"].shape[1]);
    assert_eq!((n, column("step_count")), (20, vec![steps as i64; 20]));
    near(total("step_time_ps") + total("sample_load_ps"), number(&run["timing"]["time_ps"]));
    near(total("sample_time_ps"), number(&run["timing"]["time_ps"]));
    let spikec_data::ArrayData::F64(energy) = &found["sample_energy_pj"].data else { panic!() };
    near(energy.iter().sum(), number(&run["timing"]["energy"]["total_pj"]));
    let cores = column("core");
    assert_eq!(cores.len(), run["timing"]["cores"].as_array().unwrap().len());
    assert_eq!(found["core_updates"].shape, [n, steps, cores.len()]);
    near(total("core_messages_out"), number(&run["totals"]["messages"]));
    near(total("core_spikes"), number(&run["totals"]["neuron_spikes"]));
    near(total("core_stalled_ps"), sum(&run["timing"]["cores"], |c| number(&c["stalled_ps"])));
    // Without the mesh there are no times of messages.
    simulate(at, &["--timing", "analytic", "-o", "run.npz", "--record", "messages"]).ok();
    let fewer = arrays(at, "run.npz");
    assert_eq!(numbers(&fewer, "message_to"), column("message_to"));
    assert!(!fewer.contains_key("message_sent_ps") && !fewer.contains_key("step_count"));
}

#[test]
fn chosen_neurons_are_recorded_and_watched() {
    let folder = compiled();
    let at = folder.path();
    simulate(at, &["-o", "a.npz", "--record", "potentials"]).ok();
    simulate(at, &["-o", "b.npz", "--neurons", "out"]).ok();
    let (a, b) = (arrays(at, "a.npz"), arrays(at, "b.npz"));
    assert_eq!(a["potentials"], b["probe_potentials"]);
    assert_eq!(numbers(&b, "probe_neuron"), [0, 1, 2, 3]);
    simulate(at, &["-o", "c.npz", "--record", "potentials", "--neurons", "ring:5..8", "--neurons", "ring:63,5"]).ok();
    let c = arrays(at, "c.npz");
    assert_eq!((numbers(&c, "probe_neuron"), numbers(&c, "probe_population")), (vec![5, 6, 7, 63], vec![1; 4]));
    assert_eq!(c["probe_currents"].shape, [20, 40, 4]);
    assert!(!c.contains_key("potentials"));
    // A watched compartment has the potential that its neuron has, `skew` chip steps later.
    let run = simulate(at, &["--watch", "0:3,1:0", "--watch", "2:5", "--json"]).ok().json();
    let watched = run["watch"].as_array().unwrap();
    assert_eq!(watched.len(), 3);
    for w in watched {
        let (population, neuron) = (w["neurons"][0][0].as_str().unwrap(), w["neurons"][0][1].as_u64().unwrap());
        simulate(at, &["-o", "d.npz", "--neurons", &format!("{population}:{neuron}"), "--samples", "1"]).ok();
        let v = numbers(&arrays(at, "d.npz"), "probe_potentials");
        let seen: Vec<i64> = w["steps"].as_array().unwrap().iter().map(|s| s["v"].as_i64().unwrap()).collect();
        assert!((0..=1).any(|skew| seen.get(skew..skew + 40) == Some(&v[..])), "{population} {neuron}");
    }
    assert!(simulate(at, &["--watch", "0:3"]).ok().out.contains("core 0, compartment 3 (neuron "));
}

#[test]
fn a_waveform_is_read_back() {
    let folder = compiled();
    let at = folder.path();
    let run = simulate(at, &["--timing", "cycle", "--vcd", "w.vcd", "--vcd-cores", "1,0", "--vcd-sample", "2", "--json"]).ok().json();
    let bytes = std::fs::read(at.join("w.vcd")).unwrap();
    let mut parser = vcd::Parser::new(&bytes[..]);
    let header = parser.parse_header().unwrap();
    assert_eq!(header.timescale, Some((1, vcd::TimescaleUnit::PS)));
    let id = |path: &[&str]| header.find_var(path).unwrap_or_else(|| panic!("{path:?}")).code;
    let (step, barrier, busy) = (id(&["chip", "step"]), id(&["chip", "barrier"]), id(&["chip", "core_0", "update"]));
    let received = [id(&["chip", "core_0", "received"]), id(&["chip", "core_1", "received"])];
    let (mut now, mut barriers, mut steps, mut last) = (0, 0, 0, [0; 2]);
    let mut up = false;
    for command in parser {
        match command.unwrap() {
            vcd::Command::Timestamp(t) => {
                assert!(t >= now);
                now = t;
            }
            vcd::Command::ChangeScalar(i, v) if i == barrier => barriers += usize::from(v == vcd::Value::V1),
            vcd::Command::ChangeScalar(i, v) if i == busy => up |= v == vcd::Value::V1,
            vcd::Command::ChangeVector(i, v) => {
                let value = v.iter().fold(0u64, |n, bit| n << 1 | u64::from(bit == vcd::Value::V1));
                if i == step {
                    steps = value;
                }
                if let Some(k) = received.iter().position(|r| *r == i) {
                    last[k] = value;
                }
            }
            _ => {}
        }
    }
    let sample = &run["timing"]["samples"][2];
    assert_eq!(Some(now), sample["time_ps"].as_u64());
    assert_eq!(Some(steps), sample["chip_steps"].as_u64());
    // The load phase ends with a barrier too.
    assert_eq!(Some(barriers as u64 - 1), sample["chip_steps"].as_u64());
    assert!(up);
    simulate(at, &["--timing", "cycle", "-o", "run.npz", "--record", "messages"]).ok();
    let found = arrays(at, "run.npz");
    for (core, last) in last.into_iter().enumerate() {
        let to = numbers(&found, "message_sample").into_iter().zip(numbers(&found, "message_to"));
        assert_eq!(to.filter(|m| *m == (2, core as i64)).count() as u64, last);
    }
}

#[test]
fn samples_end_when_they_are_decided() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), at.join(file)).unwrap();
    }
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb"]).ok();
    let whole = simulate(at, &["--timing", "analytic", "--json", "--curve", "c.json"]).ok().json();
    let all =
        ["--timing", "analytic", "--json", "--until", "decision", "-o", "run.npz", "--record", "steps,potentials", "--curve", "d.json"];
    let early = simulate(at, &all).ok().json();
    assert_eq!(early["predictions"], whole["predictions"]);
    assert!(whole["until_decision"].is_null());
    let u = &early["until_decision"];
    assert!(number(&u["mean_network_steps"]) < 7.0 && number(&u["chip_steps"]) < number(&u["chip_steps_of_whole_samples"]));
    assert_eq!(u["chip_steps_of_whole_samples"], whole["totals"]["chip_steps"]);
    assert!(number(&early["timing"]["time_ps"]) < number(&whole["timing"]["time_ps"]));
    // Shorter samples are padded.
    let found = arrays(at, "run.npz");
    let (counts, times) = (numbers(&found, "step_count"), numbers(&found, "step_time_ps"));
    let steps = found["step_time_ps"].shape[1];
    assert!(counts.iter().min() < counts.iter().max());
    for (k, row) in times.chunks(steps).enumerate() {
        assert!(row.iter().enumerate().all(|(s, t)| (*t > 0) == (s < counts[k] as usize)));
    }
    assert_eq!(found["potentials"].shape, [500, 8, 10]);
    assert_eq!(numbers(&found, "network_steps").iter().sum::<i64>() as f64, 500.0 * number(&u["mean_network_steps"]));
    // The curve ends at the accuracy, time and energy of whole samples.
    let curve: Value = serde_json::from_str(&std::fs::read_to_string(at.join("c.json")).unwrap()).unwrap();
    let points = curve["points"].as_array().unwrap();
    assert_eq!((points.len(), &curve["compared_with"]), (8, &Value::from("labels")));
    let last = points.last().unwrap();
    assert_eq!((&last["accuracy"], &last["steps"]), (&whole["accuracy"], &Value::from(8)));
    near(number(&last["mean_time_ps"]), number(&whole["timing"]["latency_per_inference"]["mean_ps"]));
    near(number(&last["mean_energy_pj"]), number(&whole["timing"]["energy_per_inference"]["mean_pj"]));
    let rises = |key: &str| points.windows(2).all(|p| number(&p[0][key]) < number(&p[1][key]));
    assert!(rises("mean_time_ps") && rises("mean_energy_pj"));
    let of_early: Value = serde_json::from_str(&std::fs::read_to_string(at.join("d.json")).unwrap()).unwrap();
    assert_eq!(of_early["points"][7]["correct"], last["correct"]);
    assert!(number(&of_early["points"][7]["mean_time_ps"]) < number(&last["mean_time_ps"]));
}

#[test]
fn a_curve_without_labels_shows_agreement() {
    let folder = compiled();
    let at = folder.path();
    let out = simulate(at, &["--curve", "c.json"]).ok().out;
    assert!(out.contains("agreement with the last step after 1 to 40 steps"), "{out}");
    let curve: Value = serde_json::from_str(&std::fs::read_to_string(at.join("c.json")).unwrap()).unwrap();
    assert_eq!((&curve["compared_with"], &curve["points"][39]["accuracy"]), (&Value::from("last step"), &Value::from(1.0)));
    assert!(curve["points"][0].get("mean_time_ps").is_none());
}

#[test]
fn what_can_not_be_done_is_named_and_nothing_is_written() {
    let folder = compiled();
    let at = folder.path();
    let before = std::fs::read_dir(at).unwrap().count();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--timing", "slow"], &["slow", "analytic"]),
        (&["--vcd", "w.vcd"], &["--vcd", "--timing cycle"]),
        (&["--vcd", "w.vcd", "--timing", "analytic"], &["--vcd", "--timing cycle"]),
        (&["--vcd-cores", "0"], &["--vcd"]),
        (&["--record", "messages", "-o", "run.npz"], &["messages", "--timing analytic"]),
        (&["--record", "steps", "-o", "run.npz"], &["steps", "--timing analytic"]),
        (&["--record", "cores", "-o", "run.npz"], &["cores", "--timing analytic"]),
        (&["--record", "spikes"], &["-o RUN.npz"]),
        (&["--neurons", "out"], &["--neurons", "-o RUN.npz"]),
        (&["--neurons", "hidden", "-o", "run.npz"], &["hidden", "in, ring, out"]),
        (&["--neurons", "out:4", "-o", "run.npz"], &["out:4", "0 to 3"]),
        (&["--neurons", "in:0", "-o", "run.npz"], &["spikes are the data"]),
        (&["--watch", "77:0"], &["net.spkb", "core 77"]),
        (&["--watch", "0:16"], &["net.spkb", "compartment 16", "0 to 13"]),
        (&["--watch", "zero"], &["CORE:COMPARTMENT"]),
        (&["--timing", "cycle", "--vcd", "w.vcd", "--vcd-cores", "0,99"], &["core 99", "the cores 0, 1"]),
        (&["--timing", "cycle", "--vcd", "w.vcd", "--vcd-sample", "20"], &["20 samples", "0 to 19"]),
        (&["--timing", "cycle", "--vcd", "w.vcd", "--steps", "900000"], &["changes", "--vcd-cores"]),
        (&["--until", "bored"], &["decision"]),
        (&["--report", "no/r.json"], &["no/r.json"]),
        (&["--curve", "no/c.json"], &["no/c.json"]),
        (&["--timing", "cycle", "--vcd", "no/w.vcd"], &["no/w.vcd"]),
        (&["-o", "run.npz", "--neurons", "ring", "--steps", "1000000"], &["GiB", "potentials of neurons", "--samples"]),
        (&["-o", "run.npz", "--timing", "cycle", "--record", "cores", "--steps", "1000000"], &["GiB", "cores"]),
    ];
    for (arguments, says) in cases {
        simulate(at, arguments).fails(2, says);
        assert_eq!(std::fs::read_dir(at).unwrap().count(), before, "{arguments:?}");
    }
}
