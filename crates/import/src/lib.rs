//! Readers and writers of network files: NIR, lava-dl's `.net`, and the RON model file; and arrays of HDF5 files, such as events.
//!
//! In: bytes of a `.nir`, `.net` or `.ron` file, and a loader for the array files that a `.ron` file names.
//! Out: a [`Model`]: a [`Network`] as trained, or a net that is already in the chip's registers.
//! Invariant: no byte sequence makes a reader panic, hang, or allocate more than a bounded multiple of its length.
//! Why: one place that knows file formats (docs/network-format.md); nothing behind it does.

pub mod conventions;
mod edges;
mod error;
mod events;
mod half;
mod hdf5;
mod model;
mod netx;
mod nir;
mod shape;
mod torch;

pub use error::ImportError;
pub use events::read_hdf5_arrays;
pub use model::read_model;
pub use model::write::write_model;
pub use netx::read_netx;
pub use nir::read_nir;
pub use nir::write::write_nir;

use spikec_net::{Discretization, Fixed, Net, Network};
use std::path::{Path, PathBuf};

/// A network file's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// As trained, in floats.
    Trained(Network),
    /// In the chip's registers.
    Registers(Net<Fixed>),
}

/// What the user adds to a file; it wins over what the file says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportOptions {
    /// Length of a step in the file's unit of time.
    pub dt_s: Option<f64>,
    /// Name of a row of [`conventions::ALL`].
    pub convention: Option<String>,
    /// Overrides the convention's discretization.
    pub discretization: Option<Discretization>,
    /// Name of the network where the file has none, e.g. the file's stem.
    pub name: String,
    /// Edges of a NIR graph may name nodes loosely where one node alone fits; what is changed is a warning.
    pub repair_edges: bool,
}

/// A model, and what the reader had to ignore or change.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// One sentence each.
    pub warnings: Vec<String>,
}

/// Loads a file that a model names.
pub type Loader<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, std::io::Error>;

/// A kind of network file that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// NIR 1.0, one file.
    Nir,
    /// A model in RON, and a `.npz` file of the same name beside it.
    Ron,
}

impl Format {
    /// By the extension.
    ///
    /// # Errors
    /// [`ImportError::UnknownFormat`].
    pub fn of(path: &Path) -> Result<Self, ImportError> {
        let extension = extension(path);
        match extension.as_str() {
            "nir" => Ok(Format::Nir),
            "ron" => Ok(Format::Ron),
            _ => Err(ImportError::UnknownFormat { extension, known: WRITTEN.to_vec() }),
        }
    }

    /// The file of arrays beside a network's file.
    pub fn arrays_beside(self, path: &Path) -> Option<PathBuf> {
        (self == Format::Ron).then(|| path.with_extension("npz"))
    }
}

/// A network as the files at `path`: those beside it first, then itself. The same network gives the same bytes.
///
/// # Errors
/// [`ImportError::UnknownFormat`], else [`ImportError::NotWritable`].
pub fn write(network: &Network, path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, ImportError> {
    let format = Format::of(path)?;
    let Some(beside) = format.arrays_beside(path) else { return Ok(vec![(path.into(), write_nir(network)?)]) };
    let arrays = beside.file_name().and_then(|n| n.to_str()).ok_or_else(|| ImportError::NotWritable {
        format: "a RON model",
        place: path.display().to_string(),
        what: "the name of its file is not UTF-8, and the model names its arrays' file".into(),
    })?;
    let (text, bytes) = write_model(network, arrays)?;
    Ok(vec![(beside, bytes), (path.into(), text.into_bytes())])
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// What can be written.
const WRITTEN: [&str; 2] = [".nir (NIR 1.0)", ".ron (a model in RON)"];
/// What can be read.
const KNOWN: [&str; 3] = [".nir (NIR 1.0)", ".net (lava-dl)", ".ron (a model in RON)"];

/// Reads a network file: by its extension, else by its first bytes. `load` gets the paths of array files,
/// relative ones joined to the folder of `path`.
///
/// # Errors
/// [`ImportError::UnknownFormat`], else the format's own.
pub fn read(path: &Path, bytes: &[u8], options: &ImportOptions, load: Loader) -> Result<Imported, ImportError> {
    let extension = extension(path);
    match extension.as_str() {
        "nir" => nir(bytes, options),
        "net" => read_netx(bytes, options),
        "ron" => read_model(path, bytes, options, load),
        "csv" | "tsv" | "npz" | "npy" | "safetensors" | "pth" | "pt" => Err(ImportError::ArraysAlone { extension }),
        _ if bytes.starts_with(&hdf5::SIGNATURE) && netx::is_netx(bytes) => read_netx(bytes, options),
        _ if bytes.starts_with(&hdf5::SIGNATURE) => nir(bytes, options),
        _ if model::looks_like_model(bytes) => read_model(path, bytes, options, load),
        _ => Err(ImportError::UnknownFormat { extension, known: KNOWN.to_vec() }),
    }
}

fn nir(bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    let (network, warnings) = read_nir(bytes, options)?;
    Ok(Imported { model: Model::Trained(network), warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &Path) -> Result<Vec<u8>, std::io::Error> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    #[test]
    fn kinds_are_told_by_extension_then_by_content() {
        let options = ImportOptions::default();
        let get = |name: &str, bytes: &[u8]| read(Path::new(name), bytes, &options, &none).unwrap_err();
        assert_eq!(get("a.nir", b"Trained("), ImportError::NotHdf5);
        assert!(matches!(get("a.ron", &hdf5::SIGNATURE), ImportError::Ron { .. }));
        assert!(matches!(get("a.bin", &hdf5::SIGNATURE), ImportError::Corrupt { .. }));
        assert!(matches!(get("a.txt", b"// a net\n Registers("), ImportError::Ron { .. }));
        let unknown = get("a.onnx", b"xyz");
        assert!(unknown.to_string().contains(".nir") && unknown.to_string().contains("onnx") && unknown.hint().contains(".ron"));
    }
}
