//! `Trained(...)`: a network in floats.

use super::arrays::ArrayFiles;
use super::schema::{Link, Neurons, Sizes, Trained};
use super::spatial::{self, Kernel, Window};
use super::{name_or, population, unique};
use crate::error::ImportError;
use crate::nir::positive;
use crate::shape::{MAX_POPULATION, population_len};
use crate::{ImportOptions, conventions};
use spikec_net::{Network, NeuronModel, Operator, PoolKind, PopulationId, TrainedPopulation, TrainedProjection, TrainedRole};

/// The length of a population's shape.
pub(super) fn checked_len(place: &str, shape: &[u32]) -> Result<usize, ImportError> {
    let wide: Vec<u64> = shape.iter().map(|&d| d.into()).collect();
    population_len(&wide).filter(|_| !shape.is_empty() && shape.len() <= 32).ok_or_else(|| ImportError::BadValue {
        place: place.into(),
        found: format!("{shape:?}"),
        expected: format!("1 to 32 sizes with 1 to {MAX_POPULATION} elements in all"),
    })
}

/// The network of a `Trained` file.
pub(super) fn network(file: Trained, options: &ImportOptions, arrays: &mut ArrayFiles) -> Result<Network, ImportError> {
    let Trained { name, dt, convention, fire, reset, discretization, populations, projections, output } = file;
    let dt_s = match (options.dt_s, dt) {
        (Some(x), _) => positive(x, &x.to_string(), "option dt")?,
        (None, Some(x)) => positive(x, &x.to_string(), "key dt")?,
        (None, None) => return Err(ImportError::NoDt),
    };
    let mut conventions = conventions::find(convention.as_deref().unwrap_or(conventions::NIR.name))?.with_dt(dt_s);
    conventions.fire = fire.unwrap_or(conventions.fire);
    conventions.reset = reset.unwrap_or(conventions.reset);
    conventions.discretization = discretization.unwrap_or(conventions.discretization);
    if let Some(name) = &options.convention {
        conventions = conventions::find(name)?.with_dt(dt_s);
    }
    conventions.discretization = options.discretization.unwrap_or(conventions.discretization);

    let index = unique(populations.iter().enumerate().map(|(k, p)| (format!("populations[{k}].name"), p.name.as_str())))?;
    let mut built = Vec::with_capacity(populations.len());
    for (k, p) in populations.iter().enumerate() {
        let place = format!("populations[{k}]");
        let n = checked_len(&format!("{place}.shape"), &p.shape)?;
        arrays.growth.neurons(&place, n)?;
        let role = neurons(&p.neurons, &place, n, arrays)?;
        built.push(TrainedPopulation { name: p.name.clone(), shape: p.shape.clone(), role });
    }
    if !built.iter().any(|p| p.role == TrainedRole::Input) {
        return Err(ImportError::NoInput);
    }
    let mut links = Vec::with_capacity(projections.len());
    for (k, p) in projections.iter().enumerate() {
        let place = format!("projections[{k}]");
        let pre = population(&index, format!("{place}.pre"), &p.pre)?;
        let post = population(&index, format!("{place}.post"), &p.post)?;
        neurons_expected(&built[post], &format!("{place}.post"))?;
        let name = p.name.clone().unwrap_or_else(|| format!("{} -> {}", p.pre, p.post));
        // Maxima of spikes are neurons of their own, after those of the file.
        let mut pools = Vec::new();
        let operators = chain(&p.chain, &place, (&built[pre], &built[post]), arrays, &mut pools)?;
        let (mut pre, post) = (PopulationId::from(pre), PopulationId::from(post));
        for Maximum { operators, shape } in pools {
            let label = unused(&built, &format!("{name} max"));
            let population = TrainedPopulation { name: label, shape, role: TrainedRole::Neurons(NeuronModel::Or) };
            arrays.growth.neurons(&place, population.len())?;
            built.push(population);
            let or = PopulationId::from(built.len() - 1);
            let name = built[or.index()].name.clone();
            links.push(TrainedProjection { name, pre, post: or, operators, delay_steps: 0 });
            pre = or;
        }
        links.push(TrainedProjection { name, pre, post, operators, delay_steps: p.delay.into() });
    }
    let out = population(&index, "output".into(), &output)?;
    neurons_expected(&built[out], "output")?;
    let name = name_or(name, options);
    Ok(Network { name, conventions, populations: built, projections: links, output: PopulationId::from(out) })
}

fn neurons_expected(p: &TrainedPopulation, place: &str) -> Result<(), ImportError> {
    match p.role {
        TrainedRole::Neurons(_) => Ok(()),
        TrainedRole::Input => Err(ImportError::BadValue {
            place: place.into(),
            found: format!("the input `{}`", p.name),
            expected: "a population of neurons".into(),
        }),
    }
}

fn neurons(given: &Neurons, place: &str, n: usize, arrays: &mut ArrayFiles) -> Result<TrainedRole, ImportError> {
    // Reads each named parameter into the field of the same name.
    macro_rules! model {
        ($kind:ident: $($field:ident),*) => {
            NeuronModel::$kind { $($field: arrays.floats(&format!("{place}.neurons.{}", stringify!($field)), $field, n)?),* }
        };
    }
    Ok(TrainedRole::Neurons(match given {
        Neurons::Input => return Ok(TrainedRole::Input),
        Neurons::Lif { tau, r, v_leak, v_threshold, v_reset } => model!(Lif: tau, r, v_leak, v_threshold, v_reset),
        Neurons::If { r, v_threshold, v_reset } => model!(If: r, v_threshold, v_reset),
        Neurons::CubaLif { tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in } => {
            model!(CubaLif: tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in)
        }
        Neurons::Li { tau, r, v_leak } => model!(Li: tau, r, v_leak),
        Neurons::CubaLi { tau_syn, tau_mem, r, v_leak, w_in } => model!(CubaLi: tau_syn, tau_mem, r, v_leak, w_in),
        Neurons::Threshold { v_threshold } => model!(Threshold: v_threshold),
        Neurons::Or => NeuronModel::Or,
    }))
}

/// A maximum of spikes on a projection's way.
struct Maximum {
    /// From what comes before to its neurons.
    operators: Vec<Operator>,
    shape: Vec<u32>,
}

/// `wanted`, or with a number what no population is called.
fn unused(populations: &[TrainedPopulation], wanted: &str) -> String {
    let taken = |name: &str| populations.iter().any(|p| p.name == name);
    let mut name = wanted.to_string();
    for k in 2.. {
        if !taken(&name) {
            break;
        }
        name = format!("{wanted} {k}");
    }
    name
}

/// The operators from `ends.0` to `ends.1`; those up to a maximum of spikes go to `pools`. Tensors are row-major: a matrix takes any tensor of its length.
fn chain(
    links: &[Link],
    place: &str,
    ends: (&TrainedPopulation, &TrainedPopulation),
    arrays: &mut ArrayFiles,
    pools: &mut Vec<Maximum>,
) -> Result<Vec<Operator>, ImportError> {
    let (pre, post) = ends;
    let mut shape = pre.shape.clone();
    let mut operators = Vec::with_capacity(links.len());
    for (k, link) in links.iter().enumerate() {
        let place = format!("{place}.chain[{k}]");
        let n: usize = shape.iter().map(|&d| d as usize).product();
        let flat = vec![n as u32];
        match link {
            Link::Linear { weight, mask } => {
                if shape != flat {
                    operators.push(Operator::Reshape { shape: flat });
                }
                let (outputs, mut values) = arrays.matrix(&format!("{place}.weight"), weight, n)?;
                if outputs as u64 > MAX_POPULATION {
                    return Err(ImportError::TooLarge { place, what: "outputs", found: outputs as u64, limit: MAX_POPULATION });
                }
                if let Some(mask) = mask {
                    let keep = arrays.mask(&format!("{place}.mask"), mask, &[outputs, n])?;
                    // A weight of -0.0 is no synapse either and stays what it is.
                    for (w, _) in values.iter_mut().zip(keep).filter(|(w, keep)| !keep && **w != 0.0) {
                        *w = 0.0;
                    }
                }
                operators.push(Operator::Linear { outputs: outputs as u32, inputs: n as u32, weight: values });
                shape = vec![outputs as u32];
            }
            Link::Bias { bias } => operators.push(Operator::Bias { bias: arrays.floats(&format!("{place}.bias"), bias, n)? }),
            Link::Scale { scale } => operators.push(Operator::Scale { scale: arrays.floats(&format!("{place}.scale"), scale, n)? }),
            Link::Flatten => {
                if shape != flat {
                    operators.push(Operator::Reshape { shape: flat.clone() });
                }
                shape = flat;
            }
            Link::Reshape { shape: to } => {
                if checked_len(&format!("{place}.shape"), to)? != n {
                    return Err(ImportError::BadValue {
                        place: format!("{place}.shape"),
                        found: format!("{to:?}"),
                        expected: format!("a shape with {n} elements, as many as {shape:?} has"),
                    });
                }
                operators.push(Operator::Reshape { shape: to.clone() });
                shape.clone_from(to);
            }
            Link::Conv1d { weight, mask, bias, stride, padding, dilation, groups }
            | Link::Conv2d { weight, mask, bias, stride, padding, dilation, groups } => {
                let rank = if matches!(link, Link::Conv1d { .. }) { 1 } else { 2 };
                let kernel = Kernel { weight, mask: mask.as_ref(), bias: bias.as_ref(), groups: *groups, output_padding: None };
                let (added, result) = spatial::conv(&place, rank, &shape, &kernel, &Window { stride, padding, dilation }, arrays)?;
                operators.extend(added);
                shape = result;
            }
            Link::ConvTranspose1d { weight, mask, bias, stride, padding, output_padding, dilation, groups }
            | Link::ConvTranspose2d { weight, mask, bias, stride, padding, output_padding, dilation, groups } => {
                let rank = if matches!(link, Link::ConvTranspose1d { .. }) { 1 } else { 2 };
                let output_padding = Some(output_padding);
                let kernel = Kernel { weight, mask: mask.as_ref(), bias: bias.as_ref(), groups: *groups, output_padding };
                let (added, result) = spatial::conv(&place, rank, &shape, &kernel, &Window { stride, padding, dilation }, arrays)?;
                operators.extend(added);
                shape = result;
            }
            Link::SumPool1d { kernel, stride, padding, dilation } | Link::SumPool2d { kernel, stride, padding, dilation } => {
                let rank = if matches!(link, Link::SumPool1d { .. }) { 1 } else { 2 };
                let kernel = spatial::sizes(&format!("{place}.kernel"), kernel, rank)?;
                let own = Sizes::Each(kernel.clone());
                let window = Window { stride: stride.as_ref().unwrap_or(&own), padding, dilation };
                let (pool, result) = spatial::pool(&place, PoolKind::Sum, &shape, &kernel, &window)?;
                operators.push(pool);
                shape = result;
            }
            Link::AvgPool1d { kernel, stride, padding, count_include_pad }
            | Link::AvgPool2d { kernel, stride, padding, count_include_pad } => {
                let rank = if matches!(link, Link::AvgPool1d { .. }) { 1 } else { 2 };
                let kernel = spatial::sizes(&format!("{place}.kernel"), kernel, rank)?;
                let own = Sizes::Each(kernel.clone());
                let window = Window { stride: stride.as_ref().unwrap_or(&own), padding, dilation: &Sizes::One(1) };
                let kind = if *count_include_pad { PoolKind::Average } else { PoolKind::AverageInside };
                let (pool, result) = spatial::pool(&place, kind, &shape, &kernel, &window)?;
                operators.push(pool);
                shape = result;
            }
            Link::MaxPool1d { kernel, stride, padding, dilation } | Link::MaxPool2d { kernel, stride, padding, dilation } => {
                if let Some(other) = operators.iter().find(|o| !matches!(o, Operator::Reshape { .. })) {
                    return Err(ImportError::BadValue {
                        place,
                        found: format!("a maximum of values behind a {}", other.kind()),
                        expected: "one of spikes: put it first in the chain, behind neurons".into(),
                    });
                }
                let rank = if matches!(link, Link::MaxPool1d { .. }) { 1 } else { 2 };
                let kernel = spatial::sizes(&format!("{place}.kernel"), kernel, rank)?;
                let own = Sizes::Each(kernel.clone());
                let window = Window { stride: stride.as_ref().unwrap_or(&own), padding, dilation };
                let (pool, result) = spatial::pool(&place, PoolKind::Sum, &shape, &kernel, &window)?;
                operators.push(pool);
                pools.push(Maximum { operators: std::mem::take(&mut operators), shape: result.clone() });
                shape = result;
            }
            Link::BatchNorm { weight, bias, mean, variance, epsilon } => {
                operators.push(spatial::norm(&place, &shape, [weight, bias, mean, variance], *epsilon, arrays)?);
            }
            Link::Delay { delay } => operators.push(Operator::Delay { delay: arrays.floats(&format!("{place}.delay"), delay, n)? }),
            Link::Place { at, shape: whole } => {
                let (part, result) = spatial::part(&place, &shape, at, whole)?;
                operators.push(part);
                shape = result;
            }
        }
    }
    let n: usize = shape.iter().map(|&d| d as usize).product();
    if n != post.len() {
        return Err(ImportError::BadValue {
            place: format!("{place}.chain"),
            found: format!("a tensor of shape {shape:?}"),
            expected: format!("{} elements, the neurons of `{}`", post.len(), post.name),
        });
    }
    if shape != post.shape {
        operators.push(Operator::Reshape { shape: post.shape.clone() });
    }
    Ok(operators)
}
