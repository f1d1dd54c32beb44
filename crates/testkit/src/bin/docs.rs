//! `cargo docs`: renders pages and pictures from their data.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::{Parser, Subcommand};
use conclave_testkit::docs::tables::Tables;
use conclave_testkit::docs::{documents, pages, plot, source, terminal, workspace};
use std::process::{Command as Process, ExitCode};

/// Renders the pages of this repository that have tables, and its pictures.
#[derive(Parser)]
#[command(name = "docs", bin_name = "cargo docs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Renders the tables of all pages from docs/*.toml, and the plot from the figures in docs/benchmarks.md.
    Render,
    /// Lists the files that differ from their rendering; exits with 1 if there are any.
    Check,
    /// Runs the demonstration and draws its output.
    Demo,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Render => render(true),
        Command::Check => render(false),
        Command::Demo => demo(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Renders all pages and the plot, and writes or names those that differ.
fn render(write: bool) -> Result<(), String> {
    let tables = Tables::load();
    let mut rendered = vec![(plot::PICTURE.to_owned(), plot::svg(&source("docs/benchmarks.md"))?)];
    for document in documents() {
        let page = source(&document);
        if !pages::blocks(&page).is_empty() {
            let page = pages::render(&page, &tables).map_err(|why| format!("{document}: {why}"))?;
            rendered.push((document, page));
        }
    }

    let mut differ = Vec::new();
    for (file, text) in rendered {
        let path = workspace().join(&file);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if write {
            std::fs::write(&path, text).map_err(|e| format!("{file}: {e}"))?;
            println!("{file}");
        }
        differ.push(file);
    }
    if write || differ.is_empty() {
        Ok(())
    } else {
        Err(format!("not as rendered; run `cargo docs render`:\n{}", differ.join("\n")))
    }
}

fn demo() -> Result<(), String> {
    let mut process = Process::new(env!("CARGO"));
    process.args(["run", "--quiet", "--locked", "-p", "conclave-cli", "--", "demo"]);
    let output = process.current_dir(workspace()).output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }

    let printed = String::from_utf8_lossy(&output.stdout);
    let shown = terminal::excerpt(&printed, &terminal::PARTS);
    let picture = terminal::svg("cargo run -- demo", &shown);
    std::fs::write(workspace().join(terminal::PICTURE), picture).map_err(|e| e.to_string())?;
    println!("{}", terminal::PICTURE);
    Ok(())
}
