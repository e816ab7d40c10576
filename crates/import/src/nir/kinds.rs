//! The primitives of NIR 1.0: all are recognised, some can be run.

/// A dataset of a node.
#[derive(Debug, PartialEq)]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// Missing is an error.
    pub required: bool,
}

const fn required(name: &'static str) -> Parameter {
    Parameter { name, required: true }
}
const fn optional(name: &'static str) -> Parameter {
    Parameter { name, required: false }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Input,
    Output,
    /// Linear, affine, scale, flatten: part of a projection's chain.
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

/// All primitives but [`GRAPH`].
static KINDS: [Kind; 18] = [
    runs("Input", Class::Input, &[required("shape")]),
    runs("Output", Class::Output, &[optional("shape")]),
    runs("Linear", Class::Operator, &[required("weight")]),
    runs("Affine", Class::Operator, &[required("weight"), required("bias")]),
    runs("Scale", Class::Operator, &[required("scale")]),
    runs("Flatten", Class::Operator, &[optional("start_dim"), optional("end_dim"), optional("input_type")]),
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
    recognised("Conv1d"),
    recognised("Conv2d"),
    recognised("SumPool2d"),
    recognised("AvgPool2d"),
    recognised("Delay"),
    recognised("Threshold"),
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
