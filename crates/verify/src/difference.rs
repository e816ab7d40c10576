//! Differences: what the image check found, typed, one line each.
//!
//! In: pushes of the checks. Out: `Differences`: the first hundred and the total. Invariant: the order is the order
//! of the checks, which follow the bundle's order: the same bundle gives the same list.

use serde::Serialize;
use std::fmt;

/// Differences that are kept; the rest are only counted.
pub const DIFFERENCES_KEPT: usize = 100;

/// A neuron or channel by its name in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NeuronName {
    /// Population of the net.
    pub population: u32,
    /// Its name.
    pub name: String,
    /// Index as trained.
    pub index: u32,
}

impl fmt::Display for NeuronName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.index)
    }
}

/// Which comparison found the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Side {
    /// The chip's bits against the reference section.
    Image,
    /// The host section against the reference section.
    Host,
    /// Symbols and provenance against the reference section.
    Symbols,
    /// The reference section against the network as given.
    Network,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Image => "image",
            Side::Host => "host",
            Side::Symbols => "symbols",
            Side::Network => "network",
        }
    }
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Field {
    /// A memory whose bits are not what its decoded tables encode to (padding or other unread bits).
    UnreadBits,
    /// A table record that nothing uses.
    UnusedRecord,
    /// A table record that another one repeats.
    RepeatedRecord,
    /// The delay bits of a core.
    DelayBits,
    /// A compartment that belongs to no neuron.
    CompartmentOwner,
    /// The place of a neuron.
    Place,
    /// Decay of u, 1/4096.
    DecayU,
    /// Decay of v, 1/4096.
    DecayV,
    /// Refractory period.
    Refractory,
    /// Threshold.
    Threshold,
    /// What the synapses of a neuron onto itself take from its potential.
    Subtracted,
    /// Bias at load time.
    LoadBias,
    /// Bias of a neuron.
    Bias,
    /// The chip step of a bias write.
    BiasStep,
    /// The sources of an input axon.
    InAxonSource,
    /// The destination of an output axon.
    OutAxon,
    /// The compartment of a copied neuron that serves a core.
    Server,
    /// A synapse.
    Synapse,
    /// Weight mantissa of a synapse.
    Mantissa,
    /// Weight exponent of a synapse.
    Exponent,
    /// Delay register of a synapse.
    DelayRegister,
    /// Chip delay of a synapse.
    ChipDelay,
    /// Number of data channels.
    InputWidth,
    /// Encoder.
    Encoder,
    /// What the host sends beyond the input axons.
    Injections,
    /// Number of spiking input channels.
    InputChannels,
    /// Decoder.
    Decoder,
    /// Skew.
    Skew,
    /// Largest skew.
    MaxSkew,
    /// Number of host maps, populations or projections.
    Count,
    /// Name.
    Name,
    /// Shape.
    Shape,
    /// Role of a population.
    Role,
    /// The output population.
    Output,
    /// First channel of a host map.
    FirstChannel,
    /// Net delay.
    Delay,
    /// Channels of a host map's row.
    HostChannels,
    /// Weights of a host map's row.
    HostWeights,
    /// Constant of a host map's row.
    HostConstant,
    /// Gain of a host map's row.
    HostGain,
    /// Digest of the network.
    Digest,
    /// A live neuron that was removed.
    RemovedNeuron,
    /// A neuron that the network has not.
    AddedNeuron,
    /// Presynaptic population of a projection.
    Pre,
    /// Postsynaptic population of a projection.
    Post,
    /// Format of a projection.
    Format,
    /// Rules of the net.
    Rules,
    /// v units of a neuron.
    VUnits,
    /// The bound on the deviation of weights that the bundle declares.
    Deviation,
    /// Reset rule.
    Reset,
    /// Potential at load time, or at the start.
    Potential,
    /// Potential after a spike.
    ResetValue,
    /// Negative threshold.
    Floor,
    /// What each step adds to a potential, or takes from it.
    Leak,
    /// Weight, as it acts.
    Weight,
    /// Where a neuron's spikes, or the host's, go.
    Destination,
    /// Type of an axon.
    AxonType,
    /// Whether a neuron's spikes stay within.
    Disabled,
    /// The last neuron that events update.
    LastNeuron,
    /// Whether a core's spikes go to the host alone.
    OpenLoop,
    /// Sign of a row.
    RowSign,
    /// Order of rows.
    RowOrder,
    /// The potential at the start of a sample.
    Start,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Field::UnreadBits => "unread bits",
            Field::UnusedRecord => "unused record",
            Field::RepeatedRecord => "repeated record",
            Field::DelayBits => "delay bits",
            Field::CompartmentOwner => "owner of the compartment",
            Field::Place => "place",
            Field::DecayU => "decay of u",
            Field::DecayV => "decay of v",
            Field::Refractory => "refractory period",
            Field::Threshold => "threshold",
            Field::Subtracted => "weight that a spike takes away",
            Field::LoadBias => "bias at load time",
            Field::Bias => "bias",
            Field::BiasStep => "chip step of the bias write",
            Field::InAxonSource => "sources of the input axon",
            Field::OutAxon => "output axon",
            Field::Server => "server of the core",
            Field::Synapse => "synapse",
            Field::Mantissa => "weight mantissa",
            Field::Exponent => "weight exponent",
            Field::DelayRegister => "delay register",
            Field::ChipDelay => "chip delay",
            Field::InputWidth => "input width",
            Field::Encoder => "encoder",
            Field::Injections => "injections",
            Field::InputChannels => "spiking input channels",
            Field::Decoder => "decoder",
            Field::Skew => "skew",
            Field::MaxSkew => "largest skew",
            Field::Count => "count",
            Field::Name => "name",
            Field::Shape => "shape",
            Field::Role => "role",
            Field::Output => "output population",
            Field::FirstChannel => "first channel",
            Field::Delay => "net delay",
            Field::HostChannels => "host channels",
            Field::HostWeights => "host weights",
            Field::HostConstant => "host constant",
            Field::HostGain => "host gain",
            Field::Digest => "network digest",
            Field::RemovedNeuron => "removed neuron",
            Field::AddedNeuron => "added neuron",
            Field::Pre => "presynaptic population",
            Field::Post => "postsynaptic population",
            Field::Format => "weight format",
            Field::Rules => "rules",
            Field::VUnits => "v units",
            Field::Deviation => "declared deviation",
            Field::Reset => "reset rule",
            Field::Potential => "potential",
            Field::ResetValue => "reset value",
            Field::Floor => "negative threshold",
            Field::Leak => "leak",
            Field::Weight => "weight",
            Field::Destination => "destination",
            Field::AxonType => "type of the axon",
            Field::Disabled => "disabled",
            Field::LastNeuron => "last neuron",
            Field::OpenLoop => "open loop",
            Field::RowSign => "sign of the row",
            Field::RowOrder => "order of rows",
            Field::Start => "potential at the start",
        };
        f.write_str(name)
    }
}

/// A value found or expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Value {
    /// Nothing.
    Absent,
    /// An integer.
    Int(i64),
    /// A number.
    Real(f64),
    /// Real bounds, both included.
    Within(f64, f64),
    /// A name or a rendered value.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Absent => f.write_str("none"),
            Value::Int(v) => write!(f, "{v}"),
            Value::Real(v) => write!(f, "{v}"),
            Value::Within(a, b) => write!(f, "{a} ..= {b}"),
            Value::Text(v) => f.write_str(v),
        }
    }
}

macro_rules! int_values {
    ($($t:ty),*) => { $(impl From<$t> for Value { fn from(v: $t) -> Self { Value::Int(v as i64) } })* };
}
int_values!(u8, u16, u32, i16, i32, i64, i8, usize);
impl From<f64> for Value {
    fn from(v: f64) -> Self {
        Value::Real(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::Text(v.to_string())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::Text(v)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Absent, Into::into)
    }
}

/// Where a difference is. Everything that is known is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct At {
    /// Physical core.
    pub core: Option<u32>,
    /// Compartment of the core; of crossbars: the neuron's row or number.
    pub compartment: Option<u16>,
    /// Input axon of the core; of an event crossbar: the row of synapses.
    pub in_axon: Option<u16>,
    /// Presynaptic neuron or channel.
    pub pre: Option<NeuronName>,
    /// The neuron (of a synapse: the postsynaptic one).
    pub neuron: Option<NeuronName>,
    /// Projection, host map, memory, table or resource.
    pub item: Option<String>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Which comparison found it.
    pub side: Side,
    /// Where.
    pub at: At,
    /// What.
    pub field: Field,
    /// The value found.
    pub found: Value,
    /// The value expected.
    pub expected: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.side.name())?;
        let At { core, compartment, in_axon, pre, neuron, item } = &self.at;
        if let Some(core) = core {
            write!(f, " core {core}")?;
        }
        if let Some(compartment) = compartment {
            write!(f, " compartment {compartment}")?;
        }
        if let Some(axon) = in_axon {
            write!(f, " input axon {axon}")?;
        }
        if let Some(item) = item {
            write!(f, " {item}")?;
        }
        match (pre, neuron) {
            (Some(pre), Some(post)) => write!(f, " {pre} -> {post}")?,
            (Some(pre), None) => write!(f, " from {pre}")?,
            (None, Some(neuron)) => write!(f, " {neuron}")?,
            (None, None) => {}
        }
        write!(f, ": {}: found {}, expected {}", self.field, self.found, self.expected)
    }
}

impl Difference {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self.side {
            Side::Network => "the bundle was compiled from another network (or another version of it): compile it again".into(),
            Side::Image | Side::Host | Side::Symbols => {
                "the bundle contradicts itself: it was changed after compilation, or the compiler has a bug; compile it again and report it if it stays"
                    .into()
            }
        }
    }
}

/// The differences found so far.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// The first [`DIFFERENCES_KEPT`]; with a focus, the first that touch it.
    pub kept: Vec<Difference>,
    /// How many there are.
    pub total: u64,
    /// (population, index as trained) of the neuron that matters.
    focus: Option<(u32, u32)>,
    /// With a focus: the first difference that doesn't touch it.
    pub elsewhere: Option<Difference>,
}

impl Differences {
    /// Keeps only differences that touch a neuron (population, index as trained), and the first that doesn't.
    pub fn about(population: u32, index: u32) -> Self {
        Differences { focus: Some((population, index)), ..Differences::default() }
    }

    /// Counts a difference; builds it only when it may be kept.
    pub fn push(&mut self, make: impl FnOnce() -> Difference) {
        self.total += 1;
        if self.kept.len() == DIFFERENCES_KEPT {
            return;
        }
        let difference = make();
        let touches = |n: &Option<NeuronName>| n.as_ref().map(|n| (n.population, n.index)) == self.focus;
        if self.focus.is_none() || touches(&difference.at.neuron) || touches(&difference.at.pre) {
            self.kept.push(difference);
        } else {
            self.elsewhere.get_or_insert(difference);
        }
    }

    /// Pushes a difference when the values are not equal. True when they are.
    pub fn compare<T: PartialEq + Into<Value>>(
        &mut self,
        side: Side,
        field: Field,
        found: T,
        expected: T,
        at: impl FnOnce() -> At,
    ) -> bool {
        let equal = found == expected;
        if !equal {
            self.push(|| Difference { side, at: at(), field, found: found.into(), expected: expected.into() });
        }
        equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_place_field_and_both_values() {
        let d = Difference {
            side: Side::Image,
            at: At {
                core: Some(3),
                compartment: Some(7),
                neuron: Some(NeuronName { population: 1, name: "hidden".into(), index: 12 }),
                ..At::default()
            },
            field: Field::Threshold,
            found: 100u32.into(),
            expected: 101u32.into(),
        };
        assert_eq!(d.to_string(), "image: core 3 compartment 7 hidden[12]: threshold: found 100, expected 101");
    }

    #[test]
    fn only_the_first_are_kept_and_all_are_counted() {
        let mut all = Differences::default();
        for k in 0..DIFFERENCES_KEPT as u32 + 5 {
            all.compare(Side::Host, Field::Name, k, k + 1, At::default);
        }
        assert_eq!(all.kept.len(), DIFFERENCES_KEPT);
        assert_eq!(all.total, DIFFERENCES_KEPT as u64 + 5);
    }
}
