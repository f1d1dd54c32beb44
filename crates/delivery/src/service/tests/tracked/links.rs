//! Join links: who gets a group's state by one, and whose commit is taken.

use super::*;
use conclave_mls::component::{AppDataDictionary, ComponentId};

/// A day, in seconds.
const DAY: u64 = 86_400;

fn device_of(credential: &Credential) -> Option<DeviceId> {
    DeviceId::from_identity(credential.identity()?).ok()
}

/// What a joiner's commit does besides, or in place of what it should.
#[derive(Default)]
struct Forged {
    /// Another key than its own, that is signed over.
    leaf_key: Option<SignaturePublicKey>,
    /// A link of its own making, whose secret signs.
    secret: Option<JoinLink>,
    removes: Option<LeafIndex>,
    uses_twice: bool,
    revokes: bool,
    removes_data: bool,
    component: Option<ComponentId>,
}

impl World {
    /// A commit of a member's own that changes links.
    fn changing(&mut self, by: &mut Member, updates: &[JoinLinksUpdate]) -> SubmitCommit {
        let proposals = updates.iter().map(|update| update.proposal().unwrap()).collect();
        let options =
            CommitOptions { proposals, group_info: Some(INFO), ..CommitOptions::default() };
        let draft = by.group.draft_commit(&PROVIDER, &mut self.dice, NOW, options).unwrap();
        let commit = JudgedCommit {
            sender: mls::wire::Sender::Member(by.group.own_leaf()),
            proposals: draft.proposals().collect(),
            credentials: &[],
            received_at: self.desk.now.as_secs(),
        };
        let judged = judge_commit(&PROVIDER, by.group.view(), &commit, device_of);
        // A member that breaks the rules puts in what it likes.
        let data = judged.map_or(vec![[1].into()], |judged| judged.app_data);
        let step = draft.seal(&mut self.dice, data).unwrap();
        let messages = stored(&mut by.group, step);
        SubmitCommit {
            group_info: messages.group_info.map(Into::into),
            ..SubmitCommit::new(messages.commit.into())
        }
    }

    fn links(&mut self, by: &mut Member, uses: u32) -> JoinLink {
        let link = JoinLink::new(&mut self.dice, ID.into(), "lunch");
        let key = link.key_pair(&PROVIDER).unwrap().public;
        let expires_at = self.desk.now.as_secs() + DAY;
        let make = JoinLinksUpdate::Make { key, expires_at, max_uses: uses };
        let request = self.changing(by, &[make]);
        self.submit(by, request);
        link
    }

    /// The request for the group's state by a link.
    fn asking(&self, own: &Own, link: &JoinLink) -> FetchLinkedGroup {
        let key = link.key_pair(&PROVIDER).unwrap().public;
        let signature = link.sign_fetch(&PROVIDER, &own.id).unwrap().into();
        FetchLinkedGroup { group_id: ID.into(), key, signature }
    }

    /// A device's commit that joins by a link, and the group as it then is.
    fn by_link(
        &mut self,
        own: &Own,
        state: &GroupState,
        link: &JoinLink,
        forged: &Forged,
    ) -> (SubmitCommit, Group) {
        let (config, tree) = (mls::Config::default(), Some(&*state.ratchet_tree));
        let stage = ExternalJoinStage::open(&PROVIDER, config, &state.group_info, tree);
        let mut stage = stage.unwrap();
        let (key, epoch) = (link.key_pair(&PROVIDER).unwrap().public, stage.context().epoch.0);
        let leaf_key = forged.leaf_key.as_ref().unwrap_or(&own.keys.public);
        let signer = forged.secret.as_ref().unwrap_or(link);
        let signature = signer.sign_use(&PROVIDER, epoch, leaf_key).unwrap().into();
        let update = JoinLinksUpdate::Use { key: key.clone(), signature };
        let dictionary = &stage.context().extensions;
        let data = AppDataDictionary::find_data(dictionary, JOIN_LINKS).unwrap();
        let links = JoinLinks::from_bytes(data.unwrap()).unwrap();
        let after = links.after_use(&key).unwrap();
        let update: Bytes = update.to_bytes().unwrap().into();
        if forged.removes_data {
            stage = stage.with_app_data_removal(JOIN_LINKS);
        } else {
            let component = forged.component.unwrap_or(JOIN_LINKS);
            stage = stage.with_app_data_update(component, update.clone(), after.clone());
        }
        if forged.uses_twice {
            stage = stage.with_app_data_update(JOIN_LINKS, update, after.clone());
        }
        if forged.revokes {
            let revoke = JoinLinksUpdate::Revoke { key }.to_bytes().unwrap().into();
            stage = stage.with_app_data_update(JOIN_LINKS, revoke, after);
        }
        let verdicts = accept(stage.credentials());
        let options = ExternalJoinOptions {
            replaces: forged.removes,
            group_info: Some(INFO),
            ..ExternalJoinOptions::new(own.leaf(), own.keys.clone())
        };
        let joined = stage.commit(&PROVIDER, &mut self.dice, &verdicts, options).unwrap();
        let request = SubmitCommit {
            group_info: joined.group_info.clone().map(Into::into),
            ..SubmitCommit::new(joined.commit.clone().into())
        };
        (request, joined.group.store(|_| Ok::<_, Infallible>(())).unwrap())
    }

    /// Lets a device join by a link.
    fn joined(&mut self, own: &Own, link: &JoinLink) -> Member {
        let state = self.desk.reply(own, self.asking(own, link));
        let (request, group) = self.by_link(own, &state, link, &Forged::default());
        let accepted = self.desk.reply(own, request);
        let Brief::Accepted { epoch, seq } = brief(&accepted) else { panic!("{accepted:?}") };
        assert_eq!(group.epoch(), Epoch(epoch));
        Member { own: own.clone(), group, cursor: seq }
    }

    /// Reads the log as members do, who judge links by it.
    fn follow(&self, member: &mut Member) {
        let fetch = FetchLog { group_id: ID.into(), after: member.cursor, limit: 100 };
        for entry in self.desk.reply(&member.own, fetch).entries {
            member.cursor = entry.seq;
            let received = member.group.process(&PROVIDER, NOW, &entry.message).unwrap();
            let Received::Commit(stage) = received else { panic!("{received:?}") };
            let commit = JudgedCommit {
                sender: stage.sender(),
                proposals: stage.proposals().collect(),
                credentials: stage.credentials(),
                received_at: entry.received_at,
            };
            let judged = judge_commit(&PROVIDER, member.group.view(), &commit, device_of).unwrap();
            let (verdicts, app_data) = (accept(stage.credentials()), judged.app_data);
            let answers = Answers { verdicts, app_data, ..Answers::default() };
            let step = stage.resolve(&member.group, &PROVIDER, NOW, &answers).unwrap();
            stored(&mut member.group, step);
        }
    }
}

#[test]
fn devices_join_by_a_link_as_often_as_it_says_and_no_more() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let link = w.links(&mut alice, 2);
    w.restart();
    let others = ["bob/phone", "carol/pc", "dave/pc"].map(|id| w.device(id));
    let [bob, carol, dave] = &others;
    let mut in_it: Vec<Member> = vec![w.joined(bob, &link)];
    // Bob's state is from before carol's commit: it counts against the group as it is.
    let (late, _) = {
        let state = w.state(bob);
        w.by_link(dave, &state, &link, &Forged::default())
    };
    in_it.push(w.joined(carol, &link));
    let e = w.desk.call(dave, late).unwrap_err();
    assert_eq!((e.code, e.detail.contains("used up")), (ErrorCode::BadLink, true), "{e}");

    assert_eq!(w.desk.refused(dave, w.asking(dave, &link)), ErrorCode::BadLink);
    let state = w.state(bob);
    let (forged, _) = w.by_link(dave, &state, &link, &Forged::default());
    assert_eq!(w.desk.refused(dave, forged), ErrorCode::BadLink);

    in_it.push(alice);
    for member in &mut in_it {
        w.follow(member);
        assert_eq!(member.group.members().count(), 3);
    }
    let [a, b, c] = &in_it[..] else { panic!() };
    assert_eq!(a.group.epoch_authenticator(), b.group.epoch_authenticator());
    assert_eq!(b.group.epoch_authenticator(), c.group.epoch_authenticator());
    let links = JoinLinks::of(b.group.view()).unwrap();
    assert_eq!(links.links().iter().map(|link| link.uses).collect::<Vec<_>>(), [2]);
    // They are members as others are.
    assert_eq!(w.desk.refused(dave, FetchGroupInfo { group_id: ID.into() }), ErrorCode::NotMember);
    assert_eq!(w.state(carol).receipt.position.epoch, 3);
}

/// The answer that says so has the place where the log ends, which a stranger is not told.
#[test]
fn whoever_has_a_link_is_told_that_another_commit_came_first() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let link = w.links(&mut alice, 2);
    let (bob, mallory) = (w.device("bob/phone"), w.device("mallory/pc"));
    let state = w.desk.reply(&bob, w.asking(&bob, &link));
    let (late, _) = w.by_link(&bob, &state, &link, &Forged::default());
    let own = JoinLink::new(&mut w.dice, ID.into(), "lunch");
    let forged = Forged { secret: Some(own), ..Forged::default() };
    let (strangers, _) = w.by_link(&mallory, &state, &link, &forged);
    let request = w.changing(&mut alice, &[]);
    w.submit(&mut alice, request);
    let late = w.desk.reply(&bob, late);
    assert_eq!(brief(&late), Brief::WrongEpoch { epoch: 2, head: 2 });
    assert_eq!(w.desk.refused(&mallory, strangers), ErrorCode::BadLink);
}

#[test]
fn a_link_that_is_revoked_or_over_or_whose_maker_left_lets_nobody_in() {
    for case in ["revoked", "expired", "maker left"] {
        let mut w = World::new();
        let mut alice = w.create("alice/laptop");
        let mut bob = w.add(&mut alice, "bob/phone");
        let link = w.links(&mut bob, 5);
        w.follow(&mut alice);
        let carol = w.device("carol/pc");
        let ask = w.asking(&carol, &link);
        assert!(w.desk.call(&carol, ask.clone()).is_ok(), "{case}");
        match case {
            "revoked" => {
                // Any member can.
                let key = link.key_pair(&PROVIDER).unwrap().public;
                let request = w.changing(&mut alice, &[JoinLinksUpdate::Revoke { key }]);
                w.submit(&mut alice, request);
            }
            "expired" => w.desk.wait(DAY),
            _ => {
                let leaf = bob.group.own_leaf();
                let request = w.staged(&mut alice, vec![NewProposal::Remove(leaf)]);
                w.submit(&mut alice, request);
            }
        }
        let e = w.desk.call(&carol, ask).unwrap_err();
        let why = if case == "maker left" { "no longer in the group" } else { case };
        assert!(e.code == ErrorCode::BadLink && e.detail.contains(why), "{e}");
        let state = w.state(&alice.own);
        let (request, _) = w.by_link(&carol, &state, &link, &Forged::default());
        assert_eq!(w.desk.refused(&carol, request), ErrorCode::BadLink, "{case}");
    }
}

#[test]
fn a_joiner_that_does_anything_else_is_refused_and_so_are_members_who_misuse_links() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let link = w.links(&mut alice, 9);
    let (bob, mallory) = (w.device("bob/phone"), w.device("mallory/pc"));
    let state = w.state(&alice.own);
    let own_link = JoinLink::new(&mut w.dice, ID.into(), "lunch");
    let none = Forged::default;
    let cases = [
        (ErrorCode::BadLink, Forged { leaf_key: Some(bob.keys.public.clone()), ..none() }),
        (ErrorCode::BadLink, Forged { secret: Some(own_link), ..none() }),
        (ErrorCode::NotAllowed, Forged { removes: Some(alice.group.own_leaf()), ..none() }),
        (ErrorCode::NotAllowed, Forged { uses_twice: true, ..none() }),
        (ErrorCode::NotAllowed, Forged { revokes: true, ..none() }),
        (ErrorCode::NotMember, Forged { removes_data: true, ..none() }),
        (ErrorCode::NotMember, Forged { component: Some(ComponentId(0x8001)), ..none() }),
    ];
    for (n, (code, forged)) in cases.into_iter().enumerate() {
        let (request, _) = w.by_link(&mallory, &state, &link, &forged);
        let e = w.desk.call(&mallory, request).unwrap_err();
        assert_eq!(e.code, code, "{n}: {e}");
    }
    // Somebody else's commit is of no use to another.
    let (bobs, _) = w.by_link(&bob, &state, &link, &Forged::default());
    assert_eq!(w.desk.refused(&mallory, bobs), ErrorCode::NotMember);

    let key = link.key_pair(&PROVIDER).unwrap().public;
    let signature = link.sign_use(&PROVIDER, 1, &alice.own.keys.public).unwrap().into();
    let usual = |max_uses| JoinLinksUpdate::Make { key: key.clone(), expires_at: 1, max_uses };
    for (code, update) in [
        (ErrorCode::NotAllowed, JoinLinksUpdate::Use { key: key.clone(), signature }),
        (ErrorCode::Invalid, usual(1)),
        (ErrorCode::Invalid, usual(0)),
    ] {
        let request = w.changing(&mut alice, core::slice::from_ref(&update));
        assert_eq!(w.desk.refused(&alice.own, request), code, "{update:?}");
        let id = alice.group.pending_commit().unwrap().id.clone();
        let step = alice.group.commit_rejected(&id).unwrap();
        stored(&mut alice.group, step);
    }
    // Nobody proposes a change of links for others to commit.
    let proposal = JoinLinksUpdate::Revoke { key }.proposal().unwrap();
    let framing = Framing::default();
    let step = alice.group.propose(&PROVIDER, &mut w.dice, NOW, proposal, &framing).unwrap();
    let proposed = stored(&mut alice.group, step);
    let submit = SubmitProposal { proposal: proposed.message.into() };
    assert_eq!(w.desk.refused(&alice.own, submit), ErrorCode::Invalid);
}

#[test]
fn who_asks_without_the_secret_learns_nothing_of_a_group() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let link = w.links(&mut alice, 1);
    let (bob, mallory) = (w.device("bob/phone"), w.device("mallory/pc"));
    let asked = w.asking(&bob, &link);
    assert!(w.desk.call(&bob, asked.clone()).is_ok());
    // What bob has signed says nothing for another device.
    let e = w.desk.call(&mallory, asked.clone()).unwrap_err();
    assert_eq!(e.code, ErrorCode::BadLink, "{e}");

    // Whether there is such a group, or the service follows it.
    let kind = GroupKind::Opaque { epoch: 0 };
    w.desk.reply(&alice.own, CreateGroup { group_id: [5; 16].into(), kind });
    let mut said = Vec::new();
    for group in [[5; 16], [6; 16], ID] {
        let own = JoinLink::new(&mut w.dice, group.into(), "lunch");
        let key = own.key_pair(&PROVIDER).unwrap().public;
        let signature = own.sign_fetch(&PROVIDER, &mallory.id).unwrap().into();
        let ask = FetchLinkedGroup { group_id: group.into(), key, signature };
        let e = w.desk.call(&mallory, ask).unwrap_err();
        assert_eq!(e.code, ErrorCode::BadLink, "{e}");
        said.push(e.detail);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}
