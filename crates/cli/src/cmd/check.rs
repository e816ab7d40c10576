//! `spikec check`: will it fit?

use super::compile::{Job, refuse_auto};
use crate::args::CheckArgs;
use crate::failure::{DOES_NOT_FIT, Failure};
use crate::files::Files;
use spikec_compile::{Severity, finding_lines};

/// Runs the command.
pub fn run(args: &CheckArgs, json: bool) -> Result<u8, Failure> {
    refuse_auto(&args.mapping, "check the widths that compile finds, by name")?;
    let job = Job::resolve(&args.network, &args.mapping, &mut Files::default())?;
    let findings = job.check()?;
    let fits = findings.iter().all(|f| f.severity != Severity::Error);
    let explanation = (args.explain && fits).then(|| job.explain()).transpose()?;
    if json {
        let mut report = serde_json::json!({ "target": job.target.name, "fits": fits, "findings": findings });
        if let Some(explanation) = explanation {
            report["certificate"] = serde_json::json!(explanation);
        }
        super::print_json(&report);
    } else {
        super::print(&job.header());
        for line in finding_lines(&findings) {
            super::print(&format!("  {line}"));
        }
        let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
        super::print(&if fits {
            format!("fits {} ({} warnings)", job.target.name, findings.len())
        } else {
            format!("does not fit {}: {errors} errors, {} warnings", job.target.name, findings.len() - errors)
        });
        if let Some(explanation) = &explanation {
            super::print(&spikec_report::certificate::text(explanation));
        }
    }
    Ok(if fits { 0 } else { DOES_NOT_FIT })
}
