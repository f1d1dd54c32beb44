-- What each message changes of a group lies apart from its GroupInfo and tree, which can be megabytes and were
-- rewritten with it. A device's groups are read from one index.
CREATE TABLE public_state (
    grp INTEGER PRIMARY KEY,
    group_info BLOB NOT NULL,
    ratchet_tree BLOB
);
INSERT INTO public_state (grp, group_info, ratchet_tree)
    SELECT id, group_info, ratchet_tree FROM mls_group WHERE group_info NOT NULL;
ALTER TABLE mls_group DROP COLUMN group_info;
ALTER TABLE mls_group DROP COLUMN ratchet_tree;
DROP INDEX member_by_device;
CREATE INDEX member_by_device ON member (device, grp, removed_seq);
