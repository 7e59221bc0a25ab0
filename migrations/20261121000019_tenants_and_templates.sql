-- How many domains tenants with a quota have; nginx templates with their versions, and trials of them.
--
-- Only additions. A template that is published here is served by workers of this version alone: update all of them before one
-- is published.

CREATE TABLE tenant_usage (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    domains integer NOT NULL
);
COMMENT ON TABLE tenant_usage IS 'domains of tenants that have a quota, those that are being deleted included; tenants without one pay for no count';

CREATE INDEX tenants_ending ON tenants (delete_after) WHERE status = 'pending_deletion';
CREATE INDEX domains_by_template ON domains (template) WHERE template IS NOT NULL AND status <> 'deleted';

CREATE TABLE templates (
    name text COLLATE "C" NOT NULL,
    form text NOT NULL CHECK (form IN ('shared', 'dedicated')),
    built_in text,
    published_version integer,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (name, form)
);
COMMENT ON COLUMN templates.built_in IS 'the file of that name, as the worker that started last has it; NULL: there is none';
COMMENT ON COLUMN templates.published_version IS 'what load balancers are served with; NULL: the file';

CREATE TABLE template_versions (
    name text COLLATE "C" NOT NULL,
    form text NOT NULL,
    version integer NOT NULL,
    source text NOT NULL,
    note text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    passed_at timestamptz,
    published_at timestamptz,
    PRIMARY KEY (name, form, version),
    FOREIGN KEY (name, form) REFERENCES templates
);
COMMENT ON COLUMN template_versions.passed_at IS 'when a trial of it passed; only such a version is published';

CREATE TABLE template_publications (
    name text COLLATE "C" NOT NULL,
    form text NOT NULL,
    revision bigint NOT NULL,
    version integer,
    previous_version integer,
    is_roll_back boolean NOT NULL,
    author text NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (name, form, revision),
    FOREIGN KEY (name, form) REFERENCES templates
);
COMMENT ON TABLE template_publications IS 'what was served when, by whose will; version NULL: the file';

CREATE TABLE template_trials (
    trial_id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    form text NOT NULL,
    version integer NOT NULL,
    domains uuid[] NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    lease_until timestamptz,
    finished_at timestamptz,
    passed boolean,
    result jsonb,
    FOREIGN KEY (name, form, version) REFERENCES template_versions
);
COMMENT ON COLUMN template_trials.domains IS 'to be shown; empty: some that are served';
CREATE INDEX template_trials_open ON template_trials (created_at) WHERE finished_at IS NULL;
CREATE INDEX template_trials_by_version ON template_trials (name, form, version, trial_id);

ALTER TABLE tenant_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON tenant_usage TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY engine ON tenant_usage TO certmill_engine USING (true) WITH CHECK (true);
CREATE POLICY tenant ON tenant_usage TO certmill_api USING (tenant_id = current_tenant() OR is_platform())
    WITH CHECK (tenant_id = current_tenant() OR is_platform());

GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_usage, templates, template_versions, template_publications, template_trials
    TO certmill_engine;
GRANT SELECT, INSERT, UPDATE ON tenant_usage, templates TO certmill_api;
GRANT SELECT, INSERT, UPDATE ON template_versions TO certmill_api;
GRANT SELECT, INSERT ON template_publications, template_trials TO certmill_api;
