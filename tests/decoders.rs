//! Decoders from outside: what `compile --decoder` chooses is what `simulate` predicts and `verify` accepts.

mod common;

use common::{example, spikec};
use spikec_data::read_npz;

/// Index of the first of the largest.
fn best<T: PartialOrd + Copy>(scores: &[T]) -> i64 {
    let mut winner = 0;
    for k in 1..scores.len() {
        if scores[k] > scores[winner] {
            winner = k;
        }
    }
    winner as i64
}

#[test]
fn predictions_follow_from_the_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), at.join(file)).unwrap();
    }
    let (samples, steps, outputs) = (500, 8, 10);
    let mut seen = Vec::new();
    for decoder in ["count", "first-spike", "vote:2", "vote:5", "potential", "spikes"] {
        spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--decoder", decoder]).ok();
        let data = ["--input", "samples.npz", "--samples", "500"];
        // The labels are digits; a vote has fewer classes. From here on there are none.
        if decoder == "vote:2" {
            spikec(at, &[&["simulate", "net.spkb"], &data[..]].concat()).fails(2, &["classes", "label"]);
            let mut set = spikec_data::DataSet::from_bytes(&std::fs::read(at.join("samples.npz")).unwrap(), None).unwrap();
            set.labels = None;
            std::fs::write(at.join("samples.npz"), set.to_npz()).unwrap();
        }
        let record = ["--record", "spikes,potentials", "-o", "run.npz", "--json"];
        let report = spikec(at, &[&["simulate", "net.spkb"], &data[..], &record[..]].concat()).ok().json();
        let run = read_npz(&std::fs::read(at.join("run.npz")).unwrap()).unwrap();
        let [sample, t, i, population] =
            ["events_sample", "events_t", "events_i", "events_population"].map(|name| run[name].to_i64().unwrap());
        let output = *population.iter().max().unwrap();
        let mut counts = vec![vec![0u32; outputs]; samples];
        // Earlier is better: steps left after the first spike.
        let mut early = vec![vec![0i64; outputs]; samples];
        for k in (0..sample.len()).filter(|&k| population[k] == output) {
            let (n, i) = (sample[k] as usize, i[k] as usize);
            counts[n][i] += 1;
            early[n][i] = early[n][i].max(steps - t[k]);
        }
        let potentials = run["potentials"].to_i64().unwrap();
        let last = |n: usize| &potentials[(n + 1) * steps as usize * outputs - outputs..][..outputs];
        let expected: Vec<i64> = (0..samples)
            .map(|n| match decoder {
                "first-spike" => best(&early[n]),
                "potential" => best(last(n)),
                "vote:2" | "vote:5" => {
                    let group = if decoder == "vote:2" { 2 } else { 5 };
                    best(&counts[n].chunks(group).map(|g| g.iter().sum::<u32>()).collect::<Vec<_>>())
                }
                _ => best(&counts[n]),
            })
            .collect();
        assert_eq!(run["prediction"].to_i64().unwrap(), expected, "{decoder}");
        let printed: Vec<i64> = report["predictions"].as_array().unwrap().iter().map(|p| p.as_i64().unwrap()).collect();
        assert_eq!(printed, expected, "{decoder}");
        let verdict = spikec(at, &["verify", "net.nir", "net.spkb", "--input", "samples.npz", "--samples", "10", "--json"]).ok().json();
        assert_eq!((&verdict["image"]["total"], &verdict["behaviour"]["equal"]), (&0.into(), &10.into()), "{decoder}");
        seen.push(expected);
    }
    assert_eq!(seen[0], seen[5], "`spikes` predicts as `count`");
    assert!((1..5).all(|k| seen[..k].iter().all(|other| *other != seen[k])), "the decoders differ on this data");
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "x.spkb", "--decoder", "loudest"]).fails(2, &["loudest", "count"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "x.spkb", "--decoder", "vote:3"]).fails(2, &["vote:3", "multiple of 3"]);
    assert!(!at.join("x.spkb").exists());
}
