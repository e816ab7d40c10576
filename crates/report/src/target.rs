//! A target as text: every number with its source and confidence.

use spikec_chip::Target;

/// The description, one number a line; keys and values are as a derived target file writes them.
pub fn text(target: &Target) -> String {
    let mut out = format!("{}: {}\n", target.name, target.description);
    let numbers = target.numbers();
    let width = numbers.iter().map(|n| n.key.len()).max().unwrap_or(0);
    for n in numbers {
        out.push_str(&format!("  {:<width$}  {}  [{:?}: {}]\n", n.key, n.value, n.confidence, n.source));
    }
    out
}
