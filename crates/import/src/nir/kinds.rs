//! The primitives of NIR 1.0: all are recognised, some can be run.

/// A dataset of a node.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// Missing is an error.
    pub required: bool,
    /// May be a text instead of numbers.
    pub text: bool,
}

const fn required(name: &'static str) -> Parameter {
    Parameter { name, required: true, text: false }
}
const fn optional(name: &'static str) -> Parameter {
    Parameter { name, required: false, text: false }
}
const fn or_text(name: &'static str) -> Parameter {
    Parameter { name, required: true, text: true }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Input,
    Output,
    /// Matrices, kernels, windows, factors, delays: part of a projection's chain.
    Operator,
    /// A population.
    Neurons,
    /// Recognised only.
    Other,
}

/// A primitive.
#[derive(Debug, PartialEq)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub class: Class,
    /// What is read of it.
    pub parameters: &'static [Parameter],
}

const fn runs(name: &'static str, class: Class, parameters: &'static [Parameter]) -> Kind {
    Kind { name, class, parameters }
}
const fn recognised(name: &'static str) -> Kind {
    Kind { name, class: Class::Other, parameters: &[] }
}

impl Kind {
    /// Can be run.
    pub fn executable(&self) -> bool {
        self.class != Class::Other
    }
}

/// Type of a nested graph.
pub(crate) const GRAPH: &str = "NIRGraph";

const CONV: [Parameter; 7] = [
    required("weight"),
    required("stride"),
    or_text("padding"),
    required("dilation"),
    required("groups"),
    optional("bias"),
    optional("input_shape"),
];
const POOL: [Parameter; 3] = [required("kernel_size"), required("stride"), required("padding")];

/// All primitives but [`GRAPH`].
static KINDS: [Kind; 18] = [
    runs("Input", Class::Input, &[required("shape")]),
    runs("Output", Class::Output, &[optional("shape")]),
    runs("Linear", Class::Operator, &[required("weight")]),
    runs("Affine", Class::Operator, &[required("weight"), required("bias")]),
    runs("Scale", Class::Operator, &[required("scale")]),
    runs("Flatten", Class::Operator, &[optional("start_dim"), optional("end_dim"), optional("input_type")]),
    runs("Conv1d", Class::Operator, &CONV),
    runs("Conv2d", Class::Operator, &CONV),
    runs("SumPool2d", Class::Operator, &POOL),
    runs("AvgPool2d", Class::Operator, &POOL),
    runs("Delay", Class::Operator, &[required("delay")]),
    runs("Threshold", Class::Neurons, &[required("threshold")]),
    runs("LIF", Class::Neurons, &[required("tau"), required("r"), required("v_leak"), required("v_threshold"), optional("v_reset")]),
    runs("IF", Class::Neurons, &[required("r"), required("v_threshold"), optional("v_reset")]),
    runs(
        "CubaLIF",
        Class::Neurons,
        &[
            required("tau_syn"),
            required("tau_mem"),
            required("r"),
            required("v_leak"),
            required("v_threshold"),
            optional("v_reset"),
            optional("w_in"),
        ],
    ),
    runs("LI", Class::Neurons, &[required("tau"), required("r"), required("v_leak")]),
    runs("CubaLI", Class::Neurons, &[required("tau_syn"), required("tau_mem"), required("r"), required("v_leak"), optional("w_in")]),
    recognised("I"),
];

/// The primitive called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.name == name)
}

/// All types, nested graphs too.
pub(crate) fn names() -> Vec<&'static str> {
    KINDS.iter().map(|k| k.name).chain([GRAPH]).collect()
}

/// Types that can be run.
pub(crate) fn executable() -> Vec<&'static str> {
    KINDS.iter().filter(|k| k.executable()).map(|k| k.name).chain([GRAPH]).collect()
}
