//! Sessions: identifier, record, lifetimes, stores, and the proof that one is live.
