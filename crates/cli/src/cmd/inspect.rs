//! `spikec inspect`: a network, a bundle or a target as text or JSON; the difference of two.

use crate::args::{FormatArg, InspectArgs, NetworkArgs};
use crate::diff::diff;
use crate::failure::{Failure, NO};
use crate::files::Files;
use crate::load;
use serde_json::Value;
use spikec_chip::Image;
use spikec_import::Model;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(args: &InspectArgs, json: bool) -> Result<u8, Failure> {
    let format = if json { FormatArg::Json } else { args.format };
    if let Some(layer) = &args.mask {
        return mask(args, layer, format);
    }
    let (kind, this) = show(&args.file, format, args.synapses)?;
    let Some(other_path) = &args.diff else {
        super::print(&this);
        return Ok(0);
    };
    let (other_kind, other) = show(other_path, format, args.synapses)?;
    let (a, b) = (args.file.display(), other_path.display());
    if kind != other_kind {
        return Err(Failure::input(format!("{a} is a {kind}, {b} is a {other_kind}")).hint("--diff compares two files of the same kind"));
    }
    let diff = diff(&this, &other);
    if diff.is_empty() {
        super::print("no difference");
        return Ok(0);
    }
    super::print(&format!("--- {a}\n+++ {b}\n{diff}"));
    Ok(NO)
}

const BUNDLE: &str = "bundle";
const NETWORK: &str = "network";
const TARGET: &str = "target";

/// What kind of file it is, and its text.
fn show(path: &Path, format: FormatArg, synapses: bool) -> Result<(&'static str, String), Failure> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let (kind, (text, value)): (&str, (String, Value)) = match extension.as_deref() {
        Some("spkb") => {
            let bundle = load::bundle(path)?;
            if matches!(bundle.image, Image::Packed(_)) {
                let view = spikec_report::bundle::view(&bundle, synapses).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
                (BUNDLE, (spikec_report::bundle::text(&view), to_value(&view)))
            } else {
                let view = spikec_report::crossing::view(&bundle, synapses)
                    .map_err(|e| Failure::file(path, &e).hint("the bundle is damaged or was made by another tool: compile again"))?;
                (BUNDLE, (spikec_report::crossing::text(&view), to_value(&view)))
            }
        }
        // Arrays alone are refused with what to do about it.
        Some("nir" | "net" | "npz" | "csv" | "tsv" | "safetensors" | "pth" | "pt") => (NETWORK, network(path)?),
        // A .ron file is a target or a model: the one that parses.
        Some("ron") => match load::target_file(path) {
            Ok((target, _)) => (TARGET, (spikec_report::target::text(&target), to_value(&target))),
            Err(as_target) => {
                let shown = network(path).map_err(|as_model| {
                    let text = std::fs::read_to_string(path).unwrap_or_default();
                    if text.contains("Target(") { as_target } else { as_model }
                });
                (NETWORK, shown?)
            }
        },
        None => {
            let target = load::target(&path.to_string_lossy())?;
            (TARGET, (spikec_report::target::text(&target), to_value(&target)))
        }
        Some(_) => {
            return Err(Failure::file(path, "is no kind of file that can be shown")
                .hint("one of: .nir, .net, .ron (model or target), .spkb, or a built-in target's name"));
        }
    };
    let shown = match format {
        FormatArg::Text => text,
        FormatArg::Json => super::to_json(&value),
    };
    Ok((kind, shown))
}

/// One layer, and its picture.
fn mask(args: &InspectArgs, name: &str, format: FormatArg) -> Result<u8, Failure> {
    let path = &args.file;
    let picture = args.svg.as_deref().map(|p| Files::reading(&[path]).output(p)).transpose()?;
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let (network, wiring) = match extension.as_deref() {
        Some("spkb") => {
            let bundle = load::bundle(path)?;
            if !matches!(bundle.image, Image::Packed(_)) {
                let message = format!("is of the family {}: masks are drawn of packed chips", bundle.image.family());
                return Err(Failure::file(path, message).hint("leave --mask out, or give the network's file"));
            }
            let tables = spikec_report::bundle::decode(&bundle).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
            (bundle.provenance.network_name.clone(), spikec_report::mask::of_bundle(&bundle, &tables))
        }
        Some("nir" | "net" | "ron") => {
            if extension.as_deref() == Some("ron") && load::target_file(path).is_ok() {
                return Err(no_layers(path));
            }
            let model = model(path)?;
            let name = match &model {
                Model::Trained(n) => n.name.clone(),
                Model::Registers(n) => n.name.clone(),
            };
            (name, spikec_report::mask::of_model(&model))
        }
        _ => return Err(no_layers(path)),
    };
    let Some(layer) = wiring.find(name) else {
        let names: Vec<String> = wiring.names().iter().map(|n| format!("`{n}`")).collect();
        return Err(Failure::file(path, format_args!("has no layer `{name}`; it has {}", names.join(", "))).hint("give --mask one of them"));
    };
    let one = wiring.one(layer, args.grid).map_err(|e| {
        Failure::file(path, format_args!("layer `{name}`: {e}")).hint("give --grid the rows and columns of one channel, or leave it away")
    })?;
    if let Some(file) = picture {
        file.commit(one.picture.svg(&network).as_bytes())?;
    }
    match format {
        FormatArg::Text => super::print(&spikec_report::mask::text_of_one(&one)),
        FormatArg::Json => super::print_json(&one),
    }
    Ok(0)
}

fn no_layers(path: &Path) -> Failure {
    Failure::file(path, "has no layers: --mask shows those of a network or a bundle")
        .hint("give a .nir, .net, .ron or .spkb file of a network")
}

fn model(path: &Path) -> Result<Model, Failure> {
    let args = |dt| NetworkArgs { network: PathBuf::from(path), dt, convention: None, discretization: None, repair_edges: false };
    // A look needs no step length: where the file has none, parameters are shown as they are.
    load::network(&args(None)).or_else(|first| load::network(&args(Some(1.0))).map_err(|_| first)).map(|(model, _)| model)
}

fn network(path: &Path) -> Result<(String, Value), Failure> {
    let model = model(path)?;
    let view = spikec_report::network::view(&model);
    Ok((spikec_report::network::text(&view), to_value(&view)))
}

fn to_value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("views hold only strings as keys")
}
