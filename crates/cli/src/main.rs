//! The `spikec` command line: raw arguments (`args`) become typed inputs (`load`), commands (`cmd`) run them.
//!
//! Invariant: only this crate reads and writes files, prints, and exits.

mod args;
mod cmd;
mod diff;
mod failure;
mod files;
mod load;
mod progress;
mod save;

use args::{Cli, Command};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(failure)) => {
            if json {
                println!("{}", failure.to_json());
            }
            failure.print();
            ExitCode::from(failure.code)
        }
        Err(_) => {
            eprintln!("this is a bug of spikec: please report it with the command and the files that led here");
            ExitCode::from(101)
        }
    }
}

fn run(cli: Cli) -> Result<u8, Failure> {
    let json = cli.json;
    if let Some(threads) = cli.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global().map_err(|e| {
            Failure::input(format!("--threads {threads}: the threads can't be started: {e}"))
                .hint("use fewer threads, or leave --threads away")
        })?;
    }
    match cli.command {
        Command::Check(a) => cmd::check::run(&a, json),
        Command::Compile(a) => cmd::compile::run(&a, json),
        Command::Fit(a) => cmd::fit::run(&a, json),
        Command::Train(a) => cmd::train::run(&a, json),
        Command::Simulate(a) => cmd::simulate::run(&a, json),
        Command::Verify(a) => cmd::verify::run(&a, json),
        Command::Map(a) => cmd::map::run(&a, json),
        Command::Inspect(a) => cmd::inspect::run(&a, json),
        Command::Export(a) => cmd::export::run(&a, json),
        Command::ImportRanc(a) => cmd::import_ranc::run(&a, json),
        Command::Data(a) => cmd::data::run(&a, json),
        Command::Explore(a) => cmd::explore::run(&a, json),
        Command::Target(a) => cmd::target::run(&a, json),
        Command::Quickstart(a) => cmd::quickstart::run(&a, json),
        Command::Completions { shell } => {
            use clap::CommandFactory;
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "spikec", &mut out);
            cmd::print(&String::from_utf8_lossy(&out));
            Ok(0)
        }
    }
}
