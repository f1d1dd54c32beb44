use super::{Kind, PlainVector, Problem, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{CryptoError, CryptoProvider, Suite};
use conclave_wire::CipherSuite;
use serde::Serialize;
use std::fmt;

/// The reason why no vectors were made.
#[derive(Debug)]
#[non_exhaustive]
pub enum GenerateError {
    /// The provider does not support a suite that was asked for.
    Suite(CryptoError),
    /// A suite was asked for, and vectors of this kind have none.
    NoSuites(Kind),
    /// Something failed that should succeed.
    Failed(Problem),
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suite(e) => e.fmt(f),
            Self::NoSuites(kind) => write!(f, "{kind} vectors do not name a suite"),
            Self::Failed(problem) => f.write_str(problem.text()),
        }
    }
}

impl std::error::Error for GenerateError {}

/// A file of vectors of a kind, for each of these suites or, if there are none, for all seven of
/// RFC 9420.
///
/// The same seed and a provider with deterministic signatures give the same file. The vectors of a suite
/// do not depend on the other suites.
///
/// # Errors
/// If the provider does not support a suite.
pub fn generate(
    kind: Kind,
    suites: Option<&[u16]>,
    provider: &dyn CryptoProvider,
    rng: &SeededRng,
) -> Result<String, GenerateError> {
    if suites.is_some() && !kind.has_suites() {
        return Err(GenerateError::NoSuites(kind));
    }
    let suites = suites
        .unwrap_or(&[1, 2, 3, 4, 5, 6, 7])
        .iter()
        .map(|n| Suite::new(provider, CipherSuite(*n)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(GenerateError::Suite)?;

    let vectors = match kind {
        Kind::TreeMath => plain::<super::tree_math::TreeMath>(kind, rng),
        Kind::Deserialization => plain::<super::deserialization::Deserialization>(kind, rng),
        Kind::Messages => plain::<super::messages::Messages>(kind, rng),
        Kind::CryptoBasics => of_suites::<super::crypto_basics::CryptoBasics>(kind, &suites, rng),
        Kind::SecretTree => of_suites::<super::secret_tree::SecretTree>(kind, &suites, rng),
        Kind::MessageProtection => {
            of_suites::<super::message_protection::MessageProtection>(kind, &suites, rng)
        }
        Kind::KeySchedule => of_suites::<super::key_schedule::KeySchedule>(kind, &suites, rng),
        Kind::PskSecret => of_suites::<super::psk_secret::PskSecret>(kind, &suites, rng),
        Kind::TranscriptHashes => {
            of_suites::<super::transcript_hashes::TranscriptHashes>(kind, &suites, rng)
        }
        Kind::Welcome => of_suites::<super::welcome::Welcome>(kind, &suites, rng),
        Kind::TargetedMessages => {
            of_suites::<super::targeted_messages::TargetedMessages>(kind, &suites, rng)
        }
        Kind::TreeOperations => {
            of_suites::<super::tree_operations::TreeOperations>(kind, &suites, rng)
        }
        Kind::TreeValidation => {
            of_suites::<super::tree_validation::TreeValidation>(kind, &suites, rng)
        }
        Kind::TreeKem => of_suites::<super::treekem::TreeKem>(kind, &suites, rng),
        Kind::Components => of_suites::<super::components::Components>(kind, &suites, rng),
        Kind::PassiveClientWelcome
        | Kind::PassiveClientHandlingCommit
        | Kind::PassiveClientRandom => {
            of_suites::<super::passive_client::PassiveClient>(kind, &suites, rng)
        }
    };
    vectors.map_err(GenerateError::Failed)
}

fn plain<V: PlainVector>(kind: Kind, rng: &SeededRng) -> Result<String, Problem> {
    file(&V::generate(&mut rng.fork(kind.name()))?)
}

fn of_suites<V: SuiteVector>(
    kind: Kind,
    suites: &[Suite<'_>],
    rng: &SeededRng,
) -> Result<String, Problem> {
    let mut vectors = Vec::new();
    for suite in suites {
        let label = format!("{kind}/{}", suite.cipher_suite().0);
        vectors.extend(V::generate(kind, suite, &mut rng.fork(&label))?);
    }
    file(&vectors)
}

/// An array with one vector a line.
fn file(vectors: &[impl Serialize]) -> Result<String, Problem> {
    let lines: Vec<String> = vectors.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}
