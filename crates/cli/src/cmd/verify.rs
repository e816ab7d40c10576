//! `spikec verify`: is the bundle the network?

use crate::args::{DiscretizationArg, NetworkArgs, VerifyArgs};
use crate::failure::{BAD_INPUT, Failure, NO};
use crate::load::{self, Coding, Prepared};
use crate::progress;
use spikec_chip::Bundle;
use spikec_data::DataSet;
use spikec_report::verify::VerifyReport;
use spikec_sim::Machine;
use spikec_verify::{Given, check_behaviour, check_image, loss};
use std::path::Path;

/// Runs the command.
pub fn run(args: &VerifyArgs, json: bool) -> Result<u8, Failure> {
    let bundle = load::bundle(&args.bundle)?;
    let mut network = args.network.clone();
    // What the network file can't say is what the bundle was compiled with, unless told otherwise.
    let option = |name: &str| bundle.provenance.options.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    network.repair_edges |= option("repair-edges").is_some();
    network.dt = network.dt.or_else(|| option("dt").and_then(|v| v.parse().ok()));
    network.convention = network.convention.or_else(|| option("convention").map(str::to_string));
    network.discretization = network.discretization.or_else(|| match option("discretization") {
        Some("euler") => Some(DiscretizationArg::Euler),
        Some("exact") => Some(DiscretizationArg::Exact),
        _ => None,
    });
    let (model, _) = load::network_again(&args.network, &network)?;
    let hard = option("reset") == Some("hard");
    let prepared = load::prepare(&network.network, model, Coding::of_encoder(&bundle.host.encoder), hard)?;
    let set = args.input.as_deref().map(|p| load::data(p, args.samples)).transpose()?;
    if let (Some(set), Some(path)) = (&set, &args.input) {
        load::check_labels(set, path, &bundle)?;
    }
    let trained = match &args.trained {
        Some(path) => {
            let arguments = NetworkArgs { network: path.clone(), ..network.clone() };
            Some(load::prepare(path, load::network(&arguments)?.0, Coding::of_encoder(&bundle.host.encoder), false)?)
        }
        None => None,
    };
    let against = trained.as_ref().unwrap_or(&prepared);
    let report = verify(&bundle, &args.bundle, (&prepared, against), set.as_ref().zip(args.input.as_deref()), args.steps)?;
    if json {
        super::print_json(&report);
    } else {
        super::print(&report.text());
    }
    Ok(if report.holds() { 0 } else { NO })
}

/// The image check and, with data, the behaviour check, and the loss against the second network.
pub fn verify(
    bundle: &Bundle,
    path: &Path,
    (prepared, against): (&Prepared, &Prepared),
    data: Option<(&DataSet, &Path)>,
    steps: Option<u32>,
) -> Result<VerifyReport, Failure> {
    let given = match prepared {
        Prepared::Trained { net, digest, .. } => Given::Trained { net, digest: *digest },
        Prepared::Registers { net, digest } => Given::Registers { net, digest: *digest },
    };
    let image = check_image(bundle, &given).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
    let (mut behaviour, mut loss_report) = (None, None);
    if let Some((set, data_path)) = data {
        match Machine::boot(bundle.loadable()) {
            Ok(machine) => {
                let bar = progress::samples("verifying", set.samples.len());
                let verdict = check_behaviour(bundle, &machine, &set.samples, steps, &|| bar.inc(1));
                bar.finish_and_clear();
                behaviour = Some(verdict.map_err(|e| Failure::file(data_path, &e).hint(e.hint()))?);
            }
            Err(e) if image.holds() => return Err(Failure::file(path, &e).hint(e.hint()).code(BAD_INPUT)),
            Err(_) => {} // the image check says why
        }
        if let Prepared::Trained { plain, .. } = against {
            let bar = progress::samples("comparing", set.samples.len());
            let result = loss(plain, bundle, set, steps, &|| bar.inc(1));
            bar.finish_and_clear();
            loss_report = Some(result.map_err(|e| Failure::file(data_path, &e).hint(e.hint()))?);
        }
    }
    Ok(VerifyReport { image, behaviour, loss: loss_report })
}
