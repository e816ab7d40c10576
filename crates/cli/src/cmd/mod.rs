//! One module a command.

pub mod check;
pub mod compile;
pub mod data;
pub mod explore;
pub mod export;
pub mod fit;
pub mod import_ranc;
pub mod inspect;
pub mod map;
pub mod quickstart;
pub mod simulate;
pub mod target;
pub mod train;
pub mod verify;

use std::io::Write;

/// Prints to stdout; a closed pipe (`| head`) ends the output, not the program.
pub fn print(text: &str) {
    let text = plain(text);
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    let _ = out.flush();
}

/// Names come from files: control characters but for line ends and tabs are shown, so that none reaches the terminal.
pub fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harmful) {
        return text.into();
    }
    text.chars().map(|c| if harmful(c) { c.escape_default().to_string() } else { c.to_string() }).collect::<String>().into()
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) {
    print(&to_json(value));
}

/// A value as pretty JSON.
pub fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("reports hold only strings as keys") + "\n"
}
