//! REST API, dashboard and http-01 responder.
