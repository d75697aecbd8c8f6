//! A command on its way to Redis, and what comes back.

use std::sync::OnceLock;

use aws_lc_rs::digest;

use crate::session::StoreError;

/// A command with its arguments.
#[derive(Clone)]
pub(super) struct Words(Vec<Vec<u8>>);

impl Words {
    /// A command without arguments; white space separates words.
    pub(super) fn of(command: &str) -> Self {
        Self(command.split_whitespace().map(|word| word.as_bytes().to_vec()).collect())
    }

    /// With one more argument.
    pub(super) fn arg(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.0.push(word.into());
        self
    }

    /// With a number.
    pub(super) fn number(self, number: u64) -> Self {
        self.arg(number.to_string())
    }

    /// The words.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// What Redis runs in one step.
pub(super) struct Script {
    text: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    /// A script.
    pub(super) const fn new(text: &'static str) -> Self {
        Self { text, hash: OnceLock::new() }
    }

    /// A call of the script.
    pub(super) fn with(&'static self, keys: Vec<Vec<u8>>) -> Call {
        Call { script: self, keys, arguments: Vec::new() }
    }

    /// Redis names scripts by SHA-1. Nothing rests on it: a script that has another's name would be ours too.
    fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.text.as_bytes());
            hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
        })
    }
}

/// A script with its keys and arguments.
pub(super) struct Call {
    script: &'static Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    /// With one more argument.
    pub(super) fn arg(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// With a number.
    pub(super) fn number(self, number: u64) -> Self {
        self.arg(number.to_string())
    }

    /// By the script's name, for a server that knows it.
    pub(super) fn by_name(&self) -> Words {
        self.words(Words::of("EVALSHA").arg(self.script.hash()))
    }

    /// With the whole script, which the server then knows.
    pub(super) fn in_full(&self) -> Words {
        self.words(Words::of("EVAL").arg(self.script.text))
    }

    fn words(&self, mut words: Words) -> Words {
        words = words.arg(self.keys.len().to_string());
        words.0.extend(self.keys.iter().chain(&self.arguments).cloned());
        words
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// There is nothing.
    Nil,
    /// A number.
    Number(i64),
    /// Bytes, or a word such as `OK`.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Reply>),
}

impl Reply {
    /// A count.
    pub(super) fn count(&self) -> Result<u64, StoreError> {
        match self {
            Self::Number(number) => u64::try_from(*number).map_err(|_| odd()),
            // Scores and the fields of a hash are text.
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(odd),
            Self::Nil | Self::List(_) => Err(odd()),
        }
    }

    /// Bytes.
    pub(super) fn bytes(&self) -> Result<&[u8], StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Nil | Self::Number(_) | Self::List(_) => Err(odd()),
        }
    }

    /// Text; empty when it is none.
    pub(super) fn text(&self) -> &str {
        self.bytes().ok().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The parts.
    pub(super) fn list(&self) -> Result<&[Self], StoreError> {
        match self {
            Self::List(list) => Ok(list),
            Self::Nil | Self::Number(_) | Self::Bytes(_) => Err(odd()),
        }
    }
}

/// An answer that does not fit the question: somebody else writes there, or it is no Redis.
pub(super) fn odd() -> StoreError {
    StoreError::Unavailable("Redis gave an answer that does not fit".to_owned())
}
