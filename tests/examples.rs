//! The examples: every command of their READMEs runs and prints what the README says, and the results are the committed ones.

mod common;

use common::{example, spikec};
use std::path::Path;

/// Commands of a README with the lines that their outputs must have: blocks of lines indented by four spaces, commands after `$ spikec`.
fn commands(readme: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let mut commands: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for line in readme.lines().filter_map(|l| l.strip_prefix("    ")) {
        match (line.strip_prefix("$ spikec "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.split_whitespace().map(str::to_string).collect(), Vec::new())),
            (None, Some((_, expected))) => expected.push(line.to_string()),
            (None, None) => {}
        }
    }
    commands
}

/// These lines are in an output, in this order.
fn says(out: &str, expected: &[String], of: &str) {
    let mut lines = out.lines();
    for line in expected {
        assert!(lines.any(|l| l == line), "{of}: no line\n{line}\nafter those before it in\n{out}");
    }
}

/// Runs the README's commands in a copy of the example's folder.
fn run(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(example(name)).unwrap().map(|f| f.unwrap()) {
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let commands = commands(&std::fs::read_to_string(example(name).join("README.md")).unwrap());
    assert!(commands.len() >= 3, "{name}: compile, simulate and verify");
    for (command, expected) in commands {
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let out = spikec(folder.path(), &arguments).ok().out;
        says(&out, &expected, name);
        assert!(!expected.is_empty(), "{name}: spikec {}", command.join(" "));
    }
    folder
}

fn column(folder: &Path, file: &str, array: &str) -> Vec<i64> {
    spikec_data::read_npz(&std::fs::read(folder.join(file)).unwrap()).unwrap()[array].to_i64().unwrap()
}

#[test]
fn recurrent_integers_give_the_expected_counts() {
    let folder = run("recurrent-integers");
    let counts = |file| column(folder.path(), file, "out_spike_counts");
    assert_eq!(counts("run.npz"), counts("expected.npz"));
    assert!(counts("expected.npz").iter().sum::<i64>() > 500);
}

#[test]
fn mnist_predictions_are_nearly_those_of_the_float_network() {
    for (name, differ) in [("mnist-gradr-poisson", 2), ("mnist-gradr-direct", 0)] {
        let folder = run(name);
        let (found, float) = (column(folder.path(), "run.npz", "prediction"), column(folder.path(), "float_predictions.npz", "pred"));
        assert_eq!(found.len(), float.len());
        assert_eq!(found.iter().zip(&float).filter(|(a, b)| a != b).count(), differ, "{name}");
    }
}

#[test]
fn the_quickstarts_folder_does_what_it_says() {
    run("quickstart");
}

#[test]
fn the_quickstart_prints_what_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = spikec(folder.path(), &["quickstart"]).ok().out;
    let readme = std::fs::read_to_string(example("../README.md")).unwrap();
    let (_, quoted) = readme.split_once("Its output, shortened:").unwrap();
    let (quoted, _) = quoted.split_once("\n(500 images").unwrap();
    let expected: Vec<String> = quoted.lines().filter_map(|l| l.strip_prefix("    ")).map(str::to_string).collect();
    assert!(expected.len() > 10);
    says(&out, &expected, "README");
}
