//! What a delivery service for MLS is given, judged without a database: for those who keep a service of their own.
//!
//! A service that knows nothing of MLS stores what it is sent, and finds out with its users that a commit was
//! broken. A [`Validator`] tells it before: it checks key packages, the handshake messages of groups whose handshake is
//! public, GroupInfos, and whether a commit's Welcomes reach just those whom it adds. It refuses what members
//! refuse, by the same code.
//!
//! It keeps nothing. What is known of a group is its [`GroupState`]: bytes that a verdict gives out, that the service
//! stores, and that the next call takes. Keep them like the rest of the service's database: whoever can change them
//! decides what is valid. They hold no secrets.
//!
//! Two questions stay the service's, since the protocol has no answer to them: whether each
//! [credential](KeyPackageVerdict::credential) belongs to whom it names, and what an AppDataUpdate of a component that the service does not
//! know makes of the component's data.
//!
//! ```
//! use conclave_mls::wire::Decode;
//! use conclave_validator::{Answers, Refusal, Validator};
//! # use conclave_testkit::party::{add, commit_of, group_of, key_package, native};
//! # let mut peers = group_of(&["alice"]);
//! # let info = peers[0].group_info();
//! # let bob = key_package("bob", 7);
//! # let made = peers[0].commit(commit_of(vec![add(&bob)])).unwrap();
//! # let welcomes: Vec<Vec<u8>> = made.welcomes.iter().map(|welcome| welcome.message.clone()).collect();
//! let validator = Validator::new(native());
//!
//! // Alice creates a group: its GroupInfo holds the ratchet tree.
//! let created = validator.group(&info, None)?;
//! // She adds Bob. What is stored next is `judged.next`.
//! let judged = validator.message(&created.state, &made.commit, &Answers::default())?;
//! validator.welcomes(&judged, &welcomes)?;
//! assert_eq!((judged.next.epoch(), judged.added.len()), (1, 1));
//!
//! // A second commit of the same epoch comes too late.
//! let refused = validator.message(&judged.next, &made.commit, &Answers::default()).unwrap_err();
//! assert_eq!(refused.code(), "wrong-epoch");
//! # Ok::<_, Refusal>(())
//! ```
#![forbid(unsafe_code)]

mod refusal;
mod state;
mod validator;
mod verdicts;

pub use conclave_mls::credential::{CredentialRequest, CredentialSubject};
pub use conclave_mls::group::{Member, Sender};
pub use conclave_mls::key_package::KeyPackageRef;
pub use conclave_mls::observe::GroupInfoMisfit;
pub use conclave_mls::wire::ProposalRef;
pub use refusal::Refusal;
pub use state::{GroupState, StateError};
pub use validator::{Answers, Validator};
pub use verdicts::{
    GroupVerdict, KeyPackageVerdict, Kind, MessageVerdict, UpdatedComponent, WelcomeVerdict,
};
