//! Pages in plain words: one look, escaped, with a content security policy.
