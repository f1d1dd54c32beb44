-- The epoch in which each member came in last: what it encrypted in an earlier stay is taken no more.
ALTER TABLE member ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
