//! What is compiled for a built-in target boots and verifies. Targets with one or two numbers changed: whatever passes the target's own check
//! compiles or is refused with findings, and what is compiled boots and verifies.

use spikec_chip::Target;
use spikec_chip::target::Family;
use spikec_compile::{CompileOptions, Input};
use spikec_data::Stimulus;
use spikec_net::{Fixed, Float, InputKind, Net};
use spikec_sim::Machine;
use spikec_testkit::generate;
use spikec_verify::{Given, check_behaviour, check_image};
use std::panic::{AssertUnwindSafe, catch_unwind};

const EDGES: [i64; 22] =
    [-129, -8, 0, 1, 2, 3, 5, 7, 9, 12, 13, 16, 24, 28, 31, 200, 4096, 65_535, 536_870_912, i32::MAX as i64, u32::MAX as i64, i64::MIN];

/// loihi1 with the `mark`-th number replaced by an edge; `None` where that can't be read.
fn variant(text: &str, mark: usize, second: bool, edge: i64) -> Option<(String, Target)> {
    let (at, _) = text.match_indices("(value: ").nth(mark)?;
    let key = text[..at].trim_end_matches([':', ' ']).rsplit([' ', '\n', '(']).next()?.to_string();
    let start = at + "(value: ".len();
    let open = text[start..].starts_with(['(', '[']);
    if second && !open {
        return None;
    }
    let end = start + text[start..].find([']', ')', if open { ')' } else { ',' }])?;
    let value = text[start..end].trim_start_matches(['(', '[']);
    let mut numbers: Vec<String> = value.split(',').map(|n| n.trim().to_string()).collect();
    let edge = if edge == i64::MIN { numbers[0].parse::<i64>().ok()? - 1 } else { edge };
    let place = if second { numbers.last_mut()? } else { numbers.first_mut()? };
    place.parse::<i64>().ok()?;
    *place = edge.to_string();
    let mut changed = text.to_string();
    changed.replace_range(start + open as usize..end, &numbers.join(", "));
    Some((format!("{key} = {}", numbers.join(", ")), Target::parse_ron(&changed).ok()?))
}

fn registers(seed: u64) -> Net<Fixed> {
    generate::random_fixed_net(seed, 6)
}

fn trained(seed: u64) -> Net<Float> {
    generate::random_network(seed).elaborate(InputKind::Spikes).unwrap()
}

/// Compiles, boots and verifies; true when it compiled.
fn goes_through(input: Input, given: Given, width: u32, target: &Target) -> bool {
    let compiled = match spikec_compile::compile(input, target, &CompileOptions::default(), &mut |_| ()) {
        Ok(compiled) => compiled,
        Err(e) => {
            assert!(!e.hint().is_empty(), "{e}");
            return false;
        }
    };
    let bundle = spikec_chip::Bundle::from_bytes(&compiled.bundle.to_bytes()).unwrap_or_else(|e| panic!("container: {e}"));
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("boot: {e}"));
    let verdict = check_image(&bundle, &given).unwrap_or_else(|e| panic!("image check: {e}"));
    assert!(verdict.holds(), "image: {}", verdict.differences[0]);
    let sample = Stimulus::Spikes(generate::random_spikes(7, width, 12, 0.4));
    let behaviour = check_behaviour(&bundle, &machine, &[sample], Some(12), &|| ()).unwrap_or_else(|e| panic!("behaviour: {e}"));
    assert!(behaviour.holds(), "behaviour: {:?}", behaviour.first_divergence);
    true
}

fn width<N: spikec_net::Number>(net: &Net<N>) -> u32 {
    net.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len() as u32).sum()
}

#[test]
fn every_builtin_target_boots_and_verifies() {
    for (name, _) in spikec_chip::builtin() {
        let target = spikec_chip::find(name).unwrap();
        // Nets of these neurons are none that crossbars can be: tests/crossbar_verify.rs has its own.
        if !matches!(target.family, Family::Packed(_)) {
            continue;
        }
        let mut registers_compiled = 0;
        for seed in 0..6 {
            let float = trained(seed);
            let input = Input::Trained { net: &float, digest: [1; 32] };
            let given = Given::Trained { net: &float, digest: [1; 32] };
            assert!(goes_through(input, given, width(&float), &target), "{name}, seed {seed}");
            let fixed = registers(seed);
            let digest = fixed.digest();
            let (input, given) = (Input::Registers { net: &fixed, digest }, Given::Registers { net: &fixed, digest });
            registers_compiled += usize::from(goes_through(input, given, width(&fixed), &target));
        }
        // Not every random net in chip integers fits, and none with a sign mode that the target lacks.
        let one_sign = target.packed().weights.signs.len() == 1;
        assert!(one_sign || registers_compiled > 3, "{name}: {registers_compiled} of 6 nets in chip integers");
    }
}

#[test]
fn targets_that_pass_their_check_boot_and_verify() {
    let text = spikec_chip::builtin().iter().find(|(name, _)| *name == "loihi1").unwrap().1;
    let marks = text.matches("(value: ").count();
    let (float, fixed) = (trained(3), registers(5));
    let (mut passing, mut compiled, mut bad) = (0, 0, Vec::new());
    for (mark, second) in (0..marks).flat_map(|m| [(m, false), (m, true)]) {
        for (name, target) in EDGES.iter().filter_map(|&edge| variant(text, mark, second, edge)) {
            if !target.check().is_empty() {
                continue;
            }
            passing += 1;
            let run = || {
                let a = goes_through(
                    Input::Trained { net: &float, digest: [1; 32] },
                    Given::Trained { net: &float, digest: [1; 32] },
                    width(&float),
                    &target,
                );
                let digest = fixed.digest();
                let b = goes_through(
                    Input::Registers { net: &fixed, digest },
                    Given::Registers { net: &fixed, digest },
                    width(&fixed),
                    &target,
                );
                usize::from(a) + usize::from(b)
            };
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(n) => compiled += n,
                Err(e) => {
                    let text = e.downcast_ref::<String>().cloned().or(e.downcast_ref::<&str>().map(|s| s.to_string()));
                    bad.push(format!("{name}: {}", text.unwrap_or_default()));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} of {passing} targets:\n{}", bad.len(), bad.join("\n"));
    assert!(passing > 300 && compiled > 300, "{passing} pass, {compiled} compiled");
}
