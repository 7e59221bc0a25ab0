-- How much of the CAs' limits is used is shown to the platform's people: web reads the buckets that belong to no tenant.
GRANT SELECT (full_at, share_of) ON limit_buckets TO certmill_api;
