//! `spikec data random`: random spikes into DATA.npz.

use crate::args::RandomArgs;
use crate::failure::Failure;
use crate::files::Files;
use spikec_data::{DataSet, Stimulus, poisson};

/// Runs the command.
pub fn run(args: &RandomArgs, json: bool) -> Result<u8, Failure> {
    let RandomArgs { channels, steps, rate, samples, seed, .. } = *args;
    if !(0.0..=1.0).contains(&rate) {
        return Err(Failure::input(format!("--rate {rate}: a probability is from 0 to 1")));
    }
    let output = Files::default().output(&args.output)?;
    let (each, samples_wide) = (u64::from(steps) * u64::from(channels), u64::from(samples));
    // One draw for each channel and step: what would take hours is refused as well as what could not be read back.
    const MOST_DRAWS: u64 = 1 << 36;
    let fail = |e: &dyn std::fmt::Display| Failure::file(&args.output, e).hint("use fewer --steps, --channels or --samples");
    if each >= 1 << 32 || each.saturating_mul(samples_wide) > MOST_DRAWS {
        return Err(fail(&format_args!("{channels} channels for {steps} steps in {samples} samples are too many to draw")));
    }
    let spikes = (each as f64 * f64::from(samples) * f64::from(rate)).ceil() as u64;
    DataSet::check_size(samples_wide, steps.into(), spikes).map_err(|e| fail(&e))?;
    let rates = vec![rate; channels as usize];
    let drawn = (0..samples_wide).map(|k| Stimulus::Spikes(poisson(&rates, steps, seed, k))).collect();
    output.commit(&DataSet { width: channels, samples: drawn, labels: None }.to_npz())?;
    let what = format!("{steps} steps, each channel spikes with probability {rate}, seed {seed}");
    if json {
        crate::cmd::print_json(&serde_json::json!({ "samples": samples, "width": channels, "coding": what, "output": args.output }));
    } else {
        crate::cmd::print(&format!("{}: {samples} samples of {channels} channels, {what}", args.output.display()));
    }
    Ok(0)
}
