//! Reading and writing files: named errors, and outputs that are whole or not there.

use crate::failure::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|m| std::os::unix::fs::FileTypeExt::is_char_device(&m.file_type())) {
        // Such as /dev/zero, which never ends.
        return Err(Failure::file(path, "is a device, expected a file").hint("check the path"));
    }
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

/// The files of one command: no output may be an input, or another output.
#[derive(Default)]
pub struct Files {
    inputs: Vec<PathBuf>,
    outputs: Vec<(PathBuf, PathBuf)>, // as typed, resolved
}

impl Files {
    /// Files that will be read.
    pub fn reading(inputs: &[&Path]) -> Self {
        Files { inputs: inputs.iter().map(|p| p.to_path_buf()).collect(), outputs: Vec::new() }
    }

    /// One more file that is read, known only now.
    pub fn read_also(&mut self, path: &Path) -> Result<(), Failure> {
        self.inputs.push(path.to_path_buf());
        self.outputs.iter().try_for_each(|(typed, resolved)| self.not_an_input(typed, resolved))
    }

    /// An output, checked.
    pub fn output(&mut self, path: &Path) -> Result<Output, Failure> {
        let output = Output::create(path)?;
        self.not_an_input(path, &output.resolved)?;
        if let Some((other, _)) = self.outputs.iter().find(|(_, resolved)| *resolved == output.resolved) {
            return Err(Failure::file(path, format_args!("is written twice: it is also {}", other.display()))
                .hint("give each output a name of its own"));
        }
        self.outputs.push((path.to_path_buf(), output.resolved.clone()));
        Ok(output)
    }

    fn not_an_input(&self, typed: &Path, resolved: &Path) -> Result<(), Failure> {
        match self.inputs.iter().find(|i| i.canonicalize().is_ok_and(|i| i == *resolved)) {
            None => Ok(()),
            Some(input) => Err(Failure::file(typed, format_args!("is an input of this command ({}): it would be lost", input.display()))
                .hint("write to another file")),
        }
    }
}

/// Most symbolic links that are followed to an output.
const MOST_LINKS: usize = 40;

/// An output that is checked before the work starts and appears whole at its end: written beside its place, then renamed.
/// A symbolic link stays: the file that it names is written.
pub struct Output {
    file: tempfile::NamedTempFile,
    path: PathBuf,
    resolved: PathBuf,
}

impl Output {
    /// Checks that `path` can be written; an existing file stays as it is until `commit`.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let fail = |e: &dyn std::fmt::Display| {
            Failure::file(path, format_args!("can't be written: {e}")).hint("name a file in a folder that exists and is writable")
        };
        let resolved = resolve(path).map_err(|e| fail(&e))?;
        if let Ok(found) = std::fs::metadata(&resolved) {
            if found.is_dir() {
                return Err(fail(&"it is a folder"));
            }
            if !found.is_file() {
                return Err(fail(&"it is a device, pipe or socket, expected a regular file or a new name"));
            }
        }
        let folder = resolved.parent().unwrap_or(Path::new("/"));
        // The error's kind alone: the temporary name says nothing to the user.
        let temporary = tempfile::Builder::new().prefix(".spikec-").suffix(".tmp").tempfile_in(folder);
        let file = temporary.map_err(|e| fail(&std::io::Error::from(e.kind())))?;
        Ok(Output { file, path: path.to_path_buf(), resolved })
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
            let mode = std::fs::metadata(&self.resolved).map_or(0o644, |m| m.permissions().mode() & 0o777);
            let _ = self.file.as_file().set_permissions(std::fs::Permissions::from_mode(mode));
        }
        let (path, resolved) = (self.path, self.resolved);
        self.file.persist(resolved).map_err(|e| fail(&path, &e.error))?;
        Ok(())
    }
}

/// Puts filled files in their places: all of them, or none where one can't be put.
pub fn put_all(outputs: Vec<Output>) -> Result<(), Failure> {
    let mut put: Vec<(PathBuf, Option<tempfile::TempPath>)> = Vec::with_capacity(outputs.len());
    for output in outputs {
        let resolved = output.resolved.clone();
        let done = keep(&resolved).map_err(|e| fail(&output.path, &e)).and_then(|before| output.put().map(|()| before));
        match done {
            Ok(before) => put.push((resolved, before)),
            Err(failure) => {
                for (resolved, before) in put {
                    let _ = match before {
                        Some(before) => before.persist(resolved).map_err(|e| e.error),
                        None => std::fs::remove_file(resolved),
                    };
                }
                return Err(failure);
            }
        }
    }
    Ok(())
}

/// What stands at a path that is about to be replaced, under a name of its own beside it that goes away by itself; `None` where nothing does.
fn keep(resolved: &Path) -> std::io::Result<Option<tempfile::TempPath>> {
    if !resolved.exists() {
        return Ok(None);
    }
    let folder = resolved.parent().unwrap_or(Path::new("/"));
    let place = tempfile::Builder::new().prefix(".spikec-").suffix(".tmp").tempfile_in(folder)?.into_temp_path();
    // A second name costs nothing; where the file system has none, a copy.
    std::fs::remove_file(&place)?;
    std::fs::hard_link(resolved, &place).or_else(|_| std::fs::copy(resolved, &place).map(|_| ()))?;
    Ok(Some(place))
}

/// Where a file will be: symbolic links followed (the last one may name nothing yet), its folder in its plain form.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let folder = folder.canonicalize().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => std::io::Error::new(e.kind(), "its folder does not exist"),
            _ => e,
        })?;
        let Some(name) = path.file_name() else {
            return path.canonicalize(); // `..` and the like: a folder
        };
        let place = folder.join(name);
        match std::fs::read_link(&place) {
            Ok(next) => path = folder.join(next),
            Err(_) => return Ok(place),
        }
    }
    Err(std::io::Error::other("too many symbolic links"))
}

fn fail(path: &Path, e: &std::io::Error) -> Failure {
    Failure::file(path, format_args!("can't be written: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_put_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("old"), "before").unwrap();
        let filled = |files: &mut Files, name: &str| files.output(&at(name)).unwrap().fill(|out| out.write_all(b"after")).unwrap();
        for blocked in [true, false] {
            let mut files = Files::default();
            let outputs = ["new", "old", "last"].map(|name| filled(&mut files, name)).into();
            if blocked {
                // In the way of the last one, after it was claimed.
                std::fs::create_dir(at("last")).unwrap();
            }
            assert_eq!(put_all(outputs).is_err(), blocked);
            let expected: &[(&str, &str)] =
                if blocked { &[("old", "before")] } else { &[("last", "after"), ("new", "after"), ("old", "after")] };
            if blocked {
                std::fs::remove_dir(at("last")).unwrap();
            }
            let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, expected.iter().map(|(n, _)| *n).collect::<Vec<_>>());
            for (name, text) in expected {
                assert_eq!(std::fs::read_to_string(at(name)).unwrap(), *text);
            }
        }
    }
}
