//! Which values of a recipe make sense.
//!
//! In: a recipe as it was read. Out: nothing, or the first value that makes no sense: its key, what was found and expected, a remedy.
//! Invariant: what passes is finite and in its range; products of a layer's numbers don't overflow.

use super::{Encoder, Layer, Optimizer, Recipe, RecipeError, Schedule, Sparsity, Target};
use crate::layers::Kind;

/// Most steps of a sample.
const MAX_STEPS: u32 = 4096;
/// Most samples of a batch.
const MAX_BATCH: usize = 1 << 16;
/// Largest kernel, stride and padding.
const MAX_SIDE: usize = 1 << 12;
/// Checks `value`, which must be finite and in `range`.
fn within(key: &str, value: f64, range: impl std::ops::RangeBounds<f64>, expected: &str, hint: &str) -> Result<(), RecipeError> {
    if value.is_finite() && range.contains(&value) { Ok(()) } else { Err(RecipeError::value(key, value, expected, hint)) }
}

/// Smallest positive number that counts as positive.
const POSITIVE: std::ops::RangeFrom<f64> = 1e-30..;

impl Recipe {
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let bounded = |key: &str, n: u64, most: u64| {
            if (1..=most).contains(&n) {
                Ok(())
            } else {
                Err(RecipeError::value(key, n, format!("1 to {most}"), "give a number in this range"))
            }
        };
        bounded("steps", self.steps.into(), MAX_STEPS.into())?;
        bounded("batch", self.batch as u64, MAX_BATCH as u64)?;
        bounded("epochs", self.epochs.into(), 1_000_000)?;
        bounded("vote", self.vote as u64, 1 << 20)?;
        if self.data.samples == Some(0) {
            return Err(RecipeError::value("data.samples", 0, "at least 1", "leave it out to take all"));
        }
        match self.data.encoder {
            Encoder::Direct { mean, std } => {
                within("data.encoder.mean", mean.into(), .., "a finite number", "MNIST: 0.1307")?;
                within("data.encoder.std", std.into(), POSITIVE, "a positive number", "MNIST: 0.3081")?;
            }
            Encoder::Latency { full_scale } => {
                within("data.encoder.full_scale", full_scale.into(), POSITIVE, "a positive number", "give the largest value")?;
            }
            Encoder::Given | Encoder::Poisson { .. } => {}
        }
        if let Some(a) = self.data.augment {
            within("data.augment.degrees", a.degrees.into(), 0.0..=180.0, "0 to 180", "the paper has 30")?;
            within("data.augment.shift", a.shift.into(), 0.0..=1.0, "0 to 1", "the paper has 0.15")?;
            within(
                "data.augment.scale",
                a.scale.0.into(),
                0.01..=a.scale.1.into(),
                "0.01 up to the second",
                "give the smaller scale first",
            )?;
            within("data.augment.scale", a.scale.1.into(), 0.01..=100.0, "0.01 to 100", "the paper has (0.85, 1.11)")?;
        }
        match self.optimizer {
            Optimizer::Adam { lr, betas, epsilon, weight_decay } => {
                within("optimizer.lr", lr.into(), 0.0..=1e3, "0 to 1000", "Adam's usual rate is 0.001")?;
                for beta in [betas.0, betas.1] {
                    within("optimizer.betas", beta.into(), 0.0..1.0, "0 up to but not 1", "Adam's usual betas are (0.9, 0.999)")?;
                }
                within("optimizer.epsilon", epsilon.into(), POSITIVE, "a positive number", "Adam's usual epsilon is 1e-8")?;
                within("optimizer.weight_decay", weight_decay.into(), 0.0..=1.0, "0 to 1", "leave it out for none")?;
            }
            Optimizer::Sgd { lr, momentum, weight_decay } => {
                within("optimizer.lr", lr.into(), 0.0..=1e3, "0 to 1000", "try 0.1")?;
                within("optimizer.momentum", momentum.into(), 0.0..1.0, "0 up to but not 1", "the usual momentum is 0.9")?;
                within("optimizer.weight_decay", weight_decay.into(), 0.0..=1.0, "0 to 1", "leave it out for none")?;
            }
        }
        match self.schedule {
            Schedule::Constant => {}
            Schedule::Step { epochs, factor } => {
                bounded("schedule.epochs", epochs.into(), 1_000_000)?;
                within("schedule.factor", factor.into(), 0.0..=1e3, "0 to 1000", "0.1 is usual")?;
            }
            Schedule::Cosine { least } => within("schedule.least", least.into(), 0.0..=1.0, "0 to 1", "leave it out to end at 0")?,
        }
        within("memory_gib", self.memory_gib, 1e-6..=1e6, "a positive number of GiB", "leave it out for 8")?;
        for (k, layer) in self.layers.iter().enumerate() {
            let sides = match *layer {
                Layer::Conv { kernel, stride, padding, .. } => [kernel, stride, padding],
                Layer::Pool { kernel, stride, .. } => [kernel, stride.unwrap_or(kernel), 0],
                _ => continue,
            };
            for (field, n) in ["kernel", "stride", "padding"].into_iter().zip(sides) {
                if n > MAX_SIDE {
                    let hint = "maps are not as large";
                    return Err(RecipeError::value(format!("layers[{k}].{field}"), n, format!("at most {MAX_SIDE}"), hint));
                }
            }
        }
        if let Some(q) = &self.quantize {
            let of = |(name, &bits): (&String, &u8)| (format!("quantize.layers.{name}"), bits);
            for (key, bits) in std::iter::once(("quantize.bits".into(), q.bits)).chain(q.layers.iter().map(of)) {
                if !(2..=8).contains(&bits) {
                    return Err(RecipeError::value(key, bits, "2 to 8, the sign among them", "chips take 8 bits and fewer"));
                }
            }
            if q.from >= self.epochs {
                let hint = "a third or a quarter of the epochs on the grid is good for a start";
                return Err(RecipeError::value("quantize.from", q.from, format!("fewer than the {} epochs", self.epochs), hint));
            }
            if let Some(Target::Budget { weight_bits, .. }) = self.sparsity.budget()
                && (*weight_bits != q.bits || !q.layers.is_empty())
            {
                let hint = "the budget counts words of as many bits as the weights have: give both the same";
                return Err(RecipeError::value(
                    "quantize.bits",
                    q.bits,
                    format!("{weight_bits} for all layers, as in sparsity.target"),
                    hint,
                ));
            }
            if let Sparsity::GradR { settle, .. } = &self.sparsity
                && self.sparsity.budget().is_some()
                && q.from < self.epochs.saturating_sub(*settle)
            {
                let hint = "a budget counts weights as fine as they are until synapses settle: put them on the grid then";
                let expected = format!("{} or more, where synapses settle", self.epochs.saturating_sub(*settle));
                return Err(RecipeError::value("quantize.from", q.from, expected, hint));
            }
            self.check_grid()?;
        }
        if self.start.is_some() && matches!(self.sparsity, Sparsity::GradR { .. } | Sparsity::DeepR { .. } | Sparsity::SoftDeepR { .. }) {
            let hint = "methods that rewire draw their own synapses and signs: take Keep, Magnitude, Stds or Dense to train a network on";
            return Err(RecipeError::value("start", "a network beside a method that rewires", "Keep, Magnitude, Stds or Dense", hint));
        }
        self.check_sparsity()
    }

    /// What a network file has for each synapse is a multiple of its layer's step: no factors of channels, no sums of weights.
    fn check_grid(&self) -> Result<(), RecipeError> {
        let refused = |k: usize, found: &str, expected: &str, hint: &str| {
            Err(RecipeError::value(format!("layers[{k}] beside quantize"), found, expected, hint))
        };
        let mut matrix = false;
        for (k, layer) in self.layers.iter().enumerate() {
            match layer {
                Layer::BatchNorm => {
                    let hint = "its factors become part of the weights, one for each channel: leave it out";
                    return refused(k, "BatchNorm", "layers that leave the weights on their grid", hint);
                }
                Layer::Pool { kind: Kind::Average, kernel, stride } if stride.unwrap_or(*kernel) < *kernel => {
                    return refused(
                        k,
                        "a pool of windows that overlap",
                        "a stride of at least the kernel",
                        "sums of weights need more bits",
                    );
                }
                Layer::Linear { .. } | Layer::Conv { .. } | Layer::Pool { kind: Kind::Average, .. } if matrix => {
                    return refused(k, "a matrix or pool right after a matrix", "neurons between", "put Lif or If between them");
                }
                Layer::Linear { .. } | Layer::Conv { .. } => matrix = true,
                Layer::Lif { .. } | Layer::If { .. } | Layer::Readout { .. } => matrix = false,
                Layer::Pool { .. } | Layer::Dropout(_) | Layer::Flatten => {}
            }
        }
        Ok(())
    }

    fn check_sparsity(&self) -> Result<(), RecipeError> {
        let epochs = |key: &str, n: u32, most: u32| {
            let hint = format!("the run has {} epochs", self.epochs);
            if n <= most { Ok(()) } else { Err(RecipeError::value(key, n, format!("at most {most}"), hint)) }
        };
        let positive = |key: &str, x: f32| within(key, x.into(), POSITIVE, "a positive number", "docs/training.md says what is usual");
        let not_negative = |key: &str, x: f32| within(key, x.into(), 0.0.., "0 or more", "leave it out for the default");
        let counted = |method: &str, target: &Target| match target {
            Target::Budget { .. } => {
                let hint = "a budget moves the target while it trains: take GradR, or the number of synapses that fits";
                Err(RecipeError::value("sparsity.target", format!("{method}(target: Budget(..))"), "Connectivity or Synapses", hint))
            }
            _ => target.check(self.epochs),
        };
        match &self.sparsity {
            Sparsity::Dense => Ok(()),
            Sparsity::Keep if self.start.is_some() => Ok(()),
            Sparsity::Keep => {
                let hint = "start: \"NET.nir\" has the zeros to keep";
                Err(RecipeError::value("sparsity", "Keep without start", "a network to start from", hint))
            }
            &Sparsity::GradR { ref target, penalty, steer, settle, most } => {
                target.check(self.epochs)?;
                if matches!(target, Target::Budget { .. }) && steer == 0 {
                    let hint = "half the epochs or more are good for a start";
                    return Err(RecipeError::value("sparsity.steer", 0, "the epochs after which the budget should be met", hint));
                }
                positive("sparsity.penalty", penalty)?;
                positive("sparsity.most", most)?;
                epochs("sparsity.settle", settle, self.epochs - 1)?;
                epochs("sparsity.steer", steer, self.epochs - settle)
            }
            &Sparsity::DeepR { ref target, penalty, temperature } => {
                counted("DeepR", target)?;
                not_negative("sparsity.penalty", penalty)?;
                not_negative("sparsity.temperature", temperature)
            }
            &Sparsity::SoftDeepR { start, penalty, temperature, least } => {
                within("sparsity.start", start, 1e-9..=1.0, "above 0, up to 1", "leave it out to start with all")?;
                not_negative("sparsity.penalty", penalty)?;
                not_negative("sparsity.temperature", temperature)?;
                within("sparsity.least", least.into(), ..=0.0, "0 or less", "leave it out for the default")
            }
            &Sparsity::Magnitude { ref target, from, until, every, .. } | &Sparsity::Stds { ref target, from, until, every, .. } => {
                counted(if matches!(self.sparsity, Sparsity::Stds { .. }) { "Stds" } else { "Magnitude" }, target)?;
                if until == 0 {
                    let hint = "it is the epoch in which the target is reached: nothing would be pruned";
                    return Err(RecipeError::value("sparsity.until", 0, format!("1 to {}", self.epochs), hint));
                }
                epochs("sparsity.until", until, self.epochs)?;
                epochs("sparsity.from", from, until - 1)?;
                if every == 0 {
                    return Err(RecipeError::value("sparsity.every", 0, "at least 1", "leave it out for the default"));
                }
                Ok(())
            }
        }
    }
}

impl Target {
    fn check(&self, epochs: u32) -> Result<(), RecipeError> {
        match *self {
            Target::Budget { cores: None, memory: None, .. } => {
                let hint = "Budget(target: \"loihi1\", cores: 1), or memory: N for words of synaptic memory";
                Err(RecipeError::value("sparsity.target", "a Budget without a limit", "cores or memory", hint))
            }
            Target::Budget { cores, memory, weight_bits, every, .. } => {
                let most = u64::from(epochs);
                let ranges = [
                    ("cores", cores.unwrap_or(1).into(), 1 << 20),
                    ("memory", memory.unwrap_or(1), 1 << 40),
                    ("weight_bits", weight_bits.into(), 32),
                    ("every", every.into(), most),
                ];
                match ranges.into_iter().find(|&(_, n, most)| n == 0 || n > most) {
                    None => Ok(()),
                    Some((key, n, most)) => {
                        let (key, expected) = (format!("sparsity.target.{key}"), format!("1 to {most}"));
                        Err(RecipeError::value(key, n, expected, "give a number in this range"))
                    }
                }
            }
            Target::Connectivity(c) => {
                let hint = "connectivity is the share of weights that are not 0: 0.01 for 1 %";
                within("sparsity.target", c, 1e-9..1.0, "above 0 and below 1", hint)
            }
            Target::Synapses(0) => Err(RecipeError::value("sparsity.target", "Synapses(0)", "at least one synapse", "give their number")),
            Target::Synapses(_) => Ok(()),
        }
    }
}
