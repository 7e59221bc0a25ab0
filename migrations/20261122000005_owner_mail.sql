-- The owner of a shop who got the link to its page by mail is told when the name works.

ALTER TABLE setup_links
    ADD COLUMN recipient text,
    ADD COLUMN is_to_be_told boolean NOT NULL DEFAULT false,
    ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN setup_links.recipient IS 'who got the link by mail; NULL: nobody did';
COMMENT ON COLUMN setup_links.is_to_be_told IS 'the name works since a moment ago, and the recipient does not know yet';
COMMENT ON COLUMN setup_links.told_at IS 'when the recipient was told that the name works';

-- Nearly empty at any time.
CREATE INDEX setup_links_to_tell ON setup_links (link_id) WHERE is_to_be_told;
