//! The constant source: a neuron that spikes in every network step, for constants that a filtered current takes in.
//!
//! In: a net, a population and a constant for each of its neurons. Out: the net with a population of one such neuron, and
//! synapses of net delay 0 from it that carry the constants.
//! Invariant: a net has at most one source that this module made; populations and projections before it keep their ids.
//! Cost: linear in the neurons of the population.
//! Why: a bias acts on v, a constant on u (docs/semantics.md, section 2). A spike in every step is a constant that every
//! stage knows already: the interpreter, the quantizer, retiming, the packer and the image check.

use crate::float::{Float, FloatNeuron};
use crate::ids::PopulationId;
use crate::net::{Net, Population, Projection, Role};
use crate::synapses::Builder;

/// Its bias is two thresholds and v keeps nothing: it fires by either fire rule, after either reset, from step 0 on.
const SOURCE: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 0.0, gain: 1.0, bias: 2.0, threshold: 1.0, v_reset: 0.0 };

/// Adds `constants[j]` to the input of neuron j of `post` in every network step, rounded to f32; zeros get no synapse.
///
/// Errors: the neuron whose constant is beyond f32, and the constant.
pub(crate) fn add_constants(net: &mut Net<Float>, post: PopulationId, constants: &[f64]) -> Result<(), (usize, f64)> {
    let rounded = || constants.iter().map(|&c| c as f32).enumerate();
    if let Some((neuron, _)) = rounded().find(|(_, w)| !w.is_finite()) {
        return Err((neuron, constants[neuron]));
    }
    let mut builder = Builder::new();
    builder.push_row(rounded().filter(|(_, w)| *w != 0.0).map(|(j, w)| (j as u32, w, 0)));
    if builder.is_empty() {
        return Ok(());
    }
    let pre = source(net);
    let name = format!("{} -> {}", net.population(pre).name, net.population(post).name);
    net.projections.push(Projection { name, pre, post, format: (), synapses: builder.finish() });
    Ok(())
}

/// The net's source, appended where there is none. Any lone neuron like it that nothing reaches is one.
fn source(net: &mut Net<Float>) -> PopulationId {
    let reached = |p: usize| {
        let posts = net.projections.iter().map(|x| x.post).chain(net.host_projections.iter().map(|x| x.post));
        posts.into_iter().any(|post| post.index() == p)
    };
    if let Some(p) = (0..net.populations.len()).find(|&p| net.populations[p].neurons() == [SOURCE] && !reached(p)) {
        return PopulationId::from(p);
    }
    let taken = |name: &str| net.populations.iter().any(|p| p.name == name);
    let names = std::iter::once("constant".to_string()).chain((2..).map(|k| format!("constant {k}")));
    let name = names.into_iter().find(|name| !taken(name)).expect("there are more numbers than populations");
    net.populations.push(Population { name, shape: vec![1], origin: vec![0], skew: 0, role: Role::Neurons(vec![SOURCE]) });
    PopulationId::from(net.populations.len() - 1)
}
