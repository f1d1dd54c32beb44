//! Joining from outside while proposals are pending.

use super::*;

impl World {
    /// Submits a member's proposal.
    pub(super) fn propose(&mut self, by: &mut Member, proposal: NewProposal) -> u64 {
        let framing = Framing::default();
        let step = by.group.propose(&PROVIDER, &mut self.dice, NOW, proposal, &framing).unwrap();
        let proposal = stored(&mut by.group, step).message.into();
        let outcome = self.desk.reply(&by.own, SubmitProposal { proposal });
        outcome.receipt().position.seq
    }

    /// The external commit of a member who has lost its state, with what `prepare` makes of the stage.
    fn rejoining(
        &mut self,
        by: &Member,
        state: &GroupState,
        prepare: impl FnOnce(&mut ExternalJoinStage),
    ) -> (SubmitCommit, Group) {
        let (config, tree) = (mls::Config::default(), Some(&*state.ratchet_tree));
        let stage = ExternalJoinStage::open(&PROVIDER, config, &state.group_info, tree);
        let mut stage = stage.unwrap();
        prepare(&mut stage);
        let verdicts = accept(stage.credentials());
        let options = ExternalJoinOptions {
            replaces: Some(by.group.own_leaf()),
            group_info: Some(INFO),
            ..ExternalJoinOptions::new(by.own.leaf(), by.own.keys.clone())
        };
        let joined = stage.commit(&PROVIDER, &mut self.dice, &verdicts, options).unwrap();
        let group_info = joined.group_info.clone().map(Into::into);
        let request =
            SubmitCommit { group_info, ..SubmitCommit::new(joined.commit.clone().into()) };
        (request, joined.group.store(|_| Ok::<_, Infallible>(())).unwrap())
    }
}

/// Those who asked to leave need not ask again, and what the commit discards is known to who discards it.
#[test]
fn whoever_joins_from_outside_gets_what_is_pending() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let mut carol = w.add(&mut alice, "carol/pc");
    let dave = w.add(&mut alice, "dave/pc");
    [&mut bob, &mut carol].into_iter().for_each(|member| w.catch_up(member));
    assert_eq!((w.state(&bob.own).proposals, w.state(&bob.own).pending), (vec![], 0));

    let leaves = w.propose(&mut bob, NewProposal::SelfRemove);
    let removal = w.propose(&mut carol, NewProposal::Remove(dave.group.own_leaf()));
    w.restart();
    let state = w.state(&dave.own);
    let seqs: Vec<u64> = state.proposals.iter().map(|entry| entry.seq).collect();
    assert_eq!((seqs, state.pending), (vec![leaves, removal], 2));
    let fetch = FetchLog { group_id: ID.into(), after: leaves - 1, limit: 100 };
    assert_eq!(w.desk.reply(&alice.own, fetch).entries, state.proposals, "as the log has them");

    // It takes each that it can: the SelfRemove, and not the Remove, which its commit discards.
    let mut discarded = Vec::new();
    let (request, group) = w.rejoining(&dave, &state, |stage| {
        for entry in &state.proposals {
            if stage.take_self_remove(&PROVIDER, &entry.message).is_err() {
                discarded.push(entry.seq);
            }
        }
    });
    assert_eq!(discarded, [removal]);
    let accepted = w.desk.reply(&dave.own, request);
    assert_eq!(brief(&accepted), Brief::Accepted { epoch: 4, seq: removal + 1 });
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), group.epoch_authenticator());
    let left = FetchGroupInfo { group_id: ID.into() };
    assert_eq!(w.desk.refused(&bob.own, left), ErrorCode::NotMember, "bob is out");

    // In the new epoch nothing is pending.
    let state = w.state(&alice.own);
    assert_eq!((state.proposals, state.pending), (vec![], 0));
}

#[test]
fn whoever_has_asked_to_leave_may_come_back_in_its_own_place() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    w.propose(&mut bob, NewProposal::SelfRemove);
    let state = w.state(&bob.own);
    let (request, group) = w.rejoining(&bob, &state, |stage| {
        stage.take_self_remove(&PROVIDER, &state.proposals[0].message).unwrap();
    });
    w.desk.reply(&bob.own, request);
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), group.epoch_authenticator());
    assert_eq!(w.state(&bob.own).receipt.position.epoch, 2, "bob is in");
}

/// Nobody outside can read them.
#[test]
fn an_opaque_groups_proposals_do_not_come_along() {
    let mut w = World::new();
    let (own, group_id) = (w.device("alice/laptop"), GroupId::from([9; 16]));
    let params = GroupParams {
        group_id: group_id.clone(),
        cipher_suite: SUITE,
        extensions: vec![],
        leaf: own.leaf(),
        lifetime: Own::lifetime(NOW),
    };
    let (config, keys) = (mls::Config::default(), own.keys.clone());
    let new = Group::create(&PROVIDER, &mut w.dice, config, params, keys).unwrap();
    let mut group = new.store(|_| Ok::<_, Infallible>(())).unwrap();
    let options = CommitOptions { group_info: Some(INFO), ..CommitOptions::default() };
    let step = group.commit(&PROVIDER, &mut w.dice, NOW, options).unwrap();
    let made = stored(&mut group, step);

    let kind = GroupKind::Opaque { epoch: 0 };
    w.desk.reply(&own, CreateGroup { group_id: group_id.clone(), kind });
    let message = |kind, epoch| private(&group_id, epoch, kind, b"x");
    let request = SubmitCommit {
        group_info: made.group_info.map(Into::into),
        ratchet_tree: Some(Bytes::from([1])),
        ..SubmitCommit::new(message(ContentType::Commit, 0))
    };
    w.desk.reply(&own, request);
    w.desk.reply(&own, SubmitProposal { proposal: message(ContentType::Proposal, 1) });
    let state = w.desk.reply(&own, FetchGroupInfo { group_id: group_id.clone() });
    assert_eq!((state.proposals, state.pending), (vec![], 0));
}
