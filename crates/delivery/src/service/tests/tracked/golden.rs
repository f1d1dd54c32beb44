//! Databases of every format that was ever written, as text: each is upgraded, and answers as it did.

use super::*;
use crate::service::{Act, Holder, Limits, invitation};
use crate::storage::administration::Administration as _;
use crate::storage::{Membership, Quota, SqliteStorage, Storage};
use conclave_mls::crypto::CryptoProvider as _;
use core::time::Duration;
use rusqlite::Connection;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Two groups whose handshake messages are private.
const OPAQUE: [[u8; 16]; 2] = [[5; 16], [6; 16]];
const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/delivery")
}

fn shown(bytes: &[u8]) -> String {
    let digest = PROVIDER.hash(mls::crypto::Hash::Sha256, &[bytes]).unwrap();
    format!("{} bytes {}", bytes.len(), to_hex(&digest[..8]))
}

/// The database as SQL text.
fn dump(path: &Path) -> String {
    let db = Connection::open(path).unwrap();
    let number = |pragma| db.pragma_query_value(None, pragma, |r| r.get::<_, u32>(0)).unwrap();
    let (application, format) = (number("application_id"), number("user_version"));
    let mut text = format!(
        "PRAGMA application_id = {application};\nPRAGMA user_version = {format};\nBEGIN;\n"
    );
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let own = "sql NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type = 'index', rowid";
    for statement in texts(&format!("SELECT sql FROM sqlite_schema WHERE {own}")) {
        writeln!(text, "{statement};").unwrap();
    }
    // Inserting rows counts: what was counted is set at the end.
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'
                  ORDER BY name = 'sqlite_sequence', rowid";
    for table in texts(tables) {
        if table == "sqlite_sequence" {
            text += "DELETE FROM sqlite_sequence;\n";
        }
        let columns = texts(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"));
        let quoted: Vec<String> = columns.iter().map(|c| format!("quote({c})")).collect();
        for row in texts(&format!("SELECT {} FROM {table}", quoted.join(" || ',' || "))) {
            let columns = columns.join(", ");
            writeln!(text, "INSERT INTO {table} ({columns}) VALUES ({row});").unwrap();
        }
    }
    text + "COMMIT;\n"
}

/// What a storage answers to every question about the golden users and groups.
fn answers(storage: &SqliteStorage) -> String {
    let mut text = format!("secret {}\n", shown(storage.secret().unwrap().expose()));
    let now = NOW.as_secs();
    let mut devices = Vec::new();
    for user in USERS.map(|user| user.parse::<Name>().unwrap()) {
        let Some(account) = storage.account(&user).unwrap() else { continue };
        writeln!(text, "account {user}, {} entries, {}", account.length, shown(&account.state))
            .unwrap();
        if storage.is_blocked(&user).unwrap() {
            text += "  blocked\n";
        }
        for quota in Quota::ALL {
            if let Some(most) = storage.quota(&user, quota).unwrap() {
                writeln!(text, "  quota of {}: {most}", quota.name()).unwrap();
            }
        }
        for entry in storage.account_entries(&user, 0, 100, usize::MAX).unwrap() {
            writeln!(text, "  entry {}", shown(&entry)).unwrap();
        }
        for known in storage.devices(&user).unwrap() {
            let key = to_hex(&known.signature_key[..8]);
            let (device, scheme) = (&known.device, known.scheme.code_point());
            writeln!(text, "  device {device}, {scheme}, {key}, active {}", known.active).unwrap();
            devices.push(known.device);
        }
    }
    writeln!(text, "unpublished {}", storage.unpublished(100).unwrap().len()).unwrap();

    for device in &devices {
        writeln!(text, "of {device}").unwrap();
        for package in storage.key_packages(device, now).unwrap() {
            let (number, suite) = (package.number, package.cipher_suite.0);
            let (last, message) = (package.last_resort, shown(&package.message));
            writeln!(text, "  key package {number}, {suite}, last resort {last}, {message}")
                .unwrap();
        }
        if let Some(marked) = storage.state_mark(device).unwrap() {
            let StateMark { number, id } = marked.latest;
            let id = to_hex(&id[..8]);
            writeln!(text, "  state mark {number}, {id}, {}", marked.marked_at).unwrap();
        }
        let (items, total) = storage.inbox(device, 100, usize::MAX).unwrap();
        for InboxItem { id, welcome: w } in items {
            let group = to_hex(&w.group_id);
            let tree = w.ratchet_tree.as_deref().map(shown);
            let what = format!("{}, tree {tree:?}", shown(&w.welcome));
            let LogPosition { seq, epoch, chain } = w.position;
            assert_eq!(storage.position(&w.group_id, seq).unwrap().unwrap().chain, chain);
            let from = format!("{group}, epoch {epoch}, {seq}, by {}", w.sender);
            writeln!(text, "  inbox {id} of {total}: {from}, {what}").unwrap();
        }
        for (group, end) in storage.groups_of(device).unwrap() {
            assert_eq!(storage.position(&group, end.seq), Ok(Some(end)));
            let (epoch, head) = (storage.group(&group).unwrap().unwrap().epoch, end.seq);
            writeln!(text, "  group {}, epoch {epoch}, up to {head}", to_hex(&group)).unwrap();
        }
        for (group, ending) in storage.ended_groups_of(device).unwrap() {
            writeln!(text, "  ended {}, {ending:?}", to_hex(&group)).unwrap();
        }
        for (user, length) in storage.accounts_around(device, 100).unwrap() {
            writeln!(text, "  near {user}, {length}").unwrap();
        }
    }

    for id in [ID, OPAQUE[0], OPAQUE[1]].map(GroupId::from) {
        let group = storage.group(&id).unwrap().unwrap();
        let (tracked, epoch, head) = (group.tracked, group.epoch, group.head);
        let name = to_hex(&id);
        let handshake = group.handshake;
        writeln!(text, "group {name}, tracked {tracked}, epoch {epoch}, {head}, {handshake}")
            .unwrap();
        for member in storage.members(&id).unwrap().iter() {
            writeln!(text, "  member {member}").unwrap();
        }
        for device in &devices {
            if let Membership::Former(seq) = storage.membership(&id, device).unwrap() {
                writeln!(text, "  former {device}, {seq}").unwrap();
            }
        }
        let mut chain = ChainHash::EMPTY;
        for entry in storage.log(&id, 0, u64::MAX, 1000, usize::MAX).unwrap() {
            chain = ChainInput::of(&id, &entry).after(&chain).unwrap();
            let (seq, epoch, sender) = (entry.seq, entry.epoch, entry.sender);
            let (content, message) = (entry.content_type, shown(&entry.message));
            writeln!(text, "  log {seq}, epoch {epoch}, {content:?}, {sender}, {message}").unwrap();
            let hash = PROVIDER.hash(mls::crypto::Hash::Sha256, &[&entry.message]).unwrap();
            let found = storage.find(&id, (&*hash).try_into().unwrap()).unwrap().unwrap();
            assert_eq!((found.position.seq, found.sender), (seq, sender));
            assert_eq!(found.position.chain, chain, "the log's hash, which was not stored once");
        }
        assert_eq!(group.chain, chain);
        for epoch in 0..epoch {
            let ended = storage.epoch_ended(&id, epoch).unwrap();
            writeln!(text, "  epoch {epoch} ended {ended:?}").unwrap();
        }
        if let Some((info, tree)) = storage.public_state(&id).unwrap() {
            writeln!(text, "  info {}, tree {}", shown(&info), shown(&tree)).unwrap();
        }
        for (key, value) in storage.rows(&id).unwrap() {
            let (table, epoch, index) = (key.table as u8, key.epoch, key.index);
            writeln!(text, "  row {epoch}, {table}, {index}: {}", shown(value.expose())).unwrap();
        }
    }
    for invitation in storage.open_invitations(now).unwrap() {
        let (issued, expires) = (invitation.issued_at, invitation.expires_at);
        writeln!(text, "invitation {}, {issued}, {expires}", to_hex(&invitation.hash[..8]))
            .unwrap();
    }
    text
}

/// The GroupInfo of an epoch of a group.
fn group_info(dice: &mut Dice, own: &Own, id: &GroupId, epoch: u64) -> Bytes {
    let params = GroupParams {
        group_id: id.clone(),
        cipher_suite: SUITE,
        extensions: vec![],
        leaf: own.leaf(),
        lifetime: Own::lifetime(NOW),
    };
    let new = Group::create(&PROVIDER, dice, mls::Config::default(), params, own.keys.clone());
    let mut group = new.unwrap().store(|_| Ok::<_, Infallible>(())).unwrap();
    for _ in 0..epoch {
        let step = group.commit(&PROVIDER, dice, NOW, CommitOptions::default()).unwrap();
        stored(&mut group, step);
        let id = group.pending_commit().unwrap().id.clone();
        let step = group.commit_accepted(&PROVIDER, NOW, &id).unwrap();
        stored(&mut group, step);
    }
    group.group_info(&PROVIDER, INFO).unwrap().into()
}

/// A service that was used for a while: tracked and opaque groups, people who came, went and lost devices.
fn used() -> World {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let mut tablet = w.add(&mut alice, "alice/tablet");
    w.catch_up(&mut bob);
    let mut carol = w.add(&mut bob, "carol/pc");
    w.desk.service.publish(NOW).unwrap().unwrap();

    for text in [b"one".as_slice(), b"two", b"three"] {
        let step = bob.group.encrypt(&PROVIDER, &mut w.dice, text, &Framing::default()).unwrap();
        let message = stored(&mut bob.group, step);
        w.desk.reply(&bob.own, SendMessage { message: message.into() });
    }
    w.catch_up(&mut alice);
    w.catch_up(&mut tablet);
    w.catch_up(&mut carol);
    let leaf = carol.group.own_leaf();
    let request = w.staged(&mut alice, vec![NewProposal::Remove(leaf)]);
    w.submit(&mut alice, request);
    w.catch_up(&mut bob);

    // A Welcome that nobody has fetched, and a proposal that nobody has committed.
    let dave = w.device("dave/phone");
    let (_, add) = w.invited(&alice, &dave);
    let request = w.staged(&mut alice, vec![add]);
    w.submit(&mut alice, request);
    w.catch_up(&mut bob);
    let step = bob.group.propose_update(&PROVIDER, &mut w.dice, None, &Framing::default());
    let proposal = stored(&mut bob.group, step.unwrap()).message.into();
    w.desk.reply(&bob.own, SubmitProposal { proposal });

    // A device that is revoked while it is in a group, one with another key, and a recovery key.
    let user: Name = "alice".parse().unwrap();
    let mut first = w.first[&user].clone();
    first.revoke("tablet");
    first.rotate(&mut w.dice);
    first.recovery(&mut w.dice);
    w.desk.register(&first);
    w.first.insert(user, first.clone());
    w.desk.service.publish(NOW.saturating_add(Duration::from_secs(60))).unwrap().unwrap();

    let lifetime = Own::lifetime(NOW);
    let packages =
        [false, false, false, true].map(|last| first.key_package(last, lifetime, &mut w.dice));
    w.desk.publish(&first, &packages.each_ref());
    let hybrid = bob.own.key_package_of(HYBRID, true, lifetime, &mut w.dice);
    w.desk.publish(&bob.own, &[&hybrid]);

    let marks = [3, 7].map(|number| StateMark { number, id: [number as u8; 16] });
    let [first_mark, mark] = marks;
    w.desk.reply(&bob.own, MarkState { before: Vec::new(), mark: first_mark });
    w.desk.reply(&bob.own, MarkState { before: vec![first_mark], mark });

    for (id, private_messages) in OPAQUE.map(GroupId::from).iter().zip([4u8, 1]) {
        let kind = GroupKind::Opaque { epoch: 0 };
        w.desk.reply(&bob.own, CreateGroup { group_id: id.clone(), kind });
        let package = carol.own.key_package(false, lifetime, &mut w.dice);
        w.desk.publish(&carol.own, &[&package]);
        let request = SubmitCommit {
            welcomes: vec![welcome(std::slice::from_ref(package.reference()))],
            ratchet_tree: Some(vec![9; 300].into()),
            added: vec![carol.own.id.clone(), first.id.clone()],
            ..SubmitCommit::new(private(id, 0, ContentType::Commit, b"adds carol"))
        };
        w.desk.reply(&bob.own, request);
        for n in 0..private_messages {
            let message = private(id, 1, ContentType::Application, &[n; 40]);
            w.desk.reply(&carol.own, SendMessage { message });
        }
        let removed = vec![first.id.clone()];
        let removal = private(id, 1, ContentType::Commit, b"removes alice");
        let group_info = Some(group_info(&mut w.dice, &carol.own, id, 2));
        let ratchet_tree = Some(vec![8; 400].into());
        let removal =
            SubmitCommit { removed, group_info, ratchet_tree, ..SubmitCommit::new(removal) };
        w.desk.reply(&carol.own, removal);
    }

    // Somebody who came by an invitation.
    let (dir, mut dice) = (w.dir, w.dice);
    drop(w.desk);
    let desk = Desk::new(dir.path(), Limits::default(), Registration::Invitation);
    let later = NOW.saturating_add(Duration::from_secs(1000));
    let secret = SqliteStorage::read_secret(dir.path()).unwrap();
    let invitation = Some(invitation(&PROVIDER, &secret, &mut dice, later).unwrap().into());
    let erin = Own::new("erin/pc", &mut dice);
    desk.anonymous(SubmitAccount { invitation, ..erin.submission() }).unwrap();
    desk.service.administer(Act::Invite(30), NOW).unwrap();
    let quotas = vec![(Quota::Groups, Some(0)), (Quota::Attachments, Some(1 << 40))];
    desk.service.administer(Act::Quota(erin.id.user.clone(), quotas), NOW).unwrap();
    desk.service.administer(Act::Block(erin.id.user), NOW).unwrap();
    desk.service.administer(Act::Reset(OPAQUE[1].into()), NOW).unwrap();
    World { dir, desk, dice, suite: SUITE, extensions: vec![], first: w.first }
}

/// The format of a database.
fn format(path: &Path) -> u32 {
    let db = Connection::open(path).unwrap();
    db.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap()
}

/// Tables with their columns and indices, in an order that does not depend on how they came about.
fn schema(path: &Path) -> String {
    let db = Connection::open(path).unwrap();
    let lines = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let tables = lines(
        "SELECT name || ', without rowid ' || wr || ', strict ' || strict FROM pragma_table_list
         WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    );
    let columns = lines(
        "SELECT t.name || '.' || c.name || ' ' || c.type || ', not null ' || c.\"notnull\" || ', default '
            || ifnull(c.dflt_value, '-') || ', primary key ' || c.pk || ', hidden ' || c.hidden
         FROM pragma_table_list AS t JOIN pragma_table_xinfo(t.name) AS c
         WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.name",
    );
    let indices = lines(
        "SELECT t.name || ' by ' || iif(i.origin = 'c', i.name, i.origin) || ', unique ' || i.\"unique\"
            || ', partial ' || i.partial || ': '
            || (SELECT group_concat(ifnull(x.name, 'rowid') || ' ' || x.desc || ' ' || x.coll || ' ' || x.key)
                FROM pragma_index_xinfo(i.name) AS x)
            || ifnull(substr(s.sql, instr(s.sql, 'WHERE')), '')
         FROM pragma_table_list AS t JOIN pragma_index_list(t.name) AS i
         LEFT JOIN sqlite_schema AS s ON s.name = i.name AND i.partial
         WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1",
    );
    let counters = lines(
        "SELECT name || ' counts' FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name",
    );
    let others =
        lines("SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index') ORDER BY name");
    [tables, columns, indices, counters, others].concat().join("\n")
}

/// A golden database of every format from the first on, in a folder of its own.
fn golden() -> Vec<(u32, String, tempfile::TempDir)> {
    let current = tempfile::tempdir().unwrap();
    drop(SqliteStorage::open(current.path()).unwrap());
    let current = format(&current.path().join("delivery.db"));
    let one = |format: u32| {
        let path = folder().join(format!("format-{format}.sql"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| {
            panic!("{}: {e}; CONTRIBUTING.md says how it is made", path.display())
        });
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("delivery.db")).unwrap();
        db.execute_batch(&text).unwrap();
        (format, text, dir)
    };
    (3..=current).map(one).collect()
}

#[test]
fn databases_of_every_format_upgrade_and_answer_as_before() {
    let new = tempfile::tempdir().unwrap();
    drop(SqliteStorage::open(new.path()).unwrap());
    let new = new.path().join("delivery.db");

    let all = golden();
    let newest = all.last().unwrap().0;
    for (from, text, dir) in all {
        let path = dir.path().join("delivery.db");
        assert_eq!(format(&path), from, "format-{from}.sql");
        let storage = SqliteStorage::open(dir.path()).unwrap();
        let expected =
            std::fs::read_to_string(folder().join(format!("format-{from}.txt"))).unwrap();
        assert_eq!(answers(&storage), expected, "format {from}");

        let upgraded = storage.upgraded().cloned();
        assert_eq!(upgraded.is_some(), from < newest, "format {from}");
        if let Some(upgrade) = upgraded {
            assert_eq!((upgrade.from, upgrade.to), (from, newest));
            // Which row comes first means nothing.
            let sorted = |text: &str| {
                let mut lines: Vec<_> = text.lines().map(str::to_string).collect();
                lines.sort_unstable();
                lines
            };
            let is_same = sorted(&dump(&upgrade.kept)) == sorted(&text);
            assert!(is_same, "the copy of format {from} is not the database as it was");
        }
        drop(storage);
        assert_eq!(schema(&path), schema(&new), "format {from}");
        assert!(SqliteStorage::open(dir.path()).unwrap().upgraded().is_none(), "once is enough");
    }
}

#[test]
fn a_welcome_from_before_the_age_of_inboxes_is_as_old_as_its_commit_or_as_the_upgrade() {
    let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let (_, _, dir) = golden().into_iter().find(|(format, ..)| *format == 11).unwrap();
    let path = dir.path().join("delivery.db");
    let db = Connection::open(&path).unwrap();
    let items = |db: &Connection, of: &str| -> Vec<(i64, i64)> {
        let sql = format!("SELECT id, {of} FROM inbox ORDER BY id");
        let mut statement = db.prepare(&sql).unwrap();
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let dropped = "DELETE FROM log WHERE (grp, seq) = (SELECT grp, seq FROM inbox WHERE id = 6)";
    db.execute(dropped, []).unwrap();
    let in_log =
        "ifnull((SELECT received_at FROM log WHERE (grp, seq) = (inbox.grp, inbox.seq)), 0)";
    let before = items(&db, in_log);
    drop(db);

    drop(SqliteStorage::open(dir.path()).unwrap());
    let after = items(&Connection::open(&path).unwrap(), "received_at");
    assert_eq!((before.len(), before[2]), (3, (6, 0)), "the log has dropped one");
    assert!(before[0].1 > 0 && after[..2] == before[..2], "{before:?}, {after:?}");
    assert!(after[2].0 == 6 && after[2].1 >= i64::try_from(begun).unwrap(), "{after:?}");
}

#[test]
fn a_service_goes_on_with_databases_of_every_format() {
    for (from, _, dir) in golden() {
        let desk = Desk::open(dir.path());
        let holder = |id: &str| {
            let id: DeviceId = id.parse().unwrap();
            let devices = desk.service.storage.devices(&id.user).unwrap();
            Holder::Device(devices.into_iter().find(|known| known.device == id).unwrap())
        };
        let [alice, bob] = ["alice/laptop", "bob/phone"].map(holder);

        // The observer's rows make the group's state again, of the epoch that its log is in.
        let fetch = FetchGroupInfo { group_id: ID.into() };
        let state = desk.run(Some(alice.clone()), fetch).unwrap().reply;
        assert_eq!(
            (state.receipt.position.epoch, state.receipt.position.seq),
            (5, 9),
            "format {from}"
        );
        let message = private(&ID.into(), 5, ContentType::Application, b"after the upgrade");
        let sent = desk.run(Some(bob), SendMessage { message }).unwrap().reply;
        assert_eq!(brief(&sent), Brief::Accepted { epoch: 5, seq: 10 }, "format {from}");

        // Whoever was to be published is, and the proofs hold.
        let published = desk.service.publish(desk.now).unwrap().unwrap();
        assert_eq!(published.changes, 1, "format {from}");
        let page = desk.run(Some(alice), FetchHistory {}).unwrap().reply;
        assert_eq!(page.root, published.root, "format {from}");
    }
}

/// Makes a database one of format 3 again, with all that such a one can hold.
fn back_to_format_3(dir: &Path) {
    let golden = std::fs::read_to_string(folder().join("format-3.sql")).unwrap();
    let schema = golden.split("INSERT INTO").next().unwrap();
    let (old, current) = (dir.join("old.db"), dir.join("delivery.db"));
    let db = Connection::open(&old).unwrap();
    db.execute_batch(&format!("{schema} COMMIT")).unwrap();
    db.execute("ATTACH ? AS current", [current.to_str().unwrap()]).unwrap();
    db.execute_batch("CREATE TEMP VIEW old_group AS SELECT * FROM current.mls_group LEFT JOIN current.public_state
                      ON grp = id").unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for table in texts("SELECT name FROM main.sqlite_schema WHERE type = 'table'") {
        let columns =
            texts(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
        let from = match table.as_str() {
            "mls_group" => "old_group".into(),
            "key_package_owner" => "current.known_key_package".into(),
            "init_key" => {
                "(SELECT init_key AS hash, reference FROM current.known_key_package)".into()
            }
            _ => format!("current.{table}"),
        };
        db.execute_batch(&format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} ({columns}) SELECT {columns} FROM {from}"
        ))
        .unwrap();
    }
    drop(db);
    std::fs::rename(old, current).unwrap();
}

#[test]
fn members_go_on_over_an_upgrade_from_format_3() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    // What bob has not read, and a Welcome that nobody has fetched.
    let step = alice.group.encrypt(&PROVIDER, &mut w.dice, b"before", &Framing::default()).unwrap();
    let message = stored(&mut alice.group, step);
    w.desk.reply(&alice.own, SendMessage { message: message.into() });
    let dave = w.device("dave/phone");
    let (package, add) = w.invited(&alice, &dave);
    let request = w.staged(&mut alice, vec![add]);
    w.submit(&mut alice, request);

    let World { dir, desk, dice, suite, extensions, first } = w;
    drop(desk);
    back_to_format_3(dir.path());
    let desk = Desk::open(dir.path());
    assert_eq!(desk.service.storage.upgraded().map(|upgrade| upgrade.from), Some(3));
    let mut w = World { dir, desk, dice, suite, extensions, first };

    w.catch_up(&mut bob);
    let mut dave = w.join(dave, &package);
    let request = w.staged(&mut bob, vec![]);
    w.submit(&mut bob, request);
    for member in [&mut alice, &mut dave] {
        w.catch_up(member);
        assert_eq!(member.group.epoch_authenticator(), bob.group.epoch_authenticator());
    }
    assert_eq!([alice.cursor, bob.cursor, dave.cursor], [4; 3], "no number is missing");
}

/// Writes the golden database of the current format, once: `cargo test -p conclave-delivery golden -- --ignored`.
#[test]
#[ignore = "writes a file: once for each format"]
fn write_the_golden_database_of_this_format() {
    let World { dir, desk, .. } = used();
    drop(desk);
    let storage = SqliteStorage::open(dir.path()).unwrap();
    let answers = answers(&storage);
    drop(storage);
    let database = dir.path().join("delivery.db");
    let (text, format) = (dump(&database), format(&database));

    std::fs::create_dir_all(folder()).unwrap();
    let path = folder().join(format!("format-{format}.sql"));
    assert!(!path.exists(), "{} is golden: it is never written again", path.display());
    std::fs::write(path, text).unwrap();
    std::fs::write(folder().join(format!("format-{format}.txt")), answers).unwrap();
}
