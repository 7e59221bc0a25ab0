//! All SQL: rows, leases, tenancy, migrations.
