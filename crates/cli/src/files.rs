//! Reading and writing files: named errors, and outputs that are whole or not there.

use crate::failure::Failure;
use std::io::Write;
use std::path::Path;

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| {
        let f = Failure::file(path, format_args!("can't be read: {e}"));
        if e.kind() == std::io::ErrorKind::NotFound { f.hint("check the path") } else { f }
    })
}

/// Reads a whole text file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?)
        .map_err(|e| Failure::file(path, format_args!("is not UTF-8 text (byte {})", e.utf8_error().valid_up_to())))
}

/// An output that is checked before the work starts and appears whole at its end: written beside its place, then renamed.
pub struct Output {
    file: tempfile::NamedTempFile,
    path: std::path::PathBuf,
}

impl Output {
    /// Checks that `path` can be written; an existing file stays as it is until `commit`.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let fail = |e: &dyn std::fmt::Display| {
            Failure::file(path, format_args!("can't be written: {e}")).hint("name a file in a folder that exists and is writable")
        };
        if path.is_dir() {
            return Err(fail(&"it is a folder"));
        }
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new().prefix(".spikec-").suffix(".tmp").tempfile_in(folder).map_err(|e| fail(&e))?;
        Ok(Output { file, path: path.to_path_buf() })
    }

    /// Writes the bytes and puts the file in its place.
    pub fn commit(self, bytes: &[u8]) -> Result<(), Failure> {
        self.fill(|out| out.write_all(bytes))?.put()
    }

    /// Writes whatever `write` writes, through a buffer; `put` puts the file in its place.
    pub fn fill(mut self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<Self, Failure> {
        let mut out = std::io::BufWriter::new(&mut self.file);
        let result = write(&mut out).and_then(|()| out.flush());
        drop(out);
        result.and_then(|()| self.file.as_file().sync_all()).map_err(|e| fail(&self.path, &e))?;
        Ok(self)
    }

    /// Puts a filled file in its place.
    pub fn put(self) -> Result<(), Failure> {
        #[cfg(unix)]
        {
            // A temporary file is private; an output is as readable as any new file.
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&self.path).map_or(0o644, |m| m.permissions().mode() & 0o777);
            let _ = self.file.as_file().set_permissions(std::fs::Permissions::from_mode(mode));
        }
        let path = self.path;
        self.file.persist(&path).map_err(|e| fail(&path, &e.error))?;
        Ok(())
    }
}

fn fail(path: &Path, e: &std::io::Error) -> Failure {
    Failure::file(path, format_args!("can't be written: {e}"))
}
