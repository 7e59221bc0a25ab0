//! Templates in, release tree out: pure rendering.
