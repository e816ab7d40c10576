//! RANC: the input of its simulator, the memory images of its RTL, and networks made for it.
//!
//! In: a bundle of the crossbar family and, if wanted, a sample; or an input file of RANC's simulator. Out: files; or a bundle (`read`).
//! Invariant: what RANC would compute otherwise is refused: a potential that could leave the bits of the target where RANC's simulator has none (`bound`), a target
//! whose neurons RANC's RTL doesn't have.
//! Facts about the formats: docs/exports.md.

mod bound;
mod json;
mod mem;
mod read;
#[cfg(test)]
mod tests;

pub use json::RancJson;
pub use mem::RancMem;
pub use read::{Imported, RancError, RancFinding, read};

use crate::error::ExportError;
use spikec_chip::Loadable;
use spikec_chip::crossbar::{Crossbar, CrossbarTables, decode_core};
use spikec_chip::image::Image;
use spikec_chip::target::Family;

/// The family's description and the decoded cores.
fn cores<'a>(bundle: &Loadable<'a>, format: &'static str) -> Result<(&'a Crossbar, Vec<CrossbarTables>), ExportError> {
    match (&bundle.target.family, bundle.image) {
        (Family::Crossbar(spec), Image::Crossbar(image)) => {
            let tables = image.cores.iter().map(|core| decode_core(core, spec)).collect::<Result<_, _>>()?;
            Ok((spec, tables))
        }
        (family, _) => Err(ExportError::Family { format, found: family.name(), expected: "Crossbar" }),
    }
}
