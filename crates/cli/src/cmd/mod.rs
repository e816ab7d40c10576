//! One module a command.

pub mod check;
pub mod compile;
pub mod data;
pub mod export;
pub mod inspect;
pub mod quickstart;
pub mod simulate;
pub mod target;
pub mod verify;

use std::io::Write;

/// Prints to stdout; a closed pipe (`| head`) ends the output, not the program.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    let _ = out.flush();
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) {
    print(&to_json(value));
}

/// A value as pretty JSON.
pub fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports hold only strings as keys") + "\n"
}
