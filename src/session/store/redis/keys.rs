//! What things are called in Redis.

use crate::session::{Mark, NoteName, SessionKey, Tag};

/// The names. All carry one hash tag, so that a cluster keeps everything on one node and each script can
/// reach all it needs in one step: a cluster is for being there, not for spreading the load.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    database: u32,
}

impl Keys {
    /// The names in a database.
    pub(super) fn new(database: u32) -> Self {
        Self::with_tag("schoolgate", database)
    }

    /// The names with another hash tag: tests share a server.
    pub(super) fn with_tag(tag: &str, database: u32) -> Self {
        Self { prefix: format!("{{{tag}}}:"), database }
    }

    /// A session: hash of `r`ecord, `g`eneration, `c`reated, last `s`een and `t`ags.
    pub(super) fn session(&self, key: &SessionKey) -> Vec<u8> {
        named(self.sessions(), key.bytes())
    }

    /// What the names of sessions begin with.
    pub(super) fn sessions(&self) -> Vec<u8> {
        self.text("session:")
    }

    /// The sessions under a tag: sorted set of session keys by the last moment they may have.
    pub(super) fn tag(&self, tag: &Tag) -> Vec<u8> {
        named(self.tags(), tag.bytes())
    }

    /// What the names of tags begin with.
    pub(super) fn tags(&self) -> Vec<u8> {
        self.text("tag:")
    }

    /// When each session ends if it is not used again: sorted set.
    pub(super) fn ends(&self) -> Vec<u8> {
        self.text("ends")
    }

    /// All sessions in the order of their keys: sorted set with equal scores.
    pub(super) fn order(&self) -> Vec<u8> {
        self.text("order")
    }

    /// The lease of a session's refresh: its holder, or nothing while it cools.
    pub(super) fn lease(&self, key: &SessionKey) -> Vec<u8> {
        named(self.text("lease:"), key.bytes())
    }

    /// A mark.
    pub(super) fn mark(&self, mark: &Mark) -> Vec<u8> {
        named(self.text("mark:"), mark.bytes())
    }

    /// A note: its edition and its sealed value.
    pub(super) fn note(&self, name: &NoteName) -> Vec<u8> {
        named(self.text("note:"), name.bytes())
    }

    /// When each note is over: sorted set of the names, each with what it takes.
    pub(super) fn note_ends(&self) -> Vec<u8> {
        self.text("note-ends")
    }

    /// What all notes take together.
    pub(super) fn note_bytes(&self) -> Vec<u8> {
        self.text("note-bytes")
    }

    /// When each revocation is due: sorted set.
    pub(super) fn queue(&self) -> Vec<u8> {
        self.text("queue")
    }

    /// The revocations: hash.
    pub(super) fn waiting(&self) -> Vec<u8> {
        self.text("waiting")
    }

    /// What tells the right encryption key from a wrong one.
    pub(super) fn proof(&self) -> Vec<u8> {
        self.text("proof")
    }

    /// What is written to see whether it can be.
    pub(super) fn probe(&self) -> Vec<u8> {
        self.text("probe")
    }

    /// Where the news are. Channels know no databases, so the number is in the name.
    pub(super) fn channel(&self) -> Vec<u8> {
        self.text(&format!("news:{}", self.database))
    }

    fn text(&self, name: &str) -> Vec<u8> {
        format!("{}{name}", self.prefix).into_bytes()
    }
}

fn named(mut kind: Vec<u8>, name: &[u8]) -> Vec<u8> {
    kind.extend_from_slice(name);
    kind
}
