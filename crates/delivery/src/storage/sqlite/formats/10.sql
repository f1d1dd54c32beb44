-- Whoever joins from outside is told of the proposals that are pending.
CREATE INDEX proposal_by_epoch ON log (grp, epoch, seq) WHERE content_type = 2;
