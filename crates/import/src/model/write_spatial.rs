//! Links whose tensors have places, as text.

use spikec_net::{Axis, Operator, Pool, PoolKind};

/// A number where all are alike, else a list.
fn sizes(values: &[u32]) -> String {
    match values {
        [first, rest @ ..] if rest.iter().all(|v| v == first) => first.to_string(),
        _ => format!("{values:?}"),
    }
}

/// The keys of a window that differ from their defaults, each with a comma before it.
pub(super) fn window(axes: &[Axis], stride: u32) -> String {
    let all = |of: fn(&Axis) -> u32| axes.iter().map(of).collect::<Vec<_>>();
    let mut out = String::new();
    if all(|a| a.stride).iter().any(|&s| s != stride) || stride != 1 {
        out.push_str(&format!(", stride: {}", sizes(&all(|a| a.stride))));
    }
    if axes.iter().any(|a| a.padding[0] != a.padding[1]) {
        out.push_str(&format!(", padding: {:?}", axes.iter().map(|a| a.padding).collect::<Vec<_>>()));
    } else if axes.iter().any(|a| a.padding[0] != 0) {
        out.push_str(&format!(", padding: {}", sizes(&all(|a| a.padding[0]))));
    }
    if axes.iter().any(|a| a.dilation != 1) {
        out.push_str(&format!(", dilation: {}", sizes(&all(|a| a.dilation))));
    }
    out
}

/// A pool's link; `None` where the model has none: an average over a dilated window.
pub(super) fn pool(pool: &Pool) -> Option<String> {
    let kernel = sizes(&pool.axes.iter().map(|a| a.kernel).collect::<Vec<_>>());
    // The stride is always written: its default is the kernel.
    let mut keys = format!("kernel: {kernel}");
    let stride = sizes(&pool.axes.iter().map(|a| a.stride).collect::<Vec<_>>());
    keys.push_str(&format!(", stride: {stride}"));
    let plain: Vec<Axis> = pool.axes.iter().map(|a| Axis { stride: 1, ..*a }).collect();
    keys.push_str(&window(&plain, 1));
    if pool.kind == PoolKind::AverageInside {
        keys.push_str(", count_include_pad: false");
    }
    let dilated = pool.axes.iter().any(|a| a.dilation != 1);
    (pool.kind == PoolKind::Sum || !dilated).then(|| format!("{}({keys})", Operator::Pool(pool.clone()).kind()))
}

/// The value of each channel of a bias that is the same at all places of a channel.
pub(crate) fn per_channel(bias: &[f32], channels: usize) -> Option<Vec<f32>> {
    if channels == 0 || !bias.len().is_multiple_of(channels) || bias.is_empty() {
        return None;
    }
    let alike = |places: &[f32]| places.iter().all(|b| b.to_bits() == places[0].to_bits()).then_some(places[0]);
    bias.chunks(bias.len() / channels).map(alike).collect()
}
