//! The store on a real Postgres.

mod alerts;
mod base;
mod feed;
mod groups;
mod holds;
mod inventory;
mod isolation;
mod joint_orders;
mod leases;
mod ledger;
mod operations;
mod ownership;
mod redeliveries;
mod renewals;
mod retention;
mod rollups;
mod row_level_security;
mod search;
mod templates;
mod tenants;
mod txt_records;
mod under_way;
mod webhooks;
mod work;
