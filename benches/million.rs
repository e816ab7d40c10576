//! A network of a million neurons from file to verdict: time and memory of each stage.
//!
//! Run with `cargo bench -p spikec --bench million [-- NET.ron]`. Without a file a pruned convolutional network (1,067,108 neurons, about 12 million
//! synapses) is made as the example `instance_network` of `spikec-testkit` makes it. It is compiled for `loihi1_nahuku32`, written, read back,
//! checked against the network and simulated at every timing level; spikes must be the reference's. A stage's memory is the peak of the process
//! while it ran, what earlier stages left included.

mod stages;

use spikec_chip::Bundle;
use spikec_compile::emit::{HostOptions, emit};
use spikec_compile::lower::{LowerOptions, lower};
use spikec_compile::pack::Wiring;
use spikec_compile::partition::{Search, partitioners};
use spikec_compile::place::PlaceOptions;
use spikec_compile::place::place;
use spikec_compile::{CompileOptions, Input, Kernels, PARTITIONERS, Partitioned, compile, quantize};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_import::{ImportOptions, Model};
use spikec_sim::{Level, Machine, RunOptions};
use spikec_testkit::instance::{Stack, model};
use spikec_verify::{Given, check_behaviour, check_image};
use stages::stage;
use std::path::PathBuf;

const STEPS: usize = 32;

fn main() {
    let folder = std::env::temp_dir().join(format!("spikec-million-{}", std::process::id()));
    let given = std::env::args().skip(1).find(|a| !a.starts_with("--")).map(PathBuf::from);
    let path = given.clone().unwrap_or_else(|| {
        let path = folder.join("million.ron");
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        stage("make the network", || {
            let model = model(&Stack::MILLION.graph(), "million", "million.npz", 1);
            std::fs::write(&path, &model.ron).expect("written");
            std::fs::write(path.with_extension("npz"), model.npz()).expect("written");
        });
        path
    });
    let net = stage("import", || {
        let load = |p: &std::path::Path| std::fs::read(p);
        let text = std::fs::read(&path).expect("readable");
        match spikec_import::read(&path, &text, &ImportOptions::default(), &load).expect("a network").model {
            Model::Registers(net) => net,
            Model::Trained(_) => panic!("not in chip integers"),
        }
    });
    if given.is_none() {
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }
    println!("{}: {} neurons, {} synapses", net.name, net.neuron_count(), net.synapse_count());
    let digest = stage("digest", || net.digest());
    let target = spikec_chip::find("loihi1_nahuku32").expect("built in");
    let options = CompileOptions::default();

    // Stage by stage, then as users run it.
    {
        let (lowered, _) = stage("lower", || lower(net.clone(), &target, &LowerOptions::default()).expect("it lowers"));
        let (q, _) = stage("adopt", || quantize::adopt_all(lowered, digest, &target));
        stage("wiring", || Wiring::new(&q, &target, Kernels::Auto).synapse_count());
        let search = Search::default();
        let strategies = partitioners(PARTITIONERS[0], &search, q.net.synapse_count()).expect("known");
        let mapped = strategies.iter().find(|s| s.name() == PARTITIONERS[0]).expect("one of the portfolio");
        let proposal = stage("partition and placement", || mapped.propose(&q, &target));
        println!("{} parts", proposal.parts.len());
        let partitioned = stage("pack and count", || Partitioned::new(&q, proposal, &target).expect("it fits"));
        let how = PlaceOptions { effort: search.effort, seed: search.seed, rates: &search.rates };
        let placed = place(partitioned, &target, &how).expect("it fits");
        let host = HostOptions { encoder: options.encoder.clone(), decoder: options.decoder, default_steps: None };
        let provenance = spikec_chip::bundle::Provenance {
            tool: "bench".into(),
            network_name: net.name.clone(),
            network_digest: String::new(),
            options: Vec::new(),
            seed: 0,
        };
        stage("emit", || emit(&q, &placed, &target, host, provenance));
    }
    let compiled = stage("compile, all of it", || {
        compile(Input::Registers { net: &net, digest }, &target, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"))
    });
    stage("report as text and JSON", || {
        let text = spikec_report::compile::text(&compiled.report);
        assert!(text.lines().count() < 100, "a report that nobody reads");
        serde_json::to_string(&compiled.report).expect("plain data").len()
    });
    println!("{} cores", compiled.report.cores);
    let bytes = stage("write the bundle", || compiled.bundle.to_bytes());
    drop(compiled);
    let bundle = stage("read the bundle", || Bundle::from_bytes(&bytes).expect("our own bundle"));
    println!("{:.1} MB", bytes.len() as f64 / 1e6);
    drop(bytes);
    let image = stage("check the image", || check_image(&bundle, &Given::Registers { net: &net, digest }).expect("comparable"));
    assert!(image.holds(), "{:?}", image.differences);
    drop(net);

    let sample = Stimulus::Spikes(SpikeTrain::from_steps(bundle.host.input_width, vec![Vec::new(); STEPS]));
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        let machine = stage(&format!("boot, {level:?}"), || Machine::boot_timed(bundle.loadable(), level).expect("it boots"));
        let run = stage(&format!("{STEPS} steps, {level:?}"), || machine.run(&sample, &RunOptions::default()).expect("it runs"));
        let c = &run.counters;
        println!("{} spikes, {} messages, {} synaptic operations", c.neuron_spikes, c.messages, c.synaptic_ops);
        if level == Level::None {
            let verdict =
                stage("both engines, compared", || check_behaviour(&bundle, &machine, std::slice::from_ref(&sample), None, &|| ()));
            let verdict = verdict.expect("comparable");
            assert!(verdict.holds(), "{:?}", verdict.first_divergence);
            assert!(verdict.spikes > 0, "a silent network proves nothing");
        }
    }
}
