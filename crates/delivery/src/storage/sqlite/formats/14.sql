-- The epoch since which each member is in: what it encrypted in an earlier stay is taken no more. Of those who came in
-- before this format it is not known.
ALTER TABLE member ADD COLUMN since INTEGER;
