//! Pictures of a run: accuracy and connectivity over epochs, and how weights and fan-in are spread.

use super::folder::Folder;
use crate::failure::Failure;
use spikec_report::plot::{Panel, Shown, histogram, svg};
use spikec_train::layers::Layer;
use spikec_train::trainer::Trainer;

/// Columns of a distribution.
const BINS: usize = 60;

/// Writes `curves.svg` and `distributions.svg`.
pub fn draw(folder: &Folder, trainer: &Trainer) -> Result<(), Failure> {
    let name = &trainer.recipe.name;
    folder.write("curves.svg", svg(name, &curves(folder)).as_bytes())?;
    folder.write("distributions.svg", svg(name, &distributions(trainer)).as_bytes())
}

fn curves(folder: &Folder) -> Vec<Panel> {
    let lines: Vec<serde_json::Value> = folder.lines().collect();
    let curve = |key: &str, scale: f64| -> Vec<(f64, f64)> {
        lines.iter().filter_map(|l| Some((l.get("epoch")?.as_f64()?, l.get(key)?.as_f64()? * scale))).collect()
    };
    let panel = |title: &str, list: &[(&str, &str, f64)]| Panel {
        title: title.into(),
        below: "epoch".into(),
        shown: Shown::Curves,
        series: list.iter().map(|(name, key, scale)| (name.to_string(), curve(key, *scale))).filter(|(_, p)| !p.is_empty()).collect(),
    };
    vec![
        panel("accuracy, %", &[("training", "accuracy", 100.0), ("validation", "validation_accuracy", 100.0)]),
        panel("connectivity, %", &[("all weights", "connectivity", 100.0)]),
        panel("loss", &[("training", "loss", 1.0), ("validation", "validation_loss", 1.0)]),
    ]
}

fn distributions(trainer: &Trainer) -> Vec<Panel> {
    let mut panels = Vec::new();
    for (layer, name) in trainer.model.layers.iter().zip(&trainer.model.names) {
        let (weight, outputs) = match layer {
            Layer::Linear(l) => (&l.weight.value, l.outputs),
            Layer::Conv(l) => (&l.weight.value, l.outputs),
            _ => continue,
        };
        let synapses: Vec<f32> = weight.iter().copied().filter(|w| *w != 0.0).collect();
        let mut fan_in = vec![0f32; outputs];
        for row in weight.chunks_exact(outputs) {
            fan_in.iter_mut().zip(row).for_each(|(n, w)| *n += f32::from(u8::from(*w != 0.0)));
        }
        for (what, below, values) in [("synapses", "weight", &synapses), ("neurons", "fan-in", &fan_in)] {
            panels.push(Panel {
                title: format!("{name}: {what}"),
                below: below.into(),
                shown: Shown::Columns,
                series: vec![(format!("{} {what}", values.len()), histogram(values, BINS))],
            });
        }
    }
    panels
}
