//! Planner and workers: one step at a time.
