//! What a stage of a program takes: time and memory, as the system tells.
//!
//! In: a closure. Out: its result, and a line on stdout. Where the system has no `/proc`, `?` stands for what is not known.

use std::time::Instant;

/// A number of kB in `/proc/self/status`, in MiB.
fn status_mib(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// User time of the process in seconds, where the system tells (in ticks of 10 ms).
fn user_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    Some(stat.rsplit_once(") ")?.1.split_whitespace().nth(11)?.parse::<f64>().ok()? / 100.0)
}

/// Runs a stage and prints what it took.
pub fn stage<T>(name: &str, work: impl FnOnce() -> T) -> T {
    // Linux: the peak starts again from what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (started, user) = (Instant::now(), user_seconds());
    let result = work();
    let wall = started.elapsed().as_secs_f64();
    let user = user_seconds().zip(user).map_or(String::from("?"), |(now, then)| format!("{:.2}", now - then));
    let mib = |key| status_mib(key).map_or(String::from("?"), |m| m.to_string());
    println!("{name:<28} {user:>7} s user {wall:>7.2} s wall {:>6} MiB peak {:>6} MiB held after", mib("VmHWM:"), mib("VmRSS:"));
    result
}
