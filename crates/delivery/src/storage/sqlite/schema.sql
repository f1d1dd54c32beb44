-- The delivery service's state. Epochs, indices of rows and their epochs are unsigned 64-bit
-- numbers with the top bit flipped, so that SQLite's signed order is theirs.

-- `incarnation` is drawn anew when the state is restored from a backup, and `incarnations` counts.
CREATE TABLE service (secret BLOB NOT NULL, incarnation BLOB NOT NULL, incarnations INTEGER NOT NULL);

-- What each user's log says, so that it need not be checked again, which names look alike, and how many of its
-- entries the directory has.
CREATE TABLE account (
    user TEXT PRIMARY KEY,
    skeleton TEXT NOT NULL UNIQUE,
    length INTEGER NOT NULL,
    state BLOB NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX account_unpublished ON account (user) WHERE published < length;
CREATE TABLE account_entry (
    user TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (user, sequence)
) WITHOUT ROWID;
-- The directory's records.
CREATE TABLE directory (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
-- The invitations that were used, by their hash.
CREATE TABLE invitation (hash BLOB PRIMARY KEY) WITHOUT ROWID;
-- Users whom an administrator has blocked.
CREATE TABLE blocked_user (user TEXT PRIMARY KEY) WITHOUT ROWID;
-- What an administrator has given single users of something (1 groups, 2 key packages, 3 bytes of attachments, 4
-- claims), instead of what the service is set to give everybody.
CREATE TABLE user_quota (
    user TEXT NOT NULL,
    kind INTEGER NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (user, kind)
) WITHOUT ROWID;
-- Invitations that were made, until somebody looks after they were used or have expired.
CREATE TABLE issued_invitation (
    hash BLOB PRIMARY KEY,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- A row stays when its device is revoked: logs name it as a sender.
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    scheme INTEGER NOT NULL,
    signature_key BLOB NOT NULL,
    active INTEGER NOT NULL,
    UNIQUE (user, name)
);

-- The mark that each device's state has. It goes with the device's key.
CREATE TABLE state_mark (
    device INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    id BLOB NOT NULL,
    marked_at INTEGER NOT NULL
);

-- The certificates of devices, where a CA certifies them.
CREATE TABLE certificate (
    device INTEGER PRIMARY KEY,
    chain BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL
);

CREATE TABLE key_package (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device INTEGER NOT NULL,
    suite INTEGER NOT NULL,
    last_resort INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    message BLOB NOT NULL
);
CREATE INDEX key_package_by_device ON key_package (device, suite, last_resort, id);
CREATE INDEX key_package_by_expiry ON key_package (not_after);

-- Kept when the package is gone, until a day after it has expired: Welcomes name it, and its init key must not come
-- again.
CREATE TABLE known_key_package (
    reference BLOB PRIMARY KEY,
    init_key BLOB NOT NULL UNIQUE,
    device INTEGER NOT NULL,
    not_after INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX known_key_package_by_expiry ON known_key_package (not_after);

CREATE TABLE mls_group (
    id INTEGER PRIMARY KEY,
    group_id BLOB NOT NULL UNIQUE,
    tracked INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    head INTEGER NOT NULL,
    chain BLOB NOT NULL,
    handshake INTEGER NOT NULL,
    creator INTEGER NOT NULL,
    request_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    -- The group that took its place when it was reset; empty if an administrator ended it and none has.
    successor BLOB
);
CREATE INDEX group_by_creator ON mls_group (creator);
-- Of opaque groups; apart from what each message changes, as it can be megabytes.
CREATE TABLE public_state (
    grp INTEGER PRIMARY KEY,
    group_info BLOB NOT NULL,
    ratchet_tree BLOB
);

-- A former member's row stays, with the commit that removed it: it may read up to there.
CREATE TABLE member (
    grp INTEGER NOT NULL,
    device INTEGER NOT NULL,
    removed_seq INTEGER,
    since INTEGER,
    PRIMARY KEY (grp, device)
) WITHOUT ROWID;
CREATE INDEX member_by_device ON member (device, grp, removed_seq);

-- Whose revoked devices were in a group: members who come back hear of it, and remove them.
CREATE TABLE ended_member (
    grp INTEGER NOT NULL,
    user TEXT NOT NULL,
    PRIMARY KEY (grp, user)
) WITHOUT ROWID;

-- Revoked devices that are still members of tracked groups, and whether their removal is to be proposed.
CREATE TABLE to_remove (
    grp INTEGER NOT NULL,
    device INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (grp, device)
) WITHOUT ROWID;
CREATE INDEX to_remove_due ON to_remove (grp) WHERE due;

-- Row numbers are the places of event streams (Storage::groups_since): they only grow within an incarnation. Keep them
-- when this table is rebuilt, and never delete the newest row.
CREATE TABLE log (
    grp INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    content_type INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    chain BLOB NOT NULL,
    message BLOB NOT NULL,
    UNIQUE (grp, seq)
);
CREATE UNIQUE INDEX log_by_hash ON log (grp, hash);
-- One commit per epoch, whatever else goes wrong.
CREATE UNIQUE INDEX commit_by_epoch ON log (grp, epoch) WHERE content_type = 3;
CREATE INDEX proposal_by_epoch ON log (grp, epoch, seq) WHERE content_type = 2;

-- Welcomes and trees, once for all who get them.
CREATE TABLE blob (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device INTEGER NOT NULL,
    grp INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    welcome INTEGER NOT NULL,
    tree INTEGER,
    chain BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000',
    received_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX inbox_by_device ON inbox (device, id);
CREATE INDEX inbox_by_age ON inbox (received_at);
CREATE INDEX inbox_by_welcome ON inbox (welcome);
CREATE INDEX inbox_by_tree ON inbox (tree) WHERE tree IS NOT NULL;

-- What the observer of a tracked group keeps.
CREATE TABLE observer (
    grp INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    tbl INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (grp, epoch, tbl, idx)
) WITHOUT ROWID;

-- Users' uploads of attachments, whose contents are files; and how many bytes they are, by user, and of all under ''.
CREATE TABLE upload (
    hash BLOB NOT NULL,
    user TEXT NOT NULL,
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (hash, user)
) WITHOUT ROWID;
CREATE INDEX upload_by_expiry ON upload (expires_at);
CREATE TABLE upload_bytes (user TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
