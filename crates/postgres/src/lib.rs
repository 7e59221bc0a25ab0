//! A private PostgreSQL cluster in a directory of our own.
