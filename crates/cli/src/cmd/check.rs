//! `spikec check`: will it fit?

use super::compile::Job;
use crate::args::CheckArgs;
use crate::failure::{DOES_NOT_FIT, Failure};
use crate::files::Files;
use spikec_compile::Severity;

/// Runs the command.
pub fn run(args: &CheckArgs, json: bool) -> Result<u8, Failure> {
    let job = Job::resolve(&args.network, &args.mapping, &mut Files::default())?;
    let findings = job.check()?;
    let fits = findings.iter().all(|f| f.severity != Severity::Error);
    if json {
        super::print_json(&serde_json::json!({ "target": job.target.name, "fits": fits, "findings": findings }));
    } else {
        super::print(&job.header());
        for finding in &findings {
            super::print(&format!("  {finding}"));
        }
        let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
        super::print(&if fits {
            format!("fits {} ({} warnings)", job.target.name, findings.len())
        } else {
            format!("does not fit {}: {errors} errors, {} warnings", job.target.name, findings.len() - errors)
        });
    }
    Ok(if fits { 0 } else { DOES_NOT_FIT })
}
