//! Certificates and configuration to load balancers: rsync, test, activate, prove.
