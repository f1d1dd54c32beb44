//! Who may what in a room, tried in groups: by an honest client, and by one that was modified to know no rules. The table is
//! that of `docs/rooms.md`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::testing::TestRng;
use conclave_mls::component::{AppDataUpdate, AppDataUpdateOperation, ComponentId, Encode};
use conclave_mls::credential::LeafParams;
use conclave_mls::crypto::{Secret, Suite};
use conclave_mls::error::Rejection;
use conclave_mls::group::{
    Answers, CommitOptions, GroupParams, GroupView, NewProposal, Proposal, ProposalType, TreeRead,
};
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage, GroupInfoOptions, WelcomeStage};
use conclave_mls::key_package::{KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage};
use conclave_mls::observe::{Observer, ObserverStage};
use conclave_mls::storage::{Batch, RowKey};
use conclave_mls::wire::Bytes;
use conclave_mls::{
    CipherSuite, Config, Credential, Error, Group, GroupId, Received, UnixTime, Verdict, apply,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_room::standard::{ADMIN, MEMBER, MODERATOR, OWNER, VISITOR};
use conclave_room::{
    BASE_ROOM_POLICY, CHAT_HISTORY_POLICY, COMPONENTS, Capability, Claim, HistoryPolicy, LinkUse,
    MESSAGE_EXPIRATION_POLICY, MessageExpiration, PARTICIPANT_LIST, PREAUTH_LIST, Preauthorization,
    Preauthorizations, ROLES_LIST, ROOM_METADATA, RoleIndex, Roles, RoomMetadata, RoomPolicy,
    RoomState, STATUS_NOTIFICATION_POLICY, StatusNotificationPolicy, Text, user_uri,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

const PROVIDER: RustCrypto = RustCrypto::new();
const SUITE: CipherSuite = CipherSuite(1);
const NOW: UnixTime = match UnixTime::from_secs(1_800_000_000) {
    Some(now) => now,
    None => panic!(),
};
/// A component of links, of which a byte says what is done with one.
const LINKS: ComponentId = ComponentId(0x8c01);
const ROLES: [&str; 5] = ["visitor", "member", "moderator", "admin", "owner"];

/// How a client knows the rules of rooms.
fn honest() -> Config {
    let policy = RoomPolicy {
        user_of: |credential| {
            let identity = core::str::from_utf8(credential.identity()?).ok()?;
            Some(identity.split_once('/')?.0.to_string())
        },
        links: LINKS,
        link_use: |update| match update {
            [1] => Some(LinkUse::Make),
            [2] => Some(LinkUse::Revoke),
            [3] => Some(LinkUse::Join),
            _ => None,
        },
    };
    Config { policy: Arc::new(policy), adopt_policy: true, ..Config::default() }
}

/// How a client is set up whose author has left them out.
fn modified() -> Config {
    Config { adopt_policy: true, ..Config::default() }
}

fn leaf(name: &str) -> LeafParams {
    let leaf = LeafParams::new(Credential::basic(name.as_bytes()), &[SUITE]);
    let mut leaf = leaf.with_components(&[&COMPONENTS[..], &[LINKS]].concat()).unwrap();
    leaf.capabilities.proposals.push(ProposalType::APP_DATA_UPDATE);
    leaf
}

fn lifetime() -> Lifetime {
    Lifetime::starting_at(NOW, core::time::Duration::from_secs(1_000_000))
}

fn uri(user: &str) -> Text {
    Text::try_from(user_uri("a.example", user).as_str()).unwrap()
}

/// The stored rows of a group.
type Rows = Vec<(RowKey, Secret)>;

fn rows_of(batch: Batch) -> Rows {
    batch.rows.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// A room as its members and a service have stored it.
struct World {
    rng: TestRng,
    members: BTreeMap<&'static str, Rows>,
    observer: Rows,
    /// The key package of a user who is not in the room.
    newcomer: ValidKeyPackage,
    /// Those of further devices of members, and of a banned user.
    more: BTreeMap<String, ValidKeyPackage>,
}

fn key_package(rng: &mut TestRng, device: &str) -> OwnKeyPackage {
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let signer = suite.signature_key_pair(rng).unwrap();
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: leaf(device),
        lifetime: lifetime(),
        extensions: Vec::new(),
        last_resort: false,
    };
    OwnKeyPackage::generate(&PROVIDER, rng, params, signer).unwrap()
}

fn valid(own: &OwnKeyPackage) -> ValidKeyPackage {
    let stage =
        ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), own.key_package().clone());
    stage.unwrap().resolve(Verdict::Accept).unwrap()
}

fn add(package: &ValidKeyPackage) -> NewProposal {
    NewProposal::Add(Box::new(package.clone()))
}

impl World {
    fn new() -> Self {
        let mut rng = TestRng(7);
        let room_uri = "mimi://a.example/r/01";
        let mut room = RoomState::new(room_uri, "lunch", uri("owner").as_str()).unwrap();
        let users = [
            ("visitor", VISITOR),
            ("member", MEMBER),
            ("moderator", MODERATOR),
            ("admin", ADMIN),
            ("other", MEMBER),
            ("boss", OWNER),
        ];
        for (user, role) in users {
            room.participants = room.participants.with(&uri(user), role);
        }
        room.participants = room.participants.with(&uri("troll"), RoleIndex::BANNED);
        // The expert may come in as a moderator, and so might the troll.
        let mut roles = room.roles.all().to_vec();
        for role in roles.iter_mut().filter(|role| role.index == MODERATOR) {
            role.capabilities.push(Capability::JOIN_IF_PREAUTHORIZED);
        }
        room.roles = Roles::new(roles).unwrap();
        let entry = |user: &str| {
            let credential = Credential::basic(format!("{user}/pc").as_bytes());
            let claims = vec![Claim::of_user(&credential, uri(user))];
            let role = room.roles.get(MODERATOR).unwrap().clone();
            Preauthorization { claims, role }
        };
        room.preauthorized = Preauthorizations(vec![entry("expert"), entry("troll")]);

        let suite = Suite::new(&PROVIDER, SUITE).unwrap();
        let dictionary = room.dictionary(&[LINKS]).unwrap();
        let params = GroupParams {
            group_id: GroupId::from(vec![1]),
            cipher_suite: SUITE,
            extensions: vec![dictionary.to_extension().unwrap()],
            leaf: leaf("owner/pc"),
            lifetime: lifetime(),
        };
        let signer = suite.signature_key_pair(&mut rng).unwrap();
        let new = Group::create(&PROVIDER, &mut rng, honest(), params, signer).unwrap();
        let mut owner = new.store(|_| Ok::<_, Infallible>(())).unwrap();

        // All others come in by one commit.
        let packages: Vec<(&str, OwnKeyPackage)> = users
            .iter()
            .map(|(user, _)| (*user, key_package(&mut rng, &format!("{user}/pc"))))
            .collect();
        let proposals = packages.iter().map(|(_, own)| add(&valid(own))).collect();
        let step = owner.commit(
            &PROVIDER,
            &mut rng,
            NOW,
            CommitOptions { proposals, ..CommitOptions::default() },
        );
        let messages = apply(&mut owner, step.unwrap(), |_| Ok::<_, Infallible>(())).unwrap();
        let step = owner.commit_accepted(&PROVIDER, NOW, &messages.id).unwrap();
        apply(&mut owner, step, |_| Ok::<_, Infallible>(())).unwrap();

        let mut members = BTreeMap::from([("owner", rows_of(owner.rows().unwrap()))]);
        let welcome = &messages.welcomes[0].message;
        for (user, own) in &packages {
            let stage = WelcomeStage::open(&PROVIDER, honest(), welcome, own).unwrap();
            let stage = stage.join(&PROVIDER, &[], None, None).unwrap();
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            let new = stage.resolve(&verdicts).unwrap();
            let group = new.store(|_| Ok::<_, Infallible>(())).unwrap();
            members.insert(*user, rows_of(group.rows().unwrap()));
        }
        let options = GroupInfoOptions { ratchet_tree: false, external_pub: true };
        let info = owner.group_info(&PROVIDER, options).unwrap();
        let tree = owner.tree().to_extension_bytes().unwrap();
        let stage = ObserverStage::open(&PROVIDER, honest(), &info, Some(&tree)).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let observer = rows_of(stage.resolve(&verdicts).unwrap().rows().unwrap());

        let newcomer = valid(&key_package(&mut rng, "new/pc"));
        let more = ["visitor", "member", "moderator", "admin", "owner", "other", "troll"];
        let more = more.map(|user| {
            (user.to_string(), valid(&key_package(&mut rng, &format!("{user}/phone"))))
        });
        Self { rng, members, observer, newcomer, more: more.into() }
    }

    fn load(&self, user: &str, config: Config) -> Group {
        Group::load(&PROVIDER, config, self.members[user].iter().cloned()).unwrap()
    }

    /// The proposals of an action of the table.
    fn action(&self, action: &str, by: &str, group: &Group) -> Vec<NewProposal> {
        let room = RoomState::of(group.view()).unwrap().unwrap();
        let update = |component_id, data: Vec<u8>| {
            vec![NewProposal::AppDataUpdate { component_id, update: data.into() }]
        };
        let role = |user: &str, role: RoleIndex| {
            let list = room.participants.update_to(&room.participants.with(&uri(user), role));
            update(PARTICIPANT_LIST, list.to_bytes().unwrap())
        };
        let described = |change: &dyn Fn(&mut RoomMetadata)| {
            let mut metadata = room.metadata.clone();
            change(&mut metadata);
            update(ROOM_METADATA, metadata.to_bytes().unwrap())
        };
        let text = |text: &str| Text::try_from(text).unwrap();
        let removes = |user: &str| {
            let credential = Credential::basic(format!("{user}/pc").as_bytes());
            vec![NewProposal::Remove(group.view().find(&credential).unwrap().index)]
        };
        let invites = |to| [role("new", to), vec![add(&self.newcomer)]].concat();
        match action {
            "bring in a member" => invites(MEMBER),
            "bring in a visitor" => invites(VISITOR),
            "bring in a moderator" => invites(MODERATOR),
            "bring in an admin" => invites(ADMIN),
            "bring in an owner" => invites(OWNER),
            "bring in a device of its own" => vec![add(&self.more[by])],
            "bring in another device of a member's" => vec![add(&self.more["other"])],
            "remove a member" => [role("other", RoleIndex::NONE), removes("other")].concat(),
            "remove an owner" => [role("boss", RoleIndex::NONE), removes("boss")].concat(),
            "take out a member's device" => removes("other"),
            "take out an owner's device" => removes("boss"),
            "ban a member" => [role("other", RoleIndex::BANNED), removes("other")].concat(),
            "ban an owner" => [role("boss", RoleIndex::BANNED), removes("boss")].concat(),
            "let a banned user back in" => {
                [role("troll", MEMBER), vec![add(&self.more["troll"])]].concat()
            }
            "make a member a moderator" => role("other", MODERATOR),
            "make a member an admin" => role("other", ADMIN),
            "make a member an owner" => role("other", OWNER),
            "make itself an owner" if by == "owner" => role(by, MEMBER),
            "make itself an owner" => role(by, OWNER),
            "make an owner a member" => role("boss", MEMBER),
            "change the name" => described(&|m| m.name = text("dinner")),
            "change the topic" => described(&|m| m.subject = text("soup")),
            "change the picture" => described(&|m| m.avatar = text("https://a.example/1.png")),
            "change the room's URI" => described(&|m| m.room_uri = text("mimi://evil/r/01")),
            "make a link" => update(LINKS, vec![1]),
            "revoke a link" => update(LINKS, vec![2]),
            "change the policy for history" => {
                update(CHAT_HISTORY_POLICY, HistoryPolicy::Forbidden.to_bytes().unwrap())
            }
            "change the policy for expiry" => {
                update(MESSAGE_EXPIRATION_POLICY, MessageExpiration::Forbidden.to_bytes().unwrap())
            }
            "change the policy for status notifications" => update(
                STATUS_NOTIFICATION_POLICY,
                StatusNotificationPolicy::default().to_bytes().unwrap(),
            ),
            "define roles" => update(ROLES_LIST, room.roles.to_bytes().unwrap()),
            "preauthorize users" => {
                update(PREAUTH_LIST, Preauthorizations::default().to_bytes().unwrap())
            }
            "change the base policy" => update(BASE_ROOM_POLICY, room.base.to_bytes().unwrap()),
            "bring in a client of nobody's" => vec![add(&self.newcomer)],
            "remove a member and leave a device" => role("other", RoleIndex::NONE),
            other => panic!("the table has an action that is not tried: {other}"),
        }
    }

    /// A client's commit; or why it does not make it.
    fn commit(&mut self, action: &str, by: &str, config: Config) -> Result<Vec<u8>, Error> {
        let mut group = self.load(by, config);
        let proposals = self.action(action, by, &group);
        let options = CommitOptions { proposals, ..CommitOptions::default() };
        let draft = group.draft_commit(&PROVIDER, &mut self.rng, NOW, options)?;
        let answers = answers(group.view(), draft.proposals().map(|(_, proposal)| proposal));
        let step = draft.seal(&mut self.rng, answers)?;
        Ok(apply(&mut group, step, |_| Ok::<_, Infallible>(())).unwrap().commit)
    }

    /// The commit of a user who joins by a link; or why it does not make it.
    fn join(&mut self, action: &str, user: &str, config: Config) -> Result<Vec<u8>, Error> {
        let owner = self.load("owner", honest());
        let room = RoomState::of(owner.view()).unwrap().unwrap();
        let as_role = |role| {
            let after = room.participants.with(&uri(user), role);
            let update = room.participants.update_to(&after).to_bytes().unwrap();
            (PARTICIPANT_LIST, update, after.to_bytes().unwrap())
        };
        let mut updates = vec![(LINKS, vec![3], vec![3])];
        match action {
            "come in as a visitor" => updates.push(as_role(VISITOR)),
            "come in as a member" => updates.push(as_role(MEMBER)),
            "come in as a moderator" => updates.push(as_role(MODERATOR)),
            "come in as an admin" => updates.push(as_role(ADMIN)),
            "come in as a moderator and change the topic" => {
                let subject = Text::try_from("soup").unwrap();
                let topic = RoomMetadata { subject, ..room.metadata.clone() };
                let topic = topic.to_bytes().unwrap();
                updates.extend([as_role(MODERATOR), (ROOM_METADATA, topic.clone(), topic)]);
            }
            "come in without a place in the list" => {}
            other => panic!("the table has an action that is not tried: {other}"),
        }

        let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        let info = owner.group_info(&PROVIDER, options).unwrap();
        let mut stage = ExternalJoinStage::open(&PROVIDER, config, &info, None).unwrap();
        for (id, update, data) in updates {
            stage = stage.with_app_data_update(id, update.into(), data.into());
        }
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let suite = Suite::new(&PROVIDER, SUITE).unwrap();
        let signer = suite.signature_key_pair(&mut self.rng).unwrap();
        let options = ExternalJoinOptions::new(leaf(&format!("{user}/pc")), signer);
        Ok(stage.commit(&PROVIDER, &mut self.rng, &verdicts, options)?.commit)
    }

    /// What an honest member makes of a commit.
    fn received(&self, commit: &[u8], by: &str) -> Result<(), Error> {
        let group = self.load(by, honest());
        let stage = match group.process(&PROVIDER, NOW, commit) {
            Ok(Received::Commit(stage)) => stage,
            Ok(other) => panic!("{other:?}"),
            Err(refused) => return Err(refused.error),
        };
        let app_data = answers(group.view(), stage.proposals().map(|(_, proposal)| proposal));
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let answers = Answers { verdicts, app_data, ..Answers::default() };
        let step = stage.resolve(&group, &PROVIDER, NOW, &answers);
        step.map(|_| ()).map_err(|refused| refused.error)
    }

    /// Members and a service take a commit, or refuse it for the room's policy.
    fn comes_to_others(&self, what: &str, (by, sent): (&str, &[u8]), allowed: bool) {
        for receiver in ["visitor", "owner"].into_iter().filter(|receiver| *receiver != by) {
            let received = self.received(sent, receiver);
            assert_eq!(received.is_ok(), allowed, "{what}, at {receiver}: {:?}", received.err());
            if let Err(e) = received {
                assert!(is_refused_by_policy(&e), "{what}: {e}");
            }
        }
        let observed = self.observed(sent);
        assert_eq!(observed.is_ok(), allowed, "{what}, at the service: {:?}", observed.err());
    }

    /// What a service makes of it that follows the group.
    fn observed(&self, commit: &[u8]) -> Result<(), Error> {
        let observer = Observer::load(&PROVIDER, honest(), self.observer.iter().cloned()).unwrap();
        let stage = observer.process(&PROVIDER, commit)?;
        let app_data = answers(observer.view(), stage.proposals().map(|(_, proposal)| proposal));
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let answers = Answers { verdicts, app_data, ..Answers::default() };
        stage.resolve(&observer, &PROVIDER, &answers).map(|_| ())
    }
}

/// What components answer to a commit.
fn answers<'a>(group: GroupView<'_>, proposals: impl Iterator<Item = &'a Proposal>) -> Vec<Bytes> {
    let updates: Vec<(ComponentId, &[u8])> = proposals
        .filter_map(|proposal| match proposal {
            Proposal::AppDataUpdate(AppDataUpdate {
                component_id,
                operation: AppDataUpdateOperation::Update(update),
            }) => Some((*component_id, &**update)),
            _ => None,
        })
        .collect();
    let of_links = updates.iter().filter(|(id, _)| *id == LINKS).map(|(_, data)| (*data).into());
    let of_room: Vec<_> = updates.iter().copied().filter(|(id, _)| *id != LINKS).collect();
    let room = RoomState::of(group).unwrap().unwrap();
    let data = room.updated(&of_room).unwrap().1.into_iter().map(|(_, data)| data);
    data.chain(of_links).collect()
}

/// The rows of the table that begins with these words: an action, and for each column whether it is allowed.
fn table(begin: &str, columns: usize) -> Vec<(String, Vec<bool>)> {
    let page = include_str!("../../../docs/rooms.md");
    let rows = page.lines().skip_while(|line| !line.starts_with(begin));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let action = cells.next().unwrap().to_string();
        let cells: Vec<bool> = cells
            .map(|cell| match cell {
                "yes" => true,
                "–" => false,
                other => panic!("{action}: {other:?}"),
            })
            .collect();
        assert_eq!(cells.len(), columns, "{action}");
        (action, cells)
    })
    .collect()
}

fn is_refused_by_policy(error: &Error) -> bool {
    matches!(error, Error::Rejected(Rejection::RefusedByPolicy { .. }))
}

#[test]
fn each_cell_of_the_table_holds_for_honest_and_for_modified_clients() {
    let mut world = World::new();
    let table = table("| what | visitor", ROLES.len());
    assert!(table.len() > 30, "{} rows", table.len());
    for (action, cells) in table {
        for (by, allowed) in ROLES.into_iter().zip(cells) {
            let what = format!("{by}: {action}");
            let own = world.commit(&action, by, honest());
            assert_eq!(own.is_ok(), allowed, "{what}, before it is sent: {:?}", own.err());
            if let Err(e) = own {
                assert!(is_refused_by_policy(&e), "{what}: {e}");
            }

            let sent =
                world.commit(&action, by, modified()).unwrap_or_else(|e| panic!("{what}: {e}"));
            world.comes_to_others(&what, (by, &sent), allowed);
        }
    }
}

#[test]
fn joiners_do_what_their_table_allows_with_honest_and_modified_clients() {
    let mut world = World::new();
    let joiners = ["new", "expert", "troll"];
    let table = table("| what | with a link", joiners.len());
    assert!(table.len() >= 6, "{} rows", table.len());
    for (action, cells) in table {
        for (by, allowed) in joiners.into_iter().zip(cells) {
            let what = format!("{by}: {action}");
            let own = world.join(&action, by, honest());
            assert_eq!(own.is_ok(), allowed, "{what}, before it is sent: {:?}", own.err());
            let sent =
                world.join(&action, by, modified()).unwrap_or_else(|e| panic!("{what}: {e}"));
            world.comes_to_others(&what, (by, &sent), allowed);
        }
    }
}
