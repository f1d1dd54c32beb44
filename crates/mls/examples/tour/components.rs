//! Drafts of the next standard (draft-ietf-mls-extensions-10): a topic that all members agree on as data of
//! a component, an exported secret, and a member who leaves by one message, which a newcomer commits.

use crate::common::{CRYPTO, Directory, Result, SUITE, leaf, lifetime, now, rng};
use crate::member::{Member, agree};
use conclave_mls::component::{AppDataDictionary, AppDataRequest, ComponentId};
use conclave_mls::credential::LeafParams;
use conclave_mls::group::{
    Answers, CommitOptions, Committed, ExtensionType, Framing, GroupParams, NewProposal,
    ProposalType,
};
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage, GroupInfoOptions, WelcomeStage};
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage};
use conclave_mls::wire::Bytes;
use conclave_mls::{Config, Event, Group, Received};

/// The topic of the conversation. Numbers from 0x8000 are for private use.
const TOPIC: ComponentId = ComponentId(0x8001);

/// A leaf that says what its client supports. All members must.
fn able(name: &str) -> Result<LeafParams> {
    let mut leaf = leaf(name).with_components(&[TOPIC])?;
    let proposals = [ProposalType::APP_DATA_UPDATE, ProposalType::SELF_REMOVE];
    leaf.capabilities.proposals.extend(proposals);
    assert!(leaf.capabilities.extensions.contains(&ExtensionType::APP_DATA_DICTIONARY));
    Ok(leaf)
}

/// What an update of the topic means: it is the new topic, if it is short text. All members decide alike.
fn decide(request: &AppDataRequest) -> Option<Bytes> {
    let (_proposer, last) = request.updates.last()?;
    let valid = request.component_id == TOPIC && last.len() < 100 && str::from_utf8(last).is_ok();
    valid.then(|| last.clone())
}

fn topic_of(group: &Group) -> Result<String> {
    let dictionary = AppDataDictionary::find(group.extensions())?.unwrap_or_default();
    let topic = dictionary.get(TOPIC).map(|topic| topic.to_vec());
    Ok(String::from_utf8(topic.unwrap_or_default())?)
}

/// Follows a commit, and has the component decide.
fn follow(member: &mut Member, commit: &[u8], directory: &Directory) -> Result<Committed> {
    let received = member.group.process(&CRYPTO, now(), commit).map_err(|refused| refused.error)?;
    let Received::Commit(stage) = received else { return Err("not a commit".into()) };
    let verdicts = directory.judge_all(stage.credentials());
    let app_data = stage.app_data().iter().map(decide).collect::<Option<_>>();
    let app_data = app_data.ok_or("an invalid topic, which `CommitStage::refuse` refuses")?;
    let answers = Answers { verdicts, app_data, ..Answers::default() };
    let step = stage.resolve(&member.group, &CRYPTO, now(), &answers);
    member.take(step.map_err(|refused| refused.error)?)
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let config = Config::default();

    // Alice and Bob.
    let params =
        GroupParams::new(b"with a topic".as_slice().into(), SUITE, able("alice")?, lifetime());
    let signer = directory.register("alice", SUITE)?;
    let new = Group::create(&CRYPTO, &mut rng(), config.clone(), params, signer)?;
    let mut alice = Member::store("alice", new)?;
    let params = KeyPackageParams::new(SUITE, able("bob")?, lifetime());
    let signer = directory.register("bob", SUITE)?;
    let bobs = OwnKeyPackage::generate(&CRYPTO, &mut rng(), params, signer)?;
    let add = NewProposal::Add(Box::new(directory.valid(bobs.key_package())?));
    let messages = alice.commit(CommitOptions { proposals: vec![add], ..Default::default() })?;
    alice.accepted()?;
    let welcome = messages.welcomes.first().ok_or("a Welcome")?;
    let stage = WelcomeStage::open(&CRYPTO, config.clone(), &welcome.message, &bobs)?;
    let join = stage.join(&CRYPTO, &[], None, None)?;
    let verdicts = directory.judge_all(join.credentials());
    let mut bob = Member::store("bob", join.resolve(&verdicts)?)?;

    // Alice sets the topic: the commit holds the change, the GroupContext the result.
    let update =
        NewProposal::AppDataUpdate { component_id: TOPIC, update: b"tea".as_slice().into() };
    let options = CommitOptions { proposals: vec![update], ..CommitOptions::default() };
    let draft = alice.group.draft_commit(&CRYPTO, &mut rng(), now(), options)?;
    let data = draft.app_data().iter().map(decide).collect::<Option<_>>();
    let step = draft.seal(&mut rng(), data.ok_or("a valid topic")?)?;
    let commit = alice.take(step)?.commit;
    follow(&mut bob, &commit, &directory)?;
    alice.accepted()?;
    agree(&[&alice, &bob])?;
    println!("alice set the topic, bob sees it: {}", topic_of(&bob.group)?);

    // A secret of the component, which can be had once: then nothing leads to it any more.
    let export = |member: &mut Member| {
        let step = member.group.component(TOPIC).export_secret(&CRYPTO)?;
        member.take(step).map(|exported| exported.secret)
    };
    assert_eq!(export(&mut alice)?, export(&mut bob)?);
    assert!(export(&mut bob).is_err());
    println!("both exported the component's secret, once");

    // Bob leaves by one message. Carol, who joins from outside, commits it.
    let leave = NewProposal::SelfRemove;
    let step = bob.group.propose(&CRYPTO, &mut rng(), now(), leave, &Framing::default())?;
    let leaving = bob.take(step)?.message;
    alice.receive(&leaving, &directory)?;
    let all = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = alice.group.group_info(&CRYPTO, all)?;
    let mut stage = ExternalJoinStage::open(&CRYPTO, config, &info, None)?;
    stage.take_self_remove(&CRYPTO, &leaving)?;
    let verdicts = directory.judge_all(stage.credentials());
    let options = ExternalJoinOptions::new(able("carol")?, directory.register("carol", SUITE)?);
    let joined = stage.commit(&CRYPTO, &mut rng(), &verdicts, options)?;
    let carol = Member::store("carol", joined.group)?;
    let Some(Event::Epoch(change)) = alice.receive(&joined.commit, &directory)? else {
        return Err("carol joins".into());
    };
    assert_eq!(change.left, [bob.group.own_leaf()]);
    agree(&[&alice, &carol])?;
    println!("bob left as carol came; she knows the topic: {}", topic_of(&carol.group)?);
    Ok(())
}
