//! Not shipped: the real parts on one machine, for demo, tests and benchmarks.
