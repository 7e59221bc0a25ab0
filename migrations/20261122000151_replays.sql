-- A replay of webhooks is only noted by whoever asks for it: a worker finds where it begins, among everybody's events.
--
-- Only additions. The version before goes on with replay_after, which both understand; a replay that this one has noted waits
-- for a worker of this one.

ALTER TABLE webhook_endpoints
    ADD COLUMN replay_from uuid,
    ADD COLUMN replayed_at timestamptz;
COMMENT ON COLUMN webhook_endpoints.replay_from IS 'a replay was asked for: events with this id and greater ones; NULL once replay_after is found';
COMMENT ON COLUMN webhook_endpoints.replayed_at IS 'when a replay was last asked for';
CREATE INDEX webhook_endpoints_to_replay ON webhook_endpoints (endpoint_id) WHERE replay_from IS NOT NULL;
