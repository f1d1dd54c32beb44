//! `cargo vectors`: checks and generates files of test vectors, and makes files of stored states.

use clap::{Parser, Subcommand, ValueEnum};
use conclave_crypto::{CryptoProvider, PqSuite, Suites};
use conclave_group::rows::FORMAT;
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::vectors::{self, Kind, Report, hex};
use conclave_testkit::{SeededRng, states};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks and generates test vectors in the formats of the MLS working group, and makes files of stored
/// states.
#[derive(Parser)]
#[command(name = "vectors", bin_name = "cargo vectors")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks files; exits with 1 if any vector of any file fails.
    Check {
        /// JSON files: an array of vectors, or a single one.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The kind of the vectors, if their content should not decide.
        #[arg(long, value_parser = str::parse::<Kind>)]
        kind: Option<Kind>,
        /// The providers. Each checks the vectors of the suites that it supports; a suite that no
        /// provider supports is a failure.
        #[arg(long, value_enum, default_value_t = Providers::All)]
        provider: Providers,
    },
    /// Makes a file of vectors; the same seed makes the same file.
    Generate {
        /// The kind: tree-math, crypto-basics, secret-tree, message-protection, key-schedule,
        /// psk_secret, transcript-hashes, welcome, tree-operations, tree-validation, treekem,
        /// messages, passive-client-welcome, passive-client-handling-commit,
        /// passive-client-random, deserialization or targeted-messages.
        #[arg(value_parser = str::parse::<Kind>)]
        kind: Kind,
        /// The cipher suite by its name or number (also as `0xf0c1`); `all` for the seven of RFC 9420, which
        /// is the default; or `pq` for the eleven post-quantum ones at Conclave's numbers, 0xf0c1 to 0xf0cb.
        /// Not for tree-math, messages and deserialization, which have no suites.
        #[arg(long, value_name = "N|NAME|all|pq")]
        suite: Option<SuiteArg>,
        /// The file to write. Default: standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        /// 64 hexadecimal digits. Default: random, and printed on standard error.
        #[arg(long, value_name = "HEX", value_parser = parse_seed)]
        seed: Option<Seed>,
    },
    /// Makes stored states in the current format, in one file for each of some suites. The same seed
    /// makes the same files. A file that exists stays as it is: it shows the disk of a client of its
    /// time.
    States {
        /// The folder to write to. Default: `vectors/state/v` and the format's number in this
        /// repository.
        #[arg(long)]
        out: Option<PathBuf>,
        /// 64 hexadecimal digits. Default: random, and printed on standard error.
        #[arg(long, value_name = "HEX", value_parser = parse_seed)]
        seed: Option<Seed>,
    },
}

/// The portable provider, with the post-quantum suites at Conclave's code points.
const PORTABLE: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);

#[derive(Clone, Copy, ValueEnum)]
enum Providers {
    AwsLc,
    Rustcrypto,
    All,
}

impl Providers {
    fn list(self) -> Vec<Box<dyn CryptoProvider>> {
        // One thread: the vectors themselves are spread over the cores.
        let aws_lc = || {
            let provider = AwsLc::with_threads(1).with_suites(Suites::CONCLAVE);
            Box::new(provider) as Box<dyn CryptoProvider>
        };
        let rust_crypto = || Box::new(PORTABLE) as Box<dyn CryptoProvider>;
        match self {
            Self::AwsLc => vec![aws_lc()],
            Self::Rustcrypto => vec![rust_crypto()],
            Self::All => vec![aws_lc(), rust_crypto()],
        }
    }
}

#[derive(Clone, Copy)]
enum SuiteArg {
    One(u16),
    All,
    PostQuantum,
}

impl std::str::FromStr for SuiteArg {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Suites::CONCLAVE.iter().find(|suite| suite.name == text);
        match (text, named) {
            ("all", _) => Ok(Self::All),
            ("pq", _) => Ok(Self::PostQuantum),
            (_, Some(suite)) => Ok(Self::One(suite.cipher_suite.0)),
            (number, None) => match number.strip_prefix("0x") {
                Some(digits) => u16::from_str_radix(digits, 16),
                None => number.parse(),
            }
            .map(Self::One)
            .map_err(|_| "neither a suite's name nor its number, nor `all`, nor `pq`"),
        }
    }
}

type Seed = [u8; 32];

fn parse_seed(text: &str) -> Result<Seed, &'static str> {
    hex::decode(text).and_then(|bytes| bytes.try_into().ok()).ok_or("not 64 hexadecimal digits")
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check { files, kind, provider } => {
            let providers = provider.list();
            let providers: Vec<&dyn CryptoProvider> = providers.iter().map(|p| &**p).collect();
            check(&files, kind, &providers, &mut io::stdout().lock())
        }
        Command::Generate { kind, suite, out, seed } => {
            generate(kind, suite, out.as_deref(), seed).map(|()| true)
        }
        Command::States { out, seed } => make_states(out.as_deref(), seed).map(|()| true),
    };

    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            // If standard error is closed, too, the exit code still reports the error.
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::from(2)
        }
    }
}

/// The results of all files together.
#[derive(Default)]
struct Sum {
    passed: usize,
    failed: usize,
    suites: BTreeMap<&'static str, BTreeSet<u16>>,
}

/// Whether everything passed.
fn check(
    files: &[PathBuf],
    kind: Option<Kind>,
    providers: &[&dyn CryptoProvider],
    out: &mut dyn Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let mut sum = Sum::default();
    for file in files {
        let shown = file.display();
        match check_file(file, kind, providers) {
            Ok(report) => {
                for failure in &report.failures {
                    writeln!(out, "{shown}: {failure}")?;
                }
                let Report { kind, passed, failed, suites, .. } = report;
                let ran = ran(kind.has_suites(), &suites, providers);
                writeln!(out, "{shown} ({kind}): {passed} passed, {failed} failed{ran}")?;
                sum.passed += passed;
                sum.failed += failed;
                for (provider, suites) in suites {
                    sum.suites.entry(provider).or_default().extend(suites);
                }
            }
            Err(e) => {
                writeln!(out, "{shown}: {e}")?;
                writeln!(out, "{shown}: 0 passed, 1 failed")?;
                sum.failed += 1;
            }
        }
    }

    let ran = ran(!sum.suites.is_empty(), &sum.suites, providers);
    let Sum { passed, failed, .. } = sum;
    writeln!(out, "total of {} files: {passed} passed, {failed} failed{ran}", files.len())?;
    Ok(sum.failed == 0)
}

fn check_file(
    file: &Path,
    kind: Option<Kind>,
    providers: &[&dyn CryptoProvider],
) -> Result<Report, Box<dyn std::error::Error>> {
    let json = std::fs::read(file).map_err(|e| format!("cannot be read: {e}"))?;
    Ok(vectors::check(kind, &json, providers)?)
}

/// The number of suites that each provider ran.
fn ran(
    has_suites: bool,
    suites: &BTreeMap<&'static str, BTreeSet<u16>>,
    providers: &[&dyn CryptoProvider],
) -> String {
    if !has_suites {
        return String::new();
    }
    let each = providers.iter().map(|provider| {
        let n = suites.get(provider.name()).map_or(0, BTreeSet::len);
        format!("{} ran {n} {}", provider.name(), if n == 1 { "suite" } else { "suites" })
    });
    format!("; {}", each.collect::<Vec<_>>().join(", "))
}

fn generate(
    kind: Kind,
    suite: Option<SuiteArg>,
    out: Option<&Path>,
    seed: Option<Seed>,
) -> Result<(), Box<dyn std::error::Error>> {
    let rng = seeded(seed)?;
    let suites: Option<Vec<u16>> = match suite {
        Some(SuiteArg::One(n)) => Some(vec![n]),
        Some(SuiteArg::PostQuantum) => {
            let code_points = PqSuite::ALL.map(|suite| Suites::CONCLAVE.code_point(suite));
            Some(code_points.into_iter().flatten().map(|at| at.0).collect())
        }
        Some(SuiteArg::All) | None => None,
    };

    // Not with aws-lc, whose ECDSA signatures are random.
    let text = vectors::generate(kind, suites.as_deref(), &PORTABLE, &rng)?;
    match out {
        Some(file) => {
            std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        None => io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(())
}

fn make_states(
    folder: Option<&Path>,
    seed: Option<Seed>,
) -> Result<(), Box<dyn std::error::Error>> {
    let rng = seeded(seed)?;
    for suite in states::SUITES {
        let mut file = states::file(FORMAT, suite);
        if let (Some(folder), Some(name)) = (folder, file.file_name()) {
            file = folder.join(name);
        }
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = states::to_json(&states::make(suite, &rng))?;
        File::create_new(&file)
            .and_then(|mut new| new.write_all(text.as_bytes()))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

/// Randomness from a seed. Without one it takes a random seed and prints it.
fn seeded(seed: Option<Seed>) -> Result<SeededRng, Box<dyn std::error::Error>> {
    if let Some(seed) = seed {
        return Ok(SeededRng::new(seed));
    }
    let rng = SeededRng::new(random_seed()?);
    writeln!(io::stderr(), "--seed {rng}")?;
    Ok(rng)
}

fn random_seed() -> Result<Seed, getrandom::Error> {
    let mut seed = Seed::default();
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
