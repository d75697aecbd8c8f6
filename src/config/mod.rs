//! The file gateway.toml: its shape, its translation into settings, and its problems told all at once.
