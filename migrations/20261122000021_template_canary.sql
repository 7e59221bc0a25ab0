-- A published template goes to one load balancer first, and to the others once that one serves it.
--
-- Only additions. A worker of the version before this one brings what is published to every load balancer at once.

ALTER TABLE templates
    ADD COLUMN canary_target_id uuid REFERENCES targets ON DELETE SET NULL,
    ADD COLUMN stable_version integer;
COMMENT ON COLUMN templates.canary_target_id IS 'the one target that published_version is brought to so far; NULL: all of them';
COMMENT ON COLUMN templates.stable_version IS 'what the other targets have meanwhile; NULL: the file';

ALTER TABLE template_publications ADD COLUMN refused text;
COMMENT ON COLUMN template_publications.refused IS 'why a load balancer did not take previous_version, which was taken back for that';
