//! Join links: who comes in by one, and what members make of a commit that they do not let in.

use super::*;
use crate::record::Work;
use conclave_delivery_api::{
    ContentType, Encode, FetchGroupInfo, JOIN_LINKS, JoinLink, JoinLinks, JoinLinksUpdate,
};
use conclave_mls::component::AppDataDictionary;
use conclave_mls::crypto::CryptoRng;
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage};
use conclave_mls::{Config, Verdict};
use conclave_room::{PARTICIPANT_LIST, RoomState};

const DAY: u64 = 24 * 60 * 60 * 1000;

impl World {
    /// Lets a device make a link into its current group; the link's text.
    pub(super) fn link_of(&mut self, i: usize, options: &str) -> String {
        self.say(i, &format!("/invite-link {options}"));
        self.settle();
        let lines = self.devices[i].lines();
        let line = lines.iter().rev().find(|line| line.starts_with("invite-link g ")).unwrap();
        line.split(' ').nth(2).unwrap().to_string()
    }

    pub(super) fn joins(&mut self, i: usize, link: &str) {
        self.say(i, &format!("/join {link}"));
        self.settle();
    }

    /// How often each link into a device's group was used.
    fn uses(&self, i: usize) -> Vec<u32> {
        let live = self.devices[i].engine.conversations.values().next().unwrap();
        let links = JoinLinks::of(live.group().view()).unwrap();
        links.links().iter().map(|link| link.uses).collect()
    }

    /// What a device that breaks the rules sends in order to join by a link, whatever became of it: `signer` signs.
    fn forged_join(&self, member: usize, by: usize, link: &JoinLink, signer: &JoinLink) -> Vec<u8> {
        let state = self.run_as(member, FetchGroupInfo { group_id: self.group_id(member) });
        let (info, tree) = (&state.group_info, Some(&*state.ratchet_tree));
        let stage = ExternalJoinStage::open(&*provider(), Config::default(), info, tree).unwrap();
        let engine = &self.devices[by].engine;
        let own = engine.book.identity().signer.clone();
        let (key, epoch) = (link.key_pair(&*provider()).unwrap().public, stage.context().epoch.0);
        let signature = signer.sign_use(&*provider(), epoch, &own.public).unwrap().into();
        let extensions = &stage.context().extensions;
        let data = AppDataDictionary::find_data(extensions, JOIN_LINKS).unwrap().unwrap();
        let links = JoinLinks::of_data(Some(&data.into()));
        let after = links.after_use(&key).unwrap();
        let update = JoinLinksUpdate::Use { key, signature }.to_bytes().unwrap().into();
        let room = RoomState::in_extensions(extensions).unwrap().unwrap();
        let user = room.uri_of(engine.device().user.as_str()).unwrap();
        let list = room.participants.with(&user, room.role_by_link().unwrap());
        let joins = room.participants.update_to(&list).to_bytes().unwrap();
        let stage = stage.with_app_data_update(JOIN_LINKS, update, after);
        let list = list.to_bytes().unwrap();
        let stage = stage.with_app_data_update(PARTICIPANT_LIST, joins.into(), list.into());
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let options = ExternalJoinOptions::new(engine.leaf(), own);
        let rng: &mut dyn CryptoRng = &mut TestRng(9);
        stage.commit(&*provider(), rng, &verdicts, options).unwrap().commit
    }
}

/// A group of a and b, and others who are not in it.
fn world(seed: u64, others: &[&str]) -> (World, [usize; 2], Vec<usize>) {
    let mut world = World::new(seed);
    let all = ["a/pc", "b/pc"].map(|id| world.add(id));
    let others = others.iter().map(|id| world.add(id)).collect();
    world.group("g", &all);
    (world, all, others)
}

#[test]
fn a_link_lets_in_as_many_as_it_says_and_members_are_told_whose_it_was() {
    let (mut world, [a, b], others) = world(40, &["c/pc", "d/pc", "e/pc"]);
    let [c, d, e] = others[..] else { panic!() };
    let link = world.link_of(a, "--uses 2");
    for i in [c, d, e] {
        world.joins(i, &link);
    }
    for i in [c, d] {
        assert!(world.devices[i].has_line("joined g "), "{:?}", world.devices[i].lines());
        let told = format!(" {} link a/pc ", world.devices[i].id);
        for member in [a, b] {
            let lines = world.devices[member].lines();
            let is_told = |line: &String| line.starts_with("added g ") && line.contains(&told);
            assert_eq!(lines.iter().filter(|line| is_told(line)).count(), 1, "{lines:?}");
        }
    }
    let lines = world.devices[e].lines();
    let why =
        lines.iter().find(|line| line.starts_with("failed - you have not joined g: ")).unwrap();
    assert!(why.contains("bad-link") && why.contains("used up"), "{why}");

    world.say(d, "hello");
    world.say(b, "/links");
    world.settle();
    for i in [a, b, c] {
        assert_eq!(world.devices[i].messages().last().unwrap().3, "hello");
    }
    assert!(world.devices[b].has_line("link-into g 1 a/pc used 2 of 2 until "));
    world.agree(&[a, b, c, d]);
    world.joins(c, &link);
    assert!(world.devices[c].has_line("error you are in g already"));
}

#[test]
fn a_link_that_is_revoked_or_over_or_of_a_member_who_is_out_lets_nobody_in() {
    for (n, case) in ["revoked", "expired", "no longer in the group"].into_iter().enumerate() {
        let (mut world, [a, b], others) = world(50 + n as u64, &["c/pc"]);
        let link = world.link_of(b, "--uses 5 --expires 1d");
        match n {
            0 => world.say(a, "/unlink 1"),
            1 => world.now += DAY,
            _ => world.say(a, "/remove b"),
        }
        world.settle();
        world.joins(others[0], &link);
        let lines = world.devices[others[0]].lines();
        let refused = |line: &String| line.starts_with("failed - ") && line.contains(case);
        assert!(lines.iter().any(refused), "{lines:?}");
        assert!(!world.devices[a].has_line("added g 3 c/pc"), "{case}");
        // What is over makes room for the next, and a link of somebody else is good.
        let link = world.link_of(a, "");
        world.joins(others[0], &link);
        assert!(world.devices[others[0]].has_line("joined g "), "{case}");
    }
}

#[test]
fn a_joiners_other_devices_come_in_after_it() {
    let (mut world, [a, b], others) = world(60, &["c/pc", "c/phone"]);
    let link = world.link_of(a, "");
    world.joins(others[0], &link);
    assert!(
        world.devices[others[1]].has_line("joined g "),
        "{:?}",
        world.devices[others[1]].lines()
    );
    assert_eq!(world.uses(b), [1]);
    world.agree(&[a, b, others[0], others[1]]);
}

#[test]
fn whoever_removes_somebody_is_told_of_links_that_still_lead_in() {
    let (mut world, [a, b], _) = world(61, &[]);
    world.link_of(a, "");
    world.say(a, "/remove b");
    world.settle();
    assert!(world.devices[a].has_line("note - links still lead into g, and b may know one"));
    assert!(world.devices[b].has_line("out g "));
}

/// Its process dies at every step of the way.
#[test]
fn a_join_that_is_cut_off_goes_on_and_counts_once() {
    for steps in 0..12 {
        let (mut world, [a, b], others) = world(70 + steps, &["c/pc"]);
        let (link, c) = (world.link_of(a, "--uses 2"), others[0]);
        world.say(c, &format!("/join {link}"));
        for _ in 0..steps {
            world.step(c);
        }
        world.kill(c);
        world.settle();
        assert_eq!(
            world.devices[c].count("joined g "),
            1,
            "{steps}: {:?}",
            world.devices[c].lines()
        );
        assert_eq!(world.uses(a), [1], "{steps}");
        world.agree(&[a, b, c]);
    }
}

#[test]
fn a_join_over_a_connection_that_fails_comes_about_once() {
    for seed in 90..96 {
        let (mut world, [a, b], others) = world(seed, &["c/pc"]);
        let (link, c) = (world.link_of(a, "--uses 2"), others[0]);
        world.loss = 3;
        world.joins(c, &link);
        world.loss = 0;
        world.settle();
        assert_eq!(world.devices[c].count("joined g "), 1, "{:?}", world.devices[c].lines());
        assert_eq!(world.uses(b), [1]);
        world.agree(&[a, b, c]);
    }
}

#[test]
fn a_join_that_another_commit_comes_before_is_made_again() {
    let (mut world, [a, b], others) = world(97, &["c/pc", "d/pc"]);
    let (link, c) = (world.link_of(a, ""), others[0]);
    world.fault = Some(Box::new(|request| match request {
        Request::SubmitCommit(_) => Some(unreachable()),
        _ => None,
    }));
    world.say(c, &format!("/join {link}"));
    while world.step(c) {}
    let made = |world: &World| {
        let group = world.group_id(a);
        let mut items = world.devices[c].engine.book.items(&group).map(|(_, item)| item);
        items.any(|item| matches!(item.work, Work::Join { commit: Some(_), .. }))
    };
    assert!(made(&world), "{}", world.devices[c].engine.state());
    world.fault = None;
    world.say(a, "/invite d");
    while world.step(a) {}
    assert!(made(&world));
    world.settle();
    assert!(world.devices[c].has_line("joined g "), "{:?}", world.devices[c].lines());
    world.agree(&[a, b, c, others[1]]);
}

/// A lying service takes the commit of a device that breaks the rules, and passes it on.
#[test]
fn members_let_nobody_in_by_a_link_that_is_over_whatever_the_service_does() {
    for (n, why) in [
        "",
        "the link was revoked",
        "the link has expired",
        "the link is used up",
        "the link's key has not signed this",
    ]
    .into_iter()
    .enumerate()
    {
        let (mut world, [a, b], others) = world(100 + n as u64, &["c/pc", "m/pc"]);
        let [c, m] = others[..] else { panic!() };
        let text = world.link_of(a, "");
        let link: JoinLink = text.parse().unwrap();
        let (mut members, mut received_at) = (vec![a, b], world.now / 1000);
        let mut signer = link.clone();
        match n {
            1 => {
                world.say(b, "/unlink 1");
                world.settle();
            }
            2 => received_at += 8 * DAY / 1000,
            3 => {
                world.joins(c, &text);
                members.push(c);
            }
            4 => signer = JoinLink::new(&mut TestRng(5), link.group_id().clone(), "g"),
            _ => {}
        }
        if n == 1 {
            // Nothing is left that a revoked link's use could be added to, but that is the forger's affair.
            world.link_of(a, "");
        }
        let commit = world.forged_join(a, m, &link, &signer);
        world.smuggle_at(m, ContentType::Commit, commit, received_at);
        for i in members {
            while world.step(i) {}
            let lines = world.devices[i].lines();
            let let_in =
                |line: &String| line.starts_with("added g ") && line.contains(" m/pc link a/pc");
            let refused =
                |line: &String| line.starts_with("error g cannot go on") && line.contains(why);
            match n {
                // The same commit by a good link is followed.
                0 => assert!(lines.iter().any(let_in), "{lines:?}"),
                _ => {
                    assert!(lines.iter().any(refused), "{why}: {lines:?}");
                    assert!(!lines.iter().any(let_in), "{why}: {lines:?}");
                }
            }
        }
    }
}

/// The service hands a link's owner the state of a group as it is, and has not looked at the link.
#[test]
fn a_joiner_makes_no_commit_for_a_group_that_does_not_know_its_link() {
    let (mut world, [a, _], others) = world(110, &["c/pc"]);
    let (link, c) = (world.link_of(a, ""), others[0]);
    world.say(a, "/unlink 1");
    world.settle();
    let id = world.group_id(a);
    let state = world.run_as(a, FetchGroupInfo { group_id: id.clone() });
    world.say(c, &format!("/join {link}"));
    world.devices[c].engine.linked_shown(id, state);
    world.settle();
    let lines = world.devices[c].lines();
    let refused = |line: &String| line.starts_with("failed - ") && line.contains("revoked");
    assert!(lines.iter().any(refused), "{lines:?}");
    assert!(!world.devices[c].has_line("joined"));
}
