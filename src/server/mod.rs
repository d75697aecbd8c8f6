//! The running gateway: build, run, drain.
