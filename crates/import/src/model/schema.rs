//! Keys of the RON model file.

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// Numbers given in the text or in an array file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Repeated as often as needed.
    Number(f64),
    /// `"FILE:ARRAY"`.
    Reference(String),
    /// In the text, flat.
    List(Vec<f64>),
}

impl Default for Value {
    fn default() -> Self {
        Value::Number(0.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a number, a list of numbers or a reference such as \"weights.npz:w1\"")
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
                Ok(Value::Number(v))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Value, E> {
                Ok(Value::Number(v as f64))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
                Ok(Value::Number(v as f64))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Value, E> {
                Ok(Value::Reference(v.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(x) = seq.next_element::<f64>()? {
                    list.push(x);
                }
                Ok(Value::List(list))
            }
        }
        d.deserialize_any(V)
    }
}

/// Numbers from 0 on, one for all axes or one for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sizes {
    One(u32),
    Each(Vec<u32>),
}

/// How far a window goes beyond its map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Padding {
    /// As far as the result has the map's size.
    Same,
    /// Not at all.
    Valid,
    One(u32),
    /// Before and after, for each axis.
    Each(Vec<[u32; 2]>),
}

fn whole<E: de::Error>(v: u64) -> Result<u32, E> {
    u32::try_from(v).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(v), &"a number below 2^32"))
}

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Sizes;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a whole number, or a list of one for each axis")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Sizes, E> {
                Ok(Sizes::One(whole(v)?))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sizes, A::Error> {
                let mut list = Vec::new();
                while let Some(x) = seq.next_element::<u32>()? {
                    list.push(x);
                }
                Ok(Sizes::Each(list))
            }
        }
        d.deserialize_any(V)
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Padding;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a whole number, \"same\", \"valid\", or a list of numbers or pairs [before, after], one for each axis")
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Padding, E> {
                Ok(Padding::One(whole(v)?))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Padding, E> {
                match v {
                    "same" => Ok(Padding::Same),
                    "valid" => Ok(Padding::Valid),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Padding, A::Error> {
                let mut list = Vec::new();
                while let Some(x) = seq.next_element::<Sizes>()? {
                    list.push(match x {
                        Sizes::One(n) => [n, n],
                        Sizes::Each(v) => {
                            <[u32; 2]>::try_from(v).map_err(|v| de::Error::invalid_length(v.len(), &"a pair [before, after]"))?
                        }
                    });
                }
                Ok(Padding::Each(list))
            }
        }
        d.deserialize_any(V)
    }
}

/// A whole file.
#[derive(Debug, Deserialize)]
pub(crate) enum File {
    Trained(Trained),
    Registers(Registers),
    Connectome(Box<Connectome>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trained {
    pub name: Option<String>,
    pub dt: Option<f64>,
    pub convention: Option<String>,
    pub fire: Option<spikec_net::FireRule>,
    pub reset: Option<spikec_net::ResetRule>,
    pub discretization: Option<spikec_net::Discretization>,
    pub populations: Vec<TrainedPopulation>,
    pub projections: Vec<TrainedProjection>,
    pub output: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registers {
    pub name: Option<String>,
    pub inputs: Vec<Input>,
    pub populations: Vec<RegisterPopulation>,
    pub projections: Vec<RegisterProjection>,
    pub output: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainedPopulation {
    pub name: String,
    pub shape: Vec<u32>,
    pub neurons: Neurons,
}

fn one() -> Value {
    Value::Number(1.0)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Neurons {
    Input,
    Lif {
        tau: Value,
        #[serde(default = "one")]
        r: Value,
        #[serde(default)]
        v_leak: Value,
        v_threshold: Value,
        #[serde(default)]
        v_reset: Value,
    },
    If {
        #[serde(default = "one")]
        r: Value,
        v_threshold: Value,
        #[serde(default)]
        v_reset: Value,
    },
    CubaLif {
        tau_syn: Value,
        tau_mem: Value,
        #[serde(default = "one")]
        r: Value,
        #[serde(default)]
        v_leak: Value,
        v_threshold: Value,
        #[serde(default)]
        v_reset: Value,
        #[serde(default = "one")]
        w_in: Value,
    },
    Li {
        tau: Value,
        #[serde(default = "one")]
        r: Value,
        #[serde(default)]
        v_leak: Value,
    },
    CubaLi {
        tau_syn: Value,
        tau_mem: Value,
        #[serde(default = "one")]
        r: Value,
        #[serde(default)]
        v_leak: Value,
        #[serde(default = "one")]
        w_in: Value,
    },
    Threshold {
        v_threshold: Value,
    },
    Or,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainedProjection {
    pub name: Option<String>,
    pub pre: String,
    pub post: String,
    #[serde(default)]
    pub chain: Vec<Link>,
    #[serde(default)]
    pub delay: u16,
}

fn side() -> Sizes {
    Sizes::One(1)
}
fn none() -> Sizes {
    Sizes::One(0)
}
fn valid() -> Padding {
    Padding::Valid
}
fn single() -> u32 {
    1
}
fn yes() -> bool {
    true
}
fn epsilon() -> f64 {
    1e-5
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Link {
    Linear {
        weight: Value,
        mask: Option<Value>,
    },
    Bias {
        bias: Value,
    },
    Scale {
        scale: Value,
    },
    Flatten,
    Reshape {
        shape: Vec<u32>,
    },
    Conv1d {
        weight: Value,
        mask: Option<Value>,
        bias: Option<Value>,
        #[serde(default = "side")]
        stride: Sizes,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "side")]
        dilation: Sizes,
        #[serde(default = "single")]
        groups: u32,
    },
    Conv2d {
        weight: Value,
        mask: Option<Value>,
        bias: Option<Value>,
        #[serde(default = "side")]
        stride: Sizes,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "side")]
        dilation: Sizes,
        #[serde(default = "single")]
        groups: u32,
    },
    ConvTranspose1d {
        weight: Value,
        mask: Option<Value>,
        bias: Option<Value>,
        #[serde(default = "side")]
        stride: Sizes,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "none")]
        output_padding: Sizes,
        #[serde(default = "side")]
        dilation: Sizes,
        #[serde(default = "single")]
        groups: u32,
    },
    ConvTranspose2d {
        weight: Value,
        mask: Option<Value>,
        bias: Option<Value>,
        #[serde(default = "side")]
        stride: Sizes,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "none")]
        output_padding: Sizes,
        #[serde(default = "side")]
        dilation: Sizes,
        #[serde(default = "single")]
        groups: u32,
    },
    SumPool1d {
        kernel: Sizes,
        stride: Option<Sizes>,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "side")]
        dilation: Sizes,
    },
    SumPool2d {
        kernel: Sizes,
        stride: Option<Sizes>,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "side")]
        dilation: Sizes,
    },
    AvgPool1d {
        kernel: Sizes,
        stride: Option<Sizes>,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "yes")]
        count_include_pad: bool,
    },
    AvgPool2d {
        kernel: Sizes,
        stride: Option<Sizes>,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "yes")]
        count_include_pad: bool,
    },
    MaxPool1d {
        kernel: Sizes,
        stride: Option<Sizes>,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "side")]
        dilation: Sizes,
    },
    MaxPool2d {
        kernel: Sizes,
        stride: Option<Sizes>,
        #[serde(default = "valid")]
        padding: Padding,
        #[serde(default = "side")]
        dilation: Sizes,
    },
    BatchNorm {
        #[serde(default = "one")]
        weight: Value,
        #[serde(default)]
        bias: Value,
        #[serde(default)]
        mean: Value,
        variance: Value,
        #[serde(default = "epsilon")]
        epsilon: f64,
    },
    Delay {
        delay: Value,
    },
    Place {
        at: Vec<u32>,
        shape: Vec<u32>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub name: String,
    pub n: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterPopulation {
    pub name: String,
    pub shape: Vec<u32>,
    pub decay_u: Value,
    pub decay_v: Value,
    pub threshold: Value,
    #[serde(default = "one")]
    pub refractory: Value,
    #[serde(default)]
    pub bias_mantissa: Value,
    #[serde(default)]
    pub bias_exponent: Value,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignMode {
    Mixed,
    Excitatory,
    Inhibitory,
    Split,
}

fn mixed() -> SignMode {
    SignMode::Mixed
}
fn eight() -> u8 {
    8
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterProjection {
    pub name: Option<String>,
    pub pre: String,
    pub post: String,
    #[serde(default = "mixed")]
    pub sign_mode: SignMode,
    #[serde(default = "eight")]
    pub weight_bits: u8,
    #[serde(default)]
    pub weight_exponent: i8,
    pub synapses: Synapses,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Synapses {
    Coo {
        pre_index: Value,
        post_index: Value,
        weight: Value,
        #[serde(default)]
        delay: Value,
    },
    Dense {
        weight: Value,
        mask: Option<Value>,
        #[serde(default)]
        delay: Value,
    },
}

/// A network from a list of edges (docs/network-format.md, section 5).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connectome {
    pub name: Option<String>,
    /// The file of the list.
    pub edges: String,
    pub source: Option<String>,
    pub target: Option<String>,
    pub weight: Option<String>,
    #[serde(default)]
    pub numbering: Numbering,
    pub neurons: Option<u32>,
    pub inhibitory_share: Option<f64>,
    pub inhibitory: Option<Value>,
    #[serde(default)]
    pub seed: u64,
    pub scale: Option<f64>,
    #[serde(default = "eight")]
    pub weight_bits: u8,
    #[serde(default)]
    pub weight_exponent: i8,
    #[serde(default)]
    pub delay: u16,
    pub neuron: NeuronRegisters,
    pub input: Option<ConnectomeInput>,
}

/// What the numbers of an edge list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) enum Numbering {
    /// Indices from 0.
    #[default]
    Index,
    /// Names; the neurons are numbered in their order.
    Label,
}

/// Registers that all neurons share, or one value for each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NeuronRegisters {
    pub decay_u: Value,
    pub decay_v: Value,
    pub threshold: Value,
    #[serde(default = "one")]
    pub refractory: Value,
    #[serde(default)]
    pub bias_mantissa: Value,
    #[serde(default)]
    pub bias_exponent: Value,
}

/// A channel for each neuron, or for those that are named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectomeInput {
    pub weight: i16,
    #[serde(default)]
    pub weight_exponent: i8,
    pub neurons: Option<Value>,
}
