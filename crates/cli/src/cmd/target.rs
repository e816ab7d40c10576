//! `spikec target`: list, show, check.

use crate::args::TargetCommand;
use crate::failure::{BAD_INPUT, Failure};
use crate::load;
use spikec_report::target::Summary;
use std::path::Path;

/// Runs the command.
pub fn run(command: &TargetCommand, json: bool) -> Result<u8, Failure> {
    match command {
        TargetCommand::List => {
            let targets = spikec_chip::builtin().iter().filter_map(|(name, _)| spikec_chip::find(name).ok());
            let targets: Vec<Summary> = targets.map(|t| Summary::new(&t)).collect();
            if json {
                super::print_json(&targets);
            } else {
                super::print(&spikec_report::target::list(&targets));
            }
            Ok(0)
        }
        TargetCommand::Show { target } => {
            let target = load::target(target)?;
            if json {
                super::print_json(&target);
            } else {
                super::print(&spikec_report::target::text(&target));
            }
            Ok(0)
        }
        TargetCommand::Check { target } => {
            let (name, findings) = if load::is_target_file(target) {
                let (t, findings) = load::target_file(Path::new(target))?;
                (t.name, findings)
            } else {
                let t = load::target(target)?;
                let findings = t.check().iter().map(|f| f.to_string()).collect();
                (t.name, findings)
            };
            if json {
                super::print_json(&serde_json::json!({ "target": name, "findings": findings }));
            } else if findings.is_empty() {
                super::print(&format!("{name}: no contradictions"));
            } else {
                let lines: Vec<String> = findings.iter().map(|f| format!("  {f}")).collect();
                super::print(&format!("{name}: {} findings\n{}", findings.len(), lines.join("\n")));
            }
            Ok(if findings.is_empty() { 0 } else { BAD_INPUT })
        }
    }
}
