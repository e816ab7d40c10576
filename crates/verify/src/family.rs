//! What the checks ask of a family's registers: which bundles hold them, how their reference is run, and what of it the image is compared with.
//!
//! In: a bundle whose target is of the family. Out: [`Registers`], implemented once for each number of a reference section.
//! Invariant: everything that is the same for all families is written once, over this trait; what a family alone knows is behind it.
//! Why: the behaviour check, the loss and the cause of a divergence are one code for all chips.

use crate::difference::Differences;
use crate::image::{Checked, VerifyError, compare_with_reference};
use crate::wellformed::{Malformed, check_registers};
use crate::{crossbar, event};
use spikec_chip::bundle::Bundle;
use spikec_chip::image::Image;
use spikec_chip::target::{Family, Target};
use spikec_data::{SpikeTrain, Values};
use spikec_net::{
    Counters, Crossbar, CrossbarNeuron, CrossbarRules, Drive, Dynamics, Event, EventInterpreter, EventNeuron, EventRules, Fixed,
    FixedNeuron, FixedRules, Interpreter, Liveness, Net, Number, Observer, PotentialOverflow, Quantized, ReferenceError, WeightFormat,
    fixed_drive,
};

/// A number of reference sections.
pub(crate) trait Registers: Dynamics<Value = i32> + Liveness {
    /// An interpreter, made ready.
    type Engine<'a>: Sync;

    /// Whether target and image of the bundle are of the family.
    fn holds(bundle: &Bundle) -> bool;
    /// The first register that is out of the target's ranges.
    fn check_registers(net: &Net<Self>, target: &Target) -> Result<(), Malformed>;
    /// Part (a) of the image check: bits and host section against the reference.
    fn compare_image(
        bundle: &Bundle,
        quantized: &Quantized<Self>,
        differences: &mut Differences,
        checked: &mut Checked,
    ) -> Result<(), VerifyError>;
    /// The interpreter of a net.
    fn engine(net: &Net<Self>) -> Result<Self::Engine<'_>, ReferenceError>;
    /// Runs a sample before an observer.
    fn run(
        engine: &Self::Engine<'_>,
        train: Option<&SpikeTrain>,
        drives: &[Drive<Self::Analog>],
        steps: u32,
        observer: &mut impl Observer<Self>,
    ) -> Counters;
    /// What the host writes for a sample of values.
    fn drives(net: &Net<Self>, target: &Target, values: &Values) -> Vec<Drive<Self::Analog>>;
    /// Whether the neuron, from rest, fires at a spike of this weight, is at rest again, and fires at nothing else.
    fn repeats(rules: &Self::Rules, neuron: &Self::Neuron, format: &Self::Format, weight: Self::Weight) -> bool;
    /// Whether the neuron, from rest, fires when any of these weights come, is at rest again, and fires at nothing else: a gather.
    fn gathers(_: &Self::Rules, _: &Self::Neuron, _: &[Self::Weight]) -> bool {
        false
    }
    /// Whether a spike of this weight makes the neuron fire, whatever positive weights come beside it, and leaves nothing but what any spike does.
    fn strikes(_: &Self::Neuron, _: Self::Weight) -> bool {
        false
    }
    /// Of each population, the neurons that a strike may leave silent: some weight inhibits them, or a step may take their potential round its bits; empty
    /// where no neuron gathers.
    fn hindered(_: &Net<Self>) -> Vec<Vec<bool>> {
        Vec::new()
    }
    /// The weight formats of projections, where the family has any.
    fn formats(net: &Net<Self>) -> Vec<(String, WeightFormat)>;
    /// How far `v` is below the potential at which the neuron fires, and how far one step of the threshold's register reaches.
    fn gap(rules: &Self::Rules, neuron: &Self::Neuron, v: i32) -> (i64, i64);
}

/// Reads and checks the reference section.
pub(crate) fn reference<N: Registers>(bundle: &Bundle) -> Result<Quantized<N>, VerifyError> {
    if let Some(finding) = bundle.target.check().into_iter().next() {
        return Err(VerifyError::Target(finding));
    }
    if !N::holds(bundle) {
        return Err(VerifyError::Family { image: bundle.image.family(), target: bundle.target.family.name() });
    }
    let quantized = Quantized::<N>::from_bytes(&bundle.reference).map_err(|e| VerifyError::Reference(e.to_string()))?;
    if quantized.to_bytes() != bundle.reference {
        return Err(VerifyError::Reference("its bytes are not those that its content is written as".into()));
    }
    quantized.net.check().map_err(VerifyError::MalformedReference)?;
    N::check_registers(&quantized.net, &bundle.target).map_err(VerifyError::Registers)?;
    Ok(quantized)
}

/// What is done with a bundle of any family.
pub(crate) trait Task {
    /// What comes out.
    type Output;
    /// Does it for the number of the bundle's reference.
    fn of<N: Registers>(self) -> Self::Output;
}

/// Does a task with the number of the bundle's family.
pub(crate) fn with<T: Task>(bundle: &Bundle, task: T) -> T::Output {
    match bundle.target.family {
        Family::Packed(_) => task.of::<Fixed>(),
        Family::Crossbar(_) => task.of::<Crossbar>(),
        Family::EventCrossbar(_) => task.of::<Event>(),
    }
}

/// The choices of a bundle whose reference can be read.
#[cfg(any(test, feature = "mutate"))]
pub(crate) fn choices(bundle: &Bundle) -> Option<crate::Choices> {
    use crate::Choices;
    struct Read<'a>(&'a Bundle);
    impl Task for Read<'_> {
        type Output = Option<Choices>;
        fn of<N: Registers>(self) -> Option<Choices> {
            Quantized::<N>::from_bytes(&self.0.reference).ok().map(|q| Choices::of(self.0, &q))
        }
    }
    with(bundle, Read(bundle))
}

impl Registers for Fixed {
    type Engine<'a> = Interpreter<'a, Fixed>;

    fn holds(bundle: &Bundle) -> bool {
        matches!((&bundle.target.family, &bundle.image), (Family::Packed(_), Image::Packed(_)))
    }

    fn check_registers(net: &Net<Self>, target: &Target) -> Result<(), Malformed> {
        check_registers(net, target)
    }

    fn compare_image(
        bundle: &Bundle,
        quantized: &Quantized,
        differences: &mut Differences,
        checked: &mut Checked,
    ) -> Result<(), VerifyError> {
        compare_with_reference(bundle, quantized, differences, checked).map(|_| ())
    }

    fn engine(net: &Net<Self>) -> Result<Self::Engine<'_>, ReferenceError> {
        Interpreter::new(net)
    }

    fn run(
        engine: &Self::Engine<'_>,
        train: Option<&SpikeTrain>,
        drives: &[Drive<Self::Analog>],
        steps: u32,
        observer: &mut impl Observer<Self>,
    ) -> Counters {
        engine.run(train, drives, steps, observer)
    }

    fn drives(net: &Net<Self>, target: &Target, values: &Values) -> Vec<Drive<Self::Analog>> {
        let spec = &target.packed().neuron;
        let mantissa_max = ((1i32 << (*spec.bias_mantissa_bits - 1)) - 1) as i16;
        fixed_drive(net, values, mantissa_max, *spec.bias_exponent_max).0
    }

    fn repeats(rules: &FixedRules, n: &FixedNeuron, format: &WeightFormat, weight: i16) -> bool {
        crate::given::relays::repeats(rules, n, rules.acting_weight(weight, format.exponent))
    }

    fn formats(net: &Net<Self>) -> Vec<(String, WeightFormat)> {
        net.projections.iter().map(|p| (p.name.clone(), p.format)).collect()
    }

    fn gap(rules: &FixedRules, n: &FixedNeuron, v: i32) -> (i64, i64) {
        ((i64::from(n.threshold) << rules.threshold_shift) - i64::from(v), 1 << rules.threshold_shift)
    }
}

impl Registers for Crossbar {
    type Engine<'a> = Interpreter<'a, Crossbar>;

    fn holds(bundle: &Bundle) -> bool {
        matches!((&bundle.target.family, &bundle.image), (Family::Crossbar(_), Image::Crossbar(_)))
    }

    fn check_registers(net: &Net<Self>, target: &Target) -> Result<(), Malformed> {
        crossbar::check_registers(net, target)
    }

    fn compare_image(
        bundle: &Bundle,
        quantized: &Quantized<Self>,
        differences: &mut Differences,
        checked: &mut Checked,
    ) -> Result<(), VerifyError> {
        crossbar::compare(bundle, quantized, differences, checked)
    }

    fn engine(net: &Net<Self>) -> Result<Self::Engine<'_>, ReferenceError> {
        Interpreter::new(net)
    }

    fn run(
        engine: &Self::Engine<'_>,
        train: Option<&SpikeTrain>,
        drives: &[Drive<()>],
        steps: u32,
        observer: &mut impl Observer<Self>,
    ) -> Counters {
        engine.run(train, drives, steps, observer)
    }

    fn drives(_: &Net<Self>, _: &Target, _: &Values) -> Vec<Drive<()>> {
        Vec::new()
    }

    fn repeats(rules: &CrossbarRules, n: &CrossbarNeuron, _: &(), weight: i32) -> bool {
        let CrossbarNeuron { leak, threshold, floor, reset, linear, start } = *n;
        let (_, most) = rules.range();
        let quiet = threshold > 0 && if rules.floor_inclusive { floor < 0 } else { floor <= 0 };
        let fires = weight >= threshold && i64::from(weight) <= most;
        let rests = if linear { weight == threshold } else { reset == 0 };
        quiet && fires && rests && (leak, start) == (0, 0)
    }

    fn gathers(rules: &CrossbarRules, n: &CrossbarNeuron, weights: &[i32]) -> bool {
        let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
        weights.iter().all(|&w| Self::repeats(rules, n, &(), w)) && !n.linear && sum <= rules.range().1
    }

    fn strikes(n: &CrossbarNeuron, weight: i32) -> bool {
        let CrossbarNeuron { leak, threshold, floor: _, reset, linear, start } = *n;
        !linear && leak >= 0 && i64::from(start.min(reset)) + i64::from(weight) >= i64::from(threshold)
    }

    fn hindered(net: &Net<Self>) -> Vec<Vec<bool>> {
        // Sum of all weights, or none where one is negative.
        let mut sums: Vec<Vec<Option<i64>>> = net.populations.iter().map(|p| vec![Some(0); p.neurons().len()]).collect();
        for p in &net.projections {
            for (_, post, weight, _) in p.synapses.iter() {
                let sum = &mut sums[p.post.index()][post as usize];
                *sum = sum.filter(|_| weight >= 0).map(|sum| sum + i64::from(weight));
            }
        }
        let wraps = net.rules.overflow == PotentialOverflow::Wrap;
        let hindered = |(n, sum): (&CrossbarNeuron, &Option<i64>)| {
            let before = i64::from(n.threshold).max(i64::from(n.start) + 1) - 1;
            sum.is_none_or(|sum| wraps && before + sum + i64::from(n.leak) > net.rules.range().1)
        };
        net.populations.iter().zip(&sums).map(|(p, sums)| p.neurons().iter().zip(sums).map(hindered).collect()).collect()
    }

    fn formats(_: &Net<Self>) -> Vec<(String, WeightFormat)> {
        Vec::new()
    }

    fn gap(_: &CrossbarRules, n: &CrossbarNeuron, v: i32) -> (i64, i64) {
        (i64::from(n.threshold) - i64::from(v), 2)
    }
}

impl Registers for Event {
    type Engine<'a> = EventInterpreter<'a>;

    fn holds(bundle: &Bundle) -> bool {
        matches!((&bundle.target.family, &bundle.image), (Family::EventCrossbar(_), Image::EventCrossbar(_)))
    }

    fn check_registers(net: &Net<Self>, target: &Target) -> Result<(), Malformed> {
        event::check_registers(net, target)
    }

    fn compare_image(
        bundle: &Bundle,
        quantized: &Quantized<Self>,
        differences: &mut Differences,
        checked: &mut Checked,
    ) -> Result<(), VerifyError> {
        event::compare(bundle, quantized, differences, checked)
    }

    fn engine(net: &Net<Self>) -> Result<Self::Engine<'_>, ReferenceError> {
        EventInterpreter::new(net)
    }

    fn run(
        engine: &Self::Engine<'_>,
        train: Option<&SpikeTrain>,
        _: &[Drive<()>],
        steps: u32,
        observer: &mut impl Observer<Self>,
    ) -> Counters {
        engine.run(train, steps, observer)
    }

    fn drives(_: &Net<Self>, _: &Target, _: &Values) -> Vec<Drive<()>> {
        Vec::new()
    }

    /// A neuron that repeats stands elsewhere in the order of events: it is another network.
    fn repeats(_: &EventRules, _: &EventNeuron, _: &(), _: <Event as Number>::Weight) -> bool {
        false
    }

    fn formats(_: &Net<Self>) -> Vec<(String, WeightFormat)> {
        Vec::new()
    }

    fn gap(_: &EventRules, n: &EventNeuron, v: i32) -> (i64, i64) {
        (i64::from(n.threshold) - i64::from(v), 2)
    }
}
