//! Random networks of Brian2Loihi 0.5.2 (shared oracle vectors): spikes and v must be equal, bit for bit.

mod common;

use common::{axon, boot, bundle, core, place, population, profile, sends, synapse};
use spikec_chip::bundle::Place;
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, Sign};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_sim::{Record, RunOptions};
use std::io::Read;

fn int(x: &serde_json::Value) -> i64 {
    x.as_i64().unwrap()
}

fn list(x: &serde_json::Value) -> &[serde_json::Value] {
    x.as_array().unwrap()
}

#[test]
fn brian2loihi_networks_are_reproduced() {
    let Some(file) = common::shared_dir().map(|d| d.join("oracle/loihi1_brian2.json.gz")).filter(|f| f.is_file()) else {
        eprintln!("loihi1_brian2.json.gz is not there: skipped");
        return;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut spikes, mut states) = (0, 0);
    for case in list(&cases) {
        let (s, v) = check(case);
        spikes += s;
        states += v;
    }
    assert!(spikes > 1000 && states > 10_000, "the vectors hold too little: {spikes} spikes, {states} states");
}

/// Runs a case once for each population, each time as the output; gives the numbers of spikes and states compared.
fn check(case: &serde_json::Value) -> (usize, usize) {
    let populations = list(&case["populations"]);
    let projections = list(&case["projections"]);
    // Each population on its own core: skew 0 everywhere, since a delay register r between neurons is a net delay 1 + r.
    let mut cores = Vec::new();
    for (k, p) in populations.iter().enumerate() {
        let parameters = profile(int(&p["decay_u"]) as u16, int(&p["decay_v"]) as u16, int(&p["refractory"]) as u8);
        let mut tables = core(k as u32, &vec![(parameters, int(&p["threshold_mant"]) as u32); int(&p["n"]) as usize]);
        tables.delay_bits = 6;
        tables.formats.clear();
        cores.push(tables);
    }
    let n_input = int(&case["n_input"]) as usize;
    let mut inputs: Vec<Vec<Place>> = vec![Vec::new(); n_input];
    let mut routes: Vec<Vec<Vec<Place>>> = populations.iter().map(|p| vec![Vec::new(); int(&p["n"]) as usize]).collect();
    for p in projections {
        let post = int(&p["post"]) as usize;
        let mixed = int(&p["sign_mode"]) == 1;
        let bits = int(&p["weight_bits"]) as u8;
        let format = SynapseFormat {
            weight_bits: if bits == 7 { 8 } else { bits },
            index_bits: 10,
            skip_bits: 0,
            delay_bits: 6,
            compression: Compression::Sparse,
            sign: [Sign::Mixed, Sign::Excitatory, Sign::Inhibitory][int(&p["sign_mode"]) as usize - 1],
            exponent: int(&p["weight_exp"]) as i8,
        };
        cores[post].formats.push(format);
        let id = cores[post].formats.len() as u8 - 1;
        let grid = 1 << (8 - bits + u8::from(mixed));
        let pre = int(&p["pre"]);
        let sources = if pre < 0 { &mut inputs } else { &mut routes[pre as usize] };
        for (i, places) in sources.iter_mut().enumerate() {
            let mut synapses: Vec<_> = (0..list(&p["w"]).len())
                .filter(|&k| int(&p["i"][k]) as usize == i)
                .map(|k| synapse(int(&p["j"][k]) as u16, (int(&p["w"][k]) / grid * grid) as i16, int(&p["delay"][k]) as u8))
                .collect();
            synapses.sort_by_key(|s| s.index);
            if !synapses.is_empty() {
                places.push(place(post as u32, axon(&mut cores[post], id, &synapses)));
            }
        }
    }
    for (tables, routes) in cores.iter_mut().zip(&routes) {
        for (i, to) in routes.iter().enumerate() {
            sends(tables, i, to);
        }
    }
    let steps = int(&case["steps"]) as usize;
    let mut train = vec![Vec::new(); steps];
    for event in list(&case["input"]) {
        train[int(&event[1]) as usize].push(int(&event[0]) as u32);
    }
    let sample = Stimulus::Spikes(SpikeTrain::from_steps(n_input as u32, train));
    let options =
        RunOptions { steps: None, record: Record { spikes: true, potentials: true, ..Record::default() }, ..RunOptions::default() };
    let mut compared = (0, 0);
    for output in 0..populations.len() {
        let places: Vec<Place> = (0..cores[output].compartments.len()).map(|k| place(output as u32, k as u16)).collect();
        let run = boot(&bundle(&cores, inputs.clone(), vec![population("output", 0, &places)])).run(&sample, &options).unwrap();
        let found: Vec<(i64, i64)> = run.spikes.iter().map(|e| (e.step.into(), e.neuron.into())).collect();
        let mut expected: Vec<(i64, i64)> = list(&case["spikes"][output]).iter().map(|e| (int(&e[0]), int(&e[1]))).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "spikes of population {output}, seed {}", case["seed"]);
        for (step, v) in run.output_potentials.iter().enumerate() {
            let expected: Vec<i64> = list(&case["v"][output][step]).iter().map(int).collect();
            let found: Vec<i64> = v.iter().map(|&x| x.into()).collect();
            assert_eq!(found, expected, "v of population {output} at step {step}, seed {}", case["seed"]);
            compared.1 += v.len();
        }
        compared.0 += found.len();
    }
    compared
}
