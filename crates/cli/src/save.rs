//! Networks into files.
//!
//! In: a network and the path that the user gave. Out: outputs that are claimed before the work starts and filled after it.
//! Invariant: what can't be written is refused before the work starts, as far as that can be known then.

use crate::failure::Failure;
use crate::files::{Files, Output};
use spikec_import::{Format, ImportOptions, Imported, Model};
use spikec_net::Network;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a network to be.
pub struct NetworkFiles {
    path: PathBuf,
    outputs: Vec<Output>,
}

impl NetworkFiles {
    /// Claims the files; the extension says the format.
    pub fn claim(path: &Path, files: &mut Files) -> Result<Self, Failure> {
        let format = Format::of(path).map_err(|e| failure(path, &e))?;
        let paths = format.arrays_beside(path).into_iter().chain([path.to_path_buf()]);
        let outputs = paths.map(|p| files.output(&p)).collect::<Result<_, _>>()?;
        Ok(NetworkFiles { path: path.to_path_buf(), outputs })
    }

    /// Refuses what the format can't say; with `exact`, also what would read back as another network.
    pub fn check(&self, network: &Network, exact: bool) -> Result<(), Failure> {
        let written = spikec_import::write(network, &self.path).map_err(|e| failure(&self.path, &e))?;
        if !exact {
            return Ok(());
        }
        let file = |path: &Path| written.iter().find(|(p, _)| p == path).map(|(_, bytes)| bytes.clone());
        let beside = |path: &Path| file(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        let bytes = file(&self.path).unwrap_or_default();
        let read = spikec_import::read(&self.path, &bytes, &ImportOptions::default(), &beside);
        match read.map_err(|e| failure(&self.path, &e))? {
            Imported { model: Model::Trained(read), .. } if read.digest() == network.digest() => Ok(()),
            _ => Err(Failure::file(
                &self.path,
                "would read back with other names or another order of its parts than the bundle is made from, and not verify with it",
            )
            .hint("name the network's file .ron: that format keeps everything")),
        }
    }

    /// The paths, for people.
    pub fn names(path: &Path) -> String {
        let beside = Format::of(path).ok().and_then(|f| f.arrays_beside(path));
        [path.to_path_buf()].into_iter().chain(beside).map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Fills the files; they still have to be put in their places.
    pub fn fill(self, network: &Network) -> Result<Vec<Output>, Failure> {
        let written = spikec_import::write(network, &self.path).map_err(|e| failure(&self.path, &e))?;
        self.outputs.into_iter().zip(&written).map(|(output, (_, bytes))| output.fill(|out| out.write_all(bytes))).collect()
    }
}

fn failure(path: &Path, e: &spikec_import::ImportError) -> Failure {
    Failure::file(path, e).hint(e.hint())
}
