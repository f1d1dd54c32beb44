use super::{Kind, PlainVector, Problem, SuiteVector, problem::At};
use crate::SeededRng;
use conclave_crypto::{CryptoProvider, Suite};
use conclave_wire::CipherSuite;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The result of checking a file.
#[derive(Debug)]
pub struct Report {
    /// The kind of the vectors.
    pub kind: Kind,
    /// How many vectors passed with every provider that supports their suite.
    pub passed: usize,
    /// How many vectors failed.
    pub failed: usize,
    /// The failures, in the order of the file. A vector may fail with more than one provider.
    pub failures: Vec<Failure>,
    /// The suites that each provider checked vectors of; empty for kinds without suites.
    pub suites: BTreeMap<&'static str, BTreeSet<u16>>,
}

/// The failure of a vector.
#[derive(Debug)]
pub struct Failure {
    /// The vector's place in the file, counted from 0.
    pub index: usize,
    /// Its suite, if it names one.
    pub suite: Option<u16>,
    /// The provider, if the failure depends on it.
    pub provider: Option<&'static str>,
    /// The reason.
    pub reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vector {}", self.index)?;
        if let Some(suite) = self.suite {
            write!(f, ", suite {suite}")?;
        }
        if let Some(provider) = self.provider {
            write!(f, ", {provider}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The reason why a file could not be checked at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckError {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// Its JSON is neither an array nor an object.
    NotVectors,
    /// It has no vectors.
    Empty,
    /// No vector has a field that determines the kind.
    UnknownKind,
    /// No provider was given.
    NoProvider,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(e) => write!(f, "not JSON: {e}"),
            Self::NotVectors => f.write_str("neither an array of vectors nor one vector"),
            Self::Empty => f.write_str("no vectors in it"),
            Self::UnknownKind => f.write_str("vectors of no known kind"),
            Self::NoProvider => f.write_str("no provider to check with"),
        }
    }
}

impl std::error::Error for CheckError {}

/// Checks the vectors of a file, an array or a single one, each with all providers that support its
/// suite. A vector whose suite no provider supports fails.
///
/// Without a kind, the vectors' fields determine it. The work is spread over the cores; the result does
/// not depend on their number or on chance.
///
/// # Errors
/// If there is nothing to check. The report lists vectors that fail.
pub fn check(
    kind: Option<Kind>,
    json: &[u8],
    providers: &[&dyn CryptoProvider],
) -> Result<Report, CheckError> {
    let vectors = match serde_json::from_slice(json).map_err(CheckError::NotJson)? {
        Value::Array(vectors) => vectors,
        vector @ Value::Object(_) => vec![vector],
        _ => return Err(CheckError::NotVectors),
    };

    if vectors.is_empty() {
        return Err(CheckError::Empty);
    }
    if providers.is_empty() {
        return Err(CheckError::NoProvider);
    }

    let kind = match kind {
        Some(kind) => kind,
        None => Kind::detect(&vectors).ok_or(CheckError::UnknownKind)?,
    };

    // Check a vector without a suite once, and another one once with each provider.
    let rounds = if kind.has_suites() { providers.len() } else { 1 };
    let outcomes = on_all_cores(vectors.len() * rounds, |task| {
        let index = task / rounds;
        let round = task % rounds;
        match (vectors.get(index), providers.get(round)) {
            (Some(vector), Some(provider)) => check_one(kind, vector, *provider),
            _ => Outcome::Failed(None, Problem::new("no such vector")),
        }
    });

    let mut report =
        Report { kind, passed: 0, failed: 0, failures: Vec::new(), suites: BTreeMap::new() };
    for (index, outcomes) in outcomes.chunks(rounds).enumerate() {
        report.add(index, outcomes, providers);
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, index: usize, outcomes: &[Outcome], providers: &[&dyn CryptoProvider]) {
        let before = self.failures.len();
        let mut ran = false;
        let mut unsupported = None;
        for (outcome, provider) in outcomes.iter().zip(providers) {
            match outcome {
                Outcome::Unsupported(suite) => unsupported = Some(*suite),
                Outcome::Passed(suite) => {
                    ran = true;
                    self.count(provider.name(), *suite);
                }
                // Wrong with any provider: report it once.
                Outcome::Failed(None, _) if self.failures.len() > before => {}
                Outcome::Failed(suite, problem) => {
                    ran = true;
                    self.count(provider.name(), *suite);
                    self.failures.push(Failure {
                        index,
                        suite: *suite,
                        provider: suite.map(|_| provider.name()),
                        reason: problem.text().to_owned(),
                    });
                }
            }
        }

        if !ran {
            self.failures.push(Failure {
                index,
                suite: unsupported,
                provider: None,
                reason: "no selected provider supports the suite".to_owned(),
            });
        }
        if self.failures.len() > before { self.failed += 1 } else { self.passed += 1 }
    }

    fn count(&mut self, provider: &'static str, suite: Option<u16>) {
        if let Some(suite) = suite {
            self.suites.entry(provider).or_default().insert(suite);
        }
    }
}

/// The outcome of one vector with one provider, and the suite if the vector names one.
enum Outcome {
    Passed(Option<u16>),
    Unsupported(u16),
    Failed(Option<u16>, Problem),
}

fn check_one(kind: Kind, vector: &Value, provider: &dyn CryptoProvider) -> Outcome {
    match kind {
        Kind::TreeMath => plain::<super::tree_math::TreeMath>(vector),
        Kind::Deserialization => plain::<super::deserialization::Deserialization>(vector),
        Kind::Messages => plain::<super::messages::Messages>(vector),
        Kind::CryptoBasics => of_suite::<super::crypto_basics::CryptoBasics>(vector, provider),
        Kind::SecretTree => of_suite::<super::secret_tree::SecretTree>(vector, provider),
        Kind::MessageProtection => {
            of_suite::<super::message_protection::MessageProtection>(vector, provider)
        }
        Kind::KeySchedule => of_suite::<super::key_schedule::KeySchedule>(vector, provider),
        Kind::PskSecret => of_suite::<super::psk_secret::PskSecret>(vector, provider),
        Kind::TranscriptHashes => {
            of_suite::<super::transcript_hashes::TranscriptHashes>(vector, provider)
        }
        Kind::Welcome => of_suite::<super::welcome::Welcome>(vector, provider),
        Kind::TargetedMessages => {
            of_suite::<super::targeted_messages::TargetedMessages>(vector, provider)
        }
        Kind::TreeOperations => {
            of_suite::<super::tree_operations::TreeOperations>(vector, provider)
        }
        Kind::TreeValidation => {
            of_suite::<super::tree_validation::TreeValidation>(vector, provider)
        }
        Kind::TreeKem => of_suite::<super::treekem::TreeKem>(vector, provider),
        Kind::Components => of_suite::<super::components::Components>(vector, provider),
        Kind::PassiveClientWelcome
        | Kind::PassiveClientHandlingCommit
        | Kind::PassiveClientRandom => {
            of_suite::<super::passive_client::PassiveClient>(vector, provider)
        }
    }
}

fn read<V: DeserializeOwned>(vector: &Value) -> Result<V, Outcome> {
    V::deserialize(vector).at("not a vector of this kind").map_err(|p| Outcome::Failed(None, p))
}

fn plain<V: PlainVector>(vector: &Value) -> Outcome {
    let vector: V = match read(vector) {
        Ok(vector) => vector,
        Err(outcome) => return outcome,
    };
    match caught(|| vector.check()) {
        Ok(()) => Outcome::Passed(None),
        Err(problem) => Outcome::Failed(None, problem),
    }
}

fn of_suite<V: SuiteVector>(vector: &Value, provider: &dyn CryptoProvider) -> Outcome {
    let vector: V = match read(vector) {
        Ok(vector) => vector,
        Err(outcome) => return outcome,
    };
    let n = vector.cipher_suite();
    let Ok(suite) = Suite::new(provider, CipherSuite(n)) else {
        return Outcome::Unsupported(n);
    };
    // The same randomness in each run, to encrypt and sign again.
    let mut rng = SeededRng::from_u64(n.into());
    match caught(|| vector.check(&suite, &mut rng)) {
        Ok(()) => Outcome::Passed(Some(n)),
        Err(problem) => Outcome::Failed(Some(n), problem),
    }
}

/// Turns a panic into a failure of the vector that caused it, so that the run goes on.
fn caught(check: impl FnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Problem::new(format_args!("panicked: {}", text.unwrap_or("for no stated reason"))))
    })
}

/// The results of tasks `0..n`, in order.
fn on_all_cores<T: Send>(n: usize, task: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return done;
            }
            done.push((i, task(i)));
        }
    };

    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(n);
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}
