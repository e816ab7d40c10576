//! `Trained(...)`: a network in floats.

use super::arrays::ArrayFiles;
use super::schema::{Link, Neurons, Trained};
use super::{name_or, population, unique};
use crate::error::ImportError;
use crate::nir::positive;
use crate::shape::{MAX_POPULATION, population_len};
use crate::{ImportOptions, conventions};
use spikec_net::{Network, NeuronModel, Operator, PopulationId, TrainedPopulation, TrainedProjection, TrainedRole};

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
        let operators = chain(&p.chain, &place, (&built[pre], &built[post]), arrays)?;
        let (pre, post) = (PopulationId::from(pre), PopulationId::from(post));
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
    }))
}

/// The operators from `ends.0` to `ends.1`. Tensors are row-major: a matrix takes any tensor of its length.
fn chain(
    links: &[Link],
    place: &str,
    ends: (&TrainedPopulation, &TrainedPopulation),
    arrays: &mut ArrayFiles,
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
                    let keep = arrays.mask(&format!("{place}.mask"), mask, [outputs, n])?;
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
